"""Planning in closed loop with the environment: model-predictive control."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int

from experiments.evaluation.observe import after_model_step, encode, environment_actions
from experiments.study.trials.judge import Judge, noise_seeds
from grasp_theory import Planner

SHORTEST = 4
"""Model steps that a replanning looks ahead at least."""
LATER_SHARE = 4
"""Replannings start from the plan in hand: they get this fraction of the iterations."""


@dataclass(frozen=True, eq=False)
class ClosedLoop:
    """How it ended.

    Arguments
        solved_at: (N,) model steps taken when the environment's state first was a success; -1 for never.
        distance: (N,) the task's distance to the goal then, or after the last step.
    """

    solved_at: Int[np.ndarray, " N"]
    distance: Float[np.ndarray, " N"]


def closed_loop(judge: Judge, planner: Planner, seed: int) -> ClosedLoop:
    """Plan, take one model action in the environment, look, and plan again from the plan in hand; for 2 T steps.

    The plan at step k looks max(T − k, min(T, 4)) steps ahead; the first has the whole budget, the later ones a quarter of
    its iterations.  The environment's success ends a problem, as an episode ends, but no planner sees it.
    """
    task, problem = judge.task, judge.problem(seed)
    horizon = problem.horizon
    solved = np.full(len(judge.indices), -1)
    distance = task.distance(judge.starts, judge.goals)
    open_ = np.arange(len(solved))
    now, state, goal, seeds = (
        judge.starts,
        problem.initial_state,
        problem.goal,
        noise_seeds(seed, judge.indices),
    )
    actions: torch.Tensor | None = None
    for step in range(2 * horizon):
        ahead = max(horizon - step, min(horizon, SHORTEST))
        if actions is not None:
            kept = actions[:, 1:]
            padding = kept.new_zeros(len(kept), max(0, ahead - kept.shape[1]), kept.shape[2])
            actions = torch.cat([kept, padding], dim=1)[:, :ahead]
        iterations = planner.iterations if step == 0 else max(1, planner.iterations // LATER_SHARE)
        plan = replace(planner, iterations=iterations).plan(
            replace(
                problem, initial_state=state, goal=goal, horizon=ahead, initial_actions=actions,
                seeds=seeds[open_] + 1_000_003 * step,
            )
        )  # fmt: skip
        actions = plan.actions
        frames = after_model_step(task, task.simulate(now, environment_actions(task, actions[:, :1])))
        now = frames[:, 0]
        success = task.success(now, judge.goals[open_])
        distance[open_] = task.distance(now, judge.goals[open_])
        solved[open_[success]] = step + 1
        if success.all():
            break
        left = torch.from_numpy(~success)
        open_, now, goal, actions = open_[~success], now[~success], goal[left], actions[left]
        state = encode(judge.model, task, frames[~success])
    return ClosedLoop(solved, distance)
