"""How sharp class probabilities are, if labels go wrong in ways that depend on the class."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.clues import Clue, kept_cells, listed
from pipeline.numeric.nearest import SHARPNESS, Nearest
from pipeline.numeric.transition import Transition

LEAST = 1e-30
STEPS = 8
"""Steps of expectation-maximisation per sharpness."""


def sharpen(
    nearest: Nearest, cosine: NDArray[np.floating], given: NDArray[np.integer], size: int
) -> Nearest:
    """Return the softmax whose sharpness explains noisy labels best, with a matrix for each.

    With errors that fall on all classes alike, flips to one neighbouring class look like
    uncertainty: the softmax would come out far too flat.

    Parameters
    ----------
    nearest
        A first softmax.
    cosine
        `(m, k)` of sampled rows.
    given
        `(m, s)` their noisy labels, padded with -1.
    size
        Classes that are considered of a row.

    Examples
    --------
    >>> from pipeline.numeric.nearest import fit_nearest
    >>> rows, true = np.repeat(np.eye(3), 200, axis=0), np.repeat(np.arange(3), 200)
    >>> label = np.where(np.arange(600) % 10 < 4, (true + 1) % 3, true)
    >>> near = fit_nearest(rows.mean(axis=0), np.eye(3)[None], rows, 0 * true, label)
    >>> near.scale < 5.0, sharpen(near, near.cosine(rows, 0 * true), label[:, None], 3).scale > 5.0
    (True, True)
    """
    best, chosen = -np.inf, nearest
    for scale in SHARPNESS:
        tried = replace(nearest, scale=float(scale))
        top, share = listed(tried.probability(cosine), given, size)
        clue = Clue(top, share, np.asarray(given, np.int64), np.ones(len(given), np.int64))
        cell = kept_cells(top, share, given, cosine.shape[1], size)
        transition = Transition.start(cell, cosine.shape[1], 2)
        for _ in range(STEPS):
            transition = transition.step(transition.counts(clue))
        # the classes that are not listed share what is left: flat ones must not hide it
        listed_mass = np.maximum(clue.share.sum(axis=1), LEAST)
        value = transition.likelihood(clue) + float(np.log(listed_mass).sum())
        if value > best:
            best, chosen = value, tried
    return chosen
