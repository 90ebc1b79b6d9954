"""What is known of a row before its class is inferred, and which confusions are worth counting."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HALF = 0.5
"""Likelier than that is likely."""


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

    def judge(self, member: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the `(n,)` probabilities that a label is right, and the places of the best class.

        Of `(n, m)` probabilities that of a label is best, if likely one of the labels is right.

        Examples
        --------
        >>> row = Clue(np.array([[0, 1, 2]]), np.ones((1, 3)), np.array([[1, 2]]), np.array([0]))
        >>> row.judge(np.array([[0.4, 0.25, 0.35]])), row.judge(np.array([[0.6, 0.2, 0.2]]))
        ((array([0.6]), array([2])), (array([0.4]), array([0])))
        """
        is_label = is_among(self.top, self.given)
        own = np.where(is_label, member, 0.0).sum(axis=1)
        allowed = is_label | (own <= HALF)[:, None]
        return own, np.where(allowed, member, -1.0).argmax(axis=1)


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
        `(n, m)` classes, padded with -1.
    share
        `(n, m)` their probabilities.
    given
        `(n, s)` labels that a row may have, padded with -1; they share the row.
    num_classes
        `k`.
    width
        Labels kept per class; with at least `k` all are.

    Examples
    --------
    >>> top, share = np.array([[0, 1], [0, 1], [2, 1]]), np.full((3, 2), 0.5)
    >>> kept_cells(top, share, np.array([[2], [2], [0]]), 3, 2)
    array([0, 2, 4, 5, 6, 8])
    """
    if width >= num_classes:
        return np.arange(num_classes**2, dtype=np.int64)
    row, place = np.nonzero(given >= 0)
    pair = (top[row].astype(np.int64) * num_classes + given[row, place][:, None]).ravel()
    each = (np.asarray(share, np.float64)[row] / (given >= 0).sum(axis=1)[row, None]).ravel()
    is_class = (top[row] >= 0).ravel()
    cell, which = np.unique(pair[is_class], return_inverse=True)
    mass = np.bincount(which, each[is_class], minlength=len(cell))
    own = cell // num_classes == cell % num_classes
    cell, mass = cell[~own], mass[~own].round(9)
    order = np.lexsort((cell, -mass, cell // num_classes))
    of_class = cell[order] // num_classes
    rank = np.arange(len(order)) - np.searchsorted(of_class, of_class, side="left")
    diagonal = np.arange(num_classes, dtype=np.int64) * (num_classes + 1)
    return np.sort(np.r_[diagonal, cell[order][rank < width - 1]])


def listed(
    probability: NDArray[np.floating], given: NDArray[np.integer], size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the `size` most likely classes and those of the labels, with their probabilities.

    Parameters
    ----------
    probability
        `(n, k)`.
    given
        `(n, s)` labels, padded with -1; a row without any has class 0 in their place.
    size
        Classes besides the labels'.

    Returns
    -------
    `(n, m + s)` classes, and as many probabilities; those of the labels stand last, and are 0
    where they stand among the others already.

    Examples
    --------
    >>> listed(np.array([[0.1, 0.7, 0.2]]), np.array([[0]]), 2)
    (array([[1, 2, 0]]), array([[0.7, 0.2, 0.1]]))
    """
    top = np.argsort(-probability, axis=1, kind="stable")[:, :size]
    last = np.maximum(given, 0)
    share, own = (np.take_along_axis(probability, place, axis=1) for place in (top, last))
    own = np.where(is_new(top, given), own, 0.0)
    return np.hstack([top, last]).astype(np.int64), np.hstack([share, own]).astype(np.float64)


def completed(
    top: NDArray[np.integer],
    share: NDArray[np.floating],
    given: NDArray[np.integer],
    num_classes: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return a row's most likely classes and those of its labels, as `listed` does.

    Parameters
    ----------
    top
        `(n, m)` most likely classes, padded with -1.
    share
        `(n, m)` their probabilities; what is left of 1 falls on all other classes alike.
    given
        `(n, s)` labels, padded with -1.
    num_classes
        `k`.

    Examples
    --------
    >>> completed(np.array([[1]]), np.array([[0.5]]), np.array([[1, 2]]), 3)
    (array([[1, 1, 2]]), array([[0.5 , 0.  , 0.25]]))
    """
    left = np.maximum(1.0 - share.sum(axis=1), 0.0) / max(num_classes - share.shape[1], 1)
    own = np.where(is_new(top, given), left[:, None], 0.0)
    every, its = np.column_stack([top, given]), np.column_stack([share, own])
    return np.maximum(every, 0).astype(np.int64), its.astype(np.float64)


def is_new(top: NDArray[np.integer], given: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which of `(n, s)` labels, padded with -1, are not among `(n, m)` classes.

    Of a row without any, the first stands for class 0.

    Examples
    --------
    >>> is_new(np.array([[0, 1], [2, 1]]), np.array([[1, 3, -1], [-1, -1, -1]]))
    array([[False,  True, False],
           [ True, False, False]])
    """
    counted = given >= 0
    counted[:, :1] = True
    return np.asarray(counted & ~is_among(np.maximum(given, 0), top))


def is_among(one: NDArray[np.integer], other: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which of `(n, m)` classes are among those that `(n, s)` has in the same row."""
    return np.asarray((one[:, :, None] == other[:, None, :]).any(axis=2))
