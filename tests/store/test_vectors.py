import pickle

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.errors import RecipeError, SchemaError
from pipeline.plan import plan
from pipeline.progress import log
from pipeline.recipe import parse_recipe
from pipeline.schema import IMAGE, TEXT
from pipeline.shards.find import Shard
from pipeline.store.catalog import Catalog, Fragment
from pipeline.store.vectors import VectorSpec, aligned, column_of
from pipeline.store.workspace import from_parquet

ROWS, DIMS = 30, 8


@pytest.fixture
def corpus(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.standard_normal((ROWS, DIMS)).astype(np.float32)
    text = rng.standard_normal((ROWS, DIMS)).astype(np.float32)
    keys = [f"k{i}" for i in range(ROWS)]
    table = {"key": keys, "caption": ["words"] * ROWS, "label": ["cat", "dog"] * (ROWS // 2)}
    table["img"] = pa.array(image.tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.table(table), tmp_path / "rows.parquet")
    np.save(tmp_path / "image.npy", image)
    np.savez(tmp_path / "both.npz", b32_img=image, b32_txt=text)
    np.save(tmp_path / "classes.npy", np.eye(2, DIMS, dtype=np.float32) * 3)
    (tmp_path / "classes.csv").write_text("name\ncat\ndog\n")
    return tmp_path


def run(corpus, **vectors):
    recipe = parse_recipe(
        {
            "source": {"path": str(corpus / "rows.parquet"), "fragment_rows": 7},
            "classes": str(corpus / "classes.csv"),
            "vectors": {"classes": str(corpus / "classes.npy"), **vectors},
            "cleaners": [],
            "policy": {"name": "none", "rules": []},
        }
    )
    curate(recipe, str(corpus / "w"), str(corpus / "o"), LocalEngine(), log)
    (step,) = (corpus / "w" / "steps").glob("embed-*")
    tables = sorted(
        (from_parquet(str(f)) for f in step.iterdir()), key=lambda t: t["row"][0].as_py()
    )
    return pa.concat_tables(tables)


def stored(table, column):
    return np.array(table[column].to_pylist(), np.float32)


@pytest.mark.parametrize("where", ["column:img", "{}/image.npy", "{}/both.npz#b32_img"])
def test_vectors_are_taken_from_every_place_in_row_order(corpus, where):
    given = np.load(corpus / "image.npy")

    table = run(corpus, image=where.format(corpus))

    unit = given / np.linalg.norm(given, axis=1, keepdims=True)
    np.testing.assert_allclose(stored(table, IMAGE), unit, atol=1e-3)
    assert table[TEXT].to_pylist() == [None] * ROWS


def test_a_vector_that_is_no_direction_is_quarantined(corpus):
    image = np.load(corpus / "image.npy")
    image[3], image[5] = 0.0, np.nan
    np.save(corpus / "image.npy", image)

    table = run(corpus, image=f"{corpus}/image.npy", text=f"{corpus}/both.npz#b32_txt")

    faults = table["fault"].to_pylist()
    assert [i for i, fault in enumerate(faults) if fault == "bad-vector"] == [3, 5]
    ledger = ds.dataset(corpus / "o" / "ledger").to_table()
    assert ledger["action"].to_pylist().count("quarantine") == 2


def test_too_few_vectors_are_refused(corpus):
    np.save(corpus / "image.npy", np.ones((ROWS - 1, DIMS), np.float32))

    with pytest.raises(SchemaError, match=f"{ROWS - 1} vectors"):
        run(corpus, image=f"{corpus}/image.npy")


def test_a_pickle_is_never_loaded(corpus):
    np.save(corpus / "image.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)

    with pytest.raises(SchemaError, match="holds no array"):
        run(corpus, image=f"{corpus}/image.npy")


def test_a_pattern_without_files_is_refused(corpus):
    with pytest.raises(RecipeError, match="matches no file"):
        run(corpus, image=f"{corpus}/nothing*.npy")


def write_rows(corpus, column):
    table = pq.read_table(corpus / "rows.parquet").drop_columns(["img"])
    pq.write_table(table.append_column("img", column), corpus / "rows.parquet")


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float16(), DIMS)],
    ids=str,
)
def test_a_column_may_hold_any_lists_of_numbers(corpus, kind):
    given = np.load(corpus / "image.npy").astype(np.float16)
    write_rows(corpus, pa.array(list(given.astype(kind.value_type.to_pandas_dtype())), kind))

    table = run(corpus, image="column:img")

    given = given.astype(np.float32)
    unit = given / np.linalg.norm(given, axis=1, keepdims=True)
    np.testing.assert_allclose(stored(table, IMAGE), unit, atol=1e-3)


def test_a_row_without_a_vector_of_the_right_length_is_quarantined(corpus):
    rows = np.load(corpus / "image.npy").tolist()
    rows[2], rows[9], rows[20] = None, rows[9][:3], [None, *rows[20][1:]]
    write_rows(corpus, pa.array(rows, pa.list_(pa.float32())))

    table = run(corpus, image="column:img")

    faults = table["fault"].to_pylist()
    assert [i for i, fault in enumerate(faults) if fault == "bad-vector"] == [2, 9, 20]


@pytest.mark.parametrize("where", ["column:img", "{}/image.npy", "{}/both.npz#b32_img"])
def test_vectors_of_another_length_than_the_classes_are_refused(corpus, where):
    np.save(corpus / "classes.npy", np.eye(2, DIMS - 1, dtype=np.float32))

    with pytest.raises(SchemaError, match=f"has vectors of {DIMS} numbers, .* have {DIMS - 1}"):
        run(corpus, image=where.format(corpus))


def test_a_shard_that_has_become_shorter_is_refused(corpus):
    with pytest.raises(SchemaError, match=rf"must have {ROWS + 1} rows, got {ROWS}"):
        column_of(f"{corpus}/rows.parquet", "img", 0, ROWS + 1)


def test_a_column_of_words_is_refused(corpus):
    with pytest.raises(SchemaError, match="'caption' must hold lists of numbers, got string"):
        run(corpus, image="column:caption")


def test_there_must_be_a_file_for_every_shard(corpus):
    np.save(corpus / "image2.npy", np.load(corpus / "image.npy"))

    with pytest.raises(RecipeError, match="matches 2 files for 1 shards"):
        run(corpus, image=f"{corpus}/image*.npy")


def fragments_of(num_shards):
    shards = [Shard(f"/crawl/{n:05d}.tar", "webdataset", 1, f"{n:016x}") for n in range(num_shards)]
    return tuple(Fragment(shard, f"{shard.identity}.parquet", 0, 1) for shard in shards)


def test_every_fragment_travels_with_its_own_files_alone(tmp_path):
    for number in range(300):
        (tmp_path / f"{number:05d}.npy").touch()
    spec = VectorSpec(image=f"{tmp_path}/*.npy", classes="c.npy")
    fragments = fragments_of(300)

    found = aligned(spec, Catalog(fragments, 300, ()), fragments[100:200])

    names = [f"{number:05d}" for number in range(100, 200)]
    assert [item.fragment for item in found] == list(fragments[100:200])
    assert [item.image for item in found] == [f"{tmp_path}/{name}.npy" for name in names]
    assert {item.text for item in found} == {None}
    assert max(len(pickle.dumps(item)) for item in found) < 1000


def test_files_of_a_column_are_none():
    assert VectorSpec(image="column:img", classes="c.npy").files() == []


def test_a_plan_does_not_miss_pictures_where_vectors_are_given(corpus):
    recipe = parse_recipe(
        {
            "source": {"path": str(corpus / "rows.parquet")},
            "classes": str(corpus / "classes.csv"),
            "vectors": {"image": "column:img", "classes": str(corpus / "classes.npy")},
        }
    )

    made = plan(recipe, str(corpus / "w"), str(corpus / "o"))

    assert (made.num_rows, made.faults.total(), made.unlabelled) == (ROWS, 0, 0)
