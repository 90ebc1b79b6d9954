"""Submit the nightly curation to a Ray cluster that stays, and follow it.

The task is `winnow submit`: its exit code is the job's, and its submission id is made of recipe and
night, so a retry of the task joins the job that still runs, or starts its next attempt, and never
runs a night twice. The worker's machine needs `winnow`, or set `winnow_command` to one that has it
(`docker run --rm IMAGE winnow`).

Airflow variables: `winnow_address` (http://HEAD:8265), `winnow_workspace`, `winnow_output`,
`winnow_home` (a folder that holds the recipe and travels to the cluster), `winnow_recipe` (a path
in it). Stores are opened by the cluster's own rights: no secret passes through Airflow.
"""

from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id="winnow_nightly",
    description="Curate what the crawl has brought since the last night.",
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,  # nights do not overlap; the lease of the workspace is the second lock
    tags=["winnow"],
) as dag:
    BashOperator(
        task_id="submit",
        bash_command=(
            "{{ var.value.get('winnow_command', 'winnow') }} submit"
            " {{ var.value.winnow_recipe }}"
            " --address {{ var.value.winnow_address }}"
            " --workspace {{ var.value.winnow_workspace }}"
            " --output {{ var.value.winnow_output }}"
            " --job nightly --night {{ ds }}"
        ),
        cwd="{{ var.value.winnow_home }}",
        retries=2,
        retry_delay=timedelta(minutes=10),
        execution_timeout=timedelta(hours=22),
    )
