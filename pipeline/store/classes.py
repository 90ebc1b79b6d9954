"""The class file: what a class is called, and what the text tower says of it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from pipeline import strict_yaml
from pipeline.contract import Classes
from pipeline.embed.prompts import prompts
from pipeline.embed.spec import EncoderSpec, identity
from pipeline.errors import RecipeError, did_you_mean, quoted
from pipeline.shards import files
from pipeline.store.arrays import load_array
from pipeline.store.run import Run
from pipeline.store.vectors import VectorSpec, unit_rows
from pipeline.store.workspace import key_of

COLUMNS = ("name", "synonyms", "definition", "parents", "examples")
LISTS = ("synonyms", "parents", "examples")
MAX_BYTES = 2**26
"""Of a class file: 100,000 classes with a paragraph each."""


@dataclass(frozen=True, kw_only=True)
class ClassEntry:
    """One class of the class file."""

    name: str
    synonyms: tuple[str, ...] = ()
    """Other names; in a CSV separated by `;`."""
    definition: str = ""
    parents: tuple[str, ...] = ()
    """Names of broader classes."""
    examples: tuple[str, ...] = ()
    """Captions or names of typical members."""

    def parts(self) -> list[list[str]]:
        """Return the texts that describe the class, each to be encoded alone."""
        sentences = [self.definition] if self.definition else []
        kind = [f"{self.name}, a kind of {parent}" for parent in self.parents]
        return prompts([self.name, *self.synonyms], [*sentences, *kind, *self.examples])


def load_entries(uri: str) -> tuple[ClassEntry, ...]:
    """Return the classes of a CSV or YAML file.

    Raises
    ------
    RecipeError
        If the file is missing or malformed, has an unknown column, or names a class twice.
    """
    if not files.exists(uri):
        raise RecipeError(f"class file {uri} does not exist; set `classes` to a CSV or YAML file")
    try:
        text = read_text(uri)
        is_yaml = uri.endswith((".yaml", ".yml"))
        raw = strict_yaml.load(text, MAX_BYTES) if is_yaml else read_csv(text)
    except UnicodeDecodeError as error:
        raise RecipeError(f"class file {uri} must be UTF-8, got {error.reason}") from error
    except (yaml.YAMLError, csv.Error) as error:
        raise RecipeError(f"class file {uri} cannot be parsed: {error}") from error
    if not isinstance(raw, list) or not raw:
        raise RecipeError(f"class file {uri} must hold a list of classes, got {type(raw).__name__}")
    entries = tuple(entry_of(uri, position, item) for position, item in enumerate(raw, 1))
    seen: set[str] = set()
    for entry in entries:
        if normal(entry.name) in seen:
            raise RecipeError(f"class file {uri} has the class {quoted(entry.name)} twice")
        seen.add(normal(entry.name))
    return entries


def read_text(uri: str) -> str:
    """Return the text of a class file."""
    size = files.stat(uri).size
    if size > MAX_BYTES:
        raise RecipeError(f"class file {uri} must have {MAX_BYTES:,} bytes at most, got {size:,}")
    return files.read_bytes(uri).decode("utf-8-sig")


def read_csv(text: str) -> list[dict[str, Any]]:
    """Return the rows of a CSV with a header; list columns are split at `;`."""
    rows = []
    for row in csv.DictReader(io.StringIO(text)):
        lists = {c: [s.strip() for s in (row.get(c) or "").split(";") if s.strip()] for c in LISTS}
        rows.append({k: v for k, v in row.items() if k is not None} | lists)
    return rows


def entry_of(uri: str, position: int, item: Any) -> ClassEntry:
    """Return the class at a position of the file."""
    where = f"class file {uri}: entry {position}"
    item = {"name": item} if isinstance(item, str) else item
    if not isinstance(item, dict) or not word(where, "name", item.get("name")).strip():
        raise RecipeError(f"{where} has no name")
    for column in set(item) - set(COLUMNS):
        raise RecipeError(
            f"class file {uri} has an unknown column {quoted(column)}"
            f"{did_you_mean(str(column), COLUMNS)}; known are {', '.join(COLUMNS)}"
        )
    lists = {column: texts(where, column, item.get(column)) for column in LISTS}
    return ClassEntry(
        name=str(item["name"]).strip(),
        definition=word(where, "definition", item.get("definition")),
        **lists,
    )


def texts(where: str, column: str, value: Any) -> tuple[str, ...]:
    """Return a list of texts, which may be given as one text."""
    given = value if isinstance(value, list) else [value]
    return tuple(text for part in given if (text := word(where, column, part)).strip())


def word(where: str, column: str, value: Any) -> str:
    """Return a text as YAML may have read it, `1984` as a number; nothing is an empty text."""
    if isinstance(value, list | dict):
        raise RecipeError(f"{where} must have a text as {column}, got {quoted(value)}")
    return "" if value is None else str(value)


def normal(name: str) -> str:
    """Return the form under which names are compared.

    Examples
    --------
    >>> normal(" Sports_Shoes ")
    'sports shoes'
    """
    return " ".join(name.replace("_", " ").casefold().split())


def embed_classes(
    run: Run, entries: Sequence[ClassEntry], spec: EncoderSpec | VectorSpec
) -> Classes:
    """Return the classes with their text prototypes, from the workspace if they are known."""
    names = tuple(entry.name for entry in entries)
    if isinstance(spec, VectorSpec):
        return Classes(name=names, embedding=given_prototypes(spec, len(names)))
    key = key_of([asdict(entry) for entry in entries], identity(spec))
    stored = run.workspace.load_state("classes", key)
    if stored is None:
        from pipeline.store.text_tower import TextTower, as_it_is

        parts = [entry.parts() for entry in entries]
        done = run.engine.pipe(as_it_is, TextTower(spec), [parts])
        stored = {"embedding": next(value for _, value in done)}
        run.workspace.save_state("classes", key, stored)
    return Classes(name=names, embedding=stored["embedding"])


def given_prototypes(spec: VectorSpec, num_classes: int) -> NDArray[np.float32]:
    """Return the text vectors of the classes that the user has."""
    prototype = load_array(spec.classes)
    if len(prototype) != num_classes:
        raise RecipeError(
            f"{spec.classes} has {len(prototype)} vectors, the class file has {num_classes} classes"
        )
    return unit_rows(prototype).astype(np.float32)
