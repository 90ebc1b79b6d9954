"""Embed a corpus and nothing else: the one step that pays for GPUs.

`ray job submit --working-dir . -- python -m jobs.embed RECIPE --workspace URI` commits every
fragment into the workspace; a later `jobs.curate` on a cluster without GPUs finds them there.
"""

import json

from pipeline.cli import main
from pipeline.corpus import given
from pipeline.curate import build_catalog, embed
from pipeline.options import (
    Address,
    Cpus,
    EngineName,
    Gpus,
    LogFragments,
    RecipeFile,
    Settings,
    Source,
    WorkspaceUri,
    make_engine,
    overrides,
)
from pipeline.progress import track
from pipeline.recipe import load_recipe
from pipeline.shards.find import find_shards
from pipeline.store.run import Run, observed
from pipeline.store.workspace import Workspace, key_of


def embed_alone(  # noqa: PLR0913  (one parameter per option)
    recipe: RecipeFile,
    workspace: WorkspaceUri,
    source: Source = None,
    settings: Settings = None,
    engine: EngineName = "ray",
    address: Address = None,
    gpus: Gpus = 0,
    cpus: Cpus = 0,
    *,
    log_fragments: LogFragments = None,
) -> None:
    """Embed what is not embedded yet; nothing is decided and nothing is published."""
    loaded = load_recipe(recipe, overrides(source, None, None, settings))
    shards = find_shards(given(loaded.source.path, "source.path", "--source"))
    key = key_of("embed", loaded.to_yaml(), [shard.identity for shard in shards])
    chosen = make_engine(engine, address, gpus, cpus, log_fragments=log_fragments)
    run = Run(key, Workspace(workspace), chosen, track())
    with observed(run, loaded.name) as run:
        catalog = build_catalog(run, loaded, shards)
        step = embed(run, loaded.vectors or loaded.encoder, loaded.source.caption, catalog)
    print(json.dumps({"rows": catalog.num_rows, "embedded": step.uri}))


if __name__ == "__main__":
    main(embed_alone)
