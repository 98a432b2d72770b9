"""One unit of work: plan, replay in the environment, judge; one row a trial."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from experiments.paths import REPOSITORY
from experiments.study.trials.judge import Judge, believed
from experiments.study.trials.loop import closed_loop
from experiments.study.trials.own import OwnJudge, case_of, is_own
from experiments.study.trials.unit import (
    Unit,
    code_digest,
    hashes_of,
    model_hash,
    model_path,
    planner_of,
    problem_set,
    stored_model,
    trial_keys,
    unit_key,
    witness,
)
from experiments.training.run import machine
from grasp_theory import Plan, Planner, Status
from grasp_theory.tasks import by_name
from grasp_theory.world_models import read_card
from linear_systems.errors import ParameterError

SCHEMA: Mapping[str, Any] = {
    "key": pl.String, "unit": pl.String,
    "task": pl.String, "kind": pl.String, "horizon": pl.Int64, "purpose": pl.String, "problem": pl.Int64,
    "problem_hash": pl.String,
    "model": pl.String, "model_kind": pl.String, "model_seed": pl.Int64, "model_hash": pl.String,
    "planner": pl.String, "settings": pl.String, "budget": pl.Int64, "seed": pl.Int64, "mode": pl.String, "batch": pl.Int64,
    "shortest_steps": pl.Float64,
    "first_step": pl.Int64, "first_seconds": pl.Float64, "first_model": pl.Boolean, "first_true": pl.Boolean,
    "final_model": pl.Boolean, "final_true": pl.Boolean, "agreed": pl.Boolean,
    "believed_curve": pl.String, "true_curve": pl.String, "evaluations": pl.Int64,
    "model_distance": pl.Float64, "true_distance": pl.Float64, "loss": pl.Float64,
    "iterations": pl.Int64, "seconds": pl.Float64, "diverged": pl.Boolean, "replans": pl.Int64,
    "code": pl.String, "version": pl.String, "commit": pl.String, "machine": pl.String, "device": pl.String,
    "threads": pl.Int64, "load": pl.Float64, "torch": pl.String, "finished": pl.String,
}  # fmt: skip
"""Columns of a row.

key, unit: see `trial_keys` and `unit_key`.
budget: model steps that may be evaluated, for each step of the horizon.
batch: problems planned side by side.
shortest_steps: lower bound on the problem's model steps, from the geodesic.
first_step, first_seconds: iterations and wall seconds until the model believed a plan (null: never).
first_model, first_true: whether it ever did, and whether that first plan succeeds in the environment.
final_model, final_true: the same of the plan that is returned after the whole budget; null where that was not spent.
agreed: whether the model's `witness` believes the returned plan; null without one, or where the budget was not spent.
believed_curve: "1" or "0" for each thirtieth of the budget: whether the model believes the plan that would be returned then.
true_curve: the same for each tenth, of its success in the environment.
evaluations: model steps evaluated for the problem, a gradient counting three.
model_distance, true_distance, loss: at the end of the returned plan; the task's distance, and ‖s_T − g‖².
seconds: wall time of planning, of the whole unit where problems are planned side by side.
replans: closed loop only: replannings until success in the environment (null: never within the limit).
load: of the machine over the minute before the unit was done: processes that wanted a core.
"""


TENTHS = 10
"""Points of `true_curve`."""


def run_unit(unit: Unit, device: str = "cpu") -> pl.DataFrame:
    """Return the rows of a unit; the results, not the times, are the same each time on the same machine."""
    outcomes = planned_and_judged(unit, device)
    own = is_own(unit.task)
    card = None if own else read_card(model_path(unit.model))
    code = code_digest(unit.planner, unit.task, unit.mode)
    shared = {
        "unit": unit_key(unit), "task": unit.task, "kind": unit.kind, "horizon": unit.horizon, "purpose": unit.purpose,
        "model": unit.model, "model_kind": "own" if card is None else card.kind,
        "model_seed": None if card is None else card.seed, "model_hash": model_hash(unit.model),
        "planner": unit.planner, "settings": unit.settings_json, "budget": unit.budget, "seed": unit.seed,
        "mode": unit.mode, "batch": 1 if unit.mode == "single" else unit.count, "code": code, **_provenance(device),
        "load": round(os.getloadavg()[0], 2), "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    hashes, steps = hashes_of(unit), None if own else problem_set(unit.set_name).shortest_steps
    rows = [
        {
            **shared,
            "key": key,
            "problem": index,
            "problem_hash": hashes[index],
            "shortest_steps": None if steps is None else float(steps[index]),
            **outcome,
        }
        for key, index, outcome in zip(trial_keys(unit), unit.indices, outcomes, strict=True)
    ]
    return pl.DataFrame([{name: row.get(name) for name in SCHEMA} for row in rows], schema=SCHEMA)


Outcomes = Sequence[Mapping[str, object]]


def planned_and_judged(unit: Unit, device: str) -> Outcomes:
    """Return the outcome columns of a unit's trials.  All code that can change them is what this function can execute."""
    judge = judge_of(unit, unit.model, device)
    return _MODES[unit.mode](judge, planner_of(unit), unit)


def judge_of(unit: Unit, model: str, device: str = "cpu") -> Judge | OwnJudge:
    """Return who judges a unit's plans with a model.

    Raises
        ParameterError: a study of one's own on another device than the CPU.
    """
    if is_own(unit.task):
        if device != "cpu":
            raise ParameterError(
                "device", "cpu with a study of one's own", device, "let the study's model do the moving"
            )
        return OwnJudge(case_of(unit.task, model, unit.kind, unit.horizon, unit.purpose), unit.indices)
    return Judge(by_name(unit.task), stored_model(model).to(device), problem_set(unit.set_name), unit.indices)


def _side_by_side(judge: Judge | OwnJudge, planner: Planner, unit: Unit) -> Outcomes:
    problem = judge.problem(unit.seed)
    began = time.perf_counter()
    plan = planner.plan(problem, stop_when_reached=False, curve=True)
    seconds = time.perf_counter() - began
    other = witness(unit.model)
    agreed = (
        [None] * len(unit.indices)
        if other is None
        else believed(judge_of(unit, other, problem.goal.device.type).problem(0), plan.actions).tolist()
    )
    return [
        {**outcome, **curves, "agreed": agrees}
        for outcome, curves, agrees in zip(
            _judged(judge, plan, problem.goal, seconds, whole_budget=True),
            _curves(judge, plan),
            agreed,
            strict=True,
        )
    ]


def _one_by_one(judge: Judge | OwnJudge, planner: Planner, unit: Unit) -> Outcomes:
    outcomes: list[Mapping[str, object]] = []
    for index in unit.indices:
        alone = replace(judge, indices=range(index, index + 1))
        problem = alone.problem(unit.seed)
        if not outcomes:  # the first call of everything is slower
            replace(planner, iterations=3).plan(problem)
        began = time.perf_counter()
        plan = planner.plan(problem)
        seconds = time.perf_counter() - began
        outcomes += _judged(alone, plan, problem.goal, seconds, whole_budget=False)
    return outcomes


def _in_closed_loop(judge: Judge | OwnJudge, planner: Planner, unit: Unit) -> Outcomes:
    if isinstance(judge, OwnJudge):
        raise ParameterError(
            "mode", "batch or single with a study of one's own", "mpc", "grasp_theory.control"
        )
    began = time.perf_counter()
    loop = closed_loop(judge, planner, unit.seed)
    seconds = time.perf_counter() - began
    return [
        {
            "final_true": bool(step >= 0), "true_distance": float(distance), "seconds": seconds,
            "evaluations": int(evaluations), "replans": int(step) if step >= 0 else None, "diverged": False,
        }
        for step, distance, evaluations in zip(loop.solved_at, loop.distance, loop.evaluations, strict=True)
    ]  # fmt: skip


_MODES = {"batch": _side_by_side, "single": _one_by_one, "mpc": _in_closed_loop}


def _judged(
    judge: Judge | OwnJudge, plan: Plan, goals: Tensor, seconds: float, *, whole_budget: bool
) -> Outcomes:
    """Return the outcome columns of one plan for each problem of the judge."""
    diverged = (plan.status == Status.DIVERGED).cpu().numpy()
    found = plan.first.found.cpu().numpy()
    first_true = judge.replay(plan.first.actions)[0] & found
    true, distance = judge.replay(plan.actions)
    seen = (
        torch.isfinite(plan.loss).cpu().numpy()
    )  # a plan whose rollout is finite; else the start is returned
    final_model = judge.reached(plan.states[:, -1], goals).cpu().numpy() & seen
    values = {
        "first_step": _where(found, plan.first.iterations.cpu().numpy()),
        "first_seconds": _where(found, plan.first.seconds.cpu().numpy()),
        "first_model": found.tolist(),
        "first_true": first_true.tolist(),
        "final_model": final_model.tolist() if whole_budget else None,
        "final_true": (true & seen).tolist() if whole_budget else None,
        "model_distance": judge.model_distance(plan.states[:, -1], goals).tolist(),
        "true_distance": [None if np.isnan(each) else each for each in distance.tolist()],
        "loss": plan.loss.double().cpu().tolist(),
        "evaluations": plan.evaluations.cpu().tolist(),
        "iterations": plan.iterations.cpu().tolist(),
        "seconds": [seconds] * len(found),
        "diverged": diverged.tolist(),
    }
    given = {name: column for name, column in values.items() if column is not None}
    return [{name: column[i] for name, column in given.items()} for i in range(len(found))]


def _curves(judge: Judge | OwnJudge, plan: Plan) -> Outcomes:
    """Return belief and truth of the plans that smaller budgets would return."""
    curve = plan.curve
    assert curve is not None
    seen = torch.isfinite(curve.loss).cpu().numpy()
    in_model = curve.believed.cpu().numpy() & seen
    tenths = slice(len(seen) // TENTHS - 1, None, len(seen) // TENTHS)
    true = np.array([judge.replay(actions)[0] for actions in curve.actions[tenths]]) & seen[tenths]
    return [
        {"believed_curve": _bits(one), "true_curve": _bits(other)}
        for one, other in zip(in_model.T, true.T, strict=True)
    ]


def _bits(values: np.ndarray) -> str:
    return "".join("01"[int(value)] for value in values)


def _where(there: np.ndarray, values: np.ndarray) -> list[float | int | None]:
    return [value if known else None for known, value in zip(there, values.tolist(), strict=True)]


@cache
def _provenance(device: str) -> dict[str, object]:
    return {
        "version": version("grasp-theory"), "commit": commit(), "machine": machine(torch.device(device)),
        "device": device, "threads": torch.get_num_threads(), "torch": f"{torch.__version__}, Python {platform.python_version()}",
    }  # fmt: skip


def commit() -> str | None:
    """Return the commit of the checkout, marked where files differ from it; None outside of git."""
    root = REPOSITORY
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=root, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip()
