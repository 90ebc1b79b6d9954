"""Say what became of the rows of a published output, from where the cluster can read it.

`ray job submit --working-dir . -- python -m jobs.report OUTPUT` is `winnow report` on the cluster.
"""

from pipeline.cli import main, report

if __name__ == "__main__":
    main(report)
