"""Curate what has arrived since the last night, as a job of a Ray cluster.

`ray job submit --working-dir . -- python -m jobs.nightly RECIPE --workspace URI --output URI` is
`winnow nightly` on the cluster: it ends with 0, with 3 if a gate forbids to publish the night, or
with 2, and the reason as its last line.
"""

from pipeline.cli import main
from pipeline.nights import nightly

if __name__ == "__main__":
    main(nightly)
