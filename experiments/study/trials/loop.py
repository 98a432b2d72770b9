"""The study's closed loop: `grasp_theory.control` with a task's environment and a model that sees pictures of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from experiments.evaluation.observe import after_model_step, encode, environment_actions
from experiments.study.trials.judge import Judge
from grasp_theory import Planner
from grasp_theory.control import control

LATER_SHARE = 4
"""Replannings start from the plan in hand: they get this fraction of the budget."""


@dataclass(frozen=True, eq=False)
class ClosedLoop:
    """How it ended.

    Arguments
        solved_at: (N,) model steps taken when the environment's state first was a success; -1 for never.
        distance: (N,) the task's distance to the goal then, or after the last step.
        evaluations: (N,) model steps evaluated in all plans of a problem, a gradient counting three.
    """

    solved_at: Int[np.ndarray, " N"]
    distance: Float[np.ndarray, " N"]
    evaluations: Int[np.ndarray, " N"]


def closed_loop(judge: Judge, planner: Planner, seed: int) -> ClosedLoop:
    """Plan, take one model action in the environment, look, and plan again from the plan in hand; for 2 T steps.

    Plans look ahead in rounds (`grasp_theory.control.rounds`); the first has the whole budget, the later ones a quarter of it.
    The environment's success ends a problem, as an episode ends, but no planner sees it.
    """
    task, problem = judge.task, judge.problem(seed)
    assert planner.max_evaluations is not None
    distance = task.distance(judge.starts, judge.goals)

    def step(frames: Float[np.ndarray, "N K S"], actions: torch.Tensor) -> Float[np.ndarray, "N K S"]:
        return after_model_step(
            task, task.simulate(frames[:, 0], environment_actions(task, actions[:, None]))
        )

    def success(frames: Float[np.ndarray, "N K S"], rows: torch.Tensor) -> Bool[np.ndarray, " N"]:
        goals = judge.goals[rows.numpy()]
        distance[rows.numpy()] = task.distance(frames[:, 0], goals)
        return task.success(frames[:, 0], goals)

    run = control(
        planner,
        problem,
        step,
        world=judge.starts[:, None],
        observe=lambda frames: encode(judge.model, task, frames),
        success=success,
        replanner=replace(planner, max_evaluations=planner.max_evaluations // LATER_SHARE),
    )
    return ClosedLoop(run.solved_at.numpy(), distance, run.evaluations.numpy())
