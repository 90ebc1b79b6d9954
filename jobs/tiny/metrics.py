"""Zero-shot accuracy, recall, and how well swapped captions are told apart."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from jobs.tiny.augment import normalize

Tokenize = Callable[[Sequence[str]], Tensor]
_CHUNK = 500


@torch.inference_mode()
def embed_pictures(model: nn.Module, pixel: Tensor) -> Tensor:
    """Return the `(n, d)` unit embeddings of `(n, 3, side, side)` uint8 pixels."""
    parts = [model.encode_image(normalize(part), normalize=True) for part in pixel.split(_CHUNK)]
    return torch.cat(parts)


@torch.inference_mode()
def embed_texts(model: nn.Module, texts: Sequence[str], tokenize: Tokenize) -> Tensor:
    """Return the `(n, d)` unit embeddings of texts."""
    parts = [
        model.encode_text(tokenize(texts[start : start + _CHUNK]), normalize=True)
        for start in range(0, len(texts), _CHUNK)
    ]
    return torch.cat(parts)


def embed_classes(model: nn.Module, prompts: Sequence[Sequence[str]], tokenize: Tokenize) -> Tensor:
    """Return one unit embedding a class: the mean over its prompts, as many for each class."""
    flat = [prompt for some in prompts for prompt in some]
    each = embed_texts(model, flat, tokenize).view(len(prompts), len(prompts[0]), -1)
    return functional.normalize(each.mean(1), dim=1)


def accuracy(picture: Tensor, classes: Tensor, label: Tensor) -> float:
    """Return the share of pictures whose nearest class is theirs."""
    return float(((picture @ classes.T).argmax(1) == label).float().mean())


def recall(similarity: Tensor, is_match: Tensor, depth: int) -> float:
    """Return the share of rows with a match among their `depth` most similar columns."""
    top = similarity.topk(depth, dim=1).indices
    return float(is_match.gather(1, top).any(1).float().mean())


def area_under_curve(positive: Tensor, negative: Tensor) -> float:
    """Return the probability that a positive scores above a negative."""
    order = torch.cat([negative, positive]).argsort()
    rank = torch.empty(len(order), dtype=torch.double)
    rank[order] = torch.arange(1, len(order) + 1, dtype=torch.double)
    num, other = len(positive), len(negative)
    return float((rank[other:].sum() - num * (num + 1) / 2) / (num * other))
