"""A whole run over an S3 server that fails at every turn, against an undisturbed one."""

import pytest

from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.recipe import parse_recipe
from tests.conftest import published, untracked, write_crawl
from tests.faults.flaky import (
    FAULTS,
    SECRET,
    FlakyProxy,
    bucket_files,
    make_bucket,
    s3_client,
    s3_server,
)
from tests.faults.soak import IS_SOAK

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

SEEDS = range(10) if IS_SOAK else range(1)
NUM_SHARDS, NUM_ROWS, FRAGMENT_ROWS = (8, 60, 20) if IS_SOAK else (3, 20, 10)
RATE = 0.05


@pytest.fixture(scope="module")
def upstream():
    with s3_server() as url:
        yield url


@pytest.fixture(scope="module")
def recipe_of_crawl(upstream, tmp_path_factory, raw_recipe):
    """A recipe with states over a crawl that lies on S3."""
    crawl = write_crawl(tmp_path_factory.mktemp("source"), NUM_SHARDS, NUM_ROWS)
    with s3_client(upstream):
        tars = {f"night/{p.name}": p.read_bytes() for p in sorted(crawl.folder.iterdir())}
        make_bucket("crawl", tars)
        make_bucket("work", {})
    raw = raw_recipe(
        source={"path": "s3://crawl/night", "fragment_rows": FRAGMENT_ROWS},
        classes=str(crawl.classes),
        cleaners=["dedup", "match"],
    )
    return parse_recipe(raw)


@pytest.fixture(scope="module")
def undisturbed(upstream, recipe_of_crawl, tmp_path_factory):
    """Steps, states and output of a run on a local disk whose source answers every request."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with s3_client(upstream):
        curate(
            recipe_of_crawl,
            str(folder / "workspace"),
            str(folder / "output"),
            LocalEngine(),
            untracked,
        )
    return published(folder)


def kept(found):
    """Return the files that no two runs may write in two ways."""
    parts = ("output/", "workspace/catalog/", "workspace/steps/", "workspace/states/")
    timely = ("report.html", "/_lease/")
    return {
        name: data
        for name, data in found.items()
        if name.startswith(parts) and not any(sign in name for sign in timely)
    }


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_over_a_flaky_store_writes_the_bytes_of_an_undisturbed_one(
    seed, upstream, recipe_of_crawl, undisturbed
):
    base = f"s3://work/{seed}"

    with FlakyProxy(upstream, rate=RATE, seed=seed) as proxy, s3_client(proxy.url):
        curate(recipe_of_crawl, f"{base}/workspace", f"{base}/output", LocalEngine(), untracked)
    with s3_client(upstream):
        found = bucket_files("work", f"{seed}/")

    written = {name.partition("/")[2]: data for name, data in found.items()}
    assert kept(written).keys() == kept(undisturbed).keys()
    assert kept(written) == kept(undisturbed)
    assert any(name.startswith("workspace/states/") for name in written)
    assert sum(proxy.injected.values()) > 0.02 * proxy.num_requests
    assert len(proxy.injected) >= len(FAULTS) - 1
    assert not [name for name, data in found.items() if SECRET.encode() in data]
    print(f"seed {seed}: {proxy.num_requests} requests, {dict(proxy.injected)}")  # noqa: T201
