"""The expensive step: every fragment goes through the towers once and is committed alone."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict

from pipeline.contract import Engine
from pipeline.embed.spec import EncoderSpec, identity
from pipeline.store import vectors
from pipeline.store.budget import Budget, check_shards
from pipeline.store.catalog import Catalog
from pipeline.store.vectors import VectorSpec
from pipeline.store.workspace import Step, Workspace


def embed_step(workspace: Workspace, spec: EncoderSpec | VectorSpec, caption: str | None) -> Step:
    """Return the step that holds samples and vectors of this encoder, or the given vectors."""
    if isinstance(spec, VectorSpec):
        return workspace.step("embed", [asdict(spec), vectors.identity(spec), caption])
    return workspace.step("embed", [identity(spec), caption])


def run(
    step: Step,
    catalog: Catalog,
    spec: EncoderSpec | VectorSpec,
    caption: str | None,
    engine: Engine,
    progress: Callable[[int], None],
) -> int:
    """Embed the fragments that are not committed yet; return how many rows were reused.

    Raises
    ------
    BudgetError
        If more rows or shards are faulty than the recipe bears.
    WorkerError, StallError
        If a fragment cannot be done, or none is for too long.
    """
    check_shards(engine.limits, catalog)
    done = step.done()
    todo = [fragment for fragment in catalog.fragments if fragment.name not in done]
    reused = catalog.num_rows - sum(fragment.stop - fragment.start for fragment in todo)
    progress(reused)
    if isinstance(spec, VectorSpec):
        take = vectors.Take(spec, vectors.num_dims(spec), caption, step)
        for _, rows in engine.each(take, vectors.aligned(spec, catalog, todo)):
            progress(rows)
        return reused
    # open_clip is imported here, or where a worker gets its part, and not in the time of a fragment
    from pipeline.store.encode import Encoding
    from pipeline.store.samples import Read

    budget = Budget(engine.limits, catalog.num_rows)
    for rows in Encoding(Read(spec, caption), step, engine).run(todo):
        progress(rows.total())
        faults = Counter({fault: num for fault, num in rows.items() if fault})
        engine.observer.quarantined(faults)
        budget.count(faults)
    return reused
