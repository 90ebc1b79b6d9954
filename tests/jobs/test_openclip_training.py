"""The published shards in OpenCLIP's own training program, started as a user would."""

import json
import os
import re
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def train(folder, *arguments):
    pytest.importorskip("open_clip_train")
    return subprocess.run(
        [sys.executable, "-m", "open_clip_train.main", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def test_a_training_job_reads_the_output_as_it_is(tmp_path, curated, encoder_folder):
    sizes = json.loads((curated.output / "sizes.json").read_bytes())
    last = f"{len(sizes) - 1:05d}"

    done = train(
        tmp_path,
        "--train-data",
        f"{curated.output}/{{00000..{last}}}.tar",
        "--dataset-type=webdataset",
        f"--model=local-dir:{encoder_folder}",
        "--device=cpu",
        "--precision=fp32",
        "--batch-size=8",
        "--workers=1",
        "--epochs=1",
        "--warmup=1",
        "--lr=1e-4",
        "--log-every-n-steps=1",
        "--logs=logs",
        "--name=test",
    )

    log = done.stderr + done.stdout
    losses = [float(loss) for loss in re.findall(r"Contrastive_loss: ([\d.]+)", log)]
    assert done.returncode == 0, log[-2000:]
    assert (
        f"/{sum(sizes.values()) // 8 * 8} " in log or f"/{-(-sum(sizes.values()) // 8) * 8} " in log
    )
    assert losses
    assert all(0 < loss < 10 for loss in losses)
    assert (tmp_path / "logs" / "test" / "checkpoints" / "epoch_1.pt").exists()
