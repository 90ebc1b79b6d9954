"""What the tests of faults share."""

import pytest

from tests.faults.driver import drivers


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with drivers(tmp_path_factory.mktemp("logs")) as made:
        yield made
