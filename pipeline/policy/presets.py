"""The presets of the policy: which scores they trust, and how far."""

from pipeline.policy.rules import Drop, DropEmpty, Policy, Relabel


def preset(name: str, *, label: float, sure: float, outlier: float, caption: float) -> Policy:
    """Return a policy over the columns of `match` with these thresholds."""
    return Policy(
        name=name,
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


PRESETS = {
    "balanced": preset("balanced", label=0.5, sure=0.4, outlier=0.2, caption=0.5),
    "strict": preset("strict", label=0.2, sure=0.7, outlier=0.1, caption=0.3),
    "lenient": preset("lenient", label=0.8, sure=0.7, outlier=0.6, caption=0.8),
}
"""`balanced` for most corpora; `strict` where clean data is plenty; `lenient` where it is rare."""
