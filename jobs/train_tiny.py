"""Train `winnow-tiny` from a recipe; started again, it goes on from its last checkpoint.

    RECIPE=jobs/recipes/train_tiny.yaml
    python -m jobs.tiny.teacher --data DATA --recipe $RECIPE --out WORK/teacher.npz
    python -m jobs.train_tiny --data DATA --recipe $RECIPE --teacher WORK/teacher.npz --work WORK

The first command needs ai-edge-litert; the second does not.
"""

import argparse
from pathlib import Path

import torch

from jobs.tiny.recipe import read_recipe
from jobs.tiny.train import train


def main() -> None:
    """Parse the arguments and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the parquet files")
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True, help="what jobs.tiny.teacher wrote")
    parser.add_argument("--work", type=Path, required=True, help="checkpoint and decoded pictures")
    parser.add_argument("--start", type=Path, help="checkpoint of a run to begin with")
    parser.add_argument("--out", type=Path, default=Path("pipeline/embed/winnow_tiny"))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = read_recipe(arguments.recipe)
    train(arguments.data, recipe, arguments.teacher, arguments.work, arguments.out, arguments.start)


if __name__ == "__main__":
    main()
