"""The web label of every row: from a field, from the folder, or from the caption."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from pipeline.errors import SHOWN_CHARS, RecipeError, did_you_mean
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
MAX_INDEX_DIGITS = 9
"""A longer number is no index of a class."""
SEARCHED_CHARS = 2**16
"""Of a caption, what is searched for class names."""
COMMON = 100
"""Different labels of no class that are counted by name: an error quotes the commonest."""


WORD = re.compile(r"\w")
WORD_START = re.compile(r"(?<!\w)(?=\S)")


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
    def names(self) -> frozenset[str]:
        """The names of the classes."""
        return frozenset(entry.name for entry in self.entries)

    @cached_property
    def lengths(self) -> dict[str, list[int]]:
        """The lengths of the names that begin with a character, the longest first."""
        found: dict[str, set[int]] = {}
        for name in self.index:
            found.setdefault(name[0], set()).add(len(name))
        return {first: sorted(lengths, reverse=True) for first, lengths in found.items()}

    def raw(self, fields: Mapping[str, Any], caption: str | None) -> str | None:
        """Return the label as it was crawled."""
        if self.source == "none":
            return None
        if self.source == "caption":
            return self.mention(caption)
        names = AUTO_FIELDS if self.source == "auto" else (self.source.removeprefix("field:"),)
        value = next((fields[name] for name in names if fields.get(name) is not None), None)
        return None if value is None else str(value)

    def mention(self, caption: str | None) -> str | None:
        """Return the name of a class that stands in a caption, or None."""
        return self.named(normal((caption or "")[:SEARCHED_CHARS]))

    def named(self, text: str) -> str | None:
        """Return the longest name that stands in a text as whole words, the first of equals."""
        best = ""
        for start in (match.start() for match in WORD_START.finditer(text)):
            for length in self.lengths.get(text[start], ()):
                name = text[start : start + length]
                if length <= len(best):
                    break
                if name in self.index and not WORD.match(text, start + length):
                    best = name
                    break
        return best or None

    def find(self, label: str | None) -> int | None:
        """Return the index of the class that a label names, or None.

        A number that is no name is taken as an index, as `cls` members of WebDataset are.
        """
        if label is None:
            return None
        index = self.index.get(normal(label))
        is_index = label.isdecimal() and len(label) <= MAX_INDEX_DIGITS
        if index is None and is_index and int(label) < len(self.entries):
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
    tally = Tally()
    for _, counted in run.engine.each(Count(embedded, step), catalog.identity):
        tally.add(counted)
    if source.startswith("field:") and not tally.known + tally.unknown:
        raise RecipeError(f"no row has the field of source.label {source!r}; is it spelt right?")
    if tally.unknown > MAX_UNKNOWN * (tally.known + tally.unknown):
        refuse(tally, entries)
    return step


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


def refuse(tally: Tally, entries: Sequence[ClassEntry]) -> None:
    """Raise the error that most labels are no class, with the commonest of them."""
    worst = [label for label, _ in tally.common.most_common(5)]
    hint = did_you_mean("".join(worst[:1]), [entry.name for entry in entries])
    raise RecipeError(
        f"{tally.unknown} of {tally.known + tally.unknown} labels are in no class of the class "
        f"file, most often {', '.join(map(repr, worst))}{hint}; is `classes` the right file, and "
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
class Count:
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
