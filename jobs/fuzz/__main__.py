"""Fuzz every reader and print what came of it: `python -m jobs.fuzz --inputs 200000`."""

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from jobs.fuzz.parent import Result, run

COLUMNS = (
    *("reader", "way", "inputs", "refused", "seconds", "crashes", "hangs", "writes outside"),
    *("slowest (s)", "peak memory (MB)"),
)


def options(names: Sequence[str]) -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m jobs.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000, help="in sum over the readers")
    parser.add_argument("--reader", nargs="+", choices=names, default=list(names))
    parser.add_argument("--seed", default="0", help="the same seed makes the same plain inputs")
    parser.add_argument(
        *("--guided",),
        type=float,
        default=0.15,
        help="share of the inputs that atheris chooses by coverage; 0 needs no atheris",
    )
    parser.add_argument("--keep", help="folder for the inputs that were found")
    return parser


def guidance(asked: float) -> float:
    """Return the share of guided inputs; none where atheris is not there."""
    if find_spec("atheris") is None:
        print("atheris is not installed: all inputs are mutated seeds, none guided by coverage")
        return 0.0
    return asked


def shares(inputs: int, weights: dict[str, int]) -> dict[str, int]:
    """Return the inputs of every reader, in proportion to the weights, no fewer in sum."""
    total = sum(weights.values())
    return {name: math.ceil(inputs * weight / total) for name, weight in weights.items()}


def show(results: Sequence[Result]) -> None:
    """Print a row for each reader and way, then what was found."""
    print(" | ".join(COLUMNS))
    print(" | ".join("---" for _ in COLUMNS))
    for result in results:
        print(" | ".join(result.cells()))
    print(f"sum: {sum(result.inputs for result in results):,} inputs")
    for result in results:
        for finding in result.findings():
            print(f"{result.reader}: {finding}")


def main(given: list[str] | None = None) -> None:
    """Run the fuzzer; exit 1 if it has found something."""
    from jobs.fuzz.readers import READERS

    chosen = options(list(READERS)).parse_args(given)
    guided = guidance(chosen.guided) if chosen.guided else 0.0
    weights = {name: READERS[name].weight for name in chosen.reader}
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        root = Path(chosen.keep or folder)
        plain = shares(round(chosen.inputs * (1 - guided)), weights)
        results = run(root, "plain", chosen.seed, plain)
        if guided:
            seen = {name: weight for name, weight in weights.items() if READERS[name].is_python}
            for name, inputs in shares(round(chosen.inputs * guided), seen).items():
                results += run(root, "guided", chosen.seed, {name: inputs})
        show(results)
    sys.exit(any(result.findings() for result in results))


if __name__ == "__main__":
    main()
