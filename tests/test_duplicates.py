"""Copies of pictures, from a crawl to the output."""

import io
import json
import sys

import pyarrow.dataset as ds
import pytest
import yaml
from PIL import Image

from pipeline import cli


@pytest.fixture
def copied(tmp_path, make_crawl, make_tar_file):
    """A crawl, and a shard of copies of one picture: four of the same bytes, one smaller."""
    crawl = make_crawl(tmp_path, num_shards=1, num_rows=12)
    source = crawl.members["00-001"]
    small = io.BytesIO()
    Image.open(io.BytesIO(source["jpg"])).resize((40, 33)).save(small, "PNG")
    other = {"txt": b"another caption", "json": source["json"]}
    copies = {f"copy-{n}": source | other for n in range(3)}
    copies["small"] = {"png": small.getvalue(), **other}
    copies["longer"] = source | {"txt": b"the same picture with the longest caption of all"}
    make_tar_file(crawl.folder / "00001.tar", copies)
    return crawl


def recipe_of(raw_recipe, crawl, above):
    rule = {"rule": "drop", "reason": "duplicate", "column": "dedup.copy", "above": above}
    return raw_recipe(
        source={"path": str(crawl.folder)},
        cleaners=[{"dedup": {"semantic": None}}],
        policy={"name": "once", "rules": [rule]},
    )


@pytest.mark.slow
def test_of_copies_one_is_put_out_and_the_ledger_says_why(
    tmp_path, copied, raw_recipe, monkeypatch, output_samples
):
    recipe, output = tmp_path / "recipe.yaml", tmp_path / "output"
    recipe.write_text(yaml.safe_dump(recipe_of(raw_recipe, copied, 0.5)))
    places = ["--workspace", str(tmp_path / "workspace"), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["winnow", "run", str(recipe), *places, "--engine", "local"])
    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert not ended.value.code
    ledger = ds.dataset(str(output / "ledger"), format="parquet").to_table().to_pylist()
    rows = {row["key"]: row for row in ledger}
    dropped = {key for key, row in rows.items() if row["reasons"] == ["duplicate"]}
    assert dropped == {"00-001", "copy-0", "copy-1", "copy-2", "small"}
    assert rows["longer"]["action"] == "keep"
    assert len({rows[key]["dedup.group"] for key in (*dropped, "longer")}) == 1
    assert {rows[key]["dedup.kind"] for key in dropped - {"small"}} == {1}
    assert rows["small"]["dedup.kind"] == 2
    found = [json.loads(m["json"])["source_key"] for m in output_samples(output).values()]
    assert sorted(found) == sorted(k for k, row in rows.items() if row["action"] == "keep")
    assert not dropped & set(found)
