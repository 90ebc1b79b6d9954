import numpy as np
from scipy import sparse
from sklearn.semi_supervised import LabelSpreading

from pipeline.numeric.bottom import Bottom
from pipeline.numeric.graph import Graph, link, one_hot
from pipeline.numeric.node_shares import NodeShares, largest
from pipeline.numeric.propagation import denoise, over_prior


def random_graph(num_rows=60, size=5, seed=0):
    """Return keys in the order of the graph, the lists of neighbours, and the graph."""
    rng = np.random.default_rng(seed)
    key = np.sort(rng.choice(10**6, num_rows, replace=False)).astype(np.uint64)
    near = rng.choice(np.r_[key, np.arange(10**6, 10**6 + 20)], (num_rows, size)).astype(np.uint64)
    similarity = rng.uniform(-0.2, 1.0, (num_rows, size))
    hashed = rng.permutation(num_rows).astype(np.uint64)
    column = {"near": near, "similarity": similarity}
    return key, near, similarity, Graph.of(Bottom.of(num_rows, hashed, key, column))


def blocks(label_noise, seed=0, sizes=(100, 100, 100, 100), inside=0.12, across=0.01):
    """Return a planted block model: edges, noisy labels and true classes."""
    rng = np.random.default_rng(seed)
    true = np.repeat(np.arange(len(sizes)), sizes)
    chance = np.where(true[:, None] == true, inside, across)
    upper = np.triu(rng.random(chance.shape) < chance, 1)
    edge = sparse.csr_array((upper | upper.T).astype(float))
    moved = rng.random(len(true)) < label_noise
    other = (true + rng.integers(1, len(sizes), len(true))) % len(sizes)
    return edge, np.where(moved, other, true), true


def row_stochastic(edge):
    return sparse.csr_array(edge / np.maximum(edge.sum(axis=1), 1e-12)[:, None])


def test_a_graph_is_that_of_a_loop():
    key, near, similarity, graph = random_graph()
    slow = np.zeros((60, 60))
    for row in range(60):
        for other, cosine in zip(near[row], similarity[row], strict=True):
            if other in key and other != key[row]:
                slow[row, np.flatnonzero(key == other)[0]] += max(0.0, cosine) ** 3
    slow = (slow + slow.T) / 2

    np.testing.assert_allclose(graph.edge.toarray(), slow, atol=1e-12)
    total = slow.sum(axis=1)
    np.testing.assert_allclose(graph.transition.sum(axis=1), total > 0, atol=1e-12)


def test_opposite_vectors_are_not_linked():
    linked = link(np.array([1, 2], np.uint64), np.array([[1, 2]], np.uint64), np.array([[-0.9, 0]]))

    assert linked.nnz == 0


def test_a_graph_may_be_empty():
    key, near = np.zeros(0, np.uint64), np.zeros((0, 4), np.uint64)
    graph = Graph.of(Bottom.of(9, key, key, {"near": near, "similarity": np.zeros((0, 4))}))

    assert graph.transition.shape == (0, 0)
    assert link(key, np.ones((2, 4), np.uint64), np.ones((2, 4))).shape == (2, 0)


def test_the_largest_shares_are_those_of_a_sort():
    dense = np.random.default_rng(1).random((30, 12)) * (np.arange(30)[:, None] > 2)
    kind, value = largest(sparse.csr_array(dense), 4)

    np.testing.assert_array_equal(value, -np.sort(-dense, axis=1)[:, :4])
    np.testing.assert_array_equal(kind[3:], np.argsort(-dense, axis=1)[3:, :4])


def test_shares_around_a_row_are_weighted_means_in_its_fold():
    key, near, similarity, _ = random_graph()
    rng = np.random.default_rng(2)
    said = [sparse.csr_array(rng.random((60, 3))) for _ in range(2)]
    nodes, fold = NodeShares.of(key, said), rng.integers(0, 2, 60)
    weight = link(key, near, similarity).toarray()
    slow = [w @ said[f].toarray() / max(w.sum(), 1e-12) for w, f in zip(weight, fold, strict=True)]

    np.testing.assert_allclose(nodes.around(near, similarity, fold, 3), slow, atol=1e-6)


def test_denoising_is_that_of_dense_matrices():
    edge, label, _ = blocks(0.3, sizes=(20, 20, 20))
    step, value = row_stochastic(edge), one_hot(label, 3).toarray()
    for _ in range(3):
        value = 0.6 * value + 0.4 * (step @ value)

    np.testing.assert_allclose(denoise(step, label, 3, 3, 0.6).toarray(), value, atol=1e-12)


def test_noisy_blocks_are_repaired_no_worse_than_by_label_spreading():
    """It holds on to the first labels for ever, denoising lets go of them step by step."""
    edge, label, true = blocks(0.4)
    ours = denoise(row_stochastic(edge), label, 4, 5, 0.6).toarray().argmax(axis=1)
    oracle = LabelSpreading(kernel=lambda *_: edge.toarray(), alpha=0.95, max_iter=300)
    spread = oracle.fit(np.arange(len(true))[:, None], label).transduction_

    assert np.mean(label == true) < 0.65
    assert np.mean(spread == true) > 0.85
    assert np.mean(ours == spread) > 0.85
    assert np.mean(ours == true) > 0.97


def test_a_rare_class_survives_over_its_prior_alone():
    edge, label, true = blocks(0.1, sizes=(570, 30), inside=0.1, across=0.02)
    prior = np.bincount(label, minlength=2) / len(label)
    share = row_stochastic(edge) @ denoise(row_stochastic(edge), label, 2, 4, 0.6)
    rare = true == 1

    assert np.mean(share.toarray()[rare].argmax(axis=1) == 1) < 0.2
    assert np.mean(over_prior(share.toarray(), prior)[rare].argmax(axis=1) == 1) > 0.8
