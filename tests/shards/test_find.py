import re

import pytest

from pipeline.errors import RecipeError
from pipeline.shards import files
from pipeline.shards.find import find_shards
from pipeline.shards.index import index


@pytest.fixture(params=["memory", "local"])
def base(request, memory, tmp_path):
    return memory if request.param == "memory" else str(tmp_path / "my crawl")


def put(base, *names):
    for name in names:
        files.write(files.join(base, name), name.encode())


def found_below(base, patterns):
    return [shard.uri[len(base) + 1 :] for shard in find_shards(patterns)]


def test_braces_name_the_shards_that_exist(base):
    put(base, "00000.tar", "00001.tar", "00007.tar")

    assert found_below(base, f"{base}/{{00000..00005}}.tar") == ["00000.tar", "00001.tar"]


def test_globs_and_joined_lists_are_sorted_and_free_of_duplicates(base):
    put(base, "b/00001.tar", "b/00000.tar", "a/00000.tar", "a/notes.txt")

    found = found_below(base, f"{base}/b/*.tar::{base}/a/0000?.tar::{base}/b/00000.tar")

    assert found == ["a/00000.tar", "b/00000.tar", "b/00001.tar"]


def test_double_star_looks_at_every_depth(base):
    put(base, "night 1/00000.tar", "night 2/x/00000.tar")

    found = found_below(base, [f"{base}/**/*.tar"])

    assert found == ["night 1/00000.tar", "night 2/x/00000.tar"]


def test_folder_stands_for_its_tars_and_a_sidecar_is_no_shard(base):
    put(base, "00000.tar", "00000.parquet", "00000_stats.json")

    assert found_below(base, base) == ["00000.tar"]
    assert found_below(base, f"{base}/*") == ["00000.tar"]
    assert found_below(base, f"{base}/*.parquet") == ["00000.parquet"]


def test_folder_without_tars_stands_for_its_parquet_files(base):
    put(base, "train-00001.parquet", "train-00000.parquet", "README.md")

    found = find_shards(base)

    assert [shard.format for shard in found] == ["parquet", "parquet"]
    assert found_below(base, base) == ["train-00000.parquet", "train-00001.parquet"]


def test_folder_of_class_folders_gives_one_shard_per_class(base):
    put(base, "cat/1.JPG", "cat/deep/2.png", "dog/1.webp", "docs/readme.txt")

    found = find_shards(base)

    assert found_below(base, base) == ["cat", "dog"]
    assert {shard.format for shard in found} == {"folder"}
    assert found[0].size == len("cat/1.JPG") + len("cat/deep/2.png")


def test_flat_folder_of_images_is_one_shard_with_all_below_it(base):
    put(base, "1.jpg", "2.jpeg")
    (before,) = find_shards(base)
    put(base, "deep/3.jpg")
    (after,) = find_shards(base)

    assert before.uri == after.uri == base
    assert before.identity != after.identity
    assert index(after).table["key"].to_pylist() == ["1.jpg", "2.jpeg", "deep/3.jpg"]


def test_identity_follows_content_and_sidecar_and_nothing_else(base):
    put(base, "00000.tar", "00001.tar")
    first, other = find_shards(base)
    again = find_shards(f"{base}/*.tar")[0]
    put(base, "00000.parquet")
    with_sidecar = find_shards(base)[0]
    files.write(files.join(base, "00000.tar"), b"something else")
    changed = find_shards(base)[0]

    assert first == again
    assert len({first.identity, other.identity, with_sidecar.identity, changed.identity}) == 4
    assert re.fullmatch("[0-9a-f]{16}", first.identity)


def test_identity_of_an_image_folder_changes_with_any_file(base):
    put(base, "cat/1.jpg", "cat/2.jpg")
    before = find_shards(base)[0]
    put(base, "cat/3.jpg")

    assert find_shards(base)[0].identity != before.identity


def test_pattern_without_a_match_names_pattern_and_place(base):
    put(base, "00000.tar")

    with pytest.raises(RecipeError, match=r"\{00007\.\.00009\}.*got none; looked for .*00007"):
        find_shards(f"{base}/{{00007..00009}}.tar")
    with pytest.raises(RecipeError, match=r"nowhere does not exist: check the path"):
        find_shards(f"{base}/nowhere/*.tar")


def test_one_empty_pattern_among_good_ones_is_an_error(base):
    put(base, "00000.tar")

    with pytest.raises(RecipeError, match="absent"):
        find_shards(f"{base}/00000.tar::{base}/absent.tar")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("{a..", "close every brace"), ("", "must name a file"), ([], "must name a file")],
    ids=["open brace", "empty text", "empty list"],
)
def test_meaningless_patterns_are_recipe_errors(pattern, message):
    with pytest.raises(RecipeError, match=message):
        find_shards(pattern)


def test_a_path_that_exists_is_never_taken_for_a_pattern(tmp_path):
    put(str(tmp_path), "set [1] {a,b}/00000.tar")

    assert len(find_shards(str(tmp_path / "set [1] {a,b}"))) == 1
    assert len(find_shards(str(tmp_path / "set [1] {a,b}" / "00000.tar"))) == 1


def test_links_to_shards_and_folders_are_followed_and_broken_ones_left_out(tmp_path):
    put(str(tmp_path), "store/blob", "store/deep/00007.tar")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "00000.tar").symlink_to(tmp_path / "store" / "blob")
    (tmp_path / "links" / "00001.tar").symlink_to(tmp_path / "nowhere")
    (tmp_path / "links" / "night").symlink_to(tmp_path / "store" / "deep")
    base = str(tmp_path / "links")

    found = find_shards(base)

    assert found_below(base, base) == ["00000.tar"]
    assert found[0].size == len("store/blob")
    assert find_shards(f"{base}/*.tar") == find_shards(f"{base}/00000.tar") == found
    assert found_below(base, f"{base}/night") == ["night/00007.tar"]


def test_a_target_that_changes_behind_a_link_changes_the_identity(tmp_path):
    put(str(tmp_path), "blob")
    (tmp_path / "00000.tar").symlink_to(tmp_path / "blob")
    before = find_shards(f"{tmp_path}/*.tar")
    (tmp_path / "blob").write_bytes(b"something else")

    assert find_shards(f"{tmp_path}/*.tar")[0].identity != before[0].identity


def test_a_hidden_file_is_found_by_its_name_only(base):
    put(base, ".00000.tar", "00001.tar")

    assert found_below(base, f"{base}/{{.00000,00001}}.tar") == [".00000.tar", "00001.tar"]
    assert found_below(base, base) == found_below(base, f"{base}/*.tar") == ["00001.tar"]
