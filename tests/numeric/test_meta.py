import numpy as np

from pipeline.numeric.dropout import dropped
from pipeline.numeric.meta import Course, Task, effect, relative, train
from pipeline.numeric.rescaler import FEATURES, CellStats, Rescaler, features, quantities


def planted(num_rows=60, num_classes=3, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    true, drawn = rng.integers(0, num_classes, (2, num_rows))
    label = np.where(rng.random(num_rows) < noise, drawn, true)
    rows = 2 * np.eye(num_classes, 5)[true] + rng.normal(size=(num_rows, 5))
    hashed = rng.integers(0, 2**63, num_rows).astype(np.uint64)
    constant = np.ones((3, num_rows, 1))
    passes = np.concatenate([dropped(rows, hashed, 3, 0.1), constant], axis=2)
    inputs = np.column_stack([rows, np.ones(num_rows)])
    task = Task(inputs, passes, label, rng.integers(0, 2, num_rows), num_classes)
    return task, label != true, rng


def total(task, weight, chance, reach):
    """Return the losses of both halves after a step on the other, slowly."""
    value = 0.0
    for h in range(2):
        seen, other = task.half != h, task.half == h
        slope = np.zeros_like(weight[h])
        for row, share, miss in zip(
            task.inputs[seen], relative(chance[seen]), task.miss(weight[h], seen)[1], strict=True
        ):
            slope += share * np.outer(row, miss) / seen.sum()
        loss = task.miss(weight[h] - reach * slope, other)[0]
        value += (relative(chance[other]) * loss).mean()
    return value


def test_the_effect_of_a_weight_is_that_of_finite_differences():
    task, _, rng = planted()
    weight, chance = list(rng.normal(size=(2, 6, 3))), rng.random(60) + 0.1
    slope = effect(task, weight, chance, reach=2.0)

    for i in range(0, 60, 7):
        ends = [total(task, weight, chance + s * np.eye(60)[i] * 1e-6, 2.0) for s in (1, -1)]
        np.testing.assert_allclose(slope[i], (ends[0] - ends[1]) / 2e-6, atol=1e-6)


def test_the_gradient_of_the_rescaler_is_that_of_finite_differences():
    rng = np.random.default_rng(0)
    feature, slope = rng.normal(size=(9, FEATURES)), rng.normal(size=9)
    start = Rescaler.start()
    net = Rescaler(start.centre, start.width, start.hidden, rng.normal(size=FEATURES + 1))
    hidden, out = net.gradient(feature, slope)

    for name, gradient in (("hidden", hidden), ("out", out)):
        place = (3,) * gradient.ndim
        value = []
        for sign in (1, -1):
            moved = getattr(net, name).copy()
            moved[place] += sign * 1e-6
            parts = {"hidden": net.hidden, "out": net.out, name: moved}
            changed = Rescaler(net.centre, net.width, parts["hidden"], parts["out"])
            value.append(slope @ changed.weight(feature))
        np.testing.assert_allclose(gradient[place], (value[0] - value[1]) / 2e-6, atol=1e-6)


def test_wrong_labels_come_to_weigh_less():
    task, wrong, _ = planted(400, noise=0.4)
    course = Course(40, 5, 0.02, 0.01, 10.0, 20.0)
    weight, rescaler = train(task, course)
    chance = rescaler.weight(task.features(weight, 20.0))

    assert np.median(chance[wrong]) < 0.3 * np.median(chance[~wrong])


def test_empty_cells_borrow_from_their_category():
    quantity = np.array([[1.0], [3.0], [8.0]])
    stats = CellStats.of(quantity, np.array([0, 0, 1]), np.array([True, True, False]), 3)
    mean, deviation = stats.spread(prior_rows=5.0)

    np.testing.assert_allclose(mean[2], [[8.0], [2.0]])
    assert (deviation > 0.0).all()


def test_passes_that_agree_entirely_give_finite_features():
    logit, label = np.tile(np.eye(3)[None, [0, 1, 1]], (3, 1, 1)), np.array([0, 1, 2])
    quantity, agreement = quantities(logit, label)
    spread = CellStats.of(quantity, label, agreement > 0.5, 3).spread(20.0)

    np.testing.assert_allclose(agreement, [1.0, 1.0, 0.0])
    assert np.isfinite(features(quantity, agreement, label, spread)).all()
