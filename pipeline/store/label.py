"""The web label of every row: from a field, from the folder, or from the caption.

A field may name several classes. They are no label, but where the recipe says what they are, they
are stored beside it; the label of a row that names one class only is that one.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from pipeline.errors import RecipeError
from pipeline.schema import ANSWERED, CANDIDATES, CLAIMED, LABEL, LABEL_TEXT, MAX_LABELS, OPTIONAL
from pipeline.store.answers import NOTHING, Answers
from pipeline.store.catalog import Catalog
from pipeline.store.classes import ClassEntry, normal
from pipeline.store.run import Run
from pipeline.store.several import Named, named_in
from pipeline.store.tally import Count, Tally, refuse
from pipeline.store.workspace import Step

AUTO_FIELDS = ("label", "cls", "class", "class_name", "category")
SEVERAL = {"one": (), "candidates": (CANDIDATES,), "all": (CLAIMED,)}
"""Where several labels are stored, by what the recipe calls them."""
MAX_UNKNOWN = 0.5
"""Share of labels that may be no class of the class file."""
MAX_INDEX_DIGITS = 9
"""A longer number is no index of a class."""
SEARCHED_CHARS = 2**16
"""Of a caption, what is searched for class names."""

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
    labels: str = "one"
    """What several names in one field are: `one`, no label; `candidates`; `all` of them claimed."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the label step."""
        return (LABEL, LABEL_TEXT, ANSWERED, *SEVERAL[self.labels])

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
        """Return the label as it was crawled, several names joined by `|`."""
        return self.named_by(fields, caption).text

    def named_by(self, fields: Mapping[str, Any], caption: str | None) -> Named:
        """Return what a sample says of its class."""
        if self.source == "none":
            return Named(None, ())
        if self.source == "caption":
            found = self.mention(caption)
            return Named(found, () if found is None else (found,))
        names = AUTO_FIELDS if self.source == "auto" else (self.source.removeprefix("field:"),)
        value = next((fields[name] for name in names if fields.get(name) is not None), None)
        return named_in(value, is_split=self.labels != "one")

    def classes(self, named: Named) -> list[int] | None:
        """Return the classes that a sample names, rising.

        None if there are none or too many, or several where a row has one label.
        """
        if self.labels == "one" and len(named.names) > 1:
            return None
        found = sorted({index for name in named.names if (index := self.find(name)) is not None})
        return found if 0 < len(found) <= MAX_LABELS else None

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
    labeller: Labeller,
    told: Answers = NOTHING,
) -> Step:
    """Write the label of every row and return the step; answers go before web labels.

    Raises
    ------
    RecipeError
        If most labels are no class: the class file belongs to another corpus.
    """
    source, entries = labeller.source, labeller.entries
    config = [source, [(entry.name, entry.synonyms) for entry in entries], told.digest]
    config += [] if labeller.labels == "one" else [labeller.labels]
    step = run.workspace.step("label", config, [embedded])
    done = step.done()
    todo = [name for name in catalog.identity if name not in done]
    for _ in run.engine.each(Label(embedded, step, labeller, told), todo):
        pass
    tally = Tally()
    for _, counted in run.engine.each(Count(embedded, step, labeller.columns), catalog.identity):
        tally.add(counted)
    if source.startswith("field:") and not tally.known + tally.unknown:
        raise RecipeError(f"no row has the field of source.label {source!r}; is it spelt right?")
    if tally.unknown > MAX_UNKNOWN * (tally.known + tally.unknown):
        refuse(tally, entries, labeller.labels)
    return step


@dataclass(frozen=True)
class Label:
    """Labels one fragment and commits it."""

    embedded: Step
    step: Step
    labeller: Labeller
    told: Answers

    def __call__(self, fragment: str) -> None:
        told = self.told.label
        rows = self.embedded.read(fragment, ["uid", "fields", "caption"]).to_pylist()
        named = [self.labeller.named_by(json.loads(r["fields"]), r["caption"]) for r in rows]
        found = [
            [told[row["uid"]]] if row["uid"] in told else self.labeller.classes(each)
            for row, each in zip(rows, named, strict=True)
        ]
        columns = {
            LABEL: pa.array([*map(only, found)], pa.int32()),
            LABEL_TEXT: pa.array([each.text for each in named], pa.string()),
            ANSWERED: pa.array([row["uid"] in told for row in rows]),
        } | {name: pa.array(found, OPTIONAL[name]) for name in SEVERAL[self.labeller.labels]}
        self.step.write(fragment, pa.table(columns))


def only(classes: list[int] | None) -> int | None:
    """Return the label of a row: the only class that it names, None if several or none."""
    return classes[0] if classes and len(classes) == 1 else None
