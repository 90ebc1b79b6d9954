"""Packed shards in the loader that a training job uses."""

from collections import Counter
from types import SimpleNamespace

import pytest

from pipeline.shards import files
from pipeline.shards.check import check
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read
from pipeline.shards.pack import plan, write_index, write_shard

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def pack(folder, samples, verdicts, shard_rows):
    stats = [
        write_shard(folder, number, enumerate(samples[start:stop]), verdicts(stop - start))
        for number, (start, stop) in enumerate(plan(len(samples), shard_rows))
    ]
    write_index(folder, stats)


def loaded(folder, num_shards, num_workers=0, split="train"):
    from open_clip_train.data import get_data

    pattern = f"{folder}/{{00000..{num_shards - 1:05d}}}.tar"
    args = SimpleNamespace(
        train_data=pattern if split == "train" else None,
        val_data=pattern if split == "val" else None,
        dataset_type="webdataset",
        dataset_resampled=False,
        train_num_samples=None,
        val_num_samples=None,
        train_data_upsampling_factors=None,
        imagenet_val=None,
        imagenet_v2=None,
        seed=0,
        batch_size=2,
        workers=num_workers,
        world_size=1,
    )
    from torch import tensor

    data = get_data(
        args,
        (lambda image: tensor(image.getpixel((0, 0))), lambda image: tensor(image.size)),
        tokenizer=lambda text: [tensor(list(text.encode().ljust(20)))],
    )
    return data[split].dataloader


def texts_of(loader):
    return Counter(bytes(text.tolist()).decode().strip() for _, texts in loader for text in texts)


@pytest.fixture
def samples(tmp_path, make_tar, make_members):
    files.write(str(tmp_path / "in" / "00000.tar"), make_tar(make_members(12)))
    shard = find_shards(str(tmp_path / "in"))[0]
    return list(read(shard, index(shard).table))


def test_open_clip_reads_every_sample_once(tmp_path, samples, verdicts):
    folder = str(tmp_path / "out")
    pack(folder, samples, verdicts, 4)

    loader = loaded(folder, 3)

    assert loader.num_samples == 12
    assert texts_of(loader) == Counter({f"caption of {n:04d}": 1 for n in range(12)})


def test_what_check_calls_lost_is_lost_in_open_clip(tmp_path, make_tar, picture):
    image = picture()
    good = {"jpg": image, "txt": b"t"}
    plants = {
        "sound": good,
        "capital": {"JPG": image, "txt": b"t"},
        "image": {"jpg": image[:100], "txt": b"t"},
        "text": {"jpg": image, "txt": b"\xff"},
        "json": good | {"json": b"{"},
        "class": good | {"cls": b"cat"},
        "number": good | {"cls": b"3"},
        "other": good | {"seg.png": b"no picture"},
        "no-text": {"jpg": image},
        "no-image": {"input.jpg": image, "txt": b"t"},
    }
    for parts in plants.values():
        parts["txt"] = parts.get("txt", b"")
    del plants["no-text"]["txt"]
    named = {
        key: parts | ({"txt": key.encode()} if parts.get("txt") == b"t" else {})
        for key, parts in plants.items()
    }
    members = [(f"{k}.{ext}", data) for k, parts in named.items() for ext, data in parts.items()]
    files.write(str(tmp_path / "00000.tar"), make_tar(members))

    lost = {problem.key for problem in check(str(tmp_path)).problems if problem.key}
    seen = set(texts_of(loaded(str(tmp_path), 1, split="val")))

    assert seen == set(plants) - lost
    assert seen == {"sound", "capital", "number"}
