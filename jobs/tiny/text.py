"""The text tower on texts of unequal length, without the work on their padding."""

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

_SHORT = 16


def encode_texts(model: nn.Module, token: Tensor) -> Tensor:
    """Return what `model.encode_text` returns, in less time.

    The tower is causal and reads the vector at the end token, so the padding behind it changes
    nothing; short texts go through in a batch of their own.

    Parameters
    ----------
    model
        An `open_clip.CLIP` with a causal text tower.
    token
        `(n, context_length)` token ids.
    """
    end = token.argmax(1)
    is_short = end < _SHORT
    out = token.new_zeros((len(token), model.text_projection.shape[1]), dtype=torch.float32)
    for chosen in (is_short, ~is_short):
        if chosen.any():
            length = int(end[chosen].max()) + 1
            out[chosen] = _encode(model, token[chosen, :length], end[chosen]).float()
    return out


def _encode(model: nn.Module, token: Tensor, end: Tensor) -> Tensor:
    length = token.shape[1]
    hidden = model.token_embedding(token) + model.positional_embedding[:length]
    with sdpa_kernel(SDPBackend.MATH):  # on a processor its backward pass is the fastest
        hidden = model.transformer(hidden, attn_mask=model.attn_mask[:length, :length])
    last = model.ln_final(hidden[torch.arange(len(token)), end])
    return last @ model.text_projection
