"""Which encoder to use: what open_clip knows of it, and what names it.

open_clip brings PyTorch and takes ten seconds to import, so only a model that open_clip knows by
name has it imported here: who looks at a run, or scores vectors that are there, does without.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.embed.local_model import CONFIG, checkpoint, read_config
from pipeline.errors import RecipeError, did_you_mean, quoted

TINY = "winnow-tiny"
LOCAL = "local-dir:"


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """Which encoder to load and how to run it."""

    model: str = TINY
    """`winnow-tiny`, an open_clip model name, or `local-dir:PATH` in open_clip's own layout."""
    pretrained: str | None = None
    """A pretrained tag of open_clip, or the path of a safetensors checkpoint."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """`fp32`, `bf16`, `fp16`, or `auto`: bf16 where the processor has it, else fp32."""
    early: str | None = None
    """Module of the image tower whose pooled output is the early-block vector; null = find it."""
    batch_rows: Annotated[int, Field(ge=1)] = 256
    """Rows of one forward pass."""

    @property
    def source(self) -> str:
        """The name under which open_clip finds the model."""
        bundled = Path(__file__).parent / "winnow_tiny"
        return f"{LOCAL}{bundled}" if self.model == TINY else self.model

    @property
    def folder(self) -> Path | None:
        """The folder of a local model; None for a model that open_clip knows by name."""
        return Path(self.source.removeprefix(LOCAL)) if self.source.startswith(LOCAL) else None


@lru_cache(maxsize=8)
def describe(spec: EncoderSpec) -> dict[str, Any]:
    """Return open_clip's configuration of the model: `embed_dim`, `vision_cfg`, `text_cfg`.

    Raises
    ------
    RecipeError
        If there is no such model.
    """
    if spec.folder is not None:
        if not (spec.folder / CONFIG).is_file():
            raise RecipeError(f"encoder {spec.model!r} must be a folder with {CONFIG}")
        return dict(read_config(spec.folder)["model_cfg"])
    import open_clip

    # no scheme goes through: of `hf-hub:` open_clip would fetch what the hub holds today
    known = spec.model in open_clip.list_models()
    config = open_clip.get_model_config(spec.model) if known else None
    if config is None:
        hint = did_you_mean(spec.model, [TINY, *open_clip.list_models()])
        raise RecipeError(f"encoder {quoted(spec.model)} is not known to open_clip{hint}")
    return dict(config)


def published_preprocess(spec: EncoderSpec) -> dict[str, Any]:
    """Return the preprocessing that was published with the weights, if any."""
    if spec.folder is not None:
        return dict(read_config(spec.folder).get("preprocess_cfg", {}))
    if not spec.pretrained:
        return {}
    from open_clip.pretrained import get_pretrained_cfg

    return dict(get_pretrained_cfg(spec.model, spec.pretrained) or {})


def weights(spec: EncoderSpec) -> Path:
    """Return the file of the weights; those of a tag are downloaded once.

    Raises
    ------
    RecipeError
        If there is no such file or tag.
    """
    describe(spec)
    if spec.folder is not None:
        found = checkpoint(spec.folder)
        if found is None:
            raise RecipeError(f"encoder {spec.model!r} cannot be loaded: no .safetensors in it")
        return found
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(spec.model)
    if spec.pretrained is None:
        raise RecipeError(
            f"encoder {spec.model!r} has no weights: set encoder.pretrained to a .safetensors "
            f"file, or to a tag ({', '.join(tags[:5]) or 'open_clip has none for it'})"
        )
    if spec.pretrained in tags:
        return downloaded(spec)
    file = Path(spec.pretrained)
    if file.suffix != ".safetensors" or not file.is_file():
        hint = did_you_mean(spec.pretrained, tags)
        raise RecipeError(
            f"encoder.pretrained {spec.pretrained!r} must be a tag of {spec.model} or an existing "
            f".safetensors file{hint}"
        )
    return file


def downloaded(spec: EncoderSpec) -> Path:
    """Return the weights of a tag, from the network or from the cache of an earlier time."""
    from open_clip.pretrained import download_pretrained, get_pretrained_cfg

    where = f"encoder.pretrained {spec.pretrained!r} of {spec.model}"
    try:
        file = Path(download_pretrained(get_pretrained_cfg(spec.model, spec.pretrained)))
    except (OSError, RuntimeError, ValueError) as error:
        raise RecipeError(
            f"{where} cannot be fetched ({type(error).__name__}); check the network, or set a "
            ".safetensors file"
        ) from error
    if file.suffix != ".safetensors":
        raise RecipeError(
            f"{where} is published as {file.suffix}, a pickle that could run code; choose another "
            "tag, or convert it to safetensors yourself"
        )
    return file


def identity(spec: EncoderSpec) -> dict[str, Any]:
    """Return what changes the vectors: weights, architecture, preprocessing and precision."""
    file = weights(spec)
    return {
        "weights": file_hash(file, file.stat().st_mtime_ns),
        "config": describe(spec),
        "preprocess": published_preprocess(spec),
        "precision": spec.precision,
        "early": spec.early,
    }


@lru_cache(maxsize=8)
def file_hash(file: Path, _modified: int) -> str:
    """Return 16 hex digits of the hash of a file; known as long as it is not modified."""
    digest = hashlib.blake2b(digest_size=8)
    with file.open("rb") as source:
        while chunk := source.read(2**24):
            digest.update(chunk)
    return digest.hexdigest()
