"""Principal axes: an order of the dimensions in which cutting off the end compresses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.moments import ClassMoments


@dataclass(frozen=True)
class Axes:
    """Orthogonal directions by falling variance.

    Examples
    --------
    >>> from pipeline.numeric.moments import FoldMoments
    >>> rows = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> zero = np.zeros(4, int)
    >>> axes = Axes.of(FoldMoments.of(rows, zero, zero, (1, 1)).whole())
    >>> abs(axes.first(1).turn(rows)).ravel()
    array([3., 3., 0., 0.])
    """

    mean: NDArray[np.float64]
    """`(d,)`."""
    basis: NDArray[np.float64]
    """`(d, m)` directions in the columns, each with its largest element positive."""

    @classmethod
    def of(cls, moments: ClassMoments) -> "Axes":
        """Return the principal axes of all rows of some moments."""
        basis = np.linalg.eigh(moments.overall())[1][:, ::-1]
        largest = np.abs(basis).argmax(axis=0)
        sign = np.sign(basis[largest, np.arange(basis.shape[1])])
        return cls(moments.mean, basis * np.where(sign == 0.0, 1.0, sign))

    def first(self, size: int) -> "Axes":
        """Return the first `size` axes."""
        return Axes(self.mean, self.basis[:, :size])

    def turn(self, embedding: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the `(n, m)` coordinates of `(n, d)` rows."""
        return np.asarray((embedding - self.mean) @ self.basis)


def fewest(likelihood: NDArray[np.float64]) -> int:
    """Return the first of `s` choices that is as good as the best one, up to a standard error.

    Parameters
    ----------
    likelihood
        `(s, n)` held-out log-likelihoods of the same rows; simpler choices first.

    Examples
    --------
    >>> fewest(np.array([[-9.0, -9.1, -8.9], [-1.0, -2.0, -3.0], [-1.1, -1.9, -2.95]]))
    1
    """
    num_rows = likelihood.shape[1]
    if not num_rows:
        return 0
    lost = likelihood[likelihood.sum(axis=1).argmax()] - likelihood
    return int(np.argmax(lost.mean(axis=1) <= lost.std(axis=1) / np.sqrt(num_rows)))


def grid(num_dims: int, least: int = 2) -> list[int]:
    """Return the sizes that are tried: from `least` to all dimensions, each by half more.

    Examples
    --------
    >>> grid(10)
    [2, 3, 4, 6, 9, 10]
    """
    sizes, size = [], min(least, num_dims)
    while size < num_dims:
        sizes.append(size)
        size = max(size + 1, round(size * 3 / 2))
    return [*sizes, num_dims]
