"""The two towers: the only place that knows open_clip."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.pretrained import download_pretrained, get_pretrained_cfg
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from torchvision.transforms import Compose

from pipeline.errors import RecipeError, did_you_mean

TINY = "winnow-tiny"
EARLY_BLOCKS = (
    "transformer.resblocks.1",
    "layer2",
    "trunk.layer2",
    "trunk.stages.1",
    "trunk.blocks.1",
)
"""Where known image towers keep the second block, LSA's choice (Albert et al., 2024)."""


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """Which encoder to load and how to run it."""

    model: str = TINY
    """`winnow-tiny`, an open_clip model name, or `local-dir:PATH` in open_clip's own layout."""
    pretrained: str | None = None
    """A pretrained tag of open_clip, or the path of a safetensors checkpoint."""
    precision: str = "auto"
    """`fp32`, `bf16`, `fp16`, or `auto`: bf16 where the processor has it, else fp32."""
    early: str | None = None
    """Module of the image tower whose pooled output is the early-block vector; null = find it."""
    batch_rows: int = 256
    """Rows of one forward pass."""

    @property
    def source(self) -> str:
        """The name under which open_clip finds the model."""
        bundled = Path(__file__).parent / "winnow_tiny"
        return f"local-dir:{bundled}" if self.model == TINY else self.model


@dataclass(frozen=True)
class Frontend:
    """What turns pictures and captions into arrays; cheap to build, runs beside the readers."""

    resize: Callable[[Any], Any]
    tokenizer: Callable[..., torch.Tensor]
    context_length: int

    def tokens(self, captions: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Return `(n, context_length)` token ids, and which captions were cut to fit."""
        if not captions:
            return np.zeros((0, self.context_length), np.int32), np.zeros(0, bool)
        token = self.tokenizer(list(captions), context_length=self.context_length).numpy()
        cut = np.zeros(len(captions), bool)
        full = np.flatnonzero(token[:, -1] != 0)
        if len(full):
            longer = self.tokenizer(
                [captions[int(i)] for i in full], context_length=self.context_length + 1
            )
            cut[full] = longer[:, -1].numpy() != 0
        return token.astype(np.int32), cut


class Encoder:
    """An open_clip model in evaluation mode on one device."""

    def __init__(self, spec: EncoderSpec, device: str | None = None) -> None:
        self.spec = spec
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = resolve_precision(spec.precision, self.device)
        self.model, transform = create(spec)
        self.model.to(self.device).eval()
        to_tensor_and_normalize = transform.transforms[-2:]
        self.mean = torch.tensor(to_tensor_and_normalize[1].mean).view(1, 3, 1, 1) * 255
        self.std = torch.tensor(to_tensor_and_normalize[1].std).view(1, 3, 1, 1) * 255
        self.mean, self.std = self.mean.to(self.device), self.std.to(self.device)
        self.early = find_early(self.model.visual, spec.early)
        self.num_early = self._count_early()

    def image(self, pixel: NDArray[np.uint8]) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """Return the unit image vectors and the pooled early-block vectors.

        Parameters
        ----------
        pixel
            `(n, height, width, 3)` uint8, resized by the frontend of the same spec.

        Returns
        -------
        `(n, d)` and `(n, e)` float16; a tower without a known early block gives the first twice.
        """
        if not len(pixel):
            return (
                np.zeros((0, self.num_dims), np.float16),
                np.zeros((0, self.num_early), np.float16),
            )
        vector, early = [], []
        with self._inference(), pooled_output(self.early) as captured:
            for start in range(0, len(pixel), self.spec.batch_rows):
                batch = torch.from_numpy(pixel[start : start + self.spec.batch_rows]).to(
                    self.device
                )
                normal = (batch.permute(0, 3, 1, 2).float() - self.mean) / self.std
                normal = normal.contiguous(memory_format=torch.channels_last)
                vector.append(to_numpy(self.model.encode_image(normal, normalize=True)))
                early += [to_numpy(captured.pop())] if captured else []
        return np.concatenate(vector), np.concatenate(early or vector)

    def text(self, token: NDArray[np.int32]) -> NDArray[np.float16]:
        """Return `(n, d)` unit float16 vectors of `(n, context_length)` token ids."""
        if not len(token):
            return np.zeros((0, self.num_dims), np.float16)
        vector = []
        with self._inference():
            for start in range(0, len(token), self.spec.batch_rows):
                batch = torch.from_numpy(token[start : start + self.spec.batch_rows]).long()
                encoded = self.model.encode_text(batch.to(self.device), normalize=True)
                vector.append(to_numpy(encoded))
        return np.concatenate(vector)

    @property
    def num_dims(self) -> int:
        """Dimensions of the shared space."""
        return describe(self.spec)["embed_dim"]

    def _count_early(self) -> int:
        size = describe(self.spec)["vision_cfg"]["image_size"]
        height, width = (size, size) if isinstance(size, int) else size
        return self.image(np.zeros((1, height, width, 3), np.uint8))[1].shape[1]

    @contextmanager
    def _inference(self) -> Iterator[None]:
        enabled = self.dtype != torch.float32
        with torch.inference_mode(), torch.autocast(self.device, self.dtype, enabled=enabled):
            yield


@contextmanager
def pooled_output(module: torch.nn.Module | None) -> Iterator[list[torch.Tensor]]:
    """Collect the outputs of `module`, averaged over positions: `(n, c)` each."""
    captured: list[torch.Tensor] = []

    def hook(_module: torch.nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        captured.append(output.mean(dim=(2, 3) if output.ndim == 4 else 1))  # noqa: PLR2004

    handle = module.register_forward_hook(hook) if module is not None else None
    try:
        yield captured
    finally:
        if handle is not None:
            handle.remove()


def find_early(visual: torch.nn.Module, wanted: str | None) -> torch.nn.Module | None:
    """Return the module whose pooled output is the early-block vector.

    Raises
    ------
    RecipeError
        If `wanted` names no module of the image tower.
    """
    modules = dict(visual.named_modules())
    if wanted is not None and wanted not in modules:
        hint = did_you_mean(wanted, modules)
        raise RecipeError(f"encoder.early {wanted!r} is no module of the image tower{hint}")
    found = [wanted] if wanted else [name for name in EARLY_BLOCKS if name in modules]
    return modules[found[0]] if found else None


@lru_cache(maxsize=2)
def frontend(spec: EncoderSpec) -> Frontend:
    """Return the resize and tokenisation that belong to an encoder, without building the model."""
    config = describe(spec)
    own = PreprocessCfg(size=config["vision_cfg"]["image_size"])
    transform = image_transform_v2(
        PreprocessCfg(**merge_preprocess_dict(own, published_preprocess(spec))), is_train=False
    )
    return Frontend(
        resize=Compose(transform.transforms[:-2]),
        tokenizer=open_clip.get_tokenizer(spec.source),
        context_length=config["text_cfg"].get("context_length", 77),
    )


def published_preprocess(spec: EncoderSpec) -> dict[str, Any]:
    """Return the preprocessing that was published with the weights, if any."""
    if spec.source.startswith("local-dir:"):
        file = Path(spec.source.removeprefix("local-dir:")) / "open_clip_config.json"
        return dict(json.loads(file.read_text()).get("preprocess_cfg", {}))
    return dict(get_pretrained_cfg(spec.model, spec.pretrained) or {}) if spec.pretrained else {}


def create(spec: EncoderSpec) -> tuple[Any, Compose]:
    """Return open_clip's model and its evaluation transform.

    Raises
    ------
    RecipeError
        If the model or its weights cannot be found.
    """
    try:
        model, _, transform = open_clip.create_model_and_transforms(spec.source, spec.pretrained)
    except (RuntimeError, FileNotFoundError, ValueError) as error:
        hint = did_you_mean(spec.model, [TINY, *open_clip.list_models()])
        raise RecipeError(
            f"encoder {spec.model!r} with pretrained {spec.pretrained!r} cannot be loaded{hint} "
            f"({error})"
        ) from error
    return model, transform


@lru_cache(maxsize=8)
def describe(spec: EncoderSpec) -> dict[str, Any]:
    """Return open_clip's configuration of the model: `embed_dim`, `vision_cfg`, `text_cfg`."""
    config = open_clip.get_model_config(spec.source)
    if config is None:
        hint = did_you_mean(spec.model, [TINY, *open_clip.list_models()])
        raise RecipeError(f"encoder {spec.model!r} is not known to open_clip{hint}")
    return dict(config)


def weights_identity(spec: EncoderSpec) -> str:
    """Return 16 hex digits of the hash of the weights, part of the key of every embedding."""
    if spec.source.startswith("local-dir:"):
        folder = Path(spec.source.removeprefix("local-dir:"))
        files = sorted(folder.glob("open_clip_*")) or sorted(folder.glob("*.safetensors"))
    elif spec.pretrained is None:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(spec.model)[:5])
        raise RecipeError(
            f"encoder {spec.model!r} has no weights: set encoder.pretrained to a checkpoint, or to "
            f"a tag ({tags or 'open_clip has none for it'})"
        )
    else:
        tag = get_pretrained_cfg(spec.model, spec.pretrained)
        files = [Path(download_pretrained(tag) if tag else spec.pretrained)]
    digest = hashlib.blake2b(digest_size=8)
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def identity(spec: EncoderSpec) -> dict[str, Any]:
    """Return what changes the vectors: weights, architecture, preprocessing and precision."""
    return {
        "weights": weights_identity(spec),
        "config": describe(spec),
        "preprocess": published_preprocess(spec),
        "precision": spec.precision,
        "early": spec.early,
    }


def resolve_precision(precision: str, device: str) -> torch.dtype:
    """Return the dtype to run in; `auto` is bf16 where the processor computes in it."""
    named = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision != "auto":
        return named[precision]
    native = torch.cuda.is_bf16_supported() if device == "cuda" else has_cpu_bf16()
    return torch.bfloat16 if native else torch.float32


def has_cpu_bf16() -> bool:
    """Say whether this processor multiplies bf16 in hardware (AVX512-BF16 or AMX)."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def to_numpy(vector: torch.Tensor) -> NDArray[np.float16]:
    """Return a tensor as a float16 array on the host."""
    return vector.to(torch.float16).cpu().numpy()
