import pyarrow as pa
import pytest

from pipeline.shards.sample import Entry, Member, entries_of, index_table

ENTRIES = [
    Entry("a", (Member("jpg", 512, 10), Member("txt", 1536, 3))),
    Entry("b", (), "missing-image"),
    Entry("c", (Member("jpg", 2**40, 2**33),), "truncated-member"),
    Entry("d", tuple(Member(f"{n}.npy", n * 512, n) for n in range(5))),
]


@pytest.mark.parametrize("places", [[], [0], [1], [3, 0, 2, 1], [2, 2]])
def test_the_entries_of_any_rows_of_an_index_are_those_that_it_was_made_of(places):
    table = index_table(ENTRIES).take(pa.array(places, pa.int64()))

    assert entries_of(table) == [(place, ENTRIES[place]) for place in places]


def test_the_entries_of_parts_of_an_index_are_those_that_it_was_made_of():
    table = index_table(ENTRIES)
    parts = pa.concat_tables([table.slice(2), table.slice(1, 2), table.slice(0, 0)])

    assert entries_of(parts) == [(place, ENTRIES[place]) for place in (2, 3, 1, 2)]
