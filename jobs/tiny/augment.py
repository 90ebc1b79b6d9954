"""Random crops, flips, small turns and colour changes, on whole batches."""

import math

import torch
from torch import Tensor
from torch.nn import functional

_MOST_ZOOM_OUT = 1.08
_MOST_TURN = math.radians(8)
_LEAST_STRETCH = 0.8


def normalize(pixel: Tensor) -> Tensor:
    """Turn uint8 pixels into float32 in [-1, 1]."""
    return pixel.float().div_(127.5).sub_(1)


def augment(pixel: Tensor, crop: float, jitter: float, generator: torch.Generator) -> Tensor:
    """Return normalised, augmented pictures.

    Parameters
    ----------
    pixel
        `(n, 3, side, side)` uint8.
    crop
        Least share of a side that is kept.
    jitter
        Greatest relative change of contrast and saturation; of brightness half of it.
    generator
        Source of every random choice.
    """
    grid = functional.affine_grid(
        _random_affine(len(pixel), crop, generator), list(pixel.shape), align_corners=False
    )
    picture = functional.grid_sample(
        normalize(pixel), grid, padding_mode="border", align_corners=False
    )
    return _jitter(picture, jitter, generator).contiguous(memory_format=torch.channels_last)


def _random_affine(num: int, crop: float, generator: torch.Generator) -> Tensor:
    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(num, generator=generator) * (high - low) + low

    scale = uniform(crop, _MOST_ZOOM_OUT)
    stretch = torch.exp(uniform(math.log(_LEAST_STRETCH), -math.log(_LEAST_STRETCH)) / 2)
    width, height = (scale * stretch).clamp(max=1.1), (scale / stretch).clamp(max=1.1)
    turn = uniform(-_MOST_TURN, _MOST_TURN)
    flip = (uniform(0, 1) < 0.5).float() * 2 - 1  # noqa: PLR2004
    right = uniform(-1, 1) * (1 - width).clamp(min=0)
    down = uniform(-1, 1) * (1 - height).clamp(min=0)
    across = torch.stack([turn.cos() * width * flip, -turn.sin() * height, right], 1)
    along = torch.stack([turn.sin() * width * flip, turn.cos() * height, down], 1)
    return torch.stack([across, along], 1)


def _jitter(picture: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    def factor() -> Tensor:
        share = torch.rand(len(picture), 1, 1, 1, generator=generator)
        return 1 + strength * (2 * share - 1)

    mean = picture.mean((1, 2, 3), keepdim=True)
    grey = picture.mean(1, keepdim=True)
    contrast, saturation, brightness = factor(), factor(), (factor() - 1) / 2
    changed = grey + (picture - grey) * saturation
    return (mean + (changed - mean) * contrast + brightness).clamp(-1, 1)
