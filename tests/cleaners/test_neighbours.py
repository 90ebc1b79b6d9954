import numpy as np
import pyarrow as pa

from pipeline.cleaners.columns import hashes, keys, labels, lists, vectors
from pipeline.cleaners.neighbours import SIZE, Neighbours
from pipeline.schema import IMAGE
from tests.corpora import plant


def near(table, corpus, **options):
    cleaner = Neighbours(**options)
    rows = type(corpus)(table, corpus.classes, corpus.fault, corpus.true).rows()
    return cleaner.score(cleaner.fit(rows), table)


def test_neighbours_are_those_of_brute_force():
    corpus = plant(300, 5, 16)
    added = near(corpus.table, corpus)
    image = vectors(corpus.table, IMAGE)[0]
    cosine = image @ image.T
    np.fill_diagonal(cosine, -np.inf)
    best = np.argsort(-cosine, axis=1)[:, :SIZE]

    found = lists(added, "neighbours.key")
    assert np.mean(found == keys(corpus.table)[best]) > 0.999
    assert np.mean(lists(added, "neighbours.given") == labels(corpus.table)[best]) > 0.999
    nearest = np.take_along_axis(cosine, best, axis=1)
    np.testing.assert_allclose(lists(added, "neighbours.similarity"), nearest, atol=1e-5)
    rare = added["neighbours.rare"].to_numpy()
    np.testing.assert_allclose(rare, (1 - nearest).mean(axis=1) / 2, atol=1e-5)


def test_copies_of_a_picture_are_not_its_neighbours_and_count_once():
    corpus = plant(60, 3, 16)
    table = corpus.table
    copies = pa.concat_tables([table, table, table])
    uid = pa.array([i.to_bytes(16, "little") for i in range(180)], pa.binary(16))
    copies = copies.set_column(0, "uid", uid)
    cleaner = Neighbours()
    rows = type(corpus)(copies, corpus.classes, corpus.fault, corpus.true).rows()
    found = lists(cleaner.score(cleaner.fit(rows), copies), "neighbours.key")

    own = hashes(copies)[found.astype(np.int64)]
    assert (own != hashes(copies)[:, None]).all()
    assert all(len(set(row)) == SIZE for row in own.tolist())


def test_a_corpus_smaller_than_the_list_is_padded():
    corpus = plant(5, 2, 16, flip=0.0, swap=0.0, empty=0.0, foreign=0.0)
    added = near(corpus.table, corpus)

    assert (lists(added, "neighbours.similarity")[:, 4:] == -1).all()
    assert (lists(added, "neighbours.given")[:, 4:] == -1).all()


def test_a_bounded_bank_does_not_depend_on_fragments():
    corpus = plant(400, 4, 16)
    cleaner = Neighbours(bank_rows=50)
    one, other = (cleaner.fit(corpus.rows(num)) for num in (1, 9))

    assert len(one.hash) == 50
    np.testing.assert_array_equal(one.hash, other.hash)
    np.testing.assert_array_equal(one.index, other.index)
