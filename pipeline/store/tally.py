"""How many labels are a class: most that are not mean that the class file is another corpus's."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.errors import SHOWN_CHARS, RecipeError, did_you_mean
from pipeline.schema import LABEL, LABEL_TEXT, OPTIONAL, SEPARATOR
from pipeline.store.classes import ClassEntry
from pipeline.store.workspace import Step

COMMON = 100
"""Different labels of no class that are counted by name: an error quotes the commonest."""


@dataclass
class Tally:
    """How many labels are a class and how many are none, and which of those are common."""

    known: int = 0
    unknown: int = 0
    common: Counter[str] = field(default_factory=Counter)
    """Labels of no class; the rare ones are forgotten, so that a crawl of any size fits."""

    def add(self, counted: Counter[str | None]) -> None:
        """Add the labels of one fragment; those that are a class are counted under None."""
        known = counted.pop(None, 0)
        self.known += known
        self.unknown += counted.total()
        for label, num in counted.items():
            self.common[(label or "")[:SHOWN_CHARS]] += num
        self.common = Counter(dict(self.common.most_common(COMMON)))


def refuse(tally: Tally, entries: Sequence[ClassEntry], labels: str) -> None:
    """Raise the error that most labels are no class, with the commonest of them."""
    worst = [label for label, _ in tally.common.most_common(5)]
    hint = did_you_mean("".join(worst[:1]), [entry.name for entry in entries])
    raise RecipeError(
        f"{tally.unknown} of {tally.known + tally.unknown} labels are in no class of the class "
        f"file, most often {', '.join(map(repr, worst))}{hint}{several_hint(worst, labels)}; is "
        "`classes` the right file, and `source.label` the right field?"
    )


def several_hint(text: Iterable[str], labels: str) -> str:
    """Return which key to set if some labels seem to be several and `source.labels` is `one`."""
    if labels != "one" or not any(SEPARATOR in each for each in text):
        return ""
    return (
        f"; a list of names, or {SEPARATOR!r} between them, needs source.labels: candidates, "
        "if one of them is right, or all, if each is"
    )


@dataclass(frozen=True)
class Count:
    """Counts the labels of one fragment that are no class, by name, and under None the others."""

    embedded: Step
    step: Step
    columns: tuple[str, ...]
    """Those of them that hold classes."""

    def __call__(self, fragment: str) -> Counter[str | None]:
        held = [name for name in (LABEL, *OPTIONAL) if name in self.columns]
        rows = self.step.read(fragment, [*held, LABEL_TEXT]).to_pylist()
        faults = self.embedded.read(fragment, ["fault"])["fault"].to_pylist()
        labelled = [
            row
            for row, fault in zip(rows, faults, strict=True)
            if fault is None and row[LABEL_TEXT] is not None
        ]
        return Counter(
            row[LABEL_TEXT] if all(row[name] is None for name in held) else None for row in labelled
        )
