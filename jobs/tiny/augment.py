"""Random crops, flips, small turns and colour changes, on whole batches."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_LEAST_STRETCH = 0.8


@dataclass(frozen=True)
class Reach:
    """How far each picture may be changed."""

    zoom_out: Tensor
    """`(n,)` greatest side seen, as a share of the picture's; what lies outside is its edge."""
    turn: Tensor
    """`(n,)` greatest turn in degrees."""
    crop: Tensor
    """`(n,)` least share of a side that is kept."""
    jitter: float
    """Greatest relative change of contrast and saturation; of brightness half of it."""


def normalize(pixel: Tensor) -> Tensor:
    """Turn uint8 pixels into float32 in [-1, 1]."""
    return pixel.float().div_(127.5).sub_(1)


def augment(pixel: Tensor, reach: Reach, generator: torch.Generator) -> Tensor:
    """Return normalised, augmented pictures.

    Parameters
    ----------
    pixel
        `(n, 3, side, side)` uint8.
    reach
        Limits of the changes.
    generator
        Source of every random choice.
    """
    grid = functional.affine_grid(
        _random_affine(reach, generator), list(pixel.shape), align_corners=False
    )
    picture = functional.grid_sample(
        normalize(pixel), grid, padding_mode="border", align_corners=False
    )
    return _jitter(picture, reach.jitter, generator).contiguous(memory_format=torch.channels_last)


def _random_affine(reach: Reach, generator: torch.Generator) -> Tensor:
    most = reach.zoom_out + 0.02

    def uniform(low: float | Tensor, high: float | Tensor) -> Tensor:
        return torch.rand(len(most), generator=generator) * (high - low) + low

    scale = uniform(reach.crop, reach.zoom_out)
    stretch = torch.exp(uniform(math.log(_LEAST_STRETCH), -math.log(_LEAST_STRETCH)) / 2)
    width, height = (scale * stretch).minimum(most), (scale / stretch).minimum(most)
    turn = torch.deg2rad(uniform(-reach.turn, reach.turn))
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
