"""The problems of the figures, and plans for them: the whole budget, whatever the model believes on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from zlib import crc32

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from experiments.evaluation.observe import environment_actions
from experiments.evaluation.sizes import stream
from experiments.paths import RESULTS
from experiments.study.figure_data.extents import SEED
from experiments.study.targets import Target, Tuned, offline_model
from experiments.study.trials.judge import Judge
from experiments.study.trials.settings import Settings, make_planner, untuned
from experiments.study.trials.unit import BUDGET, stored_model
from grasp_theory import GRASP, Observation, Plan, Planner
from grasp_theory.planners.loop.lifted import LiftedPlanner
from grasp_theory.tasks import by_name
from grasp_theory.tasks.environment import depth
from grasp_theory.tasks.problems import Kind, Problems, make_problems
from grasp_theory.tasks.task import FRAMESKIP, Task

CHECK_EVERY = 8
"""Iterations between two looks at the virtual states; few looks fall just after a sync has replaced them."""


@dataclass(frozen=True)
class Setting:
    """Which problems: their task, kind and horizon T in model steps."""

    task: str
    kind: Kind
    horizon: int


SETTINGS = (
    Setting("wall_single", "random", 10),
    Setting("point_maze", "long", 16),
    Setting("push_t", "trajectory", 10),
)
"""The three tasks at the paper's H = 50, but PointMaze at H = 80: at H = 50 it has no problem that needs a detour."""


@dataclass(frozen=True, eq=False)
class Planned:
    """Plans for the problems of a judge.

    Arguments
        judge: the problems.
        planner: what planned them.
        plan: the plans of least latent loss after the whole budget; planners with virtual states give their history.
        seen: the last look at the search before a sync replaced its virtual states.
        path: (N, 5T+1, S) true states when the plans are executed.
    """

    judge: Judge
    planner: Planner
    plan: Plan
    seen: Observation
    path: Float[np.ndarray, "N L+1 S"]

    @property
    def solved(self) -> Bool[np.ndarray, " N"]:
        """Which plans succeed in the environment."""
        return self.judge.task.success(self.path[:, -1], self.judge.goals)

    @property
    def believed(self) -> Bool[np.ndarray, " N"]:
        """Which plans succeed in the model."""
        goals = self.judge.problem(SEED).goal
        believed: Bool[np.ndarray, " N"] = self.judge.reached(self.plan.states[:, -1], goals).numpy()
        return believed

    @property
    def virtual_states(self) -> Float[Tensor, " N T+1 *S"]:
        """The virtual states at `seen`; a planner without has its rollouts."""
        states = self.seen.virtual_states
        return self.seen.states if states is None else states


def judge_of(setting: Setting, count: int) -> Judge:
    """Return the first problems of a reporting set, with the study's offline model of seed 0."""
    problems = make_problems(
        setting.task, setting.kind, horizon=setting.horizon, count=count, purpose="reporting", seed=SEED
    )
    return Judge(by_name(setting.task), stored_model(offline_model(setting.task, 0)), problems, range(count))


def demonstrations(task: Task, horizon: int, count: int) -> tuple[Problems, Float[np.ndarray, "N L+1 S"]]:
    """Return problems whose goals lie at the end of behaviour, and the true states of that behaviour.

    They are problems of the kind `trajectory` whose solutions are known.
    """
    rng = stream(task, SEED, f"demonstrations of {horizon} steps")
    past, offsets = depth(task) - 1, np.array(task.frame_offsets)
    parts: list[tuple[np.ndarray, ...]] = []
    while sum(len(part[0]) for part in parts) < count:
        path, _ = task.behaviour(
            rng, task.sample_states(rng, count), past + FRAMESKIP * horizon, mixture=task.mixtures["offline"]
        )
        start, goal = path[:, past - offsets], path[:, path.shape[1] - 1 - offsets]
        open_ = ~task.success(start[:, 0], goal[:, 0])
        parts.append((start[open_], goal[open_], path[open_][:, past:]))
    start, goal, path = (np.concatenate(column)[:count] for column in zip(*parts, strict=True))
    steps = task.shortest_steps(start[:, 0], goal[:, 0])
    horizons = np.full(count, horizon, dtype=np.int64)
    made = Problems(task.name, "trajectory", "reporting", SEED, start, goal, horizons, steps)
    return made, path


def settings_of(name: str, setting: Setting, tuned: Tuned) -> Settings:
    """Return a planner's settings tuned for the same task at the nearest horizon, or its untuned ones."""
    found = tuned.settings(Target(setting.task, setting.kind, setting.horizon, name))
    return untuned(name, by_name(setting.task)) if found is None else found


@cache
def tuned_settings(name: str, setting: Setting) -> Settings:
    """Return a planner's settings as tuned in the repository's results."""
    return settings_of(name, setting, Tuned.load(RESULTS))


def planner_of(name: str, setting: Setting, budget: float) -> Planner:
    """Return a planner of the study for a setting, with a share of its budget."""
    planner = make_planner(name, tuned_settings(name, setting))
    return replace(planner, max_evaluations=max(1, round(budget * BUDGET)) * setting.horizon)


def plan_with(judge: Judge, planner: Planner, seed: int = SEED) -> Planned:
    """Plan the judge's problems with the whole budget, and execute the plans."""
    planner = replace(planner, check_every=CHECK_EVERY)
    looks: list[Observation] = []

    def look(observation: Observation) -> None:
        everyone = len(observation.problem) == len(judge.indices)  # none has diverged
        if everyone and not _synced(planner, observation.iteration):
            looks[:] = [observation]

    lifted = isinstance(planner, LiftedPlanner)
    problem = replace(judge.problem(seed), reached=None)
    plan = planner.plan(problem, history=lifted, record_states=lifted, callback=look)
    path = judge.task.simulate(judge.starts, environment_actions(judge.task, plan.actions))
    return Planned(judge, planner, plan, looks[0], path)


@cache
def planned(setting: Setting, count: int, name: str, budget: float) -> Planned:
    """Return plans for a setting; figures that ask for the same share them."""
    return plan_with(judge_of(setting, count), planner_of(name, setting, budget))


def _synced(planner: Planner, iteration: int) -> bool:
    """Return whether a sync has just replaced the virtual states."""
    if not isinstance(planner, GRASP) or planner.sync_every is None:
        return False
    return iteration > 0 and iteration % planner.sync_every == 0


def frames_along(judge: Judge, path: Float[np.ndarray, "N L+1 S"]) -> Float[np.ndarray, "N T+1 K S"]:
    """Return the true states behind the stacked frames at the model steps of executed plans."""
    offsets = np.array(judge.task.frame_offsets)
    before = judge.problems.start_history[list(judge.indices)]
    steps = range(FRAMESKIP, path.shape[1], FRAMESKIP)
    return np.stack([before, *(path[:, step - offsets] for step in steps)], axis=1)


def torch_stream(words: str) -> torch.Generator:
    """Return the random numbers of one purpose."""
    return torch.Generator().manual_seed(crc32(f"{SEED}/{words}".encode()))
