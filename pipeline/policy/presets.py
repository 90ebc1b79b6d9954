"""The presets of the policy: which cleaners they use and why, and how far they trust them."""

from pipeline.policy.rules import Drop, DropEmpty, Policy, Relabel

MATCH = (
    "match judges by picture, caption and label together: of all cleaners it alone tells swapped "
    "captions and foreign images from wrong labels"
)
DEDUP = "dedup, since copies outweigh what is rare and carry their wrong labels along"
PROBE = (
    "probe alone: a corpus of pictures and labels without captions, where it ranks wrong human "
    "labels best; it acts from .3, since half of the best F1 to be had is the threshold that has it"
)


def preset(
    name: str, *, label: float, sure: float, outlier: float, caption: float, about: str = MATCH
) -> Policy:
    """Return a policy over the columns of `match` with these thresholds."""
    return Policy(
        name=name,
        about=about,
        rules=(
            DropEmpty(),
            Drop(reason="out-of-distribution", column="match.outlier", above=outlier),
            Drop(reason="caption-mismatch", column="match.caption", above=caption),
            Relabel(
                reason="label-mismatch",
                column="match.label",
                above=label,
                prediction="match.prediction",
                confidence="match.confidence",
                sure=sure,
                protected="match.protected",
            ),
        ),
        weight="match.label",
    )


def deduplicated() -> Policy:
    """Return `balanced` with copies dropped."""
    copies = Drop(reason="duplicate", column="dedup.copy", above=0.5)
    about = f"{MATCH}; {DEDUP}"
    base = preset("deduplicated", label=0.5, sure=0.4, outlier=0.2, caption=0.5, about=about)
    return base.model_copy(update={"rules": (*base.rules, copies)})


def labels() -> Policy:
    """Return the policy for pictures and labels alone."""
    suspect = Relabel(
        reason="label-mismatch",
        column="probe.label",
        above=0.3,
        prediction="probe.prediction",
        confidence="probe.confidence",
        sure=0.7,
    )
    return Policy(name="labels", about=PROBE, rules=(suspect,), weight="probe.label")


PRESETS = {
    "balanced": preset("balanced", label=0.5, sure=0.4, outlier=0.2, caption=0.5),
    "strict": preset("strict", label=0.2, sure=0.7, outlier=0.1, caption=0.3),
    "lenient": preset("lenient", label=0.8, sure=0.7, outlier=0.6, caption=0.8),
    "deduplicated": deduplicated(),
    "labels": labels(),
}
"""`balanced` for most corpora; `strict` where clean data is plenty, `lenient` where it is rare;
`deduplicated` needs the cleaner `dedup` too, `labels` needs `probe` alone."""
