"""The recipe of a training run: every number that decides the weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jobs.tiny.render import Fonts


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What `jobs/recipes/train_tiny.yaml` holds."""

    seed: int
    model: dict[str, Any]
    """`model_cfg` of open_clip."""
    preprocess: dict[str, Any]
    """`preprocess_cfg` of open_clip."""
    views: dict[str, int]
    """Fixed crops of each picture of a source that the teacher is asked about; 1 if not named."""
    batch: dict[str, int]
    """Pictures of each source in a batch."""
    key_weights: dict[str, tuple[float, ...]]
    """How often the text comes from each key of a row, the most special key first."""
    num_steps: int
    learning_rate: tuple[tuple[int, float], ...]
    """Steps and their rates, with straight lines between them."""
    weight_decay: float
    ema_decay: float
    """Decay of the averaged weights, which are the ones exported."""
    clip_weight: float
    class_weight: float
    """Weight of picture to class name over all classes of Tiny-ImageNet."""
    logit_weight: float
    feature_weight: float
    """Weights of the teacher's logits (cross entropy) and features (cosine)."""
    teacher_temperature: float
    told_share: float
    """Share of the target over classes that comes from the teacher, the rest is the label."""
    smoothing: float
    crop: float
    view_crop: float
    """Least share of a side that a random crop keeps, of a whole picture and of a view."""
    jitter: float
    zoom_out: float
    turn: float
    """Limits of zooming out (share of a side) and turning (degrees)."""
    wide_zoom_out: float
    wide_turn: float
    """The wider limits of drawn pictures."""
    checkpoint_steps: int
    fonts: Fonts


def read_recipe(path: Path) -> Recipe:
    """Read a recipe."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    fonts = values.pop("fonts")
    fonts["icons"] = tuple(tuple(pair) for pair in fonts["icons"])
    return Recipe(fonts=Fonts(**fonts), **values)
