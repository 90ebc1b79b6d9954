"""The tar of an output shard, made of samples that come in any order, in bounded memory."""

import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final

import numpy as np

from pipeline.shards.location import shard_errors

MEMORY_BYTES: Final = 64 * 2**20
"""Of a shard, what is held in memory: a larger one lies in the temporary folder meanwhile."""

Named = tuple[str, bytes]
"""A member of the tar: its name and its content."""


class Spool:
    """Takes samples as their sources hand them out, and gives them back in output order.

    A sample is stored as the blocks that it takes in the tar, so that the tar is their
    concatenation. To iterate yields the tar, every time from its beginning.

    Parameters
    ----------
    num_samples
        Samples of the shard.
    """

    def __init__(self, num_samples: int) -> None:
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 (see __exit__)
        self._start = np.zeros(num_samples, np.int64)
        self._size = np.zeros(num_samples, np.int64)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, place: int, members: Iterable[Named]) -> None:
        """Store the sample that stands at a place of the output shard, once for each place."""
        if self._size[place]:
            raise ValueError(f"place {place} of the shard must be given once, got it twice")
        blocks = b"".join(_blocks(members))
        with shard_errors(tempfile.gettempdir(), "spool a shard into this folder"):
            self._start[place], self._size[place] = self._file.tell(), len(blocks)
            self._file.write(blocks)

    def __iter__(self) -> Iterator[bytes]:
        with shard_errors(tempfile.gettempdir(), "read a shard back from this folder"):
            for start, size in zip(self._start.tolist(), self._size.tolist(), strict=True):
                self._file.seek(start)
                yield self._file.read(size)
            size = int(self._size.sum())
        end = 2 * tarfile.BLOCKSIZE
        yield bytes(end + -(size + end) % tarfile.RECORDSIZE)

    @property
    def num_missing(self) -> int:
        """Places that have no sample yet."""
        return int((self._size == 0).sum())

    def digest(self) -> tuple[int, str]:
        """Return the bytes of the tar, and the hash of them in hex."""
        digest, size = blake2b(digest_size=16), 0
        for part in self:
            digest.update(part)
            size += len(part)
        return size, digest.hexdigest()


def _blocks(members: Iterable[Named]) -> Iterator[bytes]:
    """Yield the blocks of members, as `tarfile` writes them."""
    for name, data in members:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        yield info.tobuf(tarfile.PAX_FORMAT)
        yield data
        yield bytes(-len(data) % tarfile.BLOCKSIZE)
