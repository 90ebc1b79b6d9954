"""Made-up nights: ledger rows with hosts and tags, drawn anew from one crawl."""

import numpy as np
import pyarrow as pa

from pipeline.schema import ACTIONS, LEDGER

NUM_CLASSES = 20
CLASSES = tuple(f"class {at:02d}" for at in range(NUM_CLASSES))
HOSTS = tuple(f"host{at:02d}.example" for at in range(40))
MIX = (0.7, 0.12, 0.13, 0.05)
"""Shares of the actions on a usual night."""
FOREIGN = (0.1, 0.05, 0.8, 0.05)
"""Those of foreign images: most are dropped, some take a label."""


def night(  # noqa: PLR0913  (every trait can be planted)
    num_rows=500,
    *,
    seed=0,
    mix=MIX,
    lift=0.0,
    label=None,
    host=None,
    partner=1,
    num=NUM_CLASSES,
    first=None,
):
    """Return the rows of a night.

    Parameters
    ----------
    num_rows, seed
        How many, and which.
    mix
        Shares of the actions.
    lift
        What is added to the scores.
    label, host
        `(rng, n) -> (n,)` indices, instead of the usual draw.
    partner
        The class whose name stands in a caption too, counted from the label's.
    num
        Classes.
    first
        What the first class is called.
    """
    rng = np.random.default_rng(seed)
    weight = 1.0 / np.arange(3, 3 + len(HOSTS))
    host = host or (lambda rng, n: rng.choice(len(HOSTS), n, p=weight / weight.sum()))
    label = label or (lambda rng, n: rng.integers(0, num, n))
    kind, place = label(rng, num_rows), host(rng, num_rows)
    action = rng.choice(4, num_rows, p=mix)
    score = np.clip(rng.beta(2, 5, num_rows) + lift, 0, 1).astype(np.float32)
    is_shown = rng.random(num_rows) < 0.4
    names = [f"class {k:02d}" if k or first is None else first for k in kind]
    other = [f"class {(k + partner) % num:02d}" for k in kind]
    columns = {
        "action": [ACTIONS[a] for a in action],
        "label": [None if a == 3 else name for a, name in zip(action, names, strict=True)],
        "new_label": [other[at] if action[at] == 1 else None for at in range(num_rows)],
        "reasons": [["off-topic"] if a == 2 else [] for a in action],
    }
    count = {
        field.name: pa.array(columns.get(field.name, [None] * num_rows), field.type)
        for field in LEDGER
    }
    extra = {
        "match.label": pa.array(score, pa.float32()),
        "host": pa.array([f"host{h:02d}.example" for h in place], pa.string()),
        "tags": pa.array(
            [[a, b] if shown else [a] for a, b, shown in zip(names, other, is_shown, strict=True)],
            pa.list_(pa.string()),
        ),
    }
    return pa.table(count | extra)
