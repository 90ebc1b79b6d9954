"""Hand a command to the job server of a Ray cluster, once per key, and follow it to its end."""

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import tenacity
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from pipeline.errors import ClusterError

Value = TypeVar("Value")

POLL_S = 1.0
"""Seconds between two looks at a job that is followed."""

PATIENCE_S = 120.0
"""How long a job server may be out of reach before following a job is given up."""

STOPPED = 143
"""Exit code for a job that was stopped, as a shell tells it of SIGTERM."""

AHEAD = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Variables that Ray's client puts before the address given to it."""

for talker in ("dashboard.modules.dashboard_sdk", "_private.runtime_env.packaging"):
    logging.getLogger(f"ray.{talker}").setLevel(logging.ERROR)  # they tell of every upload


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a cluster is to run, and the key under which it runs only once."""

    key: str
    entrypoint: str
    """A line of shell."""
    runtime_env: Mapping[str, Any] = field(repr=False)
    """Working directory, requirements and variables, in Ray's own words."""
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Submitted:
    """The one job of a key."""

    id: str
    """Its submission id: the key, and from the second attempt on the attempt's number."""
    is_new: bool
    """Whether this call started it; else it was running, or had succeeded, before."""
    has_ended: bool


@dataclass(frozen=True)
class Ended:
    """How a job has ended."""

    code: int
    """The exit code of its command."""
    reason: str
    """The last line that it wrote, or what Ray says of it; empty if it succeeded."""


class JobServer:
    """The job server of one cluster."""

    def __init__(self, address: str) -> None:
        """Connect to `http://HEAD:8265`.

        Raises
        ------
        ClusterError
            If nothing answers there, or a variable of the environment names another cluster.
        """
        for name in AHEAD:
            if os.environ.get(name, address) != address:
                raise ClusterError(
                    f"address {address} must be that of {name}={os.environ[name]}, which Ray puts "
                    "before it: unset the variable"
                )
        self.address = address
        with cluster_errors(address):
            self.client = JobSubmissionClient(address)

    def submit(self, command: Command) -> Submitted:
        """Start a command unless a job of its key runs or has succeeded already.

        A job that failed or was stopped is followed by another attempt.
        """
        last = self.last_attempt(command.key)
        if last is None:
            return self.start(command, command.key)
        job_id = str(last.submission_id)
        if last.status in (JobStatus.FAILED, JobStatus.STOPPED):
            return self.start(command, f"{command.key}-{attempt(command.key, job_id) + 1}")
        return Submitted(job_id, is_new=False, has_ended=last.status.is_terminal())

    def start(self, command: Command, job_id: str) -> Submitted:
        """Start an attempt, or join it where another process was faster."""
        try:
            with cluster_errors(self.address, command.runtime_env.get("env_vars", {}).values()):
                self.client.submit_job(
                    entrypoint=command.entrypoint,
                    submission_id=job_id,
                    runtime_env=dict(command.runtime_env),
                    metadata=dict(command.metadata),
                )
        except ClusterError:
            last = self.last_attempt(command.key)
            if last is None or last.submission_id != job_id:
                raise
            return Submitted(job_id, is_new=False, has_ended=last.status.is_terminal())
        return Submitted(job_id, is_new=True, has_ended=False)

    def last_attempt(self, key: str) -> JobDetails | None:
        """Return the latest job of a key, or None if there was none on this cluster."""
        with cluster_errors(self.address):
            jobs = self.client.list_jobs()
        attempts = [job for job in jobs if attempt(key, job.submission_id or "")]
        return max(attempts, key=lambda job: attempt(key, str(job.submission_id)), default=None)

    def follow(self, job_id: str, write: Callable[[str], object]) -> Ended:
        """Hand on what a job writes until it ends; a silence of the network is waited out."""
        shown = 0
        while True:
            # the status first: what is read after the end of a job is all that it wrote
            info = self.ask(lambda: self.client.get_job_info(job_id))
            log = self.ask(lambda: self.client.get_job_logs(job_id))
            write(log[shown:])
            shown = len(log)
            if info.status.is_terminal():
                return Ended(exit_code(info), "" if exit_code(info) == 0 else reason(info, log))
            tenacity.nap.sleep(POLL_S)

    def ask(self, question: Callable[[], Value]) -> Value:
        """Return the answer of the job server, asking again while it is out of reach."""
        patient = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(OSError),
            wait=tenacity.wait_exponential(max=10),
            stop=tenacity.stop_after_delay(PATIENCE_S),
            reraise=True,
        )
        with cluster_errors(self.address):
            return patient(question)


@contextmanager
def cluster_errors(address: str, secrets: Any = ()) -> Iterator[None]:
    """Turn what Ray's client raises into a `ClusterError`, without the values of variables."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:  # requests' errors are OSErrors
        said = str(error)
        for secret in secrets:
            said = said.replace(secret, "***") if secret else said
        told = said.strip().splitlines()[-1] if said.strip() else type(error).__name__
        raise ClusterError(
            f"job server {address} must take the job, got {told}; "
            "check the address (http://HEAD:8265) and that the cluster is up"
        ) from error


def attempt(key: str, job_id: str) -> int:
    """Return which attempt of a key a job is; 0 if it is none.

    Examples
    --------
    >>> attempt("a-b", "a-b"), attempt("a-b", "a-b-3"), attempt("a-b", "a-b-c")
    (1, 3, 0)
    """
    found = re.fullmatch(re.escape(key) + r"(?:-(\d+))?", job_id)
    return int(found[1] or 1) if found else 0


def exit_code(info: JobDetails) -> int:
    """Return what the command of a job that ended left to its shell."""
    if info.status == JobStatus.SUCCEEDED:
        return 0
    if info.status == JobStatus.STOPPED:
        return STOPPED
    code = 1 if info.driver_exit_code is None else int(info.driver_exit_code)
    return 128 - code if code < 0 else code


def reason(info: JobDetails, log: str) -> str:
    """Return why a job did not succeed: its own last words, else Ray's."""
    if info.status == JobStatus.STOPPED:
        return "it was stopped"
    words = log if info.driver_exit_code is not None else info.message or ""
    # Ray may tell of the start after a command that fails at once
    start = f"Running entrypoint for job {info.submission_id}:"
    lines = [line for line in words.splitlines() if line.strip() and start not in line]
    return lines[-1].strip() if lines else "it wrote nothing"
