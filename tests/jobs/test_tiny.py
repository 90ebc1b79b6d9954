import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jobs.tiny import loss
from jobs.tiny.augment import Reach, augment
from jobs.tiny.data import Row
from jobs.tiny.metrics import area_under_curve, recall
from jobs.tiny.recipe import read_recipe
from jobs.tiny.told import class_shares
from jobs.tiny.train import learning_rate, resized
from tests.corpora import unit

RECIPE = "jobs/recipes/train_tiny.yaml"


def picture(seed=0):
    pixel = np.random.default_rng(seed).integers(0, 256, (64, 48, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixel).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_first_view_is_the_whole_picture_and_the_others_are_crops_of_their_own():
    views = [Row("tiny", picture(), {}, view=view).image() for view in range(4)]
    again = Row("tiny", picture(), {}, view=2).image()

    assert views[0].size == (48, 64)
    assert len({view.tobytes() for view in views}) == 4
    assert all(0.4 * 48 <= v.width <= 48 and 0.4 * 64 <= v.height <= 64 for v in views)
    assert again.tobytes() == views[2].tobytes()


def test_the_target_over_classes_is_shared_between_label_and_teacher():
    logit = torch.tensor([[2.0, 0.0, -1.0, 9.0], [0.0, 1.0, 0.0, 9.0]])
    is_positive = torch.tensor([[True, False, False, False], [False, False, False, True]])
    told = torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.0, 0.0]])
    log_share = torch.log_softmax(logit[0, :3], dim=0)

    taught = loss.class_loss(logit, is_positive, told, 0.25, 0.0)
    assert taught == pytest.approx(float(-(log_share * torch.tensor([0.8, 0.2, 0.0])).sum()))
    alone = loss.class_loss(logit, is_positive, told, 0.0, 0.0)
    assert alone == pytest.approx(float(-log_share[0]))


def test_several_positives_share_the_contrastive_target():
    logit = torch.zeros(2, 4)
    is_positive = torch.tensor([[True, True, False, False], [False, False, False, False]])

    assert loss.agreement_loss(logit, is_positive, 0.0) == pytest.approx(
        (np.log(4) + np.log(2)) / 2
    )


def test_the_teacher_never_saw_a_view_of_a_picture_that_it_tells_of():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 120)
    feature = rng.normal(size=(120, 40)).astype(np.float32)  # nothing to learn
    views = np.repeat(np.arange(120), 4)
    share = class_shares(np.repeat(feature, 4, axis=0), np.repeat(label, 4), views)
    told = share[np.arange(480), label[views]]

    np.testing.assert_allclose(share.sum(axis=1), 1.0, atol=1e-5)
    assert told.mean() < 0.45


def test_a_teacher_that_can_see_is_believed():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 300)
    feature = unit(np.eye(3)[label] + 0.1 * rng.normal(size=(300, 3))).astype(np.float32)

    share = class_shares(feature, label, np.arange(300))
    assert (share.argmax(axis=1) == label).mean() > 0.99


def test_positions_of_attention_pooling_are_stretched():
    position = torch.cat([torch.zeros(1, 2), torch.tensor([[0.0, 1], [0, 1], [1, 1], [1, 1]])])
    wide = resized(position, 10)

    assert wide.shape == (10, 2)
    assert torch.equal(wide[0], position[0])
    assert wide[1:, 0].view(3, 3).mean(1).tolist() == pytest.approx([0.0, 0.5, 1.0])
    assert torch.equal(resized(position, 5), position)


def test_the_learning_rate_rises_and_falls_on_straight_lines():
    recipe = read_recipe(Path(RECIPE))
    rates = [learning_rate(recipe, step) for step in range(recipe.num_steps + 1)]

    assert rates[0] > 0
    assert rates[-1] == 0
    assert max(rates) == max(rate for _, rate in recipe.learning_rate)


def test_augmentation_is_within_reach_and_repeats_itself():
    pixel = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    still = Reach(torch.ones(5), torch.zeros(5), torch.ones(5), 0.0)
    moved = Reach(torch.full((5,), 1.2), torch.full((5,), 20.0), torch.full((5,), 0.5), 0.3)

    kept = augment(pixel, still, torch.Generator().manual_seed(0))
    assert (kept.abs() <= 1).all()
    one, other = (augment(pixel, moved, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, kept)


def test_measures_agree_with_what_they_are_named_after():
    similarity = torch.tensor([[0.9, 0.1, 0.5], [0.2, 0.3, 0.4]])
    is_match = torch.tensor([[True, False, False], [True, False, False]])

    assert recall(similarity, is_match, 1) == 0.5
    assert area_under_curve(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0])) == 1.0
    assert area_under_curve(torch.tensor([1.0]), torch.tensor([2.0])) == 0.0
