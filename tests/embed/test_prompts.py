import numpy as np
import pytest

from pipeline.embed.prompts import TEMPLATES, prompts, text_prototype, unit


def test_every_name_stands_in_every_template():
    found = prompts(["cat", "kitty"], ["a small feline"])

    assert found == [
        [template.format("cat") for template in TEMPLATES],
        [template.format("kitty") for template in TEMPLATES],
        ["a small feline"],
    ]


@pytest.mark.parametrize("name", ["{}", "{0}", "a {b} c", "50%", "o'brien"])
def test_a_name_with_braces_stays_as_it_is(name):
    (parts,) = prompts([name], [])

    assert all(name in part for part in parts)


def test_every_part_has_the_same_say_however_many_prompts_it_has():
    vectors = {"a": [1.0, 0.0], "b": [1.0, 0.0], "c": [0.0, 1.0]}

    def encode(texts):
        return np.array([vectors[text] for text in texts], np.float16)

    found = text_prototype([["a", "b"], ["c"]], encode)

    np.testing.assert_allclose(found, np.array([1, 1]) / np.sqrt(2), atol=1e-6)
    assert found.dtype == np.float32


def test_parts_are_encoded_alone():
    seen = []

    def encode(texts):
        seen.append(list(texts))
        return np.ones((len(texts), 2), np.float16)

    text_prototype([["a", "b"], ["c"]], encode)

    assert seen == [["a", "b"], ["c"]]


def test_a_vector_is_scaled_to_length_one_and_zero_stays_zero():
    np.testing.assert_allclose(unit(np.array([3.0, 4.0])), [0.6, 0.8], atol=1e-7)
    assert unit(np.zeros(2)).tolist() == [0.0, 0.0]
