"""What tonight builds on: the nights that stand, in order, and the rows that they have judged."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import blake2b

from pipeline.contract import Classes, Engine
from pipeline.embed.spec import EncoderSpec, identity
from pipeline.errors import RecipeError
from pipeline.store.nights import Night, Nights
from pipeline.store.rows import StoredRows
from pipeline.store.run import Run
from pipeline.store.totals import Totals
from pipeline.store.vectors import VectorSpec
from pipeline.store.workspace import Workspace, key_of

TOTALS = "totals"
"""Folder of a night with the sums of all passes over the nights up to it."""


def every(nights: Sequence[Night]) -> list[Night]:
    """Return the published nights in order, those as well that a later one stands for."""
    return sorted((n for n in nights if n.state == "published"), key=lambda n: n.position)


def published(nights: Sequence[Night]) -> list[Night]:
    """Return the nights that stand, in the order in which they were published."""
    standing = every(nights)
    last = max((i for i, night in enumerate(standing) if night.replaces), default=0)
    return standing[last:]


def learned(nights: Sequence[Night]) -> list[Night]:
    """Return the nights that have judged the rows of what stands, in order.

    One that only decided anew has judged none: its rows are those of the nights before it.
    """
    judging = [night for night in every(nights) if night.replaces != "decisions"]
    last = max((i for i, night in enumerate(judging) if night.replaces), default=0)
    return judging[last:]


def rows_of(workspace: Workspace, night: Night, engine: Engine, classes: Classes) -> StoredRows:
    """Return the rows of a night, with the columns that its cleaners have added."""
    steps = tuple((workspace.named(kept.name), kept.columns) for kept in night.steps)
    return StoredRows(engine, classes, night.fragments, steps)


def space_of(spec: EncoderSpec | VectorSpec, classes: Classes) -> str:
    """Return what names the meaning of vectors and labels."""
    encoder = asdict(spec) if isinstance(spec, VectorSpec) else identity(spec)
    prototypes = blake2b(classes.embedding.tobytes(), digest_size=8).hexdigest()
    return key_of(encoder, classes.name, prototypes)


def require_same_space(history: Sequence[Night], space: str) -> None:
    """Check that tonight's vectors and labels mean what those of the nights before do.

    Raises
    ------
    RecipeError
        If they do not.
    """
    for night in history:
        if night.space != space:
            raise RecipeError(
                f"night {night.name} was curated with another encoder, other vectors or other "
                "classes than the recipe names; keep them, or curate everything anew with "
                "--rescore scores"
            )


def after(run: Run, rows: StoredRows, history: Sequence[Night], space: str) -> StoredRows:
    """Return the rows of tonight, which `run` is named after, beside those of the nights before.

    Raises
    ------
    RecipeError
        If tonight's vectors or labels mean something else than those of a night before.
    """
    require_same_space(history, space)
    earlier = tuple(rows_of(run.workspace, night, run.engine, rows.classes) for night in history)
    names, nights = [*(night.name for night in history), run.id], Nights(run.workspace)
    totals = Totals(tuple(nights.uri(name, TOTALS) for name in names))
    return replace(rows, earlier=earlier, totals=totals)
