"""What is known of a row before its class is inferred, and which confusions are worth counting."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Clue:
    """What is known of `n` rows before their classes are inferred."""

    top: NDArray[np.int64]
    """`(n, m)` classes that a row may be of; a second mention has probability 0."""
    share: NDArray[np.float64]
    """`(n, m)` their probabilities by the image alone."""
    given: NDArray[np.int64]
    """`(n, s)` labels that the row may have, padded with -1: one, several or none."""
    fit: NDArray[np.int64]
    """`(n,)` how well any class fits the image, in bins that rise."""

    def take(self, rows: NDArray[np.bool_] | slice) -> "Clue":
        """Return some of the rows."""
        return Clue(self.top[rows], self.share[rows], self.given[rows], self.fit[rows])


def kept_cells(
    top: NDArray[np.integer],
    share: NDArray[np.floating],
    given: NDArray[np.integer],
    num_classes: int,
    width: int,
) -> NDArray[np.int64]:
    """Return the rising `class * k + label` of the `width` commonest labels of every class.

    Parameters
    ----------
    top
        `(n, m)` classes.
    share
        `(n, m)` their probabilities.
    given
        `(n,)` labels, -1 without one.
    num_classes
        `k`.
    width
        Labels kept per class; with at least `k` all are.

    Examples
    --------
    >>> top, share = np.array([[0, 1], [0, 1], [2, 1]]), np.full((3, 2), 0.5)
    >>> kept_cells(top, share, np.array([2, 2, 0]), 3, 2)
    array([0, 2, 4, 5, 6, 8])
    """
    if width >= num_classes:
        return np.arange(num_classes**2, dtype=np.int64)
    seen = given >= 0
    pair = (top[seen].astype(np.int64) * num_classes + given[seen, None]).ravel()
    cell, which = np.unique(pair, return_inverse=True)
    mass = np.bincount(which, np.asarray(share, np.float64)[seen].ravel(), minlength=len(cell))
    own = cell // num_classes == cell % num_classes
    cell, mass = cell[~own], mass[~own].round(9)
    order = np.lexsort((cell, -mass, cell // num_classes))
    of_class = cell[order] // num_classes
    rank = np.arange(len(order)) - np.searchsorted(of_class, of_class, side="left")
    diagonal = np.arange(num_classes, dtype=np.int64) * (num_classes + 1)
    return np.sort(np.r_[diagonal, cell[order][rank < width - 1]])


def listed(
    probability: NDArray[np.floating], label: NDArray[np.integer], size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the `size` most likely classes and that of the label, with their probabilities.

    Parameters
    ----------
    probability
        `(n, k)`.
    label
        `(n,)`; -1 without one, which stands for class 0 here.
    size
        Classes besides the label's.

    Returns
    -------
    `(n, m + 1)` classes, and as many probabilities; that of the label stands last and is 0 if
    it stands among the others already.

    Examples
    --------
    >>> listed(np.array([[0.1, 0.7, 0.2]]), np.array([0]), 2)
    (array([[1, 2, 0]]), array([[0.7, 0.2, 0.1]]))
    """
    top = np.argsort(-probability, axis=1, kind="stable")[:, :size]
    last = np.maximum(label, 0)[:, None]
    share, own = (np.take_along_axis(probability, place, axis=1) for place in (top, last))
    own = np.where((top == last).any(axis=1, keepdims=True), 0.0, own)
    return np.hstack([top, last]).astype(np.int64), np.hstack([share, own]).astype(np.float64)
