"""Write rows as WebDataset shards, beside the classes and the truth."""

import csv
import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.demo.classes import DEMO_CLASSES
from jobs.demo.glyphs import glyphs_of, read_subgroups
from jobs.demo.rows import Row

TRUTH_SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in ("key", "shard", "true_label", "label", "fault", "duplicate_of")
    ]
)
_NUM_EXAMPLES = 6


def write_shards(rows: list[Row], folder: Path, shard_rows: int) -> None:
    """Write `shards/00000.tar` and so on, each of `shard_rows` rows at the most."""
    shards = folder / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    for old in shards.glob("*.tar"):
        old.unlink()
    for start in range(0, len(rows), shard_rows):
        path = shards / _shard_name(start, shard_rows)
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for place in range(start, min(start + shard_rows, len(rows))):
                _add_row(tar, _key(place, shard_rows), rows[place])


def write_truth(rows: list[Row], folder: Path, shard_rows: int) -> None:
    """Write `truth.parquet`: what is really shown, and which fault was planted."""
    records = [
        {
            "key": _key(place, shard_rows),
            "shard": _shard_name(place, shard_rows),
            "true_label": row.true_label,
            "label": row.label,
            "fault": row.fault,
            "duplicate_of": None
            if row.duplicate_of is None
            else _key(row.duplicate_of, shard_rows),
        }
        for place, row in enumerate(rows)
    ]
    pq.write_table(pa.Table.from_pylist(records, TRUTH_SCHEMA), folder / "truth.parquet")


def write_classes(folder: Path) -> None:
    """Write `classes.csv`; lists inside a cell are separated by `;`."""
    subgroups = read_subgroups()
    with (folder / "classes.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["name", "synonyms", "definition", "examples"])
        for entry in DEMO_CLASSES:
            names = [glyph.name for glyph in glyphs_of(entry, subgroups)]
            examples = names[:: max(1, len(names) // _NUM_EXAMPLES)][:_NUM_EXAMPLES]
            table.writerow(
                [entry.name, ";".join(entry.synonyms), entry.definition, ";".join(examples)]
            )


def _shard_name(place: int, shard_rows: int) -> str:
    return f"{place // shard_rows:05d}.tar"


def _key(place: int, shard_rows: int) -> str:
    return f"{place // shard_rows:05d}{place % shard_rows:04d}"


def _add_row(tar: tarfile.TarFile, key: str, row: Row) -> None:
    """Add the members of a row; ruin the text or the record where the fault says so."""
    record = {"url": f"https://example.org/{key}.{row.suffix}", "label": row.label}
    text, meta = row.text.encode(), json.dumps(record).encode()
    if row.fault == "bad-utf8-text":
        text = b"caf\xe9 \xfe\xff " + row.text.encode("utf-16-le")
    elif row.fault == "bad-json":
        meta = meta[: len(meta) // 2]
    members = {row.suffix: row.image, "txt": text, "json": meta}
    left_out = {"missing-text": "txt", "missing-image": row.suffix}.get(row.fault or "")
    for suffix, data in members.items():
        if suffix == left_out:
            continue
        info = tarfile.TarInfo(f"{key}.{suffix}")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
