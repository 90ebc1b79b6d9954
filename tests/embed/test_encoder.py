import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pipeline.embed.encoder import (
    EARLY_BLOCKS,
    Encoder,
    find_early,
    has_cpu_bf16,
    resolve_precision,
)
from pipeline.embed.frontend import frontend
from pipeline.embed.spec import EncoderSpec
from pipeline.errors import RecipeError
from pipeline.store.embed import embed_step
from pipeline.store.workspace import Workspace

SIZES = [(45, 37), (37, 45), (32, 32), (31, 33), (400, 301), (7, 3), (1, 50)]


def odd_picture(size, mode="RGB"):
    random = np.random.default_rng(size[0] * 1000 + size[1])
    pixel = random.integers(0, 256, (size[1], size[0], 4), np.uint8)
    return Image.fromarray(pixel, "RGBA").convert(mode)


def official_transform(source):
    return open_clip.create_model_and_transforms(source)[2]


def as_official(front, transform, image):
    """Return the frontend's pixels as open_clip's own last two steps make them a tensor."""
    resized = Image.fromarray(np.asarray(front.resize(image)))
    for step in transform.transforms[-2:]:
        resized = step(resized)
    return resized


@pytest.fixture(scope="module")
def encoder(spec):
    return Encoder(spec, "cpu")


@pytest.fixture(scope="module")
def official(encoder_folder):
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{encoder_folder}")
    return model.eval(), transform


@pytest.fixture(scope="module")
def pixel(spec):
    front = frontend(spec)
    return np.stack([np.asarray(front.resize(odd_picture(size))) for size in SIZES])


def encode_officially(official, pixel):
    model, transform = official
    tensor = [transform.transforms[-1](transform.transforms[-2](Image.fromarray(p))) for p in pixel]
    with torch.inference_mode():
        return model.encode_image(torch.stack(tensor), normalize=True).numpy()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK"])
def test_pixels_are_those_of_open_clip(spec, official, size, mode):
    image = odd_picture(size, mode)

    expected = official[1](image)

    assert torch.equal(expected, as_official(frontend(spec), official[1], image))


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    ["ViT-B-32", "RN50", pytest.param("ViT-B-16-SigLIP", marks=pytest.mark.network)],
)  # the tokenizer of the last lies on a hub
def test_pixels_of_a_built_in_model_are_those_of_open_clip(model):
    transform, front = official_transform(model), frontend(EncoderSpec(model=model))

    for size in SIZES[:6]:
        image = odd_picture(size)

        assert torch.equal(transform(image), as_official(front, transform, image))


@pytest.mark.parametrize("resize_mode", ["squash", "longest", "shortest"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_preprocessing_of_a_folder_is_followed(
    tmp_path, encoder_folder, resize_mode, interpolation
):
    config = json.loads((encoder_folder / "open_clip_config.json").read_text())
    config["preprocess_cfg"] |= {"resize_mode": resize_mode, "interpolation": interpolation}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    weights = encoder_folder / "open_clip_model.safetensors"
    (tmp_path / weights.name).symlink_to(weights)
    source = f"local-dir:{tmp_path}"

    transform, front = official_transform(source), frontend(EncoderSpec(model=source))

    for size in SIZES[:6]:
        image = odd_picture(size)
        assert torch.equal(transform(image), as_official(front, transform, image))


def test_image_vectors_are_those_of_open_clip(encoder, official, pixel):
    expected = encode_officially(official, pixel)

    found, _ = encoder.image(pixel)

    assert (found.dtype, found.shape) == (np.float16, (len(SIZES), 32))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_text_vectors_are_those_of_open_clip(encoder, official, spec, encoder_folder):
    texts = ["a cat", "", "größe", "word " * 60]
    tokenizer = open_clip.get_tokenizer(f"local-dir:{encoder_folder}")
    with torch.inference_mode():
        expected = official[0].encode_text(tokenizer(texts), normalize=True).numpy()

    found = encoder.text(frontend(spec).tokens(texts)[0])

    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_vectors_have_length_one(encoder, spec, pixel):
    text = encoder.text(frontend(spec).tokens(["a", "b", "c"])[0])

    for vector in (encoder.image(pixel)[0], text):
        length = np.linalg.norm(vector.astype(np.float32), axis=1)
        np.testing.assert_allclose(length, 1, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("batch_rows", [1, 3, 7, 1000])
def test_vectors_do_not_depend_on_the_batch(encoder, spec, pixel, batch_rows):
    token = frontend(spec).tokens([f"text {n}" for n in range(7)])[0]
    other = Encoder(replace(spec, batch_rows=batch_rows), "cpu")

    for one, two in zip(
        (*encoder.image(pixel), encoder.text(token)),
        (*other.image(pixel), other.text(token)),
        strict=True,
    ):
        np.testing.assert_allclose(two, one, atol=2e-3)


def test_the_same_call_gives_the_same_bytes(encoder, pixel):
    one, two = encoder.image(pixel), encoder.image(pixel)

    assert [part.tobytes() for part in one] == [part.tobytes() for part in two]


def test_nothing_in_gives_nothing_out(encoder, spec):
    image, early = encoder.image(np.zeros((0, 1, 1, 3), np.uint8))
    text = encoder.text(frontend(spec).tokens([])[0])

    assert (image.shape, early.shape, text.shape) == ((0, 32), (0, 32), (0, 32))


def test_the_early_vector_is_the_mean_of_the_second_block(encoder, official, pixel):
    model, transform = official
    outputs = []
    block = model.visual.transformer.resblocks[1]
    handle = block.register_forward_hook(lambda _m, _i, output: outputs.append(output))
    encode_officially((model, transform), pixel)
    handle.remove()

    _, early = encoder.image(pixel)

    np.testing.assert_allclose(early, outputs[0].mean(dim=1).numpy(), atol=2e-3)


@pytest.mark.slow
def test_another_block_may_be_named(spec, official, pixel):
    named = Encoder(replace(spec, early="transformer.resblocks.0"), "cpu")
    default = Encoder(spec, "cpu")

    assert not np.allclose(named.image(pixel)[1], default.image(pixel)[1], atol=1e-2)
    np.testing.assert_array_equal(named.image(pixel)[0], default.image(pixel)[0])


def test_the_early_vector_of_a_convolution_is_a_mean_over_the_picture():
    tower = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.Flatten())
    block = find_early(tower, "0")
    from pipeline.embed.encoder import pooled_output

    with pooled_output(block) as captured, torch.inference_mode():
        image = torch.rand(2, 3, 8, 8)
        expected = tower[0](image).mean(dim=(2, 3))
        captured.clear()
        tower(image)

    assert torch.equal(captured[0], expected)


def test_hooks_are_taken_off_again(encoder, pixel):
    encoder.image(pixel)

    assert not encoder.early._forward_hooks


def test_a_tower_without_a_known_block_has_no_early_module():
    assert find_early(torch.nn.Linear(2, 2), None) is None


def test_an_unknown_block_is_told_the_right_one(spec):
    wrong = replace(spec, early="transformer.resblock.1")

    with pytest.raises(
        RecipeError, match=r"encoder\.early .* did you mean 'transformer\.resblocks\.\d"
    ):
        Encoder(wrong, "cpu")


def step_of(spec, tmp_path):
    return embed_step(Workspace(str(tmp_path)), spec, "auto")


def test_an_unknown_model_is_told_the_right_one(tmp_path):
    for model, right in (("ViT-B32", "ViT-B-32"), ("winow-tiny", "winnow-tiny")):
        for pretrained in (None, "openai"):
            spec = EncoderSpec(model=model, pretrained=pretrained)
            with pytest.raises(RecipeError, match=f"{model}.*did you mean '{right}'"):
                frontend(spec)
            with pytest.raises(RecipeError, match=f"{model}.*did you mean '{right}'"):
                step_of(spec, tmp_path)


def test_an_unknown_tag_is_told_the_right_one(tmp_path):
    spec = EncoderSpec(model="ViT-B-32", pretrained="laion2b_s34b_b79")

    with pytest.raises(RecipeError, match=r"did you mean 'laion2b_s34b_b79k'"):
        step_of(spec, tmp_path)


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    spec = EncoderSpec(model="ViT-B-32", pretrained=str(tmp_path / "nowhere.safetensors"))

    with pytest.raises(RecipeError, match=r"nowhere\.safetensors"):
        step_of(spec, tmp_path)


def test_a_model_without_weights_is_told_its_tags(tmp_path):
    with pytest.raises(RecipeError, match=r"set encoder\.pretrained to .*\(openai, "):
        step_of(EncoderSpec(model="ViT-B-32"), tmp_path)


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_an_encoder_is_named(tmp_path, made):
    folder = tmp_path / "encoder"
    if made:
        folder.mkdir()
    spec = EncoderSpec(model=f"local-dir:{folder}")

    for load in (frontend, lambda spec: step_of(spec, tmp_path), Encoder):
        with pytest.raises(RecipeError, match=str(folder)):
            load(spec)


def test_a_folder_without_weights_is_named(tmp_path, encoder_folder):
    config = "open_clip_config.json"
    (tmp_path / config).write_text((encoder_folder / config).read_text())

    with pytest.raises(RecipeError, match="cannot be loaded"):
        Encoder(EncoderSpec(model=f"local-dir:{tmp_path}"), "cpu")


@pytest.fixture
def named_model(tmp_path, encoder_folder, monkeypatch):
    """A model that open_clip knows by name, and a checkpoint of it."""
    from open_clip import factory

    monkeypatch.setattr(factory, "_MODEL_CONFIG_PATHS", [*factory._MODEL_CONFIG_PATHS])
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", dict(factory._MODEL_CONFIGS))
    config = json.loads((encoder_folder / "open_clip_config.json").read_text())["model_cfg"]
    (tmp_path / "tiny-named.json").write_text(json.dumps(config))
    (tmp_path / "tiny-named-quickgelu.json").write_text(json.dumps(config | {"quick_gelu": True}))
    open_clip.add_model_config(tmp_path)
    torch.manual_seed(1)
    model = open_clip.create_model("tiny-named").eval()
    save_file(model.state_dict(), tmp_path / "checkpoint.safetensors")
    return model, str(tmp_path / "checkpoint.safetensors")


@pytest.mark.slow
def test_a_checkpoint_is_loaded_by_its_path(named_model, pixel):
    model, checkpoint = named_model
    spec = EncoderSpec(model="tiny-named", pretrained=checkpoint, precision="fp32")
    transform = official_transform("tiny-named")

    expected = encode_officially((model, transform), pixel)

    np.testing.assert_allclose(Encoder(spec, "cpu").image(pixel)[0], expected, atol=1e-3)


def test_the_same_weights_in_another_architecture_are_another_step(named_model, tmp_path):
    _, checkpoint = named_model
    one, two = (
        EncoderSpec(model=model, pretrained=checkpoint)
        for model in ("tiny-named", "tiny-named-quickgelu")
    )

    assert step_of(one, tmp_path).key != step_of(two, tmp_path).key


def test_other_weights_precision_block_or_caption_are_another_step(named_model, tmp_path, spec):
    model, checkpoint = named_model
    one = EncoderSpec(model="tiny-named", pretrained=checkpoint, precision="fp32")
    specs = [
        one,
        replace(one, precision="bf16"),
        replace(one, early="transformer.resblocks.0"),
        spec,
    ]
    keys = [step_of(each, tmp_path).key for each in specs]
    keys.append(embed_step(Workspace(str(tmp_path)), one, None).key)
    with torch.no_grad():
        model.logit_scale += 1
    save_file(model.state_dict(), checkpoint)
    keys.append(step_of(one, tmp_path).key)

    assert len(set(keys)) == 6


def test_the_size_of_a_batch_and_the_place_of_weights_are_no_part_of_the_step(
    tmp_path, spec, encoder_folder
):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in encoder_folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    moved = replace(spec, model=f"local-dir:{copy}", batch_rows=7)

    assert step_of(moved, tmp_path).key == step_of(spec, tmp_path).key


def words(count):
    return " ".join(["cat"] * count)


@pytest.mark.parametrize(("count", "was_cut"), [(13, False), (14, False), (15, True), (99, True)])
def test_a_caption_is_cut_when_it_has_one_token_too_many(spec, count, was_cut):
    token, cut = frontend(spec).tokens(["short", words(count), ""])

    assert cut.tolist() == [False, was_cut, False]
    assert token.shape == (3, 16)
    assert (token[1, -1] != 0) == (count >= 14)


def test_tokens_are_those_of_open_clip(spec, encoder_folder):
    texts = ["a cat", words(14), words(40), "größe & <b>", ""]

    expected = open_clip.get_tokenizer(f"local-dir:{encoder_folder}")(texts).numpy()

    np.testing.assert_array_equal(frontend(spec).tokens(texts)[0], expected)


def test_no_captions_have_no_tokens(spec):
    token, cut = frontend(spec).tokens([])

    assert (token.shape, cut.shape) == ((0, 16), (0,))


def test_precision_is_taken_by_name():
    assert resolve_precision("fp32", "cpu") == torch.float32
    assert resolve_precision("fp16", "cuda") == torch.float16
    assert resolve_precision("bf16", "cpu") == torch.bfloat16
    expected = torch.bfloat16 if has_cpu_bf16() else torch.float32
    assert resolve_precision("auto", "cpu") == expected


def test_an_unknown_precision_is_told_the_right_one():
    with pytest.raises(RecipeError, match="did you mean 'fp32'"):
        resolve_precision("fp23", "cpu")


@pytest.mark.slow
def test_half_precision_is_close_to_full(spec, encoder, pixel):
    half = Encoder(replace(spec, precision="bf16"), "cpu").image(pixel)[0].astype(np.float32)
    full = encoder.image(pixel)[0].astype(np.float32)

    assert (half * full).sum(axis=1).min() > 0.995


BUNDLED = Path(EncoderSpec().source.removeprefix("local-dir:")) / "open_clip_config.json"


@pytest.mark.slow
@pytest.mark.skipif(not BUNDLED.exists(), reason="the weights are not in this checkout")
def test_the_bundled_encoder_has_an_early_block():
    names = {name for name, _ in Encoder(EncoderSpec(), "cpu").model.visual.named_modules()}

    assert names & set(EARLY_BLOCKS)
