"""A real S3 server, and a proxy before it that answers a share of all requests with a fault.

    with s3_server() as upstream, FlakyProxy(upstream, rate=0.05, seed=1) as proxy:
        with s3_client(proxy.url): ...

The fate of a request is a function of the seed, of what is asked, and of how often it was asked
before: two runs over one seed meet the same faults, whatever order their requests come in.
"""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

FAULTS = ("internal-error", "slow-down", "refused", "cut-body", "lost-answer")
"""500, 503, a reset before the request is read, one amid the answer, one after it is done."""
ERRORS = {"internal-error": (500, "InternalError"), "slow-down": (503, "SlowDown")}
SECRET = "hunter2-and-no-other"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "expect"}


class FlakyProxy:
    """A threaded HTTP/1.1 proxy before one server; `with` starts and stops it."""

    def __init__(
        self, upstream: str, *, rate: float, seed: int = 0, faults: Sequence[str] = FAULTS
    ) -> None:
        self.upstream = urlsplit(upstream)
        self.rate = rate
        self.seed = seed
        self.faults = faults
        self.injected: Counter[str] = Counter()
        """How often each fault was injected."""
        self.num_requests = 0
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Bound", (Relay,), {"proxy": self})
        )
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FlakyProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fate(self, request: str) -> str | None:
        """Return the fault of the next answer to `request`, None if it goes through."""
        with self._lock:
            self.num_requests += 1
            self._asked[request] += 1
            told = f"{self.seed}\0{request}\0{self._asked[request]}".encode()
            number = int.from_bytes(blake2b(told, digest_size=8).digest(), "big")
            if number / 2**64 >= self.rate:
                return None
            fault = self.faults[number % len(self.faults)]
            self.injected[fault] += 1
            return fault


class Relay(BaseHTTPRequestHandler):
    """One connection of a client, relayed request by request."""

    proxy: FlakyProxy
    protocol_version = "HTTP/1.1"

    def relay(self) -> None:
        fault = self.proxy.fate(f"{self.command} {self.path} {self.headers.get('Range', '')}")
        if fault == "refused":
            self.reset()
            return
        body = self.body()
        if fault in ERRORS:
            self.fail(*ERRORS[fault])
            return
        with self.ask(body) as answer:
            content = answer.read()
            if fault == "lost-answer":
                self.reset()
            else:
                self.hand_on(answer, content, is_cut=fault == "cut-body")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = relay  # noqa: N815

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    @contextmanager
    def ask(self, body: bytes) -> Iterator[HTTPResponse]:
        upstream = self.proxy.upstream
        connection = HTTPConnection(upstream.hostname, upstream.port, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        try:
            connection.request(self.command, self.path, body or None, headers)
            yield connection.getresponse()
        finally:
            connection.close()

    def fail(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>try again</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def hand_on(self, answer: HTTPResponse, content: bytes, *, is_cut: bool) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        told = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", told or "0")
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if is_cut else content)
        if is_cut:
            self.wfile.flush()
            self.reset()

    def reset(self) -> None:
        """Close so that the client sees `connection reset by peer`."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(OSError):
            self.connection.close()

    def handle(self) -> None:
        with suppress(OSError, ValueError):  # the client has gone, or we have hung up
            super().handle()

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def s3_server() -> Iterator[str]:
    """Start an empty S3 server over HTTP and yield its address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def s3_client(url: str) -> Iterator[None]:
    """Let every S3 client of this process, and of those that it starts, talk to `url`."""
    import s3fs

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        try:
            yield
        finally:
            s3fs.S3FileSystem.clear_instance_cache()


def make_bucket(name: str, files: dict[str, bytes]) -> None:
    """Create a bucket with some objects."""
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket=name)
    for key, data in files.items():
        client.put_object(Bucket=name, Key=key, Body=data)


def bucket_files(name: str, prefix: str = "") -> dict[str, bytes]:
    """Return the bytes of every object below a prefix, by key."""
    import boto3

    client = boto3.client("s3")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {key: client.get_object(Bucket=name, Key=key)["Body"].read() for key in keys}
