"""Plans for fresh problems, by one model or by three as one, and whether they are true: what `acceptance` measures on.

Plans are stored in pieces of `PIECE` problems, so that a killed run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from experiments.evaluation.exploitability import gradient_planners
from experiments.evaluation.observe import decoded_states, encode, environment_actions
from experiments.pieces import piece
from experiments.study.trials.unit import BUDGET
from grasp_theory import Ensemble, Planner, PlanningProblem
from grasp_theory.tasks import by_name
from grasp_theory.tasks.problems import Kind, Problems, Purpose, make_problems
from grasp_theory.tasks.task import Task
from grasp_theory.trust.held_first import HeldFirst
from grasp_theory.world_models import Card, WorldModel, available, load
from grasp_theory.world_models.checkpoint import best_latent

TRIALS: Mapping[str, tuple[str, Kind, int]] = {
    "wall_single": ("wall_single", "random", 8), "point_maze": ("point_maze", "random", 16),
    "push_t": ("push_t", "trajectory", 5), "push_t_2": ("push_t", "trajectory", 2),
    "push_t_held": ("push_t", "trajectory", 5),
}  # fmt: skip
"""Name -> task, kind of its problems and horizon."""
HELD = "HeldFirst"
MEASURED = {**dict.fromkeys(TRIALS, "GRASP"), "push_t_held": HELD}
"""Trial -> the planner whose plans acceptance is measured on: `HeldFirst.auto`, or GRASP with a fixed number of iterations."""
SEEDS = (0, 1, 2)
"""Of the shipped offline models."""
ALL = -1
"""Planning in the three models as one, in place of the seed of the model that planned."""
SPLITS: Mapping[str, Purpose] = {"calibration": "tuning", "fresh": "reporting"}
"""What acceptance is calibrated on, and what it is tried on: problems of separate streams."""
PROBLEM_SEED = 16
"""Of the problem sets: other experiments use other seeds."""
PIECE = 100


@dataclass(frozen=True)
class Unit:
    """One planner's plans for some problems.

    Arguments
        trial: which problems, of `TRIALS`.
        split: of `SPLITS`.
        piece: the problems PIECE · piece, ..., PIECE · (piece + 1) − 1 of the set.
        planner: its name in `planners`, or `HELD`.
        model: seed of the model that plans, or `ALL`.
        restart: number of the noise.
    """

    trial: str
    split: str
    piece: int
    planner: str
    model: int
    restart: int = 0

    @property
    def rows(self) -> slice:
        """The problems among those of the set."""
        return slice(PIECE * self.piece, PIECE * (self.piece + 1))

    @property
    def name(self) -> str:
        """The name of the file of its plans."""
        by = "all" if self.model == ALL else self.model
        return f"{self.trial}-{self.split}-{self.planner}-{by}-{self.restart}-{self.piece}.npz"


@dataclass(frozen=True, eq=False)
class Plans:
    """N plans with what they come to in the world.

    Arguments
        actions: (N, T, m).
        true: (N,), whether they are a success in the world.
        loss: (N,), of the model that planned.
    """

    actions: Float[np.ndarray, "N T m"]
    true: Bool[np.ndarray, " N"]
    loss: Float[np.ndarray, " N"]


def planners(task: Task) -> dict[str, Planner]:
    """Return the planners of the cards with fixed numbers of iterations; none of them is tuned here."""
    return {
        "GRASP": gradient_planners(task, 200)["GRASP"],
        "GD": gradient_planners(task, 160)["GradientDescent"],
    }


def planner_of(trial: str, name: str) -> Planner:
    """Return a planner of a trial."""
    return held_first(trial) if name == HELD else planners(by_name(TRIALS[trial][0]))[name]


@lru_cache(maxsize=8)
def held_first(trial: str) -> Planner:
    """Return `HELD` as the first model sets it, asked about the first calibration problems, for all problems of a trial."""
    task = by_name(TRIALS[trial][0])
    problems, model = problem_set(trial, "calibration", PIECE), model_of(task.name, 0)
    asked = with_region(task, model, given(task, model, problems, slice(None), torch.arange(PIECE)))
    return cast(Planner, HeldFirst.auto(asked, task.action_dim, BUDGET * asked.horizon))


@lru_cache(maxsize=8)
def problem_set(trial: str, split: str, count: int) -> Problems:
    """Return the first problems of a split."""
    task, kind, horizon = TRIALS[trial]
    return make_problems(task, kind, horizon=horizon, count=count, purpose=SPLITS[split], seed=PROBLEM_SEED)


@lru_cache(maxsize=16)
def model_of(task: str, seed: int) -> WorldModel:
    """Return a shipped offline model of a task."""
    return load(task, seed=seed)


def given(task: Task, model: WorldModel, problems: Problems, rows: slice, seeds: Tensor) -> PlanningProblem:
    """Return some of the problems as a model sees them: their latents, and the world's action set."""
    return PlanningProblem(
        model, encode(model, task, problems.start_history[rows]), encode(model, task, problems.goal_history[rows]),
        int(problems.horizon[0]), model.architecture.action_dim, action_set=task.action_set, seeds=seeds,
    )  # fmt: skip


def judged(task: Task, model: WorldModel, problem: PlanningProblem) -> PlanningProblem:
    """Return the problems as a model judges them: by the task's own success and distance, of what its probe tells of the end
    and of the goal's picture."""

    def told(latents: Tensor) -> np.ndarray:
        with torch.no_grad():
            return decoded_states(task, model.probe(latents).double().numpy())

    def reached(latents: Tensor, goals: Tensor) -> Tensor:
        # Plans that diverged, or have not converged yet, end in NaN, which the task's success refuses.
        there = latents.isfinite().flatten(1).all(1)
        return torch.from_numpy(task.success(told(latents.nan_to_num(0.0, 0.0, 0.0)), told(goals))) & there

    return replace(
        problem,
        reached=reached,
        goal_distance=lambda s, g: torch.from_numpy(task.distance(told(s), told(g))),
    )


def with_region(task: Task, model: WorldModel, problem: PlanningProblem) -> PlanningProblem:
    """Return the problems with the goal region of `judged`, and their own distance."""
    return replace(problem, reached=judged(task, model, problem).reached)


def together(alone: Sequence[PlanningProblem]) -> PlanningProblem:
    """Return the problems in all models as one: the loss is the sum of theirs."""
    first = alone[0]
    ensemble = Ensemble([each.dynamics for each in alone])
    return PlanningProblem(
        ensemble, ensemble.stack([each.initial_state for each in alone]), ensemble.stack([each.goal for each in alone]),
        first.horizon, first.action_dim, action_set=first.action_set, seeds=first.seeds,
    )  # fmt: skip


def plans_of(unit: Unit, folder: Path) -> Plans:
    """Return the plans of a unit, made now or by an earlier run.

    Arguments
        unit: which.
        folder: where they lie; made if it is missing.

    Raises
        ParameterError: a stored file is damaged, or holds something else.
    """
    chosen = SEEDS if unit.model == ALL else (unit.model,)
    task = TRIALS[unit.trial][0]
    settings = {
        **asdict(unit), "problem_seed": PROBLEM_SEED, "settings": repr(planner_of(unit.trial, unit.planner)),
        "models": [card.sha256 for card in available() if card.task == task and is_offline(card) and card.seed in chosen],
    }  # fmt: skip
    return Plans(**piece(folder / unit.name, settings, lambda: vars(_made(unit))))


def is_offline(card: Card) -> bool:
    """Return whether it is of one of the models that plan."""
    return card.kind == "offline" and card.architecture.label == best_latent(card.task)


def _made(unit: Unit) -> Plans:
    problems = problem_set(unit.trial, unit.split, unit.rows.stop)
    task = by_name(problems.task)
    seeds = torch.arange(len(problems))[unit.rows] + 1_000_000 * unit.restart
    chosen = SEEDS if unit.model == ALL else (unit.model,)
    alone = [given(task, model_of(task.name, seed), problems, unit.rows, seeds) for seed in chosen]
    problem = together(alone) if unit.model == ALL else alone[0]
    if unit.planner == HELD:
        problem = with_region(task, model_of(task.name, unit.model), problem)
    plan = planner_of(unit.trial, unit.planner).plan(problem)
    path = task.simulate(problems.starts[unit.rows], environment_actions(task, plan.actions))
    true = task.success(path[:, -1], problems.goals[unit.rows]) & torch.isfinite(plan.loss).numpy()
    return Plans(plan.actions.numpy(), true, plan.loss.double().numpy())
