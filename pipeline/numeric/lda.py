"""Linear discriminant analysis from moments: evidence per class, and distance to any class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.moments import ClassMoments, FoldMoments


@dataclass(frozen=True)
class Spread:
    """Means and eigenvectors of a set of moments: every shrinkage is solved from it cheaply."""

    mean: NDArray[np.float64]
    """`(d,)` common mean."""
    offset: NDArray[np.float64]
    """`(k, d)` class means minus the common mean."""
    within: tuple[NDArray[np.float64], NDArray[np.float64]]
    """`(d,)` eigenvalues and `(d, d)` eigenvectors of the covariance within classes."""
    overall: tuple[NDArray[np.float64], NDArray[np.float64]]
    """The same of the covariance around the common mean."""

    @classmethod
    def of(cls, moments: ClassMoments, prior_rows: float = 1.0) -> "Spread":
        """Decompose moments; `prior_rows` draw the means of small classes to the common one."""
        offset = moments.class_mean(prior_rows) - moments.mean
        within, overall = np.linalg.eigh(moments.within()), np.linalg.eigh(moments.overall())
        return cls(moments.mean, offset, (within[0], within[1]), (overall[0], overall[1]))

    def precision(self, shrinkage: float) -> NDArray[np.float64]:
        """Return the `(d, d)` inverse of the covariance within classes, shrunk to a sphere."""
        return self._inverse(*self.within, shrinkage)

    def background(self, shrinkage: float) -> NDArray[np.float64]:
        """Return the `(d, d)` inverse of the overall covariance, shrunk to a sphere."""
        return self._inverse(*self.overall, shrinkage)

    def _inverse(
        self, eigenvalue: NDArray[np.float64], basis: NDArray[np.float64], shrinkage: float
    ) -> NDArray[np.float64]:
        """Return the inverse of a covariance drawn to a sphere.

        The sphere is sized by the overall covariance: captions that are one template per
        class have no covariance within classes at all.
        """
        sphere = max(float(self.overall[0].clip(0.0).mean()), 1e-9)
        drawn = (1.0 - shrinkage) * eigenvalue.clip(0.0) + shrinkage * sphere
        return (basis / drawn) @ basis.T


@dataclass(frozen=True)
class FoldLda:
    """One discriminant per fold, each solved without the rows of that fold."""

    mean: NDArray[np.float32]
    """`(f, d)` common means."""
    weight: NDArray[np.float32]
    """`(f, d, k)` directions."""
    bias: NDArray[np.float32]
    """`(f, k)` intercepts."""
    contrast: NDArray[np.float32]
    """`(f, d, d)` inverse covariance within classes minus that of the background."""

    @classmethod
    def of(
        cls,
        spread: list[Spread],
        shrinkage: float,
        background: list[NDArray[np.float64]] | None = None,
    ) -> "FoldLda":
        """Solve one discriminant per spread.

        Parameters
        ----------
        spread
            One per fold, see `spreads`.
        shrinkage
            Share of the sphere in the covariance, in (0, 1].
        background
            `(d, d)` inverse background covariance per fold; that of `spread` if left out.
        """
        inverse = [s.precision(shrinkage) for s in spread]
        weight = [p @ s.offset.T for s, p in zip(spread, inverse, strict=True)]
        bias = [
            -0.5 * np.einsum("kd,dk->k", s.offset, w) for s, w in zip(spread, weight, strict=True)
        ]
        behind = background or [s.background(shrinkage) for s in spread]
        contrast = [p - b for p, b in zip(inverse, behind, strict=True)]
        parts = ([s.mean for s in spread], weight, bias, contrast)
        return cls(*(np.stack(part).astype(np.float32) for part in parts))

    def evidence(
        self, embedding: NDArray[np.floating], fold: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Return the log-density of rows in each class over that at the common mean.

        Parameters
        ----------
        embedding
            `(n, d)` rows.
        fold
            `(n,)` fold of each row: the discriminant used has not seen it.

        Returns
        -------
        `(n, k)` float32; 0 where a class says nothing, positive where it fits.
        """
        value = np.empty((len(embedding), self.bias.shape[1]), dtype=np.float32)
        for f in range(len(self.mean)):
            of_fold = fold == f
            value[of_fold] = (embedding[of_fold] - self.mean[f]) @ self.weight[f] + self.bias[f]
        return value

    def relative_distance(
        self,
        embedding: NDArray[np.floating],
        fold: NDArray[np.integer],
        evidence: NDArray[np.floating],
    ) -> NDArray[np.float32]:
        """Return the relative Mahalanobis distance: to the nearest class minus to the background.

        Ren et al. 2021, "A simple fix to Mahalanobis distance", equation 3.

        Parameters
        ----------
        embedding
            `(n, d)` rows.
        fold
            `(n,)` folds.
        evidence
            `(n, k)`, from `evidence`.

        Returns
        -------
        `(n,)` float32; larger is further from every class than from the corpus at large.
        """
        value = np.empty(len(embedding), dtype=np.float32)
        for f in range(len(self.mean)):
            of_fold = fold == f
            centred = embedding[of_fold] - self.mean[f]
            value[of_fold] = np.einsum("nd,nd->n", centred @ self.contrast[f], centred)
        return value - 2.0 * evidence.max(axis=1, initial=-np.inf).astype(np.float32)


def spreads(moments: FoldMoments, prior_rows: float = 1.0) -> list[Spread]:
    """Return, for each fold, the spread of every row outside it.

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.1, 0.9]])
    >>> label, fold = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    >>> lda = FoldLda.of(spreads(FoldMoments.of(rows, label, fold, (2, 2))), 0.5)
    >>> lda.evidence(rows, fold).argmax(axis=1)
    array([0, 1, 0, 1])
    """
    return [Spread.of(moments.without(f), prior_rows) for f in range(len(moments.count))]
