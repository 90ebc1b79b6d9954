"""A model with its weights: built empty, then filled from safetensors, never from a pickle."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import open_clip
import torch
from open_clip.factory import load_checkpoint
from safetensors import SafetensorError
from torchvision.transforms import Compose

from pipeline.embed.spec import EncoderSpec, published_preprocess, weights
from pipeline.errors import RecipeError, quoted

NORMALISATION = ("mean", "std", "interpolation")
FAULTS = (
    *(RuntimeError, OSError, ValueError, TypeError, AttributeError, LookupError, AssertionError),
    *(ArithmeticError, MemoryError, ImportError, StopIteration, SafetensorError),
)
"""What building a model raises on a configuration or on weights that are not of it."""


def create(spec: EncoderSpec) -> tuple[Any, Compose]:
    """Return open_clip's model and its evaluation transform.

    open_clip is never told where weights lie: of a folder it would take a pickle where the name
    of that is the more usual one.

    Raises
    ------
    RecipeError
        If the model or its weights cannot be loaded, or a weight is no number.
    """
    file = weights(spec)
    published = published_preprocess(spec)
    given = {f"image_{name}": published.get(name) for name in NORMALISATION}
    try:
        with no_warnings():
            model, _, transform = open_clip.create_model_and_transforms(
                spec.source, load_weights=False, pretrained_text=False, **given
            )
        load_checkpoint(model, str(file))
    except FAULTS as error:
        raise RecipeError(
            f"encoder {spec.model!r} with pretrained {spec.pretrained!r} cannot be loaded: "
            f"{type(error).__name__} {quoted(str(error))}"
        ) from error
    for name, weight in model.state_dict().items():
        if not bool(torch.isfinite(weight).all()):
            raise RecipeError(f"{file} has values in {name!r} that are no numbers; fetch it anew")
    return model, transform


@contextmanager
def no_warnings() -> Iterator[None]:
    """Keep open_clip from warning that a model has no weights, which it is about to get."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
