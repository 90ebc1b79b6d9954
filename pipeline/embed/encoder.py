"""The two towers of an open_clip model, on one device."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.embed.checkpoint import create
from pipeline.embed.spec import EncoderSpec, describe
from pipeline.errors import RecipeError, did_you_mean

EARLY_BLOCKS = (
    "transformer.resblocks.1",
    "layer2",
    "trunk.layer2",
    "trunk.stages.1",
    "trunk.blocks.1",
)
"""Where known image towers keep the second block, LSA's choice (Albert et al., 2024)."""


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


def resolve_precision(precision: str, device: str) -> torch.dtype:
    """Return the dtype to run in; `auto` is bf16 where the processor computes in it."""
    named = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision not in ("auto", *named):
        hint = did_you_mean(precision, ["auto", *named])
        raise RecipeError(f"encoder.precision {precision!r} must be auto, fp32, bf16 or fp16{hint}")
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
