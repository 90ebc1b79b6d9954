"""Visual prototypes of a class: one, or several where its clean rows fall into groups."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.moments import FoldMoments

TINY = 1e-9
"""Length below which a vector has no direction."""


@dataclass(frozen=True)
class Prototypes:
    """Unit prototypes, kept apart per fold so that a row never meets one it is part of."""

    label: NDArray[np.int64]
    """`(p,)` class of each prototype, in rising order."""
    whole: NDArray[np.float32]
    """`(p, d)` unit prototypes of all rows."""
    without: NDArray[np.float32]
    """`(f, p, d)` unit prototypes of the rows outside each fold."""

    def similarity(
        self, embedding: NDArray[np.floating], fold: NDArray[np.integer], num_classes: int
    ) -> NDArray[np.float32]:
        """Return `(n, k)` similarities to the nearest prototype of each class; 0 without one."""
        value = np.zeros((len(embedding), num_classes), dtype=np.float32)
        seen, first = np.unique(self.label, return_index=True)
        for f in range(len(self.without)):
            rows = np.flatnonzero(fold == f)
            if len(rows) and len(seen):
                near = (embedding[rows] @ self.without[f].T).astype(np.float32)
                value[np.ix_(rows, seen)] = np.maximum.reduceat(near, first, axis=1)
        return value


def fit_prototypes(
    embedding: NDArray[np.floating],
    label: NDArray[np.integer],
    fold: NDArray[np.integer],
    num_folds: int,
    max_modes: int = 3,
) -> Prototypes:
    """Return the prototypes of clean rows.

    Parameters
    ----------
    embedding
        `(m, d)` unit rows.
    label
        `(m,)` their classes.
    fold
        `(m,)` their folds in `[0, num_folds)`.
    num_folds
        `f`.
    max_modes
        Prototypes per class at most.

    Examples
    --------
    >>> rows, label = np.repeat(np.eye(2), 10, axis=0), np.zeros(20, int)
    >>> fit_prototypes(rows, label, np.arange(20) % 2, 2).whole.round(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    parts = []
    for c in np.unique(label):
        rows, of_fold = np.asarray(embedding, np.float64)[label == c], fold[label == c]
        mode = group_modes(rows, max_modes)
        for m in range(int(mode.max()) + 1):
            sums = [rows[(mode == m) & (of_fold == f)].sum(axis=0) for f in range(num_folds)]
            parts.append((c, np.array(sums)))
    shape = (len(parts), num_folds, embedding.shape[1])
    part = np.array([s for _, s in parts]).reshape(shape)
    total = part.sum(axis=1)
    without = total[:, None] - part
    alone = np.linalg.norm(without, axis=2, keepdims=True) < TINY
    without = np.where(alone, 0.0, without)
    return Prototypes(
        np.array([c for c, _ in parts], dtype=np.int64),
        unit(total).astype(np.float32),
        unit(without).transpose(1, 0, 2).astype(np.float32),
    )


def mean_prototypes(moments: FoldMoments) -> Prototypes:
    """Return one prototype per class that has rows: the direction of its mean.

    Examples
    --------
    >>> rows, zero = np.array([[0.0, 2.0], [0.0, 4.0]]), np.zeros(2, int)
    >>> mean_prototypes(FoldMoments.of(rows, zero, np.arange(2), (2, 1))).whole
    array([[0., 1.]], dtype=float32)
    """
    total = moments.total.sum(axis=0)
    seen = np.flatnonzero(moments.count.sum(axis=0) > 0)
    without = unit(total[None] - moments.total)[:, seen]
    return Prototypes(seen, unit(total[seen]).astype(np.float32), without.astype(np.float32))


def group_modes(
    embedding: NDArray[np.floating], max_modes: int = 3, least: int = 5, clear: float = 0.5
) -> NDArray[np.int64]:
    """Return the `(m,)` mode of each row of a class: all 0 unless the rows fall apart clearly.

    Spherical k-means with 2 to `max_modes` centres; the split with the largest mean
    simplified silhouette `(a - b) / max(a, b)` of cosine distances to the nearest and
    second-nearest centre is taken if it exceeds `clear` and every mode has `least` rows.

    Examples
    --------
    >>> group_modes(np.repeat(np.eye(2), 6, axis=0)).tolist()
    [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    """
    best, mode = clear, np.zeros(len(embedding), dtype=np.int64)
    for count in range(2, max_modes + 1):
        if len(embedding) < count * least:
            break
        distance = 1.0 - embedding @ _spherical_means(embedding, count).T
        ranked = np.sort(distance, axis=1)
        silhouette = float(np.mean(1.0 - ranked[:, 0] / np.maximum(ranked[:, 1], 1e-9)))
        chosen = distance.argmin(axis=1)
        if silhouette > best and np.bincount(chosen, minlength=count).min() >= least:
            best, mode = silhouette, chosen
    return mode


def _spherical_means(
    embedding: NDArray[np.floating], count: int, num_steps: int = 25
) -> NDArray[np.float64]:
    """Return `(count, d)` unit centres, started from rows far from one another."""
    rows = np.asarray(embedding, np.float64)
    centre = rows[[int((rows @ rows.sum(axis=0)).argmin())]]
    while len(centre) < count:
        centre = np.vstack([centre, embedding[(embedding @ centre.T).max(axis=1).argmin()]])
    for _ in range(num_steps):
        chosen = (embedding @ centre.T).argmax(axis=1)
        sums = np.array([embedding[chosen == c].sum(axis=0) for c in range(count)])
        centre = np.where(np.linalg.norm(sums, axis=1, keepdims=True) > TINY, unit(sums), centre)
    return centre


def unit(vector: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return vectors of length 1 along the last axis; zeros stay zeros.

    Examples
    --------
    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.asarray(vector, np.float64) / np.where(length > TINY, length, 1.0)
