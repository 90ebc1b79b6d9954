"""Write and read a model folder in open_clip's own layout.

    python -m jobs.tiny.export --recipe RECIPE --checkpoint WORK/checkpoint.pt --out FOLDER

The weights are the averaged ones.
"""

import argparse
import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from jobs.tiny.recipe import Recipe, read_recipe

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"


def write_config(recipe: Recipe, folder: Path) -> None:
    """Write the architecture and the preprocessing."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": recipe.model, "preprocess_cfg": recipe.preprocess}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def write_weights(state: dict[str, Tensor], folder: Path) -> None:
    """Write the weights in half precision.

    Raises
    ------
    ValueError
        If a weight does not fit into half precision.
    """
    half = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in state.items()
    }
    broken = [
        name
        for name, value in half.items()
        if value.is_floating_point() and not value.isfinite().all()
    ]
    if broken:
        raise ValueError(f"weights must fit into float16, got too large ones in {broken}")
    save_file(half, folder / WEIGHTS, metadata={"format": "pt"})


def new_model(recipe: Recipe, folder: Path) -> nn.Module:
    """Return an untrained model of the recipe's architecture."""
    write_config(recipe, folder)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return open_clip.CLIP(**config["model_cfg"])


def main() -> None:
    """Export the averaged weights of a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    write_config(read_recipe(arguments.recipe), arguments.out)
    checkpoint = torch.load(arguments.checkpoint, weights_only=True)
    write_weights(checkpoint["average"], arguments.out)
    print(f"weights of step {checkpoint['step']} in {arguments.out}")


if __name__ == "__main__":
    main()
