"""The text tower at work on the parts of classes, as the stage of a worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
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

        return lambda classes: np.stack([text_prototype(parts, encode) for parts in classes])
