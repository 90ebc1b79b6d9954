"""Print the figures of the README: `python -m jobs.bench --help` lists the benchmarks."""

import argparse
from collections.abc import Callable

from jobs.bench import (
    alone,
    confident,
    copies,
    crawl,
    embed,
    load,
    nearest,
    nights,
    noise,
    storage,
    vectors,
    week,
)


def options() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command")
    speed = commands.add_parser("embed", help="speed of the embed step against a bare loop")
    speed.add_argument("--rows", type=int, default=512)
    speed.add_argument("--models", nargs="+", default=list(embed.MODELS))
    speed.add_argument("--repeats", type=int, default=2)
    commands.add_parser("storage", help="read speed of stored vectors, by Arrow type")
    quality = commands.add_parser("crawl", help="curate crawls with planted faults, score them")
    quality.add_argument(
        "crawls", nargs="+", help="folders with shards/, classes.csv, truth.parquet"
    )
    quality.add_argument("--policy", default="balanced")
    each = commands.add_parser("alone", help="what each cleaner adds on crawls with planted faults")
    each.add_argument("crawls", nargs="+", help="as above")
    human = commands.add_parser("noise", help="every cleaner on human label noise, and cleanlab")
    human.add_argument("table", help="parquet with true and noisy labels")
    human.add_argument("--image", required=True, help="npy of features, as jobs.bench.mobilenet")
    human.add_argument("--truth", default="label", help="column of the true labels")
    human.add_argument("--label", nargs="+", required=True, help="columns of noisy labels")
    human.add_argument("--cleaners", nargs="+", default=list(noise.JUDGES))
    given = commands.add_parser("vectors", help="scores on existing CLIP embeddings")
    given.add_argument(
        "folder", help="with image_embeddings.npy, text_embeddings.npy, metadata.csv"
    )
    given.add_argument("--classes", required=True, help="npy of class text vectors")
    scale = commands.add_parser("confident", help="confident learning, speed and memory by rows")
    confident.add_options(scale)
    copies.add_options(commands.add_parser("copies", help="copies among millions of pictures"))
    nearest.add_options(commands.add_parser("nearest", help="neighbours in a sample and in all"))
    nights.add_options(commands.add_parser("nights", help="what a small night costs"))
    week.add_options(commands.add_parser("week", help="seven nights, some of them bad"))
    load.add_options(commands.add_parser("load", help="the whole way on millions of tiny rows"))
    return parser


NO_DATA = ("embed", "storage", "confident", "copies", "nearest", "nights")
"""Benchmarks that make what they need."""


def main() -> None:
    """Run one benchmark, or all that need no data."""
    chosen = options().parse_args()
    if chosen.command is None:
        for command in NO_DATA:
            run(options().parse_args([command]))
    else:
        run(chosen)


def run(chosen: argparse.Namespace) -> None:
    """Run one benchmark."""
    REPORTS[chosen.command](chosen)


REPORTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "embed": lambda given: embed.report(given.rows, given.models, given.repeats),
    "storage": lambda _: storage.report(),
    "crawl": lambda given: crawl.report(given.crawls, given.policy),
    "alone": lambda given: alone.report(given.crawls),
    "noise": lambda given: noise.report(
        given.table, given.image, given.truth, given.label, given.cleaners
    ),
    "confident": lambda given: confident.report(
        given.rows, given.classes, given.dims, given.subsample
    ),
    "vectors": lambda given: vectors.report(given.folder, given.classes),
    "copies": lambda given: copies.report(given.rows),
    "nearest": lambda given: nearest.report(given.rows, given.bank_rows),
    "nights": lambda given: nights.report(
        given.rows, given.share, given.cleaners, given.engine, given.folder
    ),
    "week": lambda given: week.report(given.crawls, given.folder, given.engine),
    "load": lambda given: load.report(given.rows, given.shards, given.engine, given.folder),
}


if __name__ == "__main__":
    main()
