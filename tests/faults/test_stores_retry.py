"""Errors that pass by themselves are tried again, a bounded number of times; others are not."""

import errno
import time

import pytest
from tenacity import wait_none

from pipeline.errors import ShardError
from pipeline.shards import files, listing, retry
from tests.faults.flaky import (
    FAULTS,
    SECRET,
    FlakyProxy,
    bucket_files,
    make_bucket,
    s3_client,
    s3_server,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def upstream():
    with s3_server() as url, s3_client(url):
        make_bucket("store", {f"many/{n:03d}": b"%03d" % n * 100 for n in range(40)})
        make_bucket("empty", {})
        yield url


@pytest.fixture
def at_once(monkeypatch):
    """No waiting between attempts, one request in each."""
    monkeypatch.setattr(retry, "WAIT", wait_none())
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def verbs(folder):
    """Return what every verb of the module answers."""
    files.write(f"{folder}/new", b"whole")
    files.remove(f"{folder}/gone")
    with files.open_read("s3://store/many/007") as source:
        source.seek(150)
        opened = source.read(3), source.read()
    return {
        "read_bytes": files.read_bytes("s3://store/many/003"),
        "read_ranges": files.read_ranges("s3://store/many/004", [(n, n + 3) for n in range(30)]),
        "read_many": files.read_many([f"s3://store/many/{n:03d}" for n in range(50)]),
        "open_read": opened,
        "stat": files.stat("s3://store/many/005"),
        "exists": [files.exists(f"s3://store/{n}") for n in ("many", "many/001", "absent")],
        "is_folder": [listing.is_folder(f"s3://store/{n}") for n in ("many", "many/001")],
        "list_files": files.list_files("s3://store/many"),
        "list_folder": listing.list_folder("s3://store/many"),
        "glob": list(listing.glob("s3://store/many/*3")),
        "create": [files.create(f"{folder}/lease", b"a"), files.create(f"{folder}/lease", b"b")],
        "written": files.read_bytes(f"{folder}/new"),
    }


def test_every_verb_gets_its_answer_from_a_store_that_often_fails(upstream, at_once):
    expected = verbs("s3://store/sound")

    with FlakyProxy(upstream, rate=0.25) as proxy, s3_client(proxy.url):
        found = verbs("s3://store/flaky")

    assert found == expected
    assert set(proxy.injected) == set(FAULTS)


def test_a_created_file_is_ours_even_where_the_answer_was_lost(upstream, at_once):
    with FlakyProxy(upstream, rate=0.5, faults=["lost-answer"]) as proxy, s3_client(proxy.url):
        won = [files.create(f"s3://store/leases/{n}", b"mine") for n in range(12)]
        lost = [files.create(f"s3://store/leases/{n}", b"yours") for n in range(12)]

    with s3_client(upstream):
        leases = bucket_files("store", "leases/")
    assert (won, lost) == ([True] * 12, [False] * 12)
    assert set(leases.values()) == {b"mine"}
    assert proxy.injected["lost-answer"] > 5


def test_a_client_that_repeats_by_itself_is_not_taken_for_somebody_else(upstream):
    with FlakyProxy(upstream, rate=0.4, faults=["lost-answer"]) as proxy, s3_client(proxy.url):
        won = [files.create(f"s3://store/again/{n}", b"mine") for n in range(4)]

    assert won == [True] * 4
    assert proxy.injected["lost-answer"] > 0


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("slow-down", "SlowDown"),
        ("internal-error", "InternalError"),
        ("cut-body", "ClientPayloadError"),
        ("refused", "EndpointConnectionError"),
    ],
)
def test_after_the_last_attempt_the_error_names_place_answer_and_remedy(
    fault, answer, upstream, at_once
):
    started = time.monotonic()
    with FlakyProxy(upstream, rate=1, faults=[fault]) as proxy, s3_client(proxy.url):
        with pytest.raises(ShardError) as caught:
            files.read_ranges("s3://store/many/001", [(0, 9)])
        num_requests = proxy.num_requests

    message = str(caught.value)
    assert message.startswith("s3://store/many/001: cannot read it: the store answered ")
    assert f"answered {answer} 6 times; once the store is well" in message
    assert message.endswith("it goes on from where it stopped")
    assert SECRET not in message
    assert num_requests <= 2 * retry.ATTEMPTS
    assert time.monotonic() - started < 30


def test_what_does_not_pass_by_itself_is_asked_once(upstream, at_once):
    with FlakyProxy(upstream, rate=0) as proxy, s3_client(proxy.url):
        with pytest.raises(ShardError, match="cannot read it: FileNotFoundError"):
            files.read_ranges("s3://store/absent", [(0, 9)])

        assert proxy.num_requests == 1


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("x"),
        PermissionError("x"),
        ImportError("x"),
        ValueError("x"),
        OSError(errno.ENOSPC, "x"),
        ShardError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_that_stay_are_no_reason_to_try_again(error):
    assert not retry.is_transient(error)


def test_a_failed_request_behind_an_absent_file_is_a_reason_to_try_again():
    hidden = FileNotFoundError("x")
    hidden.__cause__ = TimeoutError()

    assert retry.is_transient(hidden)
