"""Shards behind a plain web server that serves ranges."""

import threading
from collections import Counter
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tenacity import wait_none

from pipeline.errors import RecipeError, ShardError
from pipeline.shards import retry
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read

pytestmark = pytest.mark.slow


class Ranges(SimpleHTTPRequestHandler):
    def __init__(self, *args, content, busy, **kwargs):
        self.content = content
        self.busy = busy
        super().__init__(*args, **kwargs)

    def do_HEAD(self):
        self.answer(is_head=True)

    def do_GET(self):
        self.answer(is_head=False)

    def answer(self, *, is_head):
        if self.busy[self.path]:
            self.busy[self.path] -= 1
            self.send_error(503)
            return
        data = self.content.get(self.path)
        if data is None:
            self.send_error(404 if self.path.endswith(".tar") else 403)
            return
        span = self.headers.get("Range")
        start, stop = 0, len(data)
        if span:
            first, _, last = span.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last or len(data)) + 1, len(data))
        self.send_response(206 if span else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("ETag", '"v1"')
        if span:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.end_headers()
        if not is_head:
            self.wfile.write(data[start:stop])

    def log_message(self, *args):
        pass


@pytest.fixture
def busy():
    """How often each address is still to be answered with 503."""
    return Counter()


@pytest.fixture
def site(make_tar, make_members, busy):
    content = {"/set/00000.tar": make_tar(make_members(3))}
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *args: Ranges(*args, content=content, busy=busy)
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/set"
    server.shutdown()
    thread.join()
    server.server_close()


def test_shards_of_a_site_that_forbids_listing_are_found_and_read(site, picture):
    shards = find_shards(f"{site}/{{00000..00001}}.tar")
    samples = [sample for shard in shards for sample in read(shard, index(shard).table)]

    assert [shard.uri for shard in shards] == [f"{site}/00000.tar"]
    assert [s.image for s in samples] == [picture(n) for n in range(3)]
    assert {s.fault for s in samples} == {None}
    with pytest.raises(RecipeError, match="got none"):
        find_shards(f"{site}/00009.tar")


def test_a_busy_site_is_asked_again_and_its_shard_not_taken_for_absent(site, busy, picture):
    for _ in range(2):
        busy["/set/00000.tar"] = 3
        shards = find_shards(f"{site}/{{00000..00001}}.tar")

        assert [shard.uri for shard in shards] == [f"{site}/00000.tar"]
    busy["/set/00000.tar"] = 2
    found = [sample.image for sample in read(shards[0], index(shards[0]).table)]

    assert found == [picture(n) for n in range(3)]


def test_a_site_that_stays_busy_is_an_error_and_not_an_empty_corpus(site, busy, monkeypatch):
    monkeypatch.setattr(retry, "WAIT", wait_none())
    busy["/set/00000.tar"] = 1000

    with pytest.raises(ShardError, match="the store answered HTTP 503 6 times"):
        find_shards(f"{site}/00000.tar")
