"""Computing the units that are missing: in this process, in several, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from experiments.study.trials.store import Store
from experiments.study.trials.trial import run_unit
from experiments.study.trials.unit import Unit, unit_key
from experiments.threads import one_thread
from grasp_theory.workers import worker_pool
from linear_systems.errors import ParameterError

Runner = Callable[[Sequence[Unit]], Iterable[tuple[Unit, pl.DataFrame]]]
"""Computes units and yields each with its rows as soon as these are there, in any order."""


def execute(
    units: Sequence[Any],
    store: Store,
    runner: Callable[[Sequence[Any]], Iterable[tuple[Any, pl.DataFrame]]],
    *,
    key: Callable[[Any], str] = unit_key,
    work: Callable[[Any], float] | None = None,
    progress: bool = True,
) -> int:
    """Compute those of the units that the store lacks, writing each as it is done; return how many there were.

    Arguments
        units: with `planner` and `set_name`.
        store: where their rows are and go.
        runner: computes them.
        key: the name of a unit in the store.
        work: about how much of it there is, in any unit; None: `study_work`.
        progress: show a progress bar.

    Killed at any moment, it loses the units in flight and nothing else: call it again.
    """
    done = store.units()
    work = study_work if work is None else work
    named = {key(unit): unit for unit in units}
    missing = [unit for name, unit in named.items() if name not in done]
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[trials]} trials"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=False),
        console=Console(stderr=True), disable=not progress,
    )  # fmt: skip
    with store.lock(), bar:
        shown = bar.add_task("planning", total=sum(map(work, missing)), trials=0)
        trials = 0
        for unit, rows in runner(missing):
            store.write(key(unit), rows)
            trials += len(rows)
            bar.update(
                shown, advance=work(unit), trials=trials, description=f"{unit.planner} {unit.set_name}"
            )
    return len(missing)


def study_work(unit: Unit) -> float:
    """Return about how many evaluations of the model a unit costs, for the time that is left."""
    # One row alone costs about a twentieth of a batch of a hundred.
    return unit.budget * unit.horizon * unit.count * (5 if unit.mode in ("single", "mpc") else 1)


def here(units: Sequence[Unit], device: str = "cpu") -> Iterator[tuple[Unit, pl.DataFrame]]:
    """Compute one unit after the other in this process, with one thread."""
    with one_thread():
        for unit in units:
            yield unit, run_unit(unit, device)


def processes(units: Sequence[Unit], workers: int) -> Iterator[tuple[Unit, pl.DataFrame]]:
    """Compute units in several processes of one thread each, which end when this one is killed."""
    with worker_pool(workers) as pool:
        futures = {pool.submit(run_unit, unit): unit for unit in units}
        for future in as_completed(futures):
            yield futures[future], future.result()


def runner(*, workers: int = 1, device: str = "cpu", ray: str | None = None, gpus: float = 0.0) -> Runner:
    """Return what computes units: `workers` processes, or with an address a Ray cluster ("local" starts one here).

    Raises
        ParameterError: for a device other than the CPU with several processes or Ray (there, ask for `gpus`).
    """
    if device != "cpu" and (workers > 1 or ray is not None):
        raise ParameterError(
            "device", "cpu with --workers or --ray", repr(device), "--gpus with --ray, or one process"
        )
    if ray is not None:
        from experiments.study.cluster import on_ray

        return lambda units: on_ray(units, address=ray, gpus=gpus)
    if workers > 1:
        return lambda units: processes(units, workers)
    return lambda units: here(units, device)
