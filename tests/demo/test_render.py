import numpy as np
import pytest

from jobs.demo.classes import DEMO_CLASSES, FOREIGN_SUBGROUPS
from jobs.demo.faults import Shares, plant_faults
from jobs.demo.glyphs import NEEDED_FILES, emoji_picture, glyphs_of, read_subgroups
from jobs.demo.render import draw_picture
from jobs.demo.rows import draw_clean_rows
from jobs.demo.write import write_classes, write_shards, write_truth

MISSING = [path.name for path in NEEDED_FILES if not path.exists()]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING}")


def render(folder, seed):
    shares = Shares(num_broken=8)
    rows = plant_faults(draw_clean_rows(shares.num_pictures(60), seed), 60, shares, seed)
    write_shards(rows, folder, 40)
    write_truth(rows, folder, 40)
    write_classes(folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


def test_same_seed_gives_the_same_bytes(tmp_path):
    first, second = render(tmp_path / "first", 3), render(tmp_path / "second", 3)

    assert first == second
    assert {"shards/00000.tar", "shards/00001.tar", "truth.parquet", "classes.csv"} == set(first)


def test_another_seed_gives_other_shards(tmp_path):
    first, second = render(tmp_path / "first", 3), render(tmp_path / "second", 4)

    assert first["shards/00000.tar"] != second["shards/00000.tar"]


def test_every_class_has_eight_glyphs_that_the_font_can_draw():
    subgroups = read_subgroups()
    for demo_class in DEMO_CLASSES:
        glyphs = glyphs_of(demo_class, subgroups)
        assert len(glyphs) >= 8
        assert all(min(emoji_picture(glyph.character).size) > 20 for glyph in glyphs)


def test_no_glyph_stands_for_two_classes_or_for_foreign_pictures():
    subgroups = read_subgroups()
    characters = [
        glyph.character for entry in DEMO_CLASSES for glyph in glyphs_of(entry, subgroups)
    ]
    foreign = {glyph.character for name in FOREIGN_SUBGROUPS for glyph in subgroups[name]}

    assert len(set(characters)) == len(characters)
    assert not foreign & set(characters)


def test_names_that_a_class_chooses_or_leaves_out_exist():
    subgroups = read_subgroups()
    for entry in DEMO_CLASSES:
        names = {glyph.name for name in entry.subgroups for glyph in subgroups[name]}
        assert set(entry.only) | set(entry.leave_out) <= names


def test_swapped_captions_come_from_another_class():
    shares = Shares(wrong_text=0.5, num_broken=0)
    clean = draw_clean_rows(shares.num_pictures(40), 5)
    class_of_text = {row.text: row.label for row in clean if row.is_telling}

    planted = plant_faults(clean, 40, shares, 5)

    swapped = [row for row in planted if row.fault == "wrong-text"]
    assert len(swapped) == 20
    assert all(class_of_text[row.text] != row.true_label for row in swapped)


def test_pictures_of_one_glyph_differ():
    glyph = emoji_picture("🦔")

    pictures = {
        draw_picture(glyph, np.random.default_rng(seed), may_mirror=True).data for seed in range(20)
    }

    assert len(pictures) == 20
