import pytest

from pipeline.cleaners import CLEANERS
from pipeline.errors import RecipeError
from pipeline.policy.presets import PRESETS
from pipeline.recipe import parse_recipe


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_which_cleaners_it_uses(name):
    policy = PRESETS[name]
    used = {column.split(".")[0] for column in policy.reads}

    assert all(cleaner in policy.about for cleaner in used)
    assert {cleaner for cleaner in CLEANERS if f"{cleaner} " in policy.about} <= used


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_runs_with_the_cleaners_that_it_uses_and_with_no_fewer(name):
    used = sorted({column.split(".")[0] for column in PRESETS[name].reads})

    assert parse_recipe({"cleaners": used, "policy": name}).policy == PRESETS[name]
    for cleaner in used:
        fewer = [other for other in used if other != cleaner]
        with pytest.raises(RecipeError, match=f"put cleaner {cleaner} before it"):
            parse_recipe({"cleaners": fewer, "policy": name})
