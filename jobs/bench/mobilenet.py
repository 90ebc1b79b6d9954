"""Write MobileNetV2 features of the pictures of a parquet file: `(n, 1280)` float16.

    python -m jobs.bench.mobilenet DATA/cifar10_noisy_20k.parquet --data DATA --out features.npy

Needs the package ai-edge-litert, which nothing else in the project needs.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local

import numpy as np
from numpy.typing import NDArray

from jobs.tiny.data import Row, table
from jobs.tiny.teacher import MODEL, Teacher


def main() -> None:
    """Parse the arguments and write the features, rows in the order of the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parquet", type=Path)
    parser.add_argument("--data", type=Path, required=True, help=f"folder of {MODEL}")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    place = local()

    def feature(row: dict[str, bytes]) -> NDArray[np.float16]:
        if not hasattr(place, "teacher"):
            place.teacher = Teacher(arguments.data / MODEL)
        return place.teacher(Row("picture", row["jpg"], {}))[0]

    with ThreadPoolExecutor(2) as pool:
        np.save(arguments.out, np.stack(list(pool.map(feature, table(arguments.parquet)))))


if __name__ == "__main__":
    main()
