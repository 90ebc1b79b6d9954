import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.ray]

SCRIPT = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
import ray
from ray.cluster_utils import Cluster
from pipeline.engine.ray_capacity import await_capacity
from pipeline.errors import ClusterError

folder = sys.argv[1]
plasma = 100 * 2**20
cluster = Cluster()
cluster.add_node(num_cpus=1, object_store_memory=plasma, temp_dir=folder + "/0",
                 include_dashboard=False)
try:
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    await_capacity(0, 0)
    said = ""
    try:
        await_capacity(2, 1, patience_s=2)
    except ClusterError as error:
        said = str(error)
    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(await_capacity, 2, 2, patience_s=240)
        cluster.add_node(num_cpus=1, num_gpus=2, object_store_memory=plasma,
                         temp_dir=folder + "/1")
        waiting.result()
    want = {"GPU": 2.0, "CPU": 2.0}
    for _ in range(300):
        free = {name: ray.available_resources().get(name) for name in want}
        if free == want:
            break
        time.sleep(0.1)
    print(json.dumps([said, free]))
finally:
    ray.shutdown()
    cluster.shutdown()
"""


def test_a_run_waits_for_machines_and_gives_the_claim_up():
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:  # socket paths are short
        env = os.environ | {"RAY_raylet_start_wait_time_s": "120", "RAY_TMPDIR": folder}
        env.pop("RAY_ADDRESS", None)
        (Path(folder) / "ray").mkdir()  # where the cluster notes its address, for itself alone

        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, folder],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    said, free = json.loads(done.stdout.splitlines()[-1])
    assert "must have 2 GPUs and 1 CPUs free within 2 s, got 0 and 1 in all" in said
    assert free == {"GPU": 2, "CPU": 2}
