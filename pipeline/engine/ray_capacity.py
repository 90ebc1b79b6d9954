"""Ask an autoscaling cluster for machines before work is spread over those that it has."""

import ray
from ray.util.placement_group import placement_group, remove_placement_group

from pipeline.errors import ClusterError

PATIENCE_S = 1800.0
"""How long machines may take to come: spot capacity is not always there at once."""


def await_capacity(num_gpus: int, num_cpus: int, patience_s: float = PATIENCE_S) -> None:
    """Wait until so many GPUs and CPUs are free; the autoscaler starts what lacks.

    A run counts the machines of a cluster as a step starts, so a cluster at zero would get the
    work of one. The claim is given up at once: the step takes what it waited for, and a killed
    run leaves no request behind that keeps machines alive.

    Raises
    ------
    ClusterError
        If they do not come in time.
    """
    bundles = [{"GPU": 1.0}] * num_gpus + [{"CPU": 1.0}] * num_cpus
    if not bundles:
        return
    claim = placement_group(bundles, strategy="PACK")
    try:
        has_come = claim.wait(timeout_seconds=patience_s)
    finally:
        remove_placement_group(claim)
    if not has_come:
        there = ray.cluster_resources()
        raise ClusterError(
            f"the cluster must have {num_gpus} GPUs and {num_cpus} CPUs free within "
            f"{patience_s:.0f} s, got {there.get('GPU', 0):.0f} and {there.get('CPU', 0):.0f} "
            "in all: lower --gpus or --cpus, or raise the largest number of its workers"
        )
