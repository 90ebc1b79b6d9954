"""The configuration of a local model: numbers, and no name but those of open_clip's own models.

A folder may come from anywhere. open_clip builds what its configuration names: towers of timm and
of a hub, and a tokeniser with any arguments, `trust_remote_code` among them.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from pipeline.errors import RecipeError, quoted

CONFIG: Final = "open_clip_config.json"
MAX_BYTES: Final = 2**20
"""Of a JSON file of a model folder."""
MAX_NUMBER: Final = 2**20
"""No width, length or vocabulary is larger."""
MAX_LAYERS: Final = 256
PREFERRED: Final = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
)
"""Where a folder has several checkpoints; the order of open_clip."""
NAMES: Final = {
    "vision_cfg": ("timm_model_name", "timm_pool", "timm_proj"),
    "text_cfg": ("hf_model_name", "hf_tokenizer_name", "tokenizer_mode", "tokenizer_kwargs"),
}
"""Settings that name code, a model or a tokeniser."""


def read_config(folder: Path) -> dict[str, Any]:
    """Return what `open_clip_config.json` of a folder says.

    Raises
    ------
    RecipeError
        If it is no configuration of a model, has numbers that no model has, or names what none
        of open_clip's own models does.
    """
    config = _read_object(folder / CONFIG)
    found = config.get("model_cfg")
    model = found if isinstance(found, dict) else {}
    parts = [model.get(name) for name in NAMES]
    if not all(isinstance(part, dict) for part in parts) or not model.get("embed_dim"):
        raise RecipeError(
            f"{folder / CONFIG} must hold model_cfg with embed_dim, vision_cfg and text_cfg"
        )
    if not isinstance(config.get("preprocess_cfg", {}), dict):
        raise RecipeError(f"{folder / CONFIG} must hold a mapping as preprocess_cfg")
    _check_numbers(folder, model)
    _check_names(folder, model)
    return config


def checkpoint(folder: Path) -> Path | None:
    """Return the safetensors file of a folder, None if it has none; a pickle does not count."""
    found = sorted(folder.glob("*.safetensors"))
    preferred = [folder / name for name in PREFERRED if folder / name in found]
    return next(iter([*preferred, *found]), None)


def _read_object(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as source:
            data = source.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise RecipeError(f"{file} must have {MAX_BYTES:,} bytes at most")
        found = json.loads(data)
    except OSError as error:
        raise RecipeError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{file} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise RecipeError(f"{file} must hold a JSON object, got {type(found).__name__}")
    return found


def _check_numbers(folder: Path, model: dict[str, Any]) -> None:
    for name, value in _settings(model):
        limit = MAX_LAYERS if name == "layers" else MAX_NUMBER
        if isinstance(value, int | float) and not abs(value) <= limit:
            raise RecipeError(f"{folder / CONFIG}: {name} must be {limit} at most, got {value}")


def _check_names(folder: Path, model: dict[str, Any]) -> None:
    for part, names in NAMES.items():
        for name in names:
            if name in model[part] and _choice(name, model[part][name]) - _known_names():
                raise RecipeError(
                    f"{folder / CONFIG}: {part}.{name} must be one that a model of open_clip "
                    f"itself has, got {quoted(model[part][name])}; it could fetch or run anything"
                )
    if "hf_tokenizer_name" in model["text_cfg"]:
        for file in (folder / "config.json", folder / "tokenizer_config.json"):
            if file.exists() and "auto_map" in _read_object(file):
                raise RecipeError(f"{file} has an auto_map: it asks to run code of the folder")


def _settings(part: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested dicts and lists, each with the key that it stands under."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield from _settings(value, key)
    elif isinstance(part, list):
        for value in part:
            yield from _settings(value, name)
    else:
        yield name, part


def _choice(name: str, value: Any) -> set[str]:
    """Return what a setting chooses; of a mapping, each of its entries."""
    if isinstance(value, dict):
        return {f"{name}.{key}={item!r}" for key, item in value.items()}
    return {f"{name}={value!r}"}


@cache
def _known_names() -> frozenset[str]:
    """Return every choice that open_clip's own configurations make, and its defaults."""
    import open_clip

    chosen: set[str] = {"timm_proj=''", "timm_proj='none'", "tokenizer_mode=None"}
    for model in open_clip.list_models():
        config = open_clip.get_model_config(model)
        for part, names in NAMES.items():
            for name in names:
                chosen |= _choice(name, config[part].get(name))
    return frozenset(chosen)
