"""One unit of work: the problems of a world planned side by side by one planner; one row a problem."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import Any

import polars as pl
import torch
from torch import Tensor

from experiments.study.code.modules import Definition
from experiments.study.trials.store import Layout
from experiments.study.trials.trial import commit
from experiments.study.trials.unit import repository
from experiments.threads import one_thread
from experiments.training.run import machine
from experiments.worlds.protocol import PLANNERS, WORLDS
from experiments.worlds.world import Problems, problems
from grasp_theory import PlanningProblem, Status
from linear_systems.errors import ParameterError

SCHEMA: Mapping[str, Any] = {
    "unit": pl.String, "world": pl.String, "planner": pl.String, "settings": pl.String, "problem": pl.Int32,
    "states": pl.Int32, "actions": pl.Int32, "horizon": pl.Int32, "seed": pl.Int64, "budget": pl.Int32, "least": pl.Float32,
    "solved": pl.Boolean, "evaluations": pl.Int64, "iterations": pl.Int32, "looks": pl.Int32, "diverged": pl.Boolean,
    "loss": pl.Float32, "calls": pl.Int64, "seconds": pl.Float64, "code": pl.String, "version": pl.String,
    "commit": pl.String, "machine": pl.String, "torch": pl.String,
}  # fmt: skip
"""Columns of a row.

unit: the checksum, see `unit_key`.
least: certified lower bound on the steps of a plan that solves the problem.
solved, evaluations: whether the returned plan reaches the goal, which is true as it is believed, and what was spent until then.
calls: of the step, one after the other, until the last problem of the unit was done: what parallel planning makes fewer.
seconds: wall time of the unit.
"""
LAYOUT = Layout(SCHEMA, ("unit", "problem"), ("world", "planner", "seed", "budget", "problem", "unit"))


@dataclass(frozen=True)
class WorldUnit:
    """The first `count` problems of a world, planned by one planner.

    Arguments
        world: a name in `WORLDS`.
        planner: a name in `PLANNERS`.
        count: B.
        budget: `max_evaluations` in units of the horizon.
        seed: of the problems and of the noise, the same for all planners.

    Raises
        ParameterError: there is no such world or planner.
    """

    world: str
    planner: str
    count: int
    budget: int
    seed: int

    def __post_init__(self) -> None:
        for name, known in (("world", WORLDS), ("planner", PLANNERS)):
            if getattr(self, name) not in known:
                raise ParameterError(
                    name, f"one of {'; '.join(known)}", repr(getattr(self, name)), "check the spelling"
                )

    @property
    def set_name(self) -> str:
        """The world."""
        return self.world

    @property
    def settings(self) -> str:
        """All of the planner's settings, as JSON."""
        return json.dumps(asdict(PLANNERS[self.planner]), sort_keys=True)


@cache
def unit_key(unit: WorldUnit) -> str:
    """Return the SHA-256 of all that determines a unit's rows: settings, the problems' numbers, and the code that can run."""
    drawn = drawn_problems(unit.world, unit.count, unit.seed)
    digest = hashlib.sha256(f"{unit}\0{unit.settings}\0{code_digest()}".encode())
    for each in (drawn.problem.initial_state, drawn.problem.goal, drawn.problem.seeds):
        assert each is not None
        digest.update(each.numpy().tobytes())
    return digest.hexdigest()


@cache
def code_digest() -> str:
    """Return a digest of the code that a unit can execute, whichever planner and world it has."""
    return repository().closure(Definition("experiments.worlds.trial", "outcomes")).digest()


@cache
def drawn_problems(world: str, count: int, seed: int) -> Problems:
    """Return the problems of a unit."""
    return problems(WORLDS[world](), count, seed)


class _Counted:
    """Dynamics that count the calls of their step."""

    def __init__(self, problem: PlanningProblem) -> None:
        self.inner, self.calls = problem.model, 0

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Return F(s, a)."""
        self.calls += 1
        return self.inner.step(state, action)  # type: ignore[union-attr]  # no world varies in time


def outcomes(unit: WorldUnit) -> dict[str, Any]:
    """Return the outcome columns of a unit."""
    drawn = problems(WORLDS[unit.world](), unit.count, unit.seed)
    counted = _Counted(drawn.problem)
    problem = replace(drawn.problem, dynamics=counted)
    counted.calls = 0
    budget = unit.budget * problem.horizon
    planner = replace(PLANNERS[unit.planner], iterations=budget, max_evaluations=budget)
    plan = planner.plan(problem)
    return {
        "problem": list(range(unit.count)), "least": drawn.least.tolist(), "solved": plan.reached.tolist(),
        "evaluations": plan.evaluations.tolist(), "iterations": plan.iterations.tolist(), "looks": plan.looks.tolist(),
        "diverged": (plan.status == Status.DIVERGED).tolist(), "loss": plan.loss.float().tolist(), "calls": counted.calls,
        "states": problem.goal.shape[1], "actions": problem.action_dim, "horizon": problem.horizon,
    }  # fmt: skip


def run_unit(unit: WorldUnit) -> pl.DataFrame:
    """Return the rows of a unit; all but the times are the same each time on the same machine."""
    began = time.perf_counter()
    found = outcomes(unit)
    shared = {
        "unit": unit_key(unit), "world": unit.world, "planner": unit.planner, "settings": unit.settings, "seed": unit.seed,
        "budget": unit.budget, "seconds": time.perf_counter() - began, "code": code_digest(),
        "version": version("grasp-theory"), "commit": commit(), "machine": machine(torch.device("cpu")),
        "torch": f"{torch.__version__}, Python {platform.python_version()}",
    }  # fmt: skip
    columns = {**found, **shared}
    return pl.DataFrame(
        {name: columns[name] if isinstance(columns[name], list) else [columns[name]] * unit.count for name in SCHEMA},
        schema=SCHEMA,
    )  # fmt: skip


def here(units: Sequence[WorldUnit]) -> Iterator[tuple[WorldUnit, pl.DataFrame]]:
    """Compute one unit after the other, with one thread."""
    with one_thread():
        for unit in units:
            yield unit, run_unit(unit)


def work(unit: WorldUnit) -> float:
    """Return about how long a unit takes, in any unit: rows step side by side, so that the horizon is what counts."""
    return WORLDS[unit.world]().horizon


def of_one_code(rows: pl.DataFrame, units: Iterable[WorldUnit]) -> tuple[pl.DataFrame, bool]:
    """Return the rows of these units that are of one code, and whether it is the present one.

    That is the present code where it has any rows, else the code that has most.
    """
    wanted = pl.DataFrame(
        [(each.world, each.planner, each.seed, each.budget, each.count) for each in units],
        schema={"world": pl.String, "planner": pl.String, "seed": pl.Int64, "budget": pl.Int32, "count": pl.UInt32},
        orient="row",
    )  # fmt: skip
    counted = rows.with_columns(pl.len().over("unit").alias("count"))
    asked = counted.join(wanted, on=wanted.columns, how="semi").select(rows.columns)
    present = asked.filter(pl.col("code") == code_digest())
    if len(present) or not len(asked):
        return present, True
    most = asked["code"].value_counts().sort("count", "code")["code"][-1]
    return asked.filter(pl.col("code") == most), False
