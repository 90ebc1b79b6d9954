"""A hundred thousand objects are listed in pages, and no object is asked for by itself."""

import threading
import time
from bisect import bisect_left
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFile

from pipeline.shards.find import find_shards
from pipeline.store.workspace import Step
from tests.faults.flaky import s3_client
from tests.faults.soak import IS_SOAK

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

NUM_OBJECTS = 100_000 if IS_SOAK else 10_000
PAGE = 1000


class Shelf(BaseHTTPRequestHandler):
    """Answers the listing requests of S3 out of one sorted list of keys, fast at any length.

    The server of moto goes through all objects for every page.
    """

    protocol_version = "HTTP/1.1"
    keys: tuple[str, ...] = ()
    asked: Counter[str] = Counter()  # noqa: RUF012 (one of the class that a test makes)

    def do_HEAD(self):
        self.asked["HEAD"] += 1
        self.answer(200 if urlsplit(self.path).path.count("/") == 1 else 404, b"")

    def do_GET(self):
        self.asked["LIST"] += 1
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        first = query.get("continuation-token", prefix)
        entries, shared = [], []
        place = bisect_left(self.keys, first)
        while len(entries) + len(shared) < int(query.get("max-keys", PAGE)):
            if place == len(self.keys) or not self.keys[place].startswith(prefix):
                break
            stem, is_folder, _ = self.keys[place][len(prefix) :].partition(delimiter or "\0")
            if is_folder:
                shared.append(f"{prefix}{stem}{delimiter}")
                place = bisect_left(self.keys, f"{prefix}{stem}{chr(ord(delimiter) + 1)}")
            else:
                entries.append(self.keys[place])
                place += 1
        is_more = place < len(self.keys) and self.keys[place].startswith(prefix)
        self.answer(200, page(entries, shared, self.keys[place] if is_more else None))

    def answer(self, status, body):
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def page(entries, shared, more):
    contents = "".join(
        f"<Contents><Key>{key}</Key><ETag>&quot;e&quot;</ETag><Size>7</Size></Contents>"
        for key in entries
    )
    prefixes = "".join(f"<CommonPrefixes><Prefix>{p}</Prefix></CommonPrefixes>" for p in shared)
    token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    return (
        f"<ListBucketResult><IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}"
        f"<KeyCount>{len(entries) + len(shared)}</KeyCount>{contents}{prefixes}</ListBucketResult>"
    ).encode()


def names(num_objects):
    tars = [f"night/{number:06d}.tar" for number in range(num_objects)]
    return [*tars, *(f"steps/embed-x/{number:06d}.parquet" for number in range(num_objects))]


@pytest.fixture
def shelf():
    """A bucket behind a counting server: its address and the requests so far."""
    counts = Counter()
    kind = type("Filled", (Shelf,), {"keys": tuple(names(NUM_OBJECTS)), "asked": counts})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    with s3_client(f"http://127.0.0.1:{server.server_port}"):
        yield "s3://shelf", counts
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def memory_base():
    fs = fsspec.filesystem("memory")
    for name in names(NUM_OBJECTS):
        fs.store[f"/shelf/{name}"] = MemoryFile(fs, f"/shelf/{name}", b"content")
    yield "memory://shelf"
    fs.store.clear()


@pytest.fixture
def disk_base(tmp_path):
    for folder in ("night", "steps/embed-x"):
        (tmp_path / folder).mkdir(parents=True)
    for name in names(NUM_OBJECTS):
        (tmp_path / name).touch()
    return str(tmp_path)


def listed(base):
    """Return what every way to list finds, and the seconds of each."""
    ways = {
        "folder": lambda: find_shards(f"{base}/night"),
        "glob": lambda: find_shards(f"{base}/night/*.tar"),
        "braces": lambda: find_shards(f"{base}/night/{{000000..{2 * NUM_OBJECTS - 1:06d}}}.tar"),
        "done": lambda: Step(f"{base}/steps/embed-x", "x").done(),
    }
    found, seconds = {}, {}
    for way, look in ways.items():
        started = time.perf_counter()
        found[way] = look()
        seconds[way] = round(time.perf_counter() - started, 2)
    return found, seconds


@pytest.mark.parametrize("store", ["memory", "disk"])
def test_a_long_folder_is_listed_whole_whatever_names_it(store, request):
    found, seconds = listed(request.getfixturevalue(f"{store}_base"))

    assert found["folder"] == found["glob"] == found["braces"]
    assert len(found["folder"]) == len(found["done"]) == NUM_OBJECTS
    print(f"{store}: {NUM_OBJECTS} files, seconds {seconds}")  # noqa: T201


def test_a_long_prefix_on_s3_costs_a_request_for_each_page_and_none_for_an_object(shelf):
    base, asked = shelf

    found, seconds = listed(base)

    assert found["folder"] == found["glob"] == found["braces"]
    assert len(found["folder"]) == len(found["done"]) == NUM_OBJECTS
    assert asked["LIST"] <= 4 * NUM_OBJECTS // PAGE + 10
    assert asked["HEAD"] <= 12
    print(f"s3: {NUM_OBJECTS} objects, seconds {seconds}, requests {dict(asked)}")  # noqa: T201
