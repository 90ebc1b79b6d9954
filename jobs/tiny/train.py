"""The training loop: resumable, and the same batches for the same recipe."""

import copy
import math
import os
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import open_clip
import torch
from torch import Tensor, nn

from jobs.tiny import loss, metrics
from jobs.tiny.augment import Reach, augment
from jobs.tiny.corpus import Batch, Corpus, build_corpus, draw_batch, load_or_build
from jobs.tiny.data import DRAWN, read_classes, read_views
from jobs.tiny.export import new_model, write_weights
from jobs.tiny.recipe import Recipe
from jobs.tiny.text import encode_texts

_NUM_FEATURES, _NUM_LOGITS = 1280, 1001
_MOST_SCALE = 100.0
_LOG_STEPS = 50
_VALIDATION_STEPS = 400
_CAPTIONS = 5


class Training:
    """Model, teacher heads, averaged weights and optimizer of one run."""

    def __init__(self, recipe: Recipe, corpus: Corpus, model: nn.Module) -> None:
        self.recipe, self.corpus, self.step = recipe, corpus, 0
        self.model = model.to(memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(self.model).eval().requires_grad_(requires_grad=False)
        self.heads = loss.TeacherHeads(recipe.model["embed_dim"], _NUM_FEATURES, _NUM_LOGITS)
        self.optimizer = torch.optim.AdamW(self._groups(), betas=(0.9, 0.98), fused=True)

    def _groups(self) -> list[dict[str, object]]:
        named = [*self.model.named_parameters(), *self.heads.named_parameters()]
        decayed = [p for name, p in named if p.ndim > 1 and "embedding" not in name]
        other = [p for name, p in named if p.ndim <= 1 or "embedding" in name]
        return [
            {"params": decayed, "weight_decay": self.recipe.weight_decay},
            {"params": other, "weight_decay": 0.0},
        ]

    def run_step(self) -> dict[str, Tensor]:
        """Take one step and return the parts of the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, self.step)
        batch = draw_batch(self.corpus, self.recipe, self.step)
        parts = self._losses(batch)
        self.optimizer.zero_grad()
        total = sum(parts.values())
        total.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(max=float(torch.tensor(_MOST_SCALE).log()))
        self._average_weights()
        self.step += 1
        return {name: part.detach() for name, part in parts.items()}

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        recipe = self.recipe
        generator = torch.Generator().manual_seed(recipe.seed * 7919 + self.step)
        pixel = self.corpus.pixel[batch.row]
        picture = augment(pixel, self._reach(batch.row), generator)
        with torch.autocast("cpu", torch.bfloat16):
            embedding = self.model.encode_image(picture)
            text = encode_texts(self.model, batch.token)
            feature, answer = self.heads(embedding)
        image_unit = nn.functional.normalize(embedding.float(), dim=1)
        text_unit = nn.functional.normalize(text.float(), dim=1)
        logit = self.model.logit_scale.exp() * image_unit @ text_unit.T
        matches, smoothing = batch.is_positive, recipe.smoothing
        agreement = loss.agreement_loss(logit, matches, smoothing)
        told = self.corpus.told[batch.row]
        naming = loss.class_loss(logit, matches, told, recipe.told_share, smoothing)
        taught = loss.logit_loss(answer, self.corpus.logit[batch.row], recipe.teacher_temperature)
        seen = loss.feature_loss(feature, self.corpus.feature[batch.row])
        return {
            "clip": recipe.clip_weight * agreement,
            "class": recipe.class_weight * naming,
            "logit": recipe.logit_weight * taught,
            "feature": recipe.feature_weight * seen,
        }

    def _reach(self, row: Tensor) -> Reach:
        recipe = self.recipe
        is_drawn, is_view = self._of(DRAWN, row), self._of(recipe.views, row)
        zoom_out = torch.where(is_drawn, recipe.wide_zoom_out, recipe.zoom_out)
        turn = torch.where(is_drawn, recipe.wide_turn, recipe.turn)
        crop = torch.where(is_view, recipe.view_crop, recipe.crop)
        return Reach(zoom_out, turn, crop, recipe.jitter)

    def _of(self, sources: Iterable[str], row: Tensor) -> Tensor:
        return torch.isin(row, torch.cat([self.corpus.rows[name] for name in sources]))

    @torch.no_grad()
    def _average_weights(self) -> None:
        share = 1 - min(self.recipe.ema_decay, (1 + self.step) / (10 + self.step))
        new = self.model.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(new[name], share)
            else:
                value.copy_(new[name])

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        parts = {name: getattr(self, name).state_dict() for name in _SAVED}
        torch.save({"step": self.step, **parts}, path.with_suffix(".new"))
        os.replace(path.with_suffix(".new"), path)

    def start_from(self, path: Path) -> None:
        """Begin with the averaged weights of another run, perhaps at another resolution."""
        checkpoint = torch.load(path, weights_only=True)
        weights, name = checkpoint["average"], "visual.attnpool.positional_embedding"
        weights[name] = resized(weights[name], len(self.model.state_dict()[name]))
        self.model.load_state_dict(weights)
        self.average.load_state_dict(weights)
        self.heads.load_state_dict(checkpoint["heads"])

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        checkpoint = torch.load(path, weights_only=True)
        self.step = checkpoint["step"]
        for name in _SAVED:
            getattr(self, name).load_state_dict(checkpoint[name])


_SAVED = ("model", "average", "heads", "optimizer")


def learning_rate(recipe: Recipe, step: int) -> float:
    """Return the rate of a step, on straight lines between the recipe's points."""
    steps, rates = zip(*recipe.learning_rate, strict=True)
    return float(np.interp(step, steps, rates))


def resized(position: Tensor, num: int) -> Tensor:
    """Stretch the `(1 + side * side, d)` positions of attention pooling to `num` of them."""
    grid = position[1:].T.unflatten(1, (math.isqrt(len(position) - 1), -1))
    side = math.isqrt(num - 1)
    grid = nn.functional.interpolate(grid[None], (side, side), mode="bilinear")[0]
    return torch.cat([position[:1], grid.flatten(1).T])


def train(
    data: Path, recipe: Recipe, teacher: Path, work: Path, out: Path, start: Path | None = None
) -> None:
    """Train, or go on training, and write the model folder.

    `start` is the checkpoint of a finished run to begin with, of the same towers.
    """
    torch.manual_seed(recipe.seed)
    work.mkdir(parents=True, exist_ok=True)
    model = new_model(recipe, out)
    tokenizer = open_clip.get_tokenizer(f"local-dir:{out}")
    side = recipe.model["vision_cfg"]["image_size"]

    def build() -> Corpus:
        rows = list(read_views(data, recipe.fonts, recipe.views))
        return build_corpus(rows, tokenizer, teacher, side)

    corpus = load_or_build(work / "corpus.pt", build)
    training = Training(recipe, corpus, model)
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        training.load(checkpoint)
    elif start is not None:
        training.start_from(start)
    names = [row["simple_name"] for row in read_classes(data)]
    _run(training, checkpoint, names, tokenizer)
    write_weights(training.average.state_dict(), out)


def _run(
    training: Training, checkpoint: Path, names: list[str], tokenizer: metrics.Tokenize
) -> None:
    recipe, start, pictures = training.recipe, time.monotonic(), 0
    while training.step < recipe.num_steps:
        parts = training.run_step()
        pictures += sum(recipe.batch.values())
        if training.step % _LOG_STEPS == 0:
            said = " ".join(f"{name} {float(part):.3f}" for name, part in parts.items())
            rate = pictures / (time.monotonic() - start)
            print(f"step {training.step} {said} {rate:.0f} pictures/s", flush=True)
        if training.step % recipe.checkpoint_steps == 0:
            training.save(checkpoint)
        if training.step % _VALIDATION_STEPS == 0:
            validate(training, names, tokenizer)
    training.save(checkpoint)


def validate(training: Training, names: list[str], tokenizer: metrics.Tokenize) -> None:
    """Print figures of the averaged weights on rows kept from the training data."""
    corpus, model = training.corpus, training.average
    tiny, flickr = corpus.validation["tiny"], corpus.validation["flickr"]
    prompts = [[f"a photo of a {name}"] for name in names]
    classes = metrics.embed_classes(model, prompts, tokenizer)
    label = (corpus.key[tiny, :1] == corpus.class_key).int().argmax(1)
    found = metrics.accuracy(metrics.embed_pictures(model, corpus.pixel[tiny]), classes, label)
    picture = metrics.embed_pictures(model, corpus.pixel[flickr])
    first = corpus.text_start[corpus.key[flickr, 0]]
    token = corpus.token[(first[:, None] + torch.arange(_CAPTIONS)).ravel()].long()
    with torch.inference_mode():
        text = torch.cat([model.encode_text(part, normalize=True) for part in token.split(500)])
    is_match = torch.arange(len(flickr)).repeat_interleave(_CAPTIONS)[:, None] == torch.arange(
        len(flickr)
    )
    at_10 = metrics.recall(text @ picture.T, is_match, 10)
    print(f"validation: tiny {found:.3f}, flickr text to image R@10 {at_10:.3f}", flush=True)
