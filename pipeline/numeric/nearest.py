"""Class probabilities from cosines to prototypes, with a sharpness that the corpus itself gives."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from pipeline.numeric.prototypes import unit
from pipeline.numeric.temperature import NOISES, NoisyFit

SHARPNESS = np.geomspace(1.0, 200.0, 16)
"""Factors on cosines of centred vectors that are tried; CLIP's own is 100."""


@dataclass(frozen=True)
class Nearest:
    """A softmax over cosines to one prototype per class, kept apart per fold.

    Raw cosines of a joint encoder differ by little (0.6 to 0.9 or so), and a softmax over them
    at a customary temperature says nothing: images and prototypes are centred first, each on
    their own mean, and the temperature is fitted.
    """

    centre: NDArray[np.float32]
    """`(d,)` mean of the images."""
    prototype: NDArray[np.float32]
    """`(f, k, d)` unit prototypes, centred; zeros for a class without one."""
    prior: NDArray[np.float64]
    """`(k,)` shares of the labels."""
    scale: float
    """Inverse temperature."""
    is_telling: bool
    """Whether the prototypes tell more of the labels than chance does."""

    def cosine(
        self, embedding: NDArray[np.floating], fold: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Return `(n, k)` cosines of centred `(n, d)` rows to the prototypes of their folds."""
        rows = unit(embedding - self.centre).astype(np.float32)
        value = np.zeros((len(rows), self.prototype.shape[1]), np.float32)
        for f in range(len(self.prototype)):
            value[fold == f] = rows[fold == f] @ self.prototype[f].T
        return value

    def probability(self, cosine: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the `(n, k)` class probabilities of `(n, k)` cosines."""
        logit = np.float32(self.scale) * cosine + np.log(self.prior).astype(np.float32)
        return np.asarray(softmax(logit, axis=1))


def fit_nearest(
    centre: NDArray[np.floating],
    prototype: NDArray[np.floating],
    embedding: NDArray[np.floating],
    fold: NDArray[np.integer],
    label: NDArray[np.integer],
) -> Nearest:
    """Return the softmax that explains noisy labels best.

    Parameters
    ----------
    centre
        `(d,)` mean of the images.
    prototype
        `(f, k, d)` prototypes; those of a fold are centred on their own mean.
    embedding
        `(m, d)` sampled rows.
    fold
        `(m,)` folds in `[0, f)`.
    label
        `(m,)` noisy labels, none negative.

    Examples
    --------
    >>> rows, label = np.repeat(np.eye(3), 20, axis=0), np.repeat(np.arange(3), 20)
    >>> near = fit_nearest(rows.mean(axis=0), np.eye(3)[None], rows, 0 * label, label)
    >>> near.is_telling, near.probability(near.cosine(rows[:1], label[:1])).round(2)
    (True, array([[1., 0., 0.]], dtype=float32))
    """
    num_classes = prototype.shape[1]
    known = np.linalg.norm(prototype, axis=2, keepdims=True) > 0
    middle = prototype.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1), 1)[:, None]
    away = unit(np.where(known, prototype - middle, 0.0)).astype(np.float32)
    count = np.bincount(label, minlength=num_classes) + 1.0
    near = Nearest(
        np.asarray(centre, np.float32), away, count / count.sum(), scale=1.0, is_telling=False
    )
    cosine = near.cosine(embedding, fold)
    scale, _, _ = NoisyFit.of(cosine, label, near.prior, (SHARPNESS, NOISES)).best()
    telling = tells(cosine.argmax(axis=1), label[:, None], num_classes)
    return Nearest(near.centre, away, near.prior, scale, telling)


def tells(
    prediction: NDArray[np.integer],
    given: NDArray[np.integer],
    num_classes: int,
    least: float = 0.1,
) -> bool:
    """Say whether `(n,)` predictions carry the classes of `(n, s)` noisy labels, padded with -1.

    Two things are asked: agreement beyond chance (Cohen's kappa above `least`), and that most
    predictions are of a class whose most common label is that class. To agree is to be among the
    labels of the row. The second refuses prototypes that follow the classes under other names,
    as random directions do by accident.

    Examples
    --------
    >>> label = np.repeat(np.arange(3), 10)
    >>> given = label[:, None]
    >>> tells(label, given, 3), tells((label + 1) % 3, given, 3), tells(0 * label, given, 3)
    (True, False, False)
    """
    if not len(given):
        return False
    row, place = np.nonzero(given >= 0)
    label, num_rows = given[row, place], len(given)
    pair = np.asarray(prediction, np.int64)[row] * num_classes + label
    cell, count = np.unique(pair, return_counts=True)
    shown, named = cell // num_classes, cell % num_classes
    share = np.bincount(prediction, minlength=num_classes) / num_rows
    chance = float(share @ np.bincount(label, minlength=num_classes)) / num_rows
    agreed = float(count[shown == named].sum()) / num_rows
    most = np.zeros(num_classes)
    np.maximum.at(most, shown, count)
    is_own = (shown == named) & (count >= most[shown])
    own = float(share[shown[is_own]].sum())
    return agreed - chance > least * (1.0 - chance) and own > 0.5  # noqa: PLR2004  # a majority
