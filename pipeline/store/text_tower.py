"""The text tower at work on the parts of classes, as the stage of a worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.embed.encoder import Encoder
from pipeline.embed.frontend import frontend
from pipeline.embed.prompts import text_prototype
from pipeline.embed.spec import EncoderSpec


def as_it_is(item: Any) -> Any:
    """Return the item."""
    return item


@dataclass(frozen=True)
class TextTower:
    """Makes the stage that turns the parts of classes into prototypes."""

    spec: EncoderSpec

    def __call__(self) -> Any:
        encoder, front = Encoder(self.spec), frontend(self.spec)

        def encode(texts: Sequence[str]) -> NDArray[np.float16]:
            return encoder.text(front.tokens(texts)[0])

        def stage(classes: Sequence[Any]) -> NDArray[np.float32]:
            # as `Towers` says for fragments: the same sums in every worker
            torch.set_num_threads(max(torch.multiprocessing.cpu_count(), 1))
            return np.stack([text_prototype(parts, encode) for parts in classes])

        return stage
