"""A Ray of this machine, for the tests of one file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

TRIES = 3
TOO_SLOW = "timed out during startup"
"""What Ray says of a node that has not come up within its 30 s, which cannot be set."""


@contextmanager
def local_ray(num_cpus: int, more: Callable[[], dict[str, Any]] = dict) -> Iterator[dict[str, Any]]:
    """Start Ray and give what `more` has added to its options; asked anew for every try."""
    import ray

    ray.shutdown()
    for number in range(1, TRIES + 1):
        options = more()
        try:
            ray.init(
                "local", num_cpus=num_cpus, include_dashboard=False, log_to_driver=False, **options
            )
            break
        except Exception as error:  # Ray raises nothing narrower
            if TOO_SLOW not in str(error) or number == TRIES:
                raise
            ray.shutdown()
    try:
        yield options
    finally:
        ray.shutdown()
