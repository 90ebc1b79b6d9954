import os
import time
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.errors import CurationError, FitError, RecipeError, SchemaError, ShardError

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


def test_each_item_is_done_once_with_its_index(engine):
    items = [f"item {number}" for number in range(25)]

    found = dict(engine.each(lambda item: item.upper(), items))

    assert found == {number: item.upper() for number, item in enumerate(items)}
    assert list(engine.each(len, [])) == []


def test_each_result_comes_out_once(engine):
    found = sorted(engine.each(lambda n: n * n, list(range(25))))

    assert found == [(n, n * n) for n in range(25)]


def test_few_items_are_in_flight_at_a_time(engine, tmp_path):
    folder = str(tmp_path)

    def touch(number):
        (Path(folder) / str(number)).touch()

    results = engine.each(touch, list(range(60)))
    next(results)
    time.sleep(1.5)
    started = len(list(tmp_path.iterdir()))
    list(results)

    assert started <= 2 * NUM_CPUS + 1
    assert len(list(tmp_path.iterdir())) == 60


def test_a_pipe_prepares_then_stages_every_item_once(engine):
    items = list(range(23))

    found = sorted(engine.pipe(lambda n: n + 1, lambda: lambda n: f"<{n}>", items))

    assert found == [(n, f"<{n + 1}>") for n in items]
    assert list(engine.pipe(len, lambda: len, [])) == []


def test_one_item_goes_through_a_pipe(engine):
    assert list(engine.pipe(str, lambda: lambda text: [text], [7])) == [(0, ["7"])]


def test_an_actor_is_started_only_where_it_is_used_again(engine):
    def make_stage():
        import ray

        return lambda _item: ray.get_runtime_context().get_actor_id()

    assert list(engine.pipe(str, make_stage, [7])) == [(0, None)]
    assert None not in dict(engine.pipe(str, make_stage, [7, 8])).values()


def test_a_stage_is_made_once_per_worker(engine, tmp_path):
    folder = str(tmp_path)

    def make_stage():
        (Path(folder) / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        return lambda _item: os.getpid()

    found = {value for _, value in engine.pipe(lambda n: n, make_stage, list(range(20)))}
    made = [path.name.split("-")[0] for path in tmp_path.iterdir()]

    assert len(made) == len(set(made))
    assert found <= set(map(int, made))


@pytest.mark.parametrize("kind", [ShardError, RecipeError, SchemaError, FitError, CurationError])
def test_an_error_of_ours_keeps_its_type_and_words(engine, kind):
    def fail(item):
        raise kind(f"{item} is wrong; do this")

    def fail_to_make():
        raise kind("the encoder is wrong; do this")

    with pytest.raises(kind, match=r"a\.tar is wrong; do this") as caught:
        list(engine.each(fail, ["a.tar"]))
    assert type(caught.value) is kind
    with pytest.raises(kind, match=r"a\.tar is wrong; do this") as caught:
        list(engine.pipe(fail, lambda: len, ["a.tar"]))
    assert type(caught.value) is kind
    with pytest.raises(kind, match=r"a\.tar is wrong; do this") as caught:
        list(engine.pipe(str, lambda: fail, ["a.tar"]))
    assert type(caught.value) is kind


@pytest.mark.parametrize("kind", [ShardError, RecipeError])
def test_an_error_while_a_stage_is_made_keeps_its_type(engine, kind):
    def make_stage():
        raise kind("the encoder is wrong; do this")

    with pytest.raises(kind, match="the encoder is wrong; do this"):
        list(engine.pipe(str, make_stage, [1, 2]))


def test_a_programming_error_stops_the_run(engine):
    with pytest.raises(Exception, match="can only concatenate str") as caught:
        list(engine.each(lambda item: item + 1, ["a"]))

    assert not isinstance(caught.value, errors.CurationError)


def test_a_worker_that_dies_is_replaced(engine, tmp_path):
    flag = str(tmp_path / "died")

    def die_once(number):
        if number == 3 and not os.path.exists(flag):
            Path(flag).touch()
            os._exit(1)
        return number * number

    found = dict(engine.each(die_once, list(range(8))))

    assert found == {n: n * n for n in range(8)}
    assert (tmp_path / "died").exists()


@pytest.mark.parametrize("numbers", [[3], list(range(8))], ids=["one", "many"])
def test_a_reader_or_an_encoder_that_dies_is_replaced(engine, tmp_path, numbers):
    flags = [str(tmp_path / "prepare"), str(tmp_path / "stage")]

    def die_once(number, flag):
        if number == 3 and not os.path.exists(flag):
            Path(flag).touch()
            os._exit(1)
        return number

    def prepare(number):
        return die_once(number, flags[0])

    def make_stage():
        return lambda number: die_once(number, flags[1]) * 10

    found = dict(engine.pipe(prepare, make_stage, numbers))

    assert found == dict(enumerate(n * 10 for n in numbers))
    assert len(list(tmp_path.iterdir())) == 2


def test_large_results_pass_unharmed(engine):
    import numpy as np

    found = dict(engine.pipe(lambda n: np.full(500_000, n), lambda: lambda a: a + 1, [1, 2, 3]))

    assert {n: (len(a), int(a[-1])) for n, a in found.items()} == {
        n: (500_000, n + 2) for n in range(3)
    }


def test_a_whole_run_gives_the_bytes_of_a_local_run(
    engine, tmp_path, recipe, track, published_bytes, curated
):
    from pipeline.curate import curate

    workspace, output = tmp_path / "workspace", tmp_path / "output"

    outcome = curate(recipe, str(workspace), str(output), engine, track)

    assert published_bytes(output) == published_bytes(curated.output)
    assert outcome.summary.actions == curated.outcome.summary.actions


def test_a_run_that_was_started_locally_is_continued_on_a_cluster(
    engine, tmp_path, recipe, track, published_bytes, curated
):
    import shutil

    from pipeline.curate import curate

    workspace, output = tmp_path / "workspace", tmp_path / "output"
    shutil.copytree(curated.workspace, workspace)
    lost = sorted((workspace / "steps").rglob("*.parquet"))[::3]
    for path in lost:
        path.unlink()

    curate(recipe, str(workspace), str(output), engine, track)

    assert published_bytes(output) == published_bytes(curated.output)
    assert all(path.exists() for path in lost)


@pytest.mark.timeout(120)
def test_one_processor_is_enough():
    import ray

    from pipeline.engine.ray import RayEngine

    ray.shutdown()
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        engine = RayEngine()
        piped = sorted(engine.pipe(lambda n: n + 1, lambda: lambda n: n * 2, [1, 2, 3]))
        done = sorted(engine.each(lambda n: n + 1, [1, 2, 3]))
    finally:
        ray.shutdown()

    assert piped == [(0, 4), (1, 6), (2, 8)]
    assert done == [(0, 2), (1, 3), (2, 4)]


def test_a_cluster_of_three_nodes_gives_the_same_bytes(
    tmp_path, recipe, track, published_bytes, curated
):
    import ray
    from ray.cluster_utils import Cluster

    from pipeline.curate import curate
    from pipeline.engine.ray import RayEngine
    from pipeline.engine.ray_stream import pool_size

    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    for _ in range(2):
        cluster.add_node(num_cpus=2)
    try:
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, log_to_driver=False)
        sizes = [pool_size(num_items) for num_items in (1, 3, 100)]
        workspace, output = tmp_path / "workspace", tmp_path / "output"
        curate(recipe, str(workspace), str(output), RayEngine(), track)
    finally:
        ray.shutdown()
        cluster.shutdown()

    assert sizes == [(1, 0), (3, 0), (3, 0)]
    assert published_bytes(output) == published_bytes(curated.output)
