"""`dedup`: copies of pictures: of the same bytes, of the same look, of the same meaning.

Every distinct picture leaves a print: hash, pHash, a 256-bit sketch of its embedding, and how good
its best row is. Near prints are found by sorting, and confirmed by the cosine of the embeddings
themselves: a pHash says nothing of a product on a white ground. A copy is linked to the best row
that is near it, never through a third, so chains do not grow into groups. After SemDeDup (Abbas et
al. 2023, "SemDeDup: data-efficient learning at web-scale through semantic deduplication").
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from pipeline.cleaners.columns import hashes, keys, labels, score, score_schema, vectors
from pipeline.contract import Count, Rows
from pipeline.numeric.bottom import Bottom
from pipeline.numeric.groups import Groups, Limits, Near, near_prints
from pipeline.numeric.hamming import sketch
from pipeline.numeric.prints import Pile, Prints
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.schema import IMAGE, LABEL

Cosine = Annotated[float, Field(ge=-1.0, le=1.0)]
SINGLE, EXACT = 0, 1
CAPTION_BITS = 24
"""Bits of a rank that hold the length of the caption; those above hold the pixels."""


@dataclass(frozen=True)
class Known:
    """Every picture seen, and those that are not alone."""

    prints: Prints
    """Needed to recognise copies that come later: see `Dedup.merge`."""
    groups: Groups
    """Needed to score: pictures that have copies, or are some."""


@dataclass(frozen=True, kw_only=True)
class Dedup:
    """Finds copies of pictures, and of each group the row that may stand for it."""

    name: ClassVar[str] = "dedup"
    reads: ClassVar[tuple[str, ...]] = (
        *("uid", "image_hash", "phash", "shard", "row", "width", "height", "caption"),
        *(IMAGE, LABEL),
    )
    adds: ClassVar[pa.Schema] = score_schema(
        "dedup",
        ("copy", pa.float32(), "1 same bytes as a better row, .5 to .95 same look, below: meaning"),
        ("group", pa.uint64(), "first half of the uid that stands for the group; null if alone"),
        ("kind", pa.int8(), "0 best of its group or alone, 1 exact, 2 perceptual, 3 semantic copy"),
        ("conflict", pa.bool_(), "whether the labels of the group differ"),
    )

    distance: Annotated[int, Field(ge=0, le=64)] = 4
    """Bits of 64 in which the pHashes of perceptual copies differ at most."""
    floor: Cosine = 0.85
    """Least cosine of the embeddings of perceptual copies."""
    semantic: Cosine | None = 0.97
    """Least cosine of semantic copies; null = do not look for any."""
    bank_rows: Count = 200_000
    """Vectors held at once while near pairs are confirmed; more pairs take more passes."""

    @property
    def limits(self) -> Limits:
        """What counts as near."""
        return Limits(self.distance, self.floor, self.semantic)

    def fit(self, rows: Rows) -> Known:
        rows = rows.select(*self.reads)
        prints = rows.reduce(gather, Pile.merge).joined()
        near = near_prints(prints, self.limits, is_certain=False)
        cosine = self._confirm(rows, near)
        return Known(prints, Groups.of(prints, near.within(self.limits, cosine), self.limits))

    def _confirm(self, rows: Rows, near: Near) -> NDArray[np.float64]:
        """Return the `(p,)` cosines of near pairs, from the embeddings themselves."""
        cosine = np.full(len(near.better), -1.0)
        wanted = np.unique(near.better)
        for start in range(0, len(wanted), self.bank_rows):
            some = wanted[start : start + self.bank_rows]
            bank = rows.reduce(partial(_vectors_of, some), Bottom.merge).distinct()
            found = rows.reduce(partial(_cosines, near, bank), operator.add)
            for pair, value in found:
                np.maximum.at(cosine, pair, value)
        return cosine

    def merge(self, before: Known, tonight: Known) -> Known:
        """Return what both runs know: a picture of the earlier one is never called a copy.

        Pairs across the runs are told by their sketches alone: the earlier vectors are not kept.
        """
        prints = before.prints.earlier().merge(tonight.prints)
        near = near_prints(prints, self.limits, is_certain=True)
        return Known(prints, Groups.of(prints, near, self.limits))

    def score(self, state: Known, batch: pa.Table) -> pa.Table:
        groups, where = state.groups, state.groups.find(hashes(batch))
        known = where >= 0
        if not len(groups.hash):
            groups, where = Groups.placeholder(), np.zeros(len(batch), np.int64)
        best = (groups.key[where] == keys(batch)) & (groups.place[where] == places(batch))
        kind = np.where(known, np.where(best, groups.kind[where], EXACT), SINGLE)
        copy = np.where(known, np.where(best, groups.score[where], 1.0), 0.0)
        columns = [
            score(copy),
            pa.array(groups.group[where], mask=~known),
            pa.array(kind.astype(np.int8)),
            pa.array(groups.conflict[where] & known),
        ]
        return pa.table(columns, schema=self.adds)

    def dump(self, state: Known) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Known:
        return from_arrays(Known, arrays)


def gather(batch: pa.Table) -> Pile:
    """Return the prints of the pictures of a batch."""
    image, _ = vectors(batch, IMAGE)
    look = batch["phash"].fill_null(0).to_numpy().astype(np.uint64)
    order = ranks(batch), places(batch)
    prints = Prints.of(hashes(batch), keys(batch), order, look, sketch(image), labels(batch))
    return Pile((prints,))


def ranks(batch: pa.Table) -> NDArray[np.uint64]:
    """Return the `(n,)` ranks of the rows: more pixels first, then a longer caption."""
    side = [batch[name].fill_null(0).to_numpy().astype(np.uint64) for name in ("width", "height")]
    length = pc.utf8_length(batch["caption"]).fill_null(0).to_numpy().astype(np.uint64)
    short = np.minimum(length, np.uint64(2**CAPTION_BITS - 1))
    return (side[0] * side[1] << np.uint64(CAPTION_BITS)) | short


def places(batch: pa.Table) -> NDArray[np.uint32]:
    """Return `(n,)` hashes of where the rows lie: twins of one uid differ in it."""
    shard = batch["shard"].combine_chunks().dictionary_encode()
    names = shard.dictionary.to_pylist()
    base = [int.from_bytes(blake2b(n.encode(), digest_size=8).digest(), "little") for n in names]
    number = np.array(base, np.uint64)[shard.indices.to_numpy(zero_copy_only=False)]
    mixed = (number ^ batch["row"].to_numpy().astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(32)).astype(np.uint32)


def _vectors_of(wanted: NDArray[np.uint64], batch: pa.Table) -> Bottom:
    """Return the vectors of some pictures."""
    chosen = np.isin(hashes(batch), wanted)
    column = {"image": vectors(batch, IMAGE)[0][chosen].astype(np.float16)}
    name = hashes(batch)[chosen], keys(batch)[chosen]
    return Bottom.of(2**62, *name, column).distinct()


def _cosines(
    near: Near, bank: Bottom, batch: pa.Table
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return which near pairs have their worse picture in a batch, and their cosines."""
    image, hashed = vectors(batch, IMAGE)[0], hashes(batch)
    row, pair = near.of(hashed)
    place = np.minimum(np.searchsorted(bank.hash, near.better[pair]), max(len(bank.hash) - 1, 0))
    held = bank.hash[place] == near.better[pair] if len(bank.hash) else np.zeros(len(pair), bool)
    row, pair, place = row[held], pair[held], place[held]
    other = bank.column["image"][place].astype(np.float32)
    return [(pair, np.einsum("pd,pd->p", image[row], other).astype(np.float64))]
