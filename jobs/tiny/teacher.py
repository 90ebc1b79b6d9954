"""Run the MobileNetV2 teacher over every training picture once.

    python -m jobs.tiny.teacher --data DATA --recipe RECIPE --out WORK/teacher.npz

Needs the package ai-edge-litert, which nothing else in the project needs.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from PIL import Image

from jobs.tiny.data import Row, read_views
from jobs.tiny.recipe import read_recipe

MODEL = "mobilenet_v2_imagenet_apache2.tflite"
_SIDE = 224
_POOLED, _LOGITS = 172, 173
NUM_FEATURES, NUM_LOGITS = 1280, 1001
_NUM_WORKERS = 2


class Teacher:
    """The quantised network, read out before its classifier and before its softmax."""

    def __init__(self, model: Path) -> None:
        self.network = Interpreter(str(model), experimental_preserve_all_tensors=True)
        self.network.allocate_tensors()
        self.input = self.network.get_input_details()[0]["index"]
        details = {detail["index"]: detail for detail in self.network.get_tensor_details()}
        self.scales = {index: details[index]["quantization"] for index in (_POOLED, _LOGITS)}

    def __call__(self, row: Row) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """Return the `(1280,)` pooled features and the `(1001,)` logits of a picture."""
        picture = row.image().resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        self.network.set_tensor(self.input, np.asarray(picture)[None])
        self.network.invoke()
        return self._read(_POOLED), self._read(_LOGITS)

    def _read(self, index: int) -> NDArray[np.float16]:
        scale, zero = self.scales[index]
        value = self.network.get_tensor(index).astype(np.float32).ravel()
        return ((value - zero) * scale).astype(np.float16)


def main() -> None:
    """Write `feature` `(n, 1280)` and `logit` `(n, 1001)`, rows in the order of the data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe)
    rows = list(read_views(arguments.data, recipe.fonts, recipe.views))
    place = local()

    def answer(row: Row) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        if not hasattr(place, "teacher"):
            place.teacher = Teacher(arguments.data / MODEL)
        return place.teacher(row)

    with ThreadPoolExecutor(_NUM_WORKERS) as pool:
        answers = pool.map(answer, rows)
        feature = np.empty((len(rows), NUM_FEATURES), np.float16)
        logit = np.empty((len(rows), NUM_LOGITS), np.float16)
        for index, answered in enumerate(answers):
            feature[index], logit[index] = answered
    np.savez(arguments.out, feature=feature, logit=logit)
    print(f"{len(rows)} pictures in {arguments.out}")


if __name__ == "__main__":
    main()
