import numpy as np
import pytest

from pipeline.numeric.confusion import fit_confusion


def labelled(num_rows, given, sharpness=4.0, seed=0):
    """Rows with calibrated class probabilities, and labels drawn from a confusion matrix."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(len(given), 1.0 / sharpness), num_rows)
    true = (share.cumsum(axis=1) > rng.random((num_rows, 1))).argmax(axis=1)
    label = (given[true].cumsum(axis=1) > rng.random((num_rows, 1))).argmax(axis=1)
    return share, true, label


def planted(num_classes=6):
    given = 0.9 * np.eye(num_classes) + 0.1 / num_classes
    given[0, 1], given[0, 0] = given[0, 1] + 0.4, given[0, 0] - 0.4
    return given


@pytest.mark.parametrize("num_rows", [2000, 20_000])
def test_confusions_are_found_within_the_error_of_so_many_rows(num_rows):
    share, _, label = labelled(num_rows, planted())
    found = fit_confusion(share, label, np.full(6, 1 / 6), 0.1).given

    assert np.abs(found - planted()).max() < 4.0 / np.sqrt(num_rows / 6)


def test_wrong_labels_are_told_at_their_rate():
    share, true, label = labelled(20_000, planted())
    score = fit_confusion(share, label, np.full(6, 1 / 6), 0.1).wrong(share, label)
    wrong = label != true
    bins = (score * 10).astype(int).clip(0, 9)

    gaps = [abs(score[bins == b].sum() - wrong[bins == b].sum()) for b in range(10)]
    assert sum(gaps) / len(wrong) < 0.01


@pytest.mark.parametrize("blur", [0.7, 1.5])
def test_probabilities_that_are_too_flat_or_too_sharp_are_put_right(blur):
    share, true, label = labelled(20_000, planted())
    distorted = share**blur / (share**blur).sum(axis=1, keepdims=True)
    confusion = fit_confusion(distorted, label, np.full(6, 1 / 6), 0.1)

    assert confusion.sharper == pytest.approx(1 / blur, abs=0.25)
    assert confusion.wrong(distorted, label).mean() == pytest.approx(
        (label != true).mean(), abs=0.02
    )


def test_few_rows_prove_no_confusion():
    share, _, label = labelled(12, planted())
    found = fit_confusion(share, label, np.full(6, 1 / 6), 0.1).given

    assert np.abs(found - (0.9 * np.eye(6) + 0.1 / 6)).max() < 0.25
