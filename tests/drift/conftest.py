from functools import cache

import pytest

from pipeline.drift.profile import Profile
from tests.drift.nights import CLASSES, night


@cache
def _profiled(num_rows, traits):
    table = night(num_rows, **dict(traits))
    return Profile.of(table, classes=CLASSES, columns=("match.label",))


@pytest.fixture
def profiled():
    """Return the profile of a made-up night; see `nights.night`."""
    return lambda num_rows=500, **traits: _profiled(num_rows, tuple(traits.items()))
