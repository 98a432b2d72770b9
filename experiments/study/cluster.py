"""Computing units on a Ray cluster: code, models and problems travel with the job; a unit whose node dies is computed again."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import torch

from experiments.paths import REPOSITORY
from experiments.study.trials.own import is_own
from experiments.study.trials.trial import commit, run_unit
from experiments.study.trials.unit import PROBLEM_SETS, Unit, code_digest, model_path, unit_key, witness
from linear_systems.errors import InvalidInputError, ParameterError

PACKAGES = ("linear_systems", "grasp_theory", "experiments")
RETRIES = 5
"""Times that a unit is computed again because its worker or node died; one that kills its worker is given up then."""
AHEAD = 2
"""Units handed to the cluster for each that it can compute at a time, so that no worker waits for this process."""


class ClusterError(RuntimeError):
    """A unit could not be computed on the cluster; the message says which and why."""


class WorkerMismatchError(InvalidInputError):
    """A worker has other code, models or problems than the process that asked: its rows are not those of the unit."""


def on_ray(
    units: Sequence[Unit], *, address: str, gpus: float = 0.0, retries: int = RETRIES
) -> Iterator[tuple[Unit, pl.DataFrame]]:
    """Compute units on a Ray cluster, one task of one thread each, and yield each with its rows as it is done.

    Workers need Python with this package's dependencies; the code, the models and the problem sets are sent to each node
    once.  Closing the iterator cancels what is in flight.

    Arguments
        units: what to compute.
        address: "local" starts a cluster on this machine; "auto", "HOST:PORT" or "ray://HOST:PORT" joins one.
        gpus: GPUs for each unit, 0.25 for four units on one; above zero the planning is done on "cuda".
        retries: of a unit whose worker or node died.  One that raises an error is not computed again.

    Raises
        ParameterError: if Ray is not installed, there is no cluster at the address, no node has a processor and the
            GPUs for a unit, or a model lies where it has no place in what is sent.
        ClusterError: if a unit raises an error, or its workers died more often than it is retried.
    """
    if find_spec("ray") is None:
        raise ParameterError(
            "ray", "the package ray", "none", "pip install --group cluster, or leave out --ray"
        )
    if gpus < 0:
        raise ParameterError("gpus", "0 or more", f"{gpus}", "0 for the processor")
    return _results(units, address, gpus, retries) if units else iter(())


def pack(units: Sequence[Unit], folder: Path) -> None:
    """Copy into a folder what the workers of these units need: the code, the units' models with their witnesses, and problem sets.

    Raises
        ParameterError: for a model of your own whose path is absolute or leads out of the current folder; for a study of your
            own, whose file may need anything.
    """
    if any(is_own(unit.task) for unit in units):
        raise ParameterError("ray", "our tasks", "a study of your own", "leave out --ray; --workers works")
    files = {
        path: path.relative_to(REPOSITORY) for name in PACKAGES for path in (REPOSITORY / name).rglob("*.py")
    }
    for name in {unit.set_name for unit in units}:
        path = PROBLEM_SETS / f"{name}.npz"
        files[path] = path.relative_to(REPOSITORY)
    asked = {unit.model for unit in units}
    for name in asked | {other for model in asked if (other := witness(model)) is not None}:
        path = model_path(name)
        inside = Path(name) if path == Path(name) else path.relative_to(REPOSITORY)
        if inside.is_absolute() or ".." in inside.parts:
            hint = "change to a folder above it and give its path from there"
            raise ParameterError("model", "a shipped model, or a relative path without ..", repr(name), hint)
        for ending in (".json", ".safetensors"):
            files[Path(f"{path}{ending}")] = Path(f"{inside}{ending}")
    for path, inside in files.items():
        (folder / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / inside)


def compute(unit: Unit, device: str, key: str) -> pl.DataFrame:
    """Return the rows of the unit with this key, on a worker.

    Raises
        WorkerMismatchError: if the unit has another key here.
    """
    found = unit_key(unit)
    if found != key:
        raise WorkerMismatchError(
            f"worker on {os.uname().nodename}", f"the code, model and problems that give {unit} the key {key}",
            f"{found}, with code {code_digest(unit.planner, unit.task, unit.mode)} in {REPOSITORY}",
            "take other copies of this package out of the worker's PYTHONPATH",
        )  # fmt: skip
    torch.set_num_threads(1)
    return run_unit(unit, device)


def _results(
    units: Sequence[Unit], address: str, gpus: float, retries: int
) -> Iterator[tuple[Unit, pl.DataFrame]]:
    import ray  # an optional dependency

    # What the nodes cannot know: their copy of the code is no checkout, and may shadow an installed version.
    origin = [pl.lit(version("grasp-theory")).alias("version"), pl.lit(commit(), pl.String).alias("commit")]
    _join(units, address)
    running: dict[ray.ObjectRef[pl.DataFrame], Unit] = {}
    try:
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=retries, retry_exceptions=False)(compute)
        waiting = list(reversed(units))
        while waiting or running:
            while waiting and len(running) < AHEAD * _places(gpus):
                unit = waiting.pop()
                running[task.remote(unit, "cuda" if gpus else "cpu", unit_key(unit))] = unit
            [done], _ = ray.wait(list(running), num_returns=1)
            unit = running.pop(done)
            try:
                rows = ray.get(done)
            except ray.exceptions.RayError as error:
                raise ClusterError(f"{unit}: {error}") from error
            yield unit, rows.with_columns(origin)
    finally:
        for left in running:
            ray.cancel(left, force=True)
        ray.shutdown()


def _join(units: Sequence[Unit], address: str) -> None:
    """Start or join a cluster whose workers run what lies in a copy of the code; each node fetches that once."""
    import ray

    # A study reports to nobody; a cluster that is there already has its own settings.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray warns that it will treat tasks without a GPU differently in future; the new way is chosen here.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    local = address == "local"
    if not local:
        # Two tries of half a minute each, not twenty, where nobody answers.
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "2")
    with TemporaryDirectory() as folder:
        pack(units, Path(folder))
        try:
            ray.init(
                address, runtime_env={"working_dir": folder}, log_to_driver=False, logging_level=logging.WARNING,
                include_dashboard=False if local else None,
            )  # fmt: skip
        except (ConnectionError, RuntimeError) as error:  # of auto, and of HOST:PORT
            raise ParameterError(
                "ray", "the address of a running cluster", f"{address!r}: {error}",
                "`ray status` on its head, or --ray local",
            ) from error  # fmt: skip


def _places(gpus: float) -> int:
    """Return how many units the nodes that are alive can compute at a time.

    Raises
        ParameterError: if none.
    """
    import ray

    have = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    places = sum(
        int(min(node.get("CPU", 0), node.get("GPU", 0) // gpus if gpus else node.get("CPU", 0)))
        for node in have
    )
    if not places:
        found = ", ".join(f"{node.get('CPU', 0):g} CPU and {node.get('GPU', 0):g} GPU" for node in have)
        raise ParameterError(
            "cluster", f"a node with a CPU and {gpus:g} GPU for a unit", found, "wait until the workers have joined"
        )  # fmt: skip
    return places
