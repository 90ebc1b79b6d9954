"""What turns pictures and captions into the encoder's arrays, without the encoder's weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from torchvision.transforms import Compose

from pipeline.embed.spec import EncoderSpec, describe, published_preprocess
from pipeline.errors import RecipeError

CHARS_PER_TOKEN: Final = 16
"""Characters of a caption that are tokenised, for each token of the encoder's context.

Byte-pair encoding takes the square of the length of a word, and a crawl has words of megabytes.
"""
MAX_WORDS: Final = 100_000
"""Words that open_clip's tokeniser remembers; by itself it never forgets one."""


@dataclass(frozen=True)
class Frontend:
    """What turns pictures and captions into arrays; cheap to build, runs beside the readers."""

    resize: Callable[[Any], Any]
    tokenizer: Callable[..., torch.Tensor]
    context_length: int

    def tokens(self, captions: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Return `(n, context_length)` token ids, and which captions were cut to fit."""
        if not captions:
            return np.zeros((0, self.context_length), np.int32), np.zeros(0, bool)
        limit = CHARS_PER_TOKEN * self.context_length
        cut = np.array([len(caption) > limit for caption in captions])
        captions = [shortened(caption, limit) for caption in captions]
        token = self.tokenizer(captions, context_length=self.context_length).numpy()
        full = np.flatnonzero(token[:, -1] != 0)
        if len(full):
            longer = self.tokenizer(
                [captions[int(i)] for i in full], context_length=self.context_length + 1
            )
            cut[full] |= longer[:, -1].numpy() != 0
        forget(self.tokenizer)
        return token.astype(np.int32), cut


def shortened(caption: str, limit: int) -> str:
    """Return the first `limit` characters of a caption, runs of white space counted as one."""
    if len(caption) <= limit:
        return caption
    return " ".join(caption[: 64 * limit].split())[:limit]


def forget(tokenizer: Any) -> None:
    """Empty the memory of a tokeniser that holds too many words; its special ones stay."""
    known = getattr(tokenizer, "cache", None)
    if isinstance(known, dict) and len(known) > MAX_WORDS:
        for word in list(known)[len(tokenizer.all_special_ids) :]:
            del known[word]


@lru_cache(maxsize=2)
def frontend(spec: EncoderSpec) -> Frontend:
    """Return the resize and tokenisation that belong to an encoder, without building the model."""
    config = describe(spec)
    own = PreprocessCfg(size=config["vision_cfg"]["image_size"])
    transform = image_transform_v2(
        PreprocessCfg(**merge_preprocess_dict(own, published_preprocess(spec))), is_train=False
    )
    return Frontend(
        resize=Compose(transform.transforms[:-2]),
        tokenizer=find_tokenizer(spec),
        context_length=config["text_cfg"].get("context_length", 77),
    )


def find_tokenizer(spec: EncoderSpec) -> Callable[..., torch.Tensor]:
    """Return the tokenizer of an encoder.

    Raises
    ------
    RecipeError
        If it lies on a hub and cannot be fetched from here.
    """
    try:
        tokenizer: Callable[..., torch.Tensor] = open_clip.get_tokenizer(spec.source)
    except (OSError, ImportError) as error:
        raise RecipeError(
            f"the tokenizer of encoder {spec.model!r} cannot be had ({type(error).__name__}); use "
            "local-dir: with a folder that holds it, or a machine that reaches the hub"
        ) from error
    return tokenizer
