"""Does a caption speak of its image? Cosines, against those of pairs put together at random.

The scale of cosines differs from encoder to encoder: 0.33 for a matched pair of CLIP ViT-B/32,
0.65 for a small one. What an unmatched pair looks like needs no guess: any image with any other
row's caption is one. The share of unmatched pairs is how much of that distribution fits under
the corpus's own.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.witness import Odds, fit_odds

SHIFTS = 8
"""Other captions that each image is paired with."""
LEAST, MOST = 0.3, 0.9
"""Quantiles of unmatched pairs between which their share is read."""


def gap(
    image: NDArray[np.floating], text: NDArray[np.floating], mean: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return how far each caption is from its image: 0 same direction, 1 opposite.

    Parameters
    ----------
    image, text
        `(n, d)` unit rows, aligned.
    mean
        `(2, d)` mean image and mean caption: the towers of CLIP point apart, and some images are
        near to every caption (Liang et al. 2022, "Mind the gap").

    Examples
    --------
    >>> gap(np.eye(2), np.eye(2)[::-1], np.zeros((2, 2))).tolist()
    [0.5, 0.5]
    """
    seen, told = (_unit(rows - m) for rows, m in zip((image, text), mean, strict=True))
    return np.asarray(0.5 - 0.5 * np.einsum("nd,nd->n", seen, told), np.float64)


def fit_apart(
    image: NDArray[np.floating],
    text: NDArray[np.floating],
    mean: NDArray[np.floating],
    weight: NDArray[np.floating],
    num_bins: int = 40,
) -> tuple[Odds, float]:
    """Return the odds by gap that a pair is unmatched, and the share of such pairs.

    Parameters
    ----------
    image, text
        `(n, d)` unit rows of captioned pairs, some of them unmatched.
    mean
        As in `gap`.
    weight
        `(n,)` rows of the corpus that each stands for.
    num_bins
        Bins of equal weight.
    """
    if len(image) < num_bins:
        return Odds(np.zeros(2), np.zeros(2)), 0.0
    own = gap(image, text, mean)
    steps = np.linspace(0, len(own), SHIFTS + 2)[1:-1].astype(np.int64)  # never a next row's
    other = np.concatenate([gap(image, np.roll(text, step, axis=0), mean) for step in steps])
    stands = np.concatenate([weight * np.roll(weight, step) for step in steps])
    edges = np.quantile(own, np.linspace(0.0, 1.0, num_bins + 1)[1:-1])
    bins, unmatched = np.searchsorted(edges, own), np.searchsorted(edges, other)
    seen = np.bincount(bins, weight, num_bins) / weight.sum()
    null = np.bincount(unmatched, stands, num_bins) / stands.sum()
    share = unmatched_share((own, weight), (other, stands))
    fault = np.clip(share * null / np.maximum(seen, 1e-12), 0.0, 1.0)[bins]
    return fit_odds(own, weight * fault, weight * (1.0 - fault)), share


Weighted = tuple[NDArray[np.floating], NDArray[np.floating]]
"""`(n,)` values and the `(n,)` weights of them."""


def unmatched_share(own: Weighted, other: Weighted) -> float:
    """Return the largest share of unmatched pairs that the far end of the gaps leaves room for.

    Parameters
    ----------
    own
        Gaps of the corpus.
    other
        Gaps of pairs put together at random.

    Examples
    --------
    >>> near, far, one = np.full(80, 0.2), np.linspace(0.4, 0.6, 20), np.ones(100)
    >>> round(unmatched_share((np.r_[near, far], one), (np.linspace(0.4, 0.6, 100), one)), 1)
    0.2
    """
    order = np.argsort(-other[0])
    reached = np.cumsum(other[1][order]) / other[1].sum()
    quantile = np.linspace(LEAST, MOST, 13)
    cuts = other[0][order][np.searchsorted(reached, quantile)]
    beyond = np.array([own[1][own[0] >= cut].sum() for cut in cuts]) / own[1].sum()
    return float((beyond / quantile).min().clip(0.0, 0.5))


def _unit(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
