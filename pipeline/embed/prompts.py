"""Text prototypes of classes: every part of a class is encoded alone, then averaged.

CLIP cuts a text after 77 tokens, so the parts are never joined into one string (CAPro, Qin et
al., 2023, section 3.2, does so with another encoder; see also Radford et al., 2021, on ensembles
of prompts).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

TEMPLATES = ("{}", "a photo of a {}", "a picture of a {}", "{} photo", "a close-up of a {}")
"""How a name stands in a caption."""


def prompts(names: Sequence[str], sentences: Sequence[str]) -> list[list[str]]:
    """Return the parts of one class: a list of prompts for each name and each sentence.

    Examples
    --------
    >>> prompts(["cat"], ["a small feline"])[1]
    ['a small feline']
    """
    return [[t.format(name) for t in TEMPLATES] for name in names] + [[s] for s in sentences]


def text_prototype(
    parts: Sequence[Sequence[str]], encode: Callable[[Sequence[str]], NDArray[np.floating]]
) -> NDArray[np.float32]:
    """Return the `(d,)` unit mean of the parts, each the unit mean of its prompts."""
    mean = [unit(encode(part).astype(np.float32).mean(axis=0)) for part in parts]
    return unit(np.mean(mean, axis=0))


def unit(vector: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return `vector` scaled to length 1."""
    return (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
