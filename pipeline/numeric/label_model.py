"""The label model of data programming: whom to believe, learned from who agrees with whom.

Ratner et al. 2016, "Data programming"; Xu et al. 2021, "DP-SSL", with abstention. Given the true
class `k`, a voter `m` speaks with probability `propensity[m, k]` and is then right with
`accuracy[m, k]`; wrong votes fall as its votes fall in all. Expectation-maximisation runs over
distinct combinations of votes, so its cost does not grow with the corpus.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.patterns import ABSTAIN, DENSE, OTHER, candidates
from pipeline.numeric.vote_weight import effective_say

Values = NDArray[np.float64]
PRIOR_ROWS = 10.0
"""Rows by which the accuracy of a voter in one class is drawn to that in all."""
FIRST = 0.8
"""Accuracy of a voter that never voted."""
TOGETHER = 0.8
"""Agreement in errors above which two voters are one."""
SPARE = 0.005
"""Share of rows with errors that two voters are taken to have made apart, before any is seen."""


@dataclass(frozen=True)
class LabelModel:
    """How often each of `m` voters speaks and is right, by class."""

    prior: Values
    """`(k,)` frequencies of the classes."""
    propensity: Values
    """`(m, k)` probabilities to speak."""
    accuracy: Values
    """`(m, k)` probabilities to be right if it speaks."""
    habit: Values
    """`(m, k)` shares of the classes in its votes."""
    say: Values
    """`(m,)` weights: correlated voters share theirs."""
    agreement: Values
    """`(m, m)` how often two voters make the same error, beyond chance, if either errs."""

    def posterior(self, vote: NDArray[np.int64]) -> tuple[NDArray[np.int64], Values]:
        """Return `(n, c)` candidates and their probabilities.

        A candidate is a class, or `OTHER` for all classes without a vote; one that is
        mentioned twice has probability 0 the second time.
        """
        candidate, again = candidates(vote, len(self.prior))
        value = self._log_prior(candidate, again)
        for m in range(vote.shape[1]):
            value = value + self.say[m] * self._log_chance(m, vote[:, m], candidate)
        value = np.where(again, -np.inf, value)
        value = np.exp(value - value.max(axis=1, keepdims=True))
        return candidate, value / value.sum(axis=1, keepdims=True)

    def _log_prior(self, candidate: NDArray[np.int64], again: NDArray[np.bool_]) -> Values:
        own = np.where((candidate == OTHER) | again, 0.0, self.prior[candidate])
        left = np.maximum(1.0 - own.sum(axis=1, keepdims=True), 1e-12)
        return np.log(np.maximum(np.where(candidate == OTHER, left, own), 1e-300))

    def _log_chance(self, m: int, vote: NDArray[np.int64], candidate: NDArray[np.int64]) -> Values:
        """Return the `(n, c)` log-probabilities of the votes of `m` if the candidates are true."""
        speaks, right = self.propensity[m][candidate], self.accuracy[m][candidate]
        used = self.habit[m]
        missed = used[vote][:, None] / np.maximum(1.0 - used[candidate], 1e-9)
        even = used[vote][:, None] / max(1.0 - 1.0 / len(used), 1e-9)
        missed = np.where(candidate == OTHER, even, missed)
        said = np.where(vote[:, None] == candidate, right, (1.0 - right) * np.minimum(missed, 1.0))
        chance = np.where(vote[:, None] == ABSTAIN, 1.0 - speaks, speaks * said)
        return np.log(np.maximum(chance, 1e-12))


def fit_label_model(
    vote: NDArray[np.int64],
    weight: Values,
    num_classes: int,
    num_steps: int = 50,
    kin: Values | None = None,
    say: Values | None = None,
) -> LabelModel:
    """Fit by expectation-maximisation, from the majority's opinion.

    Parameters
    ----------
    vote
        `(p, m)` distinct combinations of votes, -1 where a voter abstains.
    weight
        `(p,)` how often each occurs.
    num_classes
        `k`.
    num_steps
        Steps of expectation-maximisation, in three parts between which the say is measured.
    kin
        `(m, m)` least agreement in errors that is taken for granted: hard rows mislead voters
        that see the same vectors together, and a majority that errs does not show it.
    say
        `(m,)` weights of the voters; measured if left out.

    Examples
    --------
    >>> vote = np.repeat(np.array([[0, 0, 0], [1, 1, 1], [0, 0, 1], [1, 1, 0]]), 25, axis=0)
    >>> model = fit_label_model(vote, np.ones(100), 2, say=np.ones(3))
    >>> bool((model.accuracy[:2] > 0.9).all()), bool((model.accuracy[2] < 0.7).all())
    (True, True)
    """
    num_voters = vote.shape[1]
    even = np.full((num_voters, num_classes), 1.0 / num_classes)
    start = LabelModel(
        prior=np.full(num_classes, 1.0 / num_classes),
        propensity=0.0 * even + 0.5,
        accuracy=0.0 * even + FIRST,
        habit=even,
        say=np.ones(num_voters) if say is None else say,
        agreement=np.eye(num_voters),
    )
    fitted = start
    for step in range(num_steps):
        if step in (0, num_steps // 3, 2 * num_steps // 3):
            fitted = replace(fitted, agreement=_agreement(fitted, vote, weight))
            if say is None:
                alike = fitted.agreement if kin is None else np.maximum(fitted.agreement, kin)
                fitted = replace(fitted, say=effective_say(alike, TOGETHER))
        fitted = _step(fitted, vote, weight)
    return fitted


def _step(before: LabelModel, vote: NDArray[np.int64], weight: Values) -> LabelModel:
    """Return the model after one step of expectation-maximisation."""
    candidate, belief = before.posterior(vote)
    mass, size = belief * weight[:, None], len(before.prior)
    of_class = np.where(candidate == OTHER, size, candidate)
    total = _summed(of_class, mass, size)
    fitted = []
    for said in vote.T:
        spoke = _summed(of_class, np.where(said[:, None] >= 0, mass, 0.0), size)
        hit = np.where((said[:, None] == candidate) & (said[:, None] >= 0), mass, 0.0)
        right = _summed(of_class, hit, size)
        used = np.bincount(said[said >= 0], weight[said >= 0], minlength=size) + 1.0 / size
        fitted.append((_drawn(spoke, total), _drawn(right, spoke, FIRST), used / used.sum()))
    propensity, accuracy, habit = (np.array(part) for part in zip(*fitted, strict=True))
    left = np.maximum(total[-1], 0.0) / size
    prior = total[:-1] + left + 1.0
    accuracy = np.clip(accuracy, 1.0 / size, 0.999)
    return replace(
        before, prior=prior / prior.sum(), propensity=propensity, accuracy=accuracy, habit=habit
    )


def _summed(of_class: NDArray[np.int64], mass: Values, size: int) -> Values:
    """Return the `(k + 1,)` mass of each class, and of those without a vote."""
    return np.bincount(of_class.ravel(), mass.ravel(), minlength=size + 1).astype(np.float64)


def _drawn(part: Values, whole: Values, guess: float = 0.5) -> Values:
    """Return `(k,)` shares, by class drawn to that of all; one share of all if `k` is large."""
    common = (part.sum() + guess) / (whole.sum() + 1.0)
    if len(part) - 1 > DENSE:
        return np.full(len(part) - 1, common)
    return np.asarray((part[:-1] + PRIOR_ROWS * common) / (whole[:-1] + PRIOR_ROWS))


def _agreement(model: LabelModel, vote: NDArray[np.int64], weight: Values) -> Values:
    """Return `(m, m)` shares of equal errors among rows where both speak and either errs.

    What two independent voters would share is taken off; 1 means that they err as one.
    """
    candidate, belief = model.posterior(vote)
    shared = np.eye(vote.shape[1])
    for a in range(vote.shape[1]):
        for b in range(a):
            both = (vote[:, a] >= 0) & (vote[:, b] >= 0)
            mass = np.where(both, weight, 0.0)[:, None] * belief
            miss = [vote[:, [m]] != candidate for m in (a, b)]
            wrong = [float(mass[m].sum()) for m in miss]
            same = float(mass[miss[0] & miss[1] & (vote[:, [a]] == vote[:, [b]])].sum())
            either = float(mass[miss[0] | miss[1]].sum())
            total = max(float(mass.sum()), 1e-9)
            chance = wrong[0] * wrong[1] / total / max(len(model.prior) - 1, 1)
            apart = max(SPARE * total, PRIOR_ROWS / 10.0)
            excess = (same - chance) / max(either - chance + apart, 1e-9)
            shared[a, b] = shared[b, a] = np.clip(excess, 0.0, 1.0)
    return shared
