"""Runs many claims in worker processes, with results that do not depend on how many there are.

Every claim runs in a worker whose numerical libraries have one thread, also when there is one worker, so that
no sum is ever split differently.  A worker that dies makes the claim it was checking broken; others go on.
"""

from __future__ import annotations

import importlib
import os
import random
import re
import signal
import sys
import traceback
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Protocol, cast

from grasp_theory.workers import TiedContext, end_with_parent, interrupts_wait
from linear_systems.errors import ParameterError
from paper_checks.engine.records import Claim, Result, Verdict
from paper_checks.engine.run import FALSE_ALARM_TOTAL, STATISTICAL_TEST_LIMIT, Settings, run_claim

REGISTRY = "paper_checks.claims:ALL_CLAIMS"
"""Where the paper's claims are, as "module:attribute"; workers look claims up there by id."""

JOBS_LIMIT = 8
"""Most workers that `default_jobs` asks for: each holds its own copy of torch and sympy in memory."""

WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}
"""One thread per worker, and sets that iterate in the same order in all; read when the interpreter starts."""

ID_PATTERN = re.compile(r"[a-z][a-z0-9]*([.-][a-z0-9]+)*")
"""What a claim's id looks like: it names a claim on the command line and an anchor in the report."""


class Progress(Protocol):
    """Is told how a run proceeds."""

    def examining(self, claim_id: str, title: str) -> None:
        """Take note that a worker began to examine the statement `title` of a claim."""

    def finished(self, result: Result) -> None:
        """Take note that a claim is done."""


class Silent:
    """A `Progress` that shows nothing."""

    def examining(self, claim_id: str, title: str) -> None:
        """Show nothing."""

    def finished(self, result: Result) -> None:
        """Show nothing."""


def load_claims(registry: str = REGISTRY) -> tuple[Claim, ...]:
    """Return the claims that `registry` ("module:attribute") names.

    Raises
        ParameterError: an id is used twice or is not made of lower-case words, digits, dots and hyphens.
    """
    module, _, attribute = registry.partition(":")
    claims: tuple[Claim, ...] = tuple(getattr(importlib.import_module(module), attribute))
    seen: set[str] = set()
    for claim in claims:
        if not ID_PATTERN.fullmatch(claim.id):
            raise ParameterError(
                "id", "a name such as thm6 or text-speed", repr(claim.id), "rename the claim"
            )
        if claim.id in seen:
            raise ParameterError(
                "id", "one claim of each name", f"two named {claim.id!r}", "rename one of them"
            )
        seen.add(claim.id)
    return claims


def default_jobs() -> int:
    """Return how many workers to use: one for each core this process may use, up to `JOBS_LIMIT`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, JOBS_LIMIT)


def run_claims(
    ids: Sequence[str],
    settings: Settings,
    *,
    jobs: int,
    registry: str = REGISTRY,
    progress: Progress | None = None,
) -> tuple[Result, ...]:
    """Check the claims called `ids` in `jobs` worker processes; return the results in the order of `ids`.

    The results, but for the time they took, do not depend on `jobs`.

    Raises
        ParameterError: `jobs` < 1, or an id that the registry does not hold.
        KeyboardInterrupt: after every worker has been ended.
    """
    if jobs < 1:
        raise ParameterError(
            "jobs", "at least one worker", str(jobs), "leave it out to use the cores there are"
        )
    claims = {claim.id: claim for claim in load_claims(registry)}
    if unknown := [claim_id for claim_id in ids if claim_id not in claims]:
        raise ParameterError("ids", "ids of claims", repr(unknown), "ask `python -m paper_checks --list`")
    progress = progress or Silent()
    waiting, results = deque(dict.fromkeys(ids)), dict[str, Result]()
    workers: dict[Connection, _Worker] = {}
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                worker = _Worker(registry, settings, waiting.popleft())
                workers[worker.connection] = worker
            for ready in wait(list(workers)):
                worker = workers[cast(Connection, ready)]
                message = worker.receive()
                if isinstance(message, str):
                    progress.examining(worker.claim_id, message)
                    continue
                results[worker.claim_id] = replace(message, claim=claims[worker.claim_id])
                progress.finished(results[worker.claim_id])
                if waiting and worker.alive:
                    worker.assign(waiting.popleft())
                else:
                    workers.pop(worker.connection).stop()
    finally:
        for worker in workers.values():
            worker.stop()
    return tuple(results[claim_id] for claim_id in ids)


def budget_problem(results: Sequence[Result]) -> str:
    """Return why the false alarms of a whole run are not bounded as promised, or an empty text."""
    tests = sum(result.statistical_tests for result in results)
    if tests <= STATISTICAL_TEST_LIMIT:
        return ""
    return (
        f"the run made {tests} statistical tests, each at the level for {STATISTICAL_TEST_LIMIT}: the "
        f"probability of a false alarm may exceed {FALSE_ALARM_TOTAL:g}; raise STATISTICAL_TEST_LIMIT"
    )


class _Worker:
    """A process that checks one claim after another."""

    def __init__(self, registry: str, settings: Settings, claim_id: str) -> None:
        context = TiedContext()
        self.connection, remote = context.Pipe()
        self._process = context.Process(target=_work, args=(remote, registry, settings), daemon=True)
        with interrupts_wait(), _environment(WORKER_ENVIRONMENT):
            self._process.start()
        remote.close()  # so that the pipe ends when the worker does
        self.alive = True
        self.assign(claim_id)

    def assign(self, claim_id: str) -> None:
        self.claim_id = claim_id
        with suppress(OSError):  # if it has died, `receive` says so
            self.connection.send(claim_id)

    def receive(self) -> str | Result:
        """Return the title under examination, or the result; a dead worker's claim is broken."""
        try:
            message: str | Result = self.connection.recv()
        except (EOFError, OSError):
            self.alive = False
            self._process.join()
            problem = f"the worker process ended with exit code {self._process.exitcode} during this check"
            return Result(_stub(self.claim_id), Verdict.BROKEN, problem=problem)
        return message

    def stop(self) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.join()
        self._process.close()


def _work(connection: Connection, registry: str, settings: Settings) -> None:
    """Check the claims whose ids arrive, sending titles and then the result, until the pipe closes."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets Ctrl-C too, and ends the workers
    claims = {claim.id: claim for claim in load_claims(registry)}
    while True:
        try:
            claim_id: str = connection.recv()
        except EOFError:
            return
        _reseed(settings.seed, claim_id)
        result = run_claim(claims[claim_id], settings, connection.send)
        try:
            connection.send(replace(result, claim=_stub(claim_id)))
        except Exception:  # a record that cannot be sent is the check's fault, and must be told
            problem = f"the check recorded something that cannot leave its process:\n{traceback.format_exc()}"
            connection.send(Result(_stub(claim_id), Verdict.BROKEN, problem=problem))


def _stub(claim_id: str) -> Claim:
    """Return a stand-in that always pickles: a claim's check need not."""
    return Claim(claim_id, "", "", "")


def _reseed(seed: int, claim_id: str) -> None:
    """Fix the hidden generators (sympy uses one), so that no claim sees which claims ran before it."""
    fixed = zlib.crc32(f"{seed}/{claim_id}".encode())
    random.seed(fixed)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(fixed)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
