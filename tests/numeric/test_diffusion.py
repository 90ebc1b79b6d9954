from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from sklearn.metrics import f1_score

from pipeline.numeric.diffusion import LabelledGraph, diffuse


def planted(num_rows, size, chance, accuracy, seed=0):
    """Return a cluster planted in a random graph, and noisy labels: 0 for its rows, else -1."""
    rng, member = np.random.default_rng(seed), np.arange(num_rows) < size
    inside = member[:, None] & member
    upper = np.triu(rng.random(inside.shape) < np.where(inside, *chance), 1)
    right = rng.random(num_rows) < np.where(member, *accuracy)
    label = np.where(member == right, 0, -1)
    return sparse.csr_array((upper | upper.T).astype(float)), label, member


def poured(num_rows, seed, mass):
    return sparse.csr_array(([mass], ([seed], [0])), shape=(num_rows, 1))


def weights(edge, label, leak):
    return edge.toarray() * np.where(label[:, None] == label, 1.0, leak)


def test_mass_comes_to_rest_at_the_minimum_of_a_quadratic_programme():
    edge, label, _ = planted(200, 60, (0.3, 0.05), (0.8, 0.9))
    graph = LabelledGraph.of(edge, label, 1, 0.05)
    found = diffuse(graph, poured(200, 3, 90.0), 2000, 1e-6)
    weight, source = weights(edge, label, 0.05), poured(200, 3, 90.0).toarray().ravel()
    laplacian = np.diag(weight.sum(axis=1)) - weight

    def programme(x):
        slope = laplacian @ x + 1 - source
        return x @ (slope + 1 - source) / 2, slope

    options = {"maxiter": 20_000, "maxfun": 10**5, "ftol": 1e-15, "gtol": 1e-10}
    bounds = [(0, None)] * 200
    oracle = minimize(
        programme, np.zeros(200), jac=True, bounds=bounds, method="L-BFGS-B", options=options
    )
    np.testing.assert_allclose(found.potential.toarray().ravel(), oracle.x, atol=1e-4)
    rest = source - laplacian @ oracle.x
    np.testing.assert_allclose(found.mass.toarray().ravel(), rest, atol=1e-3)


@pytest.mark.parametrize("num_steps", [1, 10, 100])
def test_mass_is_conserved_however_far_it_came(num_steps):
    edge, label, _ = planted(200, 60, (0.3, 0.05), (0.8, 0.9))
    found = diffuse(LabelledGraph.of(edge, label, 1, 0.05), poured(200, 3, 500.0), num_steps)

    assert found.mass.sum() == pytest.approx(500.0)
    assert found.excess >= 0.6 - 1e-9  # there is room for 200 at most


def test_more_mass_reaches_no_row_less():
    edge, label, _ = planted(150, 50, (0.3, 0.05), (0.8, 0.9))
    graph = LabelledGraph.of(edge, label, 1, 0.05)
    reached = [
        diffuse(graph, poured(150, 5, mass), 1000, 1e-5).potential.toarray().ravel()
        for mass in (30.0, 60.0, 100.0)
    ]

    for less, more in pairwise(reached):
        assert (more >= less - 1e-3).all()
        assert (more > 0).sum() > (less > 0).sum()


def test_many_classes_diffuse_as_each_would_alone():
    rng = np.random.default_rng(4)
    edge, _, _ = planted(150, 50, (0.2, 0.05), (1.0, 1.0))
    label = rng.integers(-1, 3, 150)
    seeds = [np.flatnonzero(label == c)[0] for c in range(3)]
    source = sparse.csr_array(([40.0] * 3, (seeds, range(3))), shape=(150, 3))
    graph = LabelledGraph.of(edge, label, 3, 0.1)
    together = diffuse(graph, source, 1000, 1e-6).potential.toarray()

    for c in range(3):
        own = LabelledGraph.of(edge, np.where(label == c, 0, -1), 1, 0.1)
        alone = diffuse(own, poured(150, seeds[c], 40.0), 1000, 1e-6).potential.toarray().ravel()
        np.testing.assert_allclose(together[:, c], alone, atol=1e-3)


def test_a_row_without_edges_keeps_its_mass():
    graph = LabelledGraph.of(sparse.csr_array((3, 3)), np.zeros(3, np.int64), 1, 0.05)
    found = diffuse(graph, poured(3, 1, 5.0))

    np.testing.assert_array_equal(found.mass.toarray().ravel(), [0, 5, 0])
    assert found.potential.nnz == 0


def test_noisy_labels_on_a_graph_beat_either_alone():
    """Yang et al. 2024: a cluster of 200 among 2000, labels right in 70 % and 90 %."""
    edge, label, member = planted(2000, 200, (0.1, 0.012), (0.7, 0.9))
    seed = int(np.flatnonzero(member & (label == 0))[7])

    def quality(leak):
        graph = LabelledGraph.of(edge, label, 1, leak)
        found = diffuse(graph, poured(2000, seed, 300.0), 120)
        return f1_score(member, found.potential.toarray().ravel() > 0)

    labels_alone, with_both = f1_score(member, label == 0), quality(0.05)
    assert labels_alone < 0.58
    assert with_both > labels_alone + 0.1
    assert with_both > quality(1.0) + 0.1
