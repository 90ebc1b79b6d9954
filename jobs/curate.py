"""Curate a corpus as a job of a Ray cluster.

`ray job submit --working-dir . -- python -m jobs.curate RECIPE --workspace URI --output URI`
is `winnow run` on the cluster: it ends with 0, or with 2 and the reason as its last line.
"""

from pipeline.cli import main, run

if __name__ == "__main__":
    main(run)
