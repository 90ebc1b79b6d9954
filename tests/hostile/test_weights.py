"""Weights and states are numbers: nothing in their files is run, and what is not whole is refused.

No test loads a pickle. The ones here would leave a file behind if anything did.
"""

import json
import os
import pickle
import shutil

import numpy as np
import open_clip
import pytest
import safetensors.torch
import torch

from pipeline.embed.checkpoint import create
from pipeline.embed.local_model import CONFIG
from pipeline.embed.spec import EncoderSpec, identity, weights
from pipeline.errors import RecipeError, SchemaError
from pipeline.store import states
from pipeline.store.arrays import load_array, load_rows

NAME = "open_clip_model.safetensors"
PICKLES = ("open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth", "model.pt", "a.bin")


class Touch:
    """Leaves a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def folder(tmp_path, encoder_folder):
    """Return a copy of the encoder that a test may spoil."""
    return shutil.copytree(encoder_folder, tmp_path / "model")


@pytest.fixture
def trap(tmp_path):
    """Return where a pickle leaves its mark, and the bytes of the pickle."""
    marker = tmp_path / "ran"
    return marker, pickle.dumps(Touch(marker))


def spec_of(folder):
    return EncoderSpec(model=f"local-dir:{folder}", precision="fp32")


def spoil(folder, **changes):
    config = json.loads((folder / CONFIG).read_text())
    for part, settings in changes.items():
        config["model_cfg"][part] |= settings
    (folder / CONFIG).write_text(json.dumps(config))


def header(folder, change):
    data = (folder / NAME).read_bytes()
    size = int.from_bytes(data[:8], "little")
    found = json.loads(data[8 : 8 + size])
    change(found)
    text = json.dumps(found).encode()
    (folder / NAME).write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])


def test_a_pickle_beside_the_weights_is_not_touched(folder, trap):
    (folder / NAME).rename(folder / "weights.safetensors")
    for name in PICKLES:
        (folder / name).write_bytes(trap[1])

    create(spec_of(folder))

    assert weights(spec_of(folder)).name == "weights.safetensors"
    assert not trap[0].exists()


@pytest.mark.parametrize("name", PICKLES)
def test_a_folder_of_pickles_has_no_weights(folder, trap, name):
    (folder / NAME).unlink()
    (folder / name).write_bytes(trap[1])

    with pytest.raises(RecipeError, match=r"no \.safetensors in it"):
        create(spec_of(folder))

    assert not trap[0].exists()


@pytest.mark.parametrize("name", [*PICKLES, "a.npz", "a.safetensors.pt", "a.ckpt"])
def test_a_pickle_is_no_checkpoint(tmp_path, trap, name):
    (tmp_path / name).write_bytes(trap[1])

    with pytest.raises(RecipeError, match=r"existing \.safetensors file"):
        create(EncoderSpec(model="ViT-B-32", pretrained=str(tmp_path / name)))

    assert not trap[0].exists()


def test_a_pickle_under_the_name_of_safetensors_is_no_checkpoint(folder, trap):
    (folder / NAME).write_bytes(trap[1])

    with pytest.raises(RecipeError, match="cannot be loaded: SafetensorError"):
        create(spec_of(folder))

    assert not trap[0].exists()


def test_a_tag_whose_weights_are_a_pickle_is_refused(monkeypatch, tmp_path):
    file = tmp_path / "weights.pt"
    monkeypatch.setattr("open_clip.pretrained.download_pretrained", lambda _: str(file))

    with pytest.raises(RecipeError, match=r"is published as \.pt, a pickle that could run code"):
        weights(EncoderSpec(model="ViT-B-32", pretrained="openai"))


@pytest.mark.parametrize("model", ["hf-hub:evil/model", "hf-hub:", "http://x/y", "../x"])
@pytest.mark.parametrize("pretrained", [None, NAME])
def test_a_model_that_would_be_fetched_is_refused_before_anything_is(
    folder, monkeypatch, model, pretrained
):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", None)

    with pytest.raises(RecipeError, match=r"is not known to open_clip|must be a folder with"):
        create(EncoderSpec(model=model, pretrained=pretrained))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"vision_cfg": {"timm_model_name": "hf-hub:evil/model"}}, "timm_model_name must be one"),
        ({"vision_cfg": {"timm_model_name": "local-dir:/evil"}}, "timm_model_name must be one"),
        ({"text_cfg": {"hf_model_name": "evil/model"}}, "hf_model_name must be one"),
        ({"text_cfg": {"hf_model_name": "/evil"}}, "hf_model_name must be one"),
        ({"text_cfg": {"hf_tokenizer_name": "evil/model"}}, "hf_tokenizer_name must be one"),
        (
            {"text_cfg": {"tokenizer_kwargs": {"trust_remote_code": True}}},
            "tokenizer_kwargs must be one",
        ),
        ({"text_cfg": {"tokenizer_kwargs": {"bpe_path": "/etc/x.gz"}}}, "tokenizer_kwargs must"),
        ({"vision_cfg": {"layers": 10**6}}, "layers must be 256 at most"),
        ({"vision_cfg": {"layers": [2, 2, 2, 10**9]}}, "layers must be 256 at most"),
        ({"text_cfg": {"vocab_size": 2**40}}, "vocab_size must be 1048576 at most"),
        ({"text_cfg": {"width": -(2**40)}}, "width must be 1048576 at most"),
        ({"text_cfg": {"width": float("nan")}}, "width must be 1048576 at most"),
        ({"text_cfg": {"heads": 0}}, "cannot be loaded"),
        ({"text_cfg": {"no_such_key": 1}}, "cannot be loaded"),
        ({"vision_cfg": {"width": 64}}, "cannot be loaded"),
    ],
)
def test_a_configuration_that_names_or_asks_for_too_much_is_refused(folder, changes, complaint):
    spoil(folder, **changes)

    with pytest.raises(RecipeError, match=complaint):
        create(spec_of(folder))


@pytest.mark.parametrize("file", ["tokenizer_config.json", "config.json"])
def test_a_tokeniser_that_brings_code_is_refused(folder, file):
    spoil(folder, text_cfg={"hf_tokenizer_name": "bert-base-uncased"})
    (folder / file).write_text('{"auto_map": {"AutoTokenizer": ["evil.Tokenizer", null]}}')

    with pytest.raises(RecipeError, match="it asks to run code of the folder"):
        create(spec_of(folder))


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[1]", b"{", b"\xff\xfe", b"null", b'{"model_cfg": 3}', b"[" * 100_000),
        *(b'{"model_cfg": {"embed_dim": 0, "vision_cfg": {}, "text_cfg": {}}}', b" " * (2**20 + 1)),
    ],
    ids=range(9),
)
def test_a_broken_configuration_is_refused(folder, data):
    (folder / CONFIG).write_bytes(data)

    with pytest.raises(RecipeError, match=r"open_clip_config\.json"):
        create(spec_of(folder))


def set_first(**values):
    def change(found):
        next(each for name, each in found.items() if name != "__metadata__").update(values)

    return change


LIES = {
    "shapes of 2^63": set_first(shape=[2**31, 2**32]),
    "a length of 2^63": set_first(shape=[2**63]),
    "a negative length": set_first(shape=[-1]),
    "a wider type": set_first(dtype="F64"),
    "a narrower type": set_first(dtype="I8"),
    "no type": set_first(dtype="OBJECT"),
    "an end far outside": set_first(data_offsets=[0, 2**62]),
    "an end before its start": set_first(data_offsets=[8, 4]),
    "an overlap": set_first(data_offsets=[4, 8]),
    "a tensor too few": lambda found: found.popitem(),
    "a tensor too many": lambda found: found.update(
        extra={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    ),
    "no tensor": lambda found: found.clear(),
}


@pytest.mark.parametrize("change", LIES.values(), ids=LIES)
def test_a_checkpoint_whose_header_lies_is_refused(folder, change):
    header(folder, change)

    with pytest.raises(RecipeError, match="cannot be loaded"):
        create(spec_of(folder))


@pytest.mark.parametrize("size", [2**63, 2**64 - 1, 100_000_001, 0, 7])
def test_a_checkpoint_whose_header_is_of_a_wrong_length_is_refused(folder, size):
    data = (folder / NAME).read_bytes()
    (folder / NAME).write_bytes(size.to_bytes(8, "little") + data[8:])

    with pytest.raises(RecipeError, match="cannot be loaded"):
        create(spec_of(folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder, value):
    tensors = safetensors.torch.load_file(folder / NAME)
    name = next(name for name in tensors if tensors[name].ndim == 2)
    tensors[name][0, 0] = value
    safetensors.torch.save_file(tensors, folder / NAME)

    with pytest.raises(RecipeError, match=f"values in '{name}' that are no numbers"):
        create(spec_of(folder))


def test_of_several_checkpoints_the_one_is_named_that_is_loaded(folder):
    tensors = safetensors.torch.load_file(folder / NAME)
    other = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    safetensors.torch.save_file(other, folder / "a.safetensors")

    loaded = create(spec_of(folder))[0].state_dict()

    assert weights(spec_of(folder)).name == NAME
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
    assert identity(spec_of(folder))["weights"]


def test_the_models_that_open_clip_knows_pass_the_checks_of_a_folder(tmp_path):
    from pipeline.embed.local_model import read_config

    for number, name in enumerate(open_clip.list_models()):
        folder = tmp_path / str(number)
        folder.mkdir()
        config = {"model_cfg": open_clip.get_model_config(name), "preprocess_cfg": {}}
        (folder / CONFIG).write_text(json.dumps(config))

        assert read_config(folder) == config


def npy(descr, shape, data=b"", *, order=False):
    text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    "data",
    [
        npy("|O", (1, 1), pickle.dumps([1])),
        npy("<f4", (2**40, 2**40)),
        npy("<f4", (2**31, 2**31), b"\0" * 64),
        npy("<f4", (2**62, 1)),
        npy("<f4", (-1, 4), b"\0" * 64),
        npy("<f4", (4,), b"\0" * 16),
        npy("<f4", (), b"\0" * 4),
        npy("<U4", (1, 1), b"\0" * 16),
        npy("<f4", "__import__('os').mkdir('x')"),
        npy("<f4", (6, 4), b"\0" * 8),
        npy("<f4", (10**12, 512), order=True),
        b"\x93NUMPY\x03\x00" + b"\xff" * 4,
        b"\x93NUMPY\x01\x00\xff\xff{",
        b"\x93NUMPY\x01\x00\x05\x00{\n(\n\n",
        b"PK\x03\x04" + b"\0" * 60,
        b"\x80\x04\x95",
        b"",
    ],
    ids=range(17),
)
def test_an_array_that_is_none_is_refused(tmp_path, data, trap):
    path = tmp_path / "a.npy"
    path.write_bytes(data)

    for load in (lambda: load_array(str(path)), lambda: load_rows(str(path), "", 0, 4)):
        with pytest.raises(SchemaError):
            load()

    assert not trap[0].exists()


def test_an_archive_of_pickles_is_refused(tmp_path, trap):
    np.savez(tmp_path / "a.npz", image=np.array([[Touch(trap[0])]], dtype=object))

    with pytest.raises(SchemaError, match="of type object"):
        load_rows(str(tmp_path / "a.npz"), "image", 0, 1)

    assert not trap[0].exists()


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04N.", b"\xff" * 8 + b"{}", b"\x02" + b"\0" * 7 + b"{}"]
)
def test_a_damaged_state_is_an_error_that_says_what_to_do(tmp_path, data):
    states.save(str(tmp_path), {"mean": np.ones(3)})
    (tmp_path / states.ARRAYS).write_bytes(data)

    with pytest.raises(SchemaError, match=r"is damaged .* delete the folder and run again"):
        states.load(str(tmp_path))


def test_a_state_with_right_digests_and_no_arrays_is_an_error(tmp_path, trap):
    (tmp_path / states.ARRAYS).write_bytes(trap[1])
    (tmp_path / states.DIGESTS).write_text(json.dumps({states.ARRAYS: states.digest(trap[1])}))

    with pytest.raises(SchemaError, match="is damaged"):
        states.load(str(tmp_path))

    assert not trap[0].exists()
