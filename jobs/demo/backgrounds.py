"""Backgrounds of the demo pictures: flat, gradient, striped, chequered, dotted, grainy."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PALETTE = {
    "white": (252, 252, 252),
    "grey": (176, 180, 184),
    "black": (34, 34, 38),
    "blue": (66, 120, 214),
    "light blue": (176, 214, 242),
    "green": (92, 164, 92),
    "yellow": (246, 216, 104),
    "orange": (240, 150, 72),
    "red": (206, 74, 70),
    "pink": (246, 180, 200),
    "purple": (136, 100, 182),
    "beige": (232, 218, 194),
    "brown": (128, 92, 66),
    "teal": (64, 148, 150),
}
_COMMON = 4
"""How often white is drawn for every draw of another colour."""

Colour = NDArray[np.float64]
Coordinates = tuple[NDArray[np.float64], NDArray[np.float64]]


def draw_background(size: tuple[int, int], rng: np.random.Generator) -> tuple[Image.Image, str]:
    """Draw a background of `(width, height)` pixels and name its main colour."""
    names = list(PALETTE)
    weights = np.array([_COMMON if name == "white" else 1.0 for name in names])
    name = str(rng.choice(names, p=weights / weights.sum()))
    first = np.clip(np.array(PALETTE[name]) + rng.normal(0, 8, 3), 0, 255)
    second = _companion(first, rng)
    pattern = _PATTERNS[int(rng.choice(len(_PATTERNS), p=_PATTERN_SHARES))]
    width, height = size
    x, y = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
    mix = np.clip(pattern((x, y), rng), 0, 1)[..., None]
    pixels = first * (1 - mix) + second * mix
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)), name


def _companion(colour: Colour, rng: np.random.Generator) -> Colour:
    """Return a colour near the first, so that the named one stays the main one."""
    toward = rng.choice([0.0, 255.0])
    share = rng.uniform(0.1, 0.4)
    return np.clip(colour * (1 - share) + toward * share + rng.normal(0, 12, 3), 0, 255)


def _flat(at: Coordinates, _rng: np.random.Generator) -> NDArray[np.float64]:
    return np.zeros_like(at[0])


def _linear(at: Coordinates, rng: np.random.Generator) -> NDArray[np.float64]:
    angle = rng.uniform(0, 2 * np.pi)
    ramp = at[0] * np.cos(angle) + at[1] * np.sin(angle)
    return (ramp - ramp.min()) / np.ptp(ramp)


def _radial(at: Coordinates, rng: np.random.Generator) -> NDArray[np.float64]:
    height, width = at[0].shape
    centre = rng.uniform(0.2, 0.8, 2) * (width, height)
    return np.hypot(at[0] - centre[0], at[1] - centre[1]) / max(width, height)


def _stripes(at: Coordinates, rng: np.random.Generator) -> NDArray[np.float64]:
    angle, period = rng.uniform(0, np.pi), rng.uniform(10, 26)
    wave = np.sin(2 * np.pi * (at[0] * np.cos(angle) + at[1] * np.sin(angle)) / period)
    return (wave > 0) * 0.7


def _checks(at: Coordinates, rng: np.random.Generator) -> NDArray[np.float64]:
    side = rng.integers(8, 20)
    return ((at[0] // side + at[1] // side) % 2) * 0.7


def _dots(at: Coordinates, rng: np.random.Generator) -> NDArray[np.float64]:
    step = rng.integers(12, 24)
    radius = rng.uniform(0.15, 0.3) * step
    return (np.hypot(at[0] % step - step / 2, at[1] % step - step / 2) < radius) * 0.8


def _clouds(at: Coordinates, rng: np.random.Generator) -> NDArray[np.float64]:
    """Blur noise until it looks like an unfocused photograph."""
    height, width = at[0].shape
    coarse = Image.fromarray((rng.random((5, 5)) * 255).astype(np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 255.0


def _grain(at: Coordinates, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.normal(0.2, 0.12, at[0].shape)


_PATTERNS: tuple[Callable[[Coordinates, np.random.Generator], NDArray[np.float64]], ...] = (
    _flat,
    _linear,
    _radial,
    _stripes,
    _checks,
    _dots,
    _clouds,
    _grain,
)
_PATTERN_SHARES = (0.3, 0.2, 0.12, 0.08, 0.05, 0.07, 0.15, 0.03)
