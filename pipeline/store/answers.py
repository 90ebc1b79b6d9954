"""Questions to a teacher, and its answers: `queries.csv` goes out, the same file comes back."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import RecipeError, quoted
from pipeline.report.text import clip
from pipeline.shards import files
from pipeline.store.catalog import Catalog
from pipeline.store.run import Run
from pipeline.store.workspace import Step

QUERIES = "queries.csv"
CHOSEN = "ask.chosen"
HEADER = ("uid", "label", "web_label", "inclusion", "key", "shard", "row")
UID_HEX = 32
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff0b", "\uff0d", "\uff1d", "\uff20")
"""With what a cell begins that a spreadsheet calculates, or hands to a program: those of OWASP."""
CELL_CHARS = 1000
"""Longer web labels and keys are cut; the ledger has them whole, under their uid."""


@dataclass(frozen=True)
class Answers:
    """What a teacher says of some rows."""

    label: Mapping[bytes, int]
    """Class by uid."""
    digest: str
    """Changes when the file does; empty without one."""


NOTHING = Answers({}, "")
"""Nobody was asked."""


def load_answers(uri: str | None, find: Callable[[str], int | None]) -> Answers:
    """Return the answers of a CSV with the columns `uid`, in hex, and `label`.

    Parameters
    ----------
    uri
        The file; rows whose label is empty are not answered yet, other columns are ignored.
    find
        Returns the class of a name, or None.

    Raises
    ------
    RecipeError
        If the file is missing or has no such columns, or a line has no uid or an unknown class.
    """
    if uri is None:
        return NOTHING
    if not files.exists(uri):
        raise RecipeError(f"source.answers {uri} does not exist; it must be a CSV of uid,label")
    data = files.read_bytes(uri)
    label = {}
    for line, uid, answer in answered(uri, data):
        index = find(answer)
        if index is None:
            raise RecipeError(
                f"source.answers {uri}: line {line} has label {quoted(answer)}, which is no "
                "class; write a name or a synonym of the class file, or leave it empty"
            )
        label[uid_of(uri, line, uid)] = index
    return Answers(label, hashlib.blake2b(data, digest_size=8).hexdigest())


def answered(uri: str, data: bytes) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the uid and the label of each row that has a label."""
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        if not {"uid", "label"} <= set(reader.fieldnames or ()):
            raise RecipeError(f"source.answers {uri} must have the columns uid and label")
        for row in reader:
            label = unguarded((row["label"] or "").strip())
            if label:
                yield reader.line_num, (row["uid"] or "").strip(), label
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecipeError(f"source.answers {uri} cannot be parsed: {error}") from error


def guarded(text: str) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula: behind an apostrophe.

    Examples
    --------
    >>> guarded("=cmd|' /C calc'!A0"), guarded("'=1"), guarded("cat's-eye")
    ("'=cmd|' /C calc'!A0", "''=1", "cat's-eye")
    """
    return f"'{text}" if text.lstrip("'").startswith(FORMULA) else text


def unguarded(cell: str) -> str:
    """Return the text of a cell that `guarded` has made; other cells are their text.

    Examples
    --------
    >>> unguarded(guarded("'=1")), unguarded("cat's-eye")
    ("'=1", "cat's-eye")
    """
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA) else cell


def uid_of(uri: str, line: int, word: str) -> bytes:
    """Return the uid that a line names in hex."""
    try:
        uid = bytes.fromhex(word)
    except ValueError:
        uid = b""
    if len(word) != UID_HEX or len(uid) != UID_HEX // 2:
        raise RecipeError(
            f"source.answers {uri}: line {line} has uid {quoted(word)}, which is not 32 hex "
            "digits; copy it from queries.csv"
        )
    return uid


def write_queries(run: Run, output: str, catalog: Catalog, decided: Step) -> None:
    """Write the rows that `ask` has chosen, once per uid; delete the file of an earlier run."""
    uri = files.join(output, QUERIES)
    found = dict(run.engine.each(Queries(decided), catalog.identity))
    if not any(rows is not None for rows in found.values()):
        if files.exists(uri):
            files.remove(uri)
        return
    lines = {row[0]: row for index in range(len(found)) for row in found[index] or []}
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEADER, *lines.values()])
    files.write(uri, text.getvalue().encode())


@dataclass(frozen=True)
class Queries:
    """The chosen rows of one fragment; None where nobody has chosen."""

    decided: Step

    def __call__(self, fragment: str) -> list[tuple[str, ...]] | None:
        table = self.decided.read(fragment)
        if CHOSEN not in table.schema.names:
            return None
        return [question(row) for row in chosen(table).to_pylist()]


def chosen(table: pa.Table) -> pa.Table:
    """Return the chosen rows of a ledger."""
    return table.filter(pc.fill_null(table[CHOSEN], fill_value=False))


def question(row: Mapping[str, object]) -> tuple[str, ...]:
    """Return the line of a row: its label is left open."""
    uid = row["uid"]
    known = [row["label"] or "", row["ask.inclusion"], row["key"], row["shard"], row["row"]]
    return (uid.hex() if isinstance(uid, bytes) else "", "", *map(cell, known))


def cell(value: object) -> str:
    """Return a value as a cell: guarded, cut, and without the NUL at which readers stop."""
    return guarded(clip(str(value), CELL_CHARS).replace("\0", "␀"))
