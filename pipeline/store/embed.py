"""The expensive step: every fragment goes through the towers once and is committed alone."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch

from pipeline.contract import Engine
from pipeline.embed.encoder import Encoder
from pipeline.embed.fragment import Prepared, embed, prepare
from pipeline.embed.frontend import frontend
from pipeline.embed.spec import EncoderSpec, identity
from pipeline.store import vectors
from pipeline.store.catalog import Catalog, Fragment
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
    """Embed the fragments that are not committed yet; return how many rows were reused."""
    done = step.done()
    todo = [fragment for fragment in catalog.fragments if fragment.name not in done]
    reused = catalog.num_rows - sum(fragment.stop - fragment.start for fragment in todo)
    progress(reused)
    if isinstance(spec, VectorSpec):
        embedded = engine.each(vectors.Take(spec, catalog, caption, step), todo)
    else:
        embedded = engine.pipe(Reader(spec, caption), Towers(spec, step), todo)
    for _, rows in embedded:
        progress(rows)
    return reused


@dataclass(frozen=True)
class Reader:
    """Reads, decodes and tokenises a fragment on a CPU."""

    spec: EncoderSpec
    caption: str | None

    def __call__(self, fragment: Fragment) -> tuple[str, Prepared]:
        torch.set_num_threads(1)
        samples = fragment.samples(self.caption)
        return fragment.name, prepare(fragment.shard.uri, samples, frontend(self.spec))


@dataclass(frozen=True)
class Towers:
    """Makes the stage of an encoder worker: embed and commit."""

    spec: EncoderSpec
    step: Step

    def __call__(self) -> Callable[[tuple[str, Prepared]], int]:
        encoder = Encoder(self.spec)

        def stage(item: tuple[str, Prepared]) -> int:
            # said anew for every fragment: a thread of its own may run it, or a reader before it
            torch.set_num_threads(max(torch.multiprocessing.cpu_count(), 1))
            name, prepared = item
            self.step.write(name, embed(prepared, encoder))
            return len(prepared.table)

        return stage
