"""How noisy the labels of each class are, from what is known of labels and classes together."""

import numpy as np
from numpy.typing import NDArray

from pipeline.findings import LabelNoise

STEPS = 100
"""Steps of expectation-maximisation."""


def noise_of_pairs(
    pair: NDArray[np.integer], mass: NDArray[np.number], num_classes: int
) -> LabelNoise:
    """Return the noise of labels, given how often each belongs to each class.

    Parameters
    ----------
    pair
        `(m,)` distinct codes `label * k + class`.
    mass
        `(m,)` rows, or shares of rows, of each.
    num_classes
        `k`.

    Examples
    --------
    >>> joint = np.array([[6, 3, 1], [0, 2, 0], [0, 0, 0]])
    >>> noise = noise_of_pairs(np.arange(9), joint.ravel(), 3)
    >>> noise.rate, noise.meant, noise.share
    (array([0.4, 0. , nan]), array([ 1, -1, -1]), array([0.3, 0. , 0. ]))
    """
    label, of_class = np.asarray(pair) // num_classes, np.asarray(pair) % num_classes
    total = np.bincount(label, mass, num_classes)
    share = mass / np.where(total > 0, total, 1.0)[label]
    astray = np.where(label == of_class, 0.0, share)
    rate = np.where(total > 0, np.bincount(label, astray, num_classes), np.nan)
    worst = np.zeros(num_classes)
    np.maximum.at(worst, label, astray)
    found = np.flatnonzero((astray > 0) & (astray == worst[label]))[::-1]
    meant = np.full(num_classes, -1)
    meant[label[found]] = of_class[found]  # of equal ones the first class
    return LabelNoise(rate.clip(0.0, 1.0), meant, worst.clip(0.0, 1.0))


def noise_of_given(given: NDArray[np.floating], class_share: NDArray[np.floating]) -> LabelNoise:
    """Return the noise of labels, given how each class is labelled.

    Parameters
    ----------
    given
        `(k, k)` probability of a label (column) given the class (row).
    class_share
        `(k,)` shares of the classes.

    Examples
    --------
    >>> noise_of_given(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0.5, 0.5])).rate.round(2)
    array([0.33, 0.  ])
    """
    size = len(class_share)
    return noise_of_pairs(np.arange(size**2), (given.T * class_share).ravel(), size)


def class_shares(
    given: NDArray[np.floating], label_share: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the shares of classes under which labels are as frequent as they are.

    Expectation-maximisation of the likelihood of the labels, from the labels' own shares.

    Parameters
    ----------
    given
        `(k, k)` probability of a label (column) given the class (row).
    label_share
        `(k,)` shares of the labels.

    Examples
    --------
    >>> given = np.array([[0.9, 0.1], [0.3, 0.7]])
    >>> class_shares(given, np.array([0.25, 0.75]) @ given).round(3)
    array([0.25, 0.75])
    """
    share = np.asarray(label_share, np.float64)
    for _ in range(STEPS):
        share = share * (given @ (label_share / np.maximum(share @ given, 1e-300)))
        share = share / max(float(share.sum()), 1e-300)
    return share
