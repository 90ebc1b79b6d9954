"""The web label of every row: from a field, from the folder, or from the caption."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from pipeline.errors import RecipeError, did_you_mean
from pipeline.schema import ANSWERED, LABEL
from pipeline.store.answers import NOTHING, Answers
from pipeline.store.catalog import Catalog
from pipeline.store.classes import ClassEntry, normal
from pipeline.store.run import Run
from pipeline.store.workspace import Step

AUTO_FIELDS = ("label", "cls", "class", "class_name", "category")
LABEL_TEXT = "label.text"
MAX_UNKNOWN = 0.5
"""Share of labels that may be no class of the class file."""


@dataclass(frozen=True)
class Labeller:
    """Finds the class of a sample.

    `source` is `auto` (the first of the usual fields), `field:NAME`, `caption` (class names and
    synonyms found in the caption, the longest wins) or `none`.
    """

    source: str
    entries: tuple[ClassEntry, ...]

    @cached_property
    def index(self) -> dict[str, int]:
        """The class of every name and synonym; a name goes before another class's synonym."""
        table: dict[str, int] = {}
        for index, entry in enumerate(self.entries):
            table |= {normal(synonym): index for synonym in entry.synonyms if normal(synonym)}
        return table | {normal(entry.name): index for index, entry in enumerate(self.entries)}

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Any name as whole words, the longest first."""
        longest_first = sorted(self.index, key=len, reverse=True)
        return re.compile(rf"(?<!\w)(?=({'|'.join(map(re.escape, longest_first))})(?!\w))")

    def raw(self, fields: Mapping[str, Any], caption: str | None) -> str | None:
        """Return the label as it was crawled."""
        if self.source == "none":
            return None
        if self.source == "caption":
            found = self.pattern.findall(normal(caption or ""))
            return max(found, key=len) if found else None
        names = AUTO_FIELDS if self.source == "auto" else (self.source.removeprefix("field:"),)
        value = next((fields[name] for name in names if fields.get(name) is not None), None)
        return None if value is None else str(value)

    def find(self, label: str | None) -> int | None:
        """Return the index of the class that a label names, or None.

        A number that is no name is taken as an index, as `cls` members of WebDataset are.
        """
        if label is None:
            return None
        index = self.index.get(normal(label))
        if index is None and label.isdecimal() and int(label) < len(self.entries):
            return int(label)
        return index


def label_step(
    run: Run,
    catalog: Catalog,
    embedded: Step,
    source: str,
    entries: tuple[ClassEntry, ...],
    told: Answers = NOTHING,
) -> Step:
    """Write the label of every row and return the step; answers go before web labels.

    Raises
    ------
    RecipeError
        If most labels are no class: the class file belongs to another corpus.
    """
    config = [source, [(entry.name, entry.synonyms) for entry in entries], told.digest]
    step = run.workspace.step("label", config, [embedded])
    done = step.done()
    todo = [name for name in catalog.identity if name not in done]
    for _ in run.engine.each(Label(embedded, step, Labeller(source, entries), told), todo):
        pass
    known: Counter[str | None] = Counter()
    for _, counted in run.engine.each(Tally(embedded, step), catalog.identity):
        known.update(counted)
    num_known = known.pop(None, 0)
    if source.startswith("field:") and not num_known + known.total():
        raise RecipeError(f"no row has the field of source.label {source!r}; is it spelt right?")
    if known.total() > MAX_UNKNOWN * (num_known + known.total()):
        refuse(known, num_known, entries)
    return step


def refuse(unknown: Counter[str | None], known: int, entries: Sequence[ClassEntry]) -> None:
    """Raise the error that most labels are no class, with the commonest of them."""
    worst = ", ".join(repr(label) for label, _ in unknown.most_common(5))
    top = unknown.most_common(1)[0][0]
    hint = did_you_mean(str(top), [entry.name for entry in entries])
    raise RecipeError(
        f"{unknown.total()} of {known + unknown.total()} labels are in no class of "
        f"the class file, most often {worst}{hint}; is `classes` the right file, and "
        "`source.label` the right field?"
    )


@dataclass(frozen=True)
class Label:
    """Labels one fragment and commits it."""

    embedded: Step
    step: Step
    labeller: Labeller
    told: Answers

    def __call__(self, fragment: str) -> None:
        find, told = self.labeller.find, self.told.label
        rows = self.embedded.read(fragment, ["uid", "fields", "caption"]).to_pylist()
        raw = [self.labeller.raw(json.loads(row["fields"]), row["caption"]) for row in rows]
        found = [told.get(row["uid"], find(label)) for row, label in zip(rows, raw, strict=True)]
        columns = {
            LABEL: pa.array(found, pa.int32()),
            LABEL_TEXT: pa.array(raw, pa.string()),
            ANSWERED: pa.array([row["uid"] in told for row in rows]),
        }
        self.step.write(fragment, pa.table(columns))


@dataclass(frozen=True)
class Tally:
    """Counts the labels of one fragment that are no class, by name, and under None the others."""

    embedded: Step
    step: Step

    def __call__(self, fragment: str) -> Counter[str | None]:
        rows = self.step.read(fragment, [LABEL, LABEL_TEXT]).to_pylist()
        faults = self.embedded.read(fragment, ["fault"])["fault"].to_pylist()
        labelled = [
            row
            for row, fault in zip(rows, faults, strict=True)
            if fault is None and row[LABEL_TEXT] is not None
        ]
        return Counter(row[LABEL_TEXT] if row[LABEL] is None else None for row in labelled)
