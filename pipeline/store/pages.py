"""The report of a run: numbers from the ledger, pictures from the source shards."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.drift import Drift
from pipeline.report.gallery import Entry
from pipeline.report.page import About, render
from pipeline.report.summary import Summary
from pipeline.shards import files
from pipeline.shards.index import read
from pipeline.store.catalog import Catalog, Fragment
from pipeline.store.run import Run
from pipeline.store.workspace import from_parquet


def write_report(
    run: Run,
    uri: str,
    catalog: Catalog,
    summary: Summary,
    about: About,
    drift: Drift | None = None,
) -> None:
    """Write the report of a run, of a night with how it differs from the nights before."""
    gallery = Gallery(run, catalog)
    page = render(summary, about=about, thumbnail=gallery.pictures, drift=drift)
    files.write(uri, page.encode())


@dataclass(frozen=True)
class Gallery:
    """Fetches the original pictures of a few rows from the source shards."""

    run: Run
    catalog: Catalog

    def pictures(self, entries: Sequence[Entry]) -> list[bytes | None]:
        """Return the image bytes of each entry, or None where there are none."""
        wanted: dict[str, list[int]] = {}
        for entry in entries:
            wanted.setdefault(entry.shard, []).append(entry.row)
        first = {f.shard.uri: f for f in reversed(self.catalog.fragments)}
        tasks = [(first[uri], tuple(sorted(set(rows)))) for uri, rows in wanted.items()]
        found: dict[tuple[str, int], bytes | None] = {}
        for _, images in self.run.engine.each(fetch, tasks):
            found |= images
        return [found.get((entry.shard, entry.row)) for entry in entries]


def fetch(task: tuple[Fragment, tuple[int, ...]]) -> dict[tuple[str, int], bytes | None]:
    """Return the image bytes of some rows of the shard of a fragment."""
    fragment, rows = task
    listed = from_parquet(fragment.catalog).take(list(rows))
    return {(fragment.shard.uri, s.row): s.image for s in read(fragment.shard, listed, None)}
