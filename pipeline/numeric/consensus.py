"""How noisy labels are, class by class, from the labels of rows and their two neighbours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, minimize
from scipy.special import softmax

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Consensus:
    """Counts of labels of a row, its first and its second neighbour: sums over any rows.

    Examples
    --------
    >>> count = Consensus.of(np.array([0, 0, 1]), np.array([[0, 0], [0, 1], [1, -1]]), 2)
    >>> count.merge(count).triple[0]
    array([[2., 2.],
           [0., 0.]])
    """

    triple: Array
    """`(k, k, k)` rows; a row with less than two labelled neighbours is not counted."""

    @classmethod
    def of(
        cls, label: NDArray[np.integer], near: NDArray[np.integer], num_classes: int
    ) -> "Consensus":
        """Count `(n,)` labels and the `(n, 2)` labels of two neighbours, -1 where missing."""
        seen = (label >= 0) & (near >= 0).all(axis=1)
        shape = (num_classes, num_classes, num_classes)
        code = np.ravel_multi_index((label[seen], near[seen, 0], near[seen, 1]), shape)
        count = np.bincount(code, minlength=num_classes**3).astype(np.float64)
        return cls(count.reshape(shape))

    def merge(self, other: "Consensus") -> "Consensus":
        """Return the counts over both sets of rows."""
        return Consensus(self.triple + other.triple)

    def solve(self, num_steps: int = 300) -> "Transition":
        """Return the label noise that explains the counts; see `solve_transition`."""
        total = self.triple.sum()
        if not total:
            num_classes = len(self.triple)
            return Transition(np.full(num_classes, 1.0 / num_classes), np.eye(num_classes))
        order = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
        mean = sum(self.triple.transpose(o) for o in order) / (6.0 * total)
        return solve_transition(np.asarray(mean), num_steps)


@dataclass(frozen=True)
class Transition:
    """How true classes turn into labels."""

    prior: Array
    """`(k,)` shares of the true classes."""
    matrix: Array
    """`(k, k)` probability of each label (column) given the true class (row)."""

    @property
    def noise(self) -> float:
        """Return the share of wrong labels."""
        return float(1.0 - self.prior @ np.diag(self.matrix))

    def moments(self) -> tuple[Array, Array, Array]:
        """Return the shares of labels, pairs and triples that follow if neighbours share a class.

        Zhu et al. 2021, "Clusterability as an alternative to anchor points when learning with
        noisy labels", equations 4 to 6: errors are independent given the true class.
        """
        member = self.prior[:, None] * self.matrix
        pair = np.einsum("ki,kj->kij", self.matrix, self.matrix).reshape(len(self.prior), -1)
        triple = (member.T @ pair).reshape((len(self.prior),) * 3)
        return member.sum(axis=0), member.T @ self.matrix, triple

    def keep_rate(self) -> Array:
        """Return `(k,)` probabilities that a label is right; that of all labels where none is."""
        label = self.prior @ self.matrix
        right = self.prior * np.diag(self.matrix)
        known = label > np.finfo(float).eps
        return np.where(known, right / np.where(known, label, 1.0), 1.0 - self.noise).clip(0.0, 1.0)


def solve_transition(triple: Array, num_steps: int = 300) -> Transition:
    """Return prior and transition whose moments come nearest to those observed.

    The squared differences of the moments are minimised (L-BFGS from labels that are mostly
    right). Each is divided by the spread that counting gives a
    cell of its classes, about the root of their shares: else frequent classes alone would count.

    Parameters
    ----------
    triple
        `(k, k, k)` shares of triples, symmetric.
    num_steps
        Steps of the solver at most.

    Examples
    --------
    >>> truth = Transition(np.array([0.25, 0.75]), np.array([[0.9, 0.1], [0.3, 0.7]]))
    >>> solve_transition(truth.moments()[2]).matrix.round(3)
    array([[0.9, 0.1],
           [0.3, 0.7]])
    """
    size, single = len(triple), triple.sum(axis=(1, 2))
    target = (single, triple.sum(axis=2), triple)
    right = np.sqrt(np.trace(target[1])).clip(1.0 / size + 0.01, 0.99)
    odds = np.log(right * max(size - 1, 1) / (1.0 - right))
    start = np.r_[np.log(single + 1e-3 / size), (odds * np.eye(size)).ravel()]
    options = {"maxiter": num_steps, "maxfun": 2 * num_steps, "ftol": 1e-12, "gtol": 1e-10}
    found = minimize(_distance, start, (target,), "L-BFGS-B", jac=True, options=options)
    fitted = _transition(found.x, size)
    name = linear_sum_assignment(fitted.matrix.T, maximize=True)[1]
    return Transition(fitted.prior[name], fitted.matrix[name])


def _transition(logit: Array, size: int) -> Transition:
    """Return prior and matrix as softmaxes: always probabilities."""
    return Transition(softmax(logit[:size]), softmax(logit[size:].reshape(size, size), axis=1))


def _distance(logit: Array, target: tuple[Array, Array, Array]) -> tuple[float, Array]:
    """Return half the squared distance of the moments, and its gradient."""
    size = len(target[0])
    fitted = _transition(logit, size)
    scale = target[0] + 1e-3 / size
    one, two, three = (
        (model - seen) / _outer_power(scale, order)
        for order, (model, seen) in enumerate(zip(fitted.moments(), target, strict=True), 1)
    )
    matrix, prior = fitted.matrix, fitted.prior
    # Twice: the moment of order r is linear in each of its r factors, and symmetric in them.
    weighed = [d / _outer_power(scale, r) for r, d in enumerate((one, two, three), 1)]
    pair = np.einsum("ki,kj->kij", matrix, matrix).reshape(size, -1)
    along = pair @ weighed[2].reshape(size, -1).T
    by_order = [np.broadcast_to(weighed[0], matrix.shape), matrix @ weighed[1], along]
    by_prior = np.sum([(matrix * g).sum(axis=1) for g in by_order], axis=0)
    by_matrix = prior[:, None] * np.sum([r * g for r, g in enumerate(by_order, 1)], axis=0)
    gradient = np.r_[
        prior * (by_prior - prior @ by_prior),
        (matrix * (by_matrix - (matrix * by_matrix).sum(axis=1, keepdims=True))).ravel(),
    ]
    value = 0.5 * sum(float((d**2).sum()) for d in (one, two, three))
    return value, gradient


def _outer_power(scale: Array, order: int) -> Array:
    """Return the root of the geometric mean of the classes' shares, per cell of `order` axes."""
    root = scale ** (0.5 / order)
    cell = root
    for _ in range(order - 1):
        cell = cell[..., None] * root
    return cell
