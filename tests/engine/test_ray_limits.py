"""How the Ray engine bounds work: in tries, in time, and in what it lets run ahead."""

import os
import signal
import time

import pytest

from pipeline.contract import Limits
from pipeline.errors import StallError, WorkerError

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(300),
]
NUM_CPUS = 2


@pytest.fixture(scope="module")
def engine():
    import ray

    from pipeline.engine.ray import RayEngine

    ray.shutdown()
    ray.init("local", num_cpus=NUM_CPUS, include_dashboard=False, log_to_driver=False)
    yield RayEngine()
    ray.shutdown()


@pytest.fixture
def hasty(engine):
    return engine.within(Limits(tries=1, fragment_s=2, stall_s=120))


def test_an_item_that_kills_every_worker_is_named(hasty):
    def die(item):
        if item == "fragment-7":
            os._exit(0)
        return item

    with pytest.raises(WorkerError, match=r"die of fragment-7 has killed 2 workers"):
        list(hasty.each(die, ["fragment-1", "fragment-7"]))


def test_a_worker_that_hangs_or_was_halted_is_killed_and_its_item_done_anew(hasty, tmp_path):
    flags = [tmp_path / "spin", tmp_path / "stop"]

    def hang_once(number):
        flag = flags[number % 2]
        if number < 2 and not flag.exists():
            flag.touch()
            while number == 0:
                pass
            os.kill(os.getpid(), signal.SIGSTOP)
        return number

    assert dict(hasty.each(hang_once, list(range(6)))) == {n: n for n in range(6)}
    assert all(flag.exists() for flag in flags)


@pytest.mark.parametrize("verb", ["each", "pipe"])
def test_a_step_that_finds_no_free_processor_fails_and_names_what_waits(hasty, verb):
    import ray

    @ray.remote(num_cpus=NUM_CPUS)
    class Hog:
        def is_there(self):
            return True

    hasty = hasty.within(Limits(tries=1, fragment_s=2, stall_s=6))
    hog = Hog.remote()
    ray.get(hog.is_there.remote())
    items = ["fragment-1", "fragment-2"]
    try:
        with pytest.raises(StallError, match=r"stall_s 6.*fragment-1.* 0 of 2 CPUs free"):
            list(hasty.each(str, items) if verb == "each" else hasty.pipe(str, lambda: str, items))
    finally:
        ray.kill(hog)
        time.sleep(1)


def test_results_never_run_far_ahead_of_a_slow_one(engine, tmp_path):
    from pipeline.engine.ray_tasks import AHEAD

    def ahead():
        return len(list(tmp_path.iterdir()))

    def wait(number):
        if number:
            (tmp_path / str(number)).touch()
            return 0
        seen = -1
        while ahead() > seen or not seen:  # until no other item is begun any more
            seen = ahead()
            time.sleep(2)
        return seen

    results = dict(engine.each(wait, list(range(200))))

    assert len(results) == 200
    assert 0 < results[0] <= AHEAD * NUM_CPUS
