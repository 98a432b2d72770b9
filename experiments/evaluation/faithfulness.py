"""Whether latent distances tell how far a goal is: rank correlation, and a greedy rule with true physics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from experiments.evaluation.observe import HasGeodesic, after_model_step, encode, random_pairs
from experiments.evaluation.sizes import Sizes, stream, trials
from grasp_theory.statistics.bootstrap import proportion, rank_correlation
from grasp_theory.statistics.intervals import Json
from grasp_theory.tasks.problems import Problems, make_problems
from grasp_theory.tasks.task import FRAMESKIP, Task
from grasp_theory.world_models import WorldModel

DIRECTIONS = 8
LENGTHS = (1 / 8, 1 / 3, 1.0)
"""Lengths of the greedy rule's actions, relative to the task's largest component."""

Rule = Callable[[Float[np.ndarray, "M K S"], Int[np.ndarray, " M"]], Float[np.ndarray, " M"]]
"""(the states behind stacked frames, the problem of each) -> what a greedy step minimises."""


def distance_ranks(task: Task, model: WorldModel, sizes: Sizes, seed: int) -> dict[str, Json]:
    """Return Spearman's rank correlation of latent distances with the task's, over independent random pairs.

    The task's distance is the geodesic one where the task has it, and its own otherwise; `straight` is how well
    the task's straight distance does in the place of the latent one.  States move as `Task.sample_states` has them,
    goals rest.  Intervals are 95% bootstraps over the pairs.
    """
    states, goals = random_pairs(task, stream(task, seed, "pairs"), sizes.pairs)
    latent = model.distance(encode(model, task, states), encode(model, task, goals)).double().cpu().numpy()
    straight = task.distance(states[:, 0], goals[:, 0])
    walls = isinstance(task, HasGeodesic)
    true = task.geodesic(states[:, 0], goals[:, 0]) if isinstance(task, HasGeodesic) else straight

    def correlation(distance: Float[np.ndarray, " N"]) -> Json:
        return rank_correlation(
            distance, true, stream(task, seed, "rank bootstrap"), sizes.resamples
        ).to_json()

    return {
        "against": "geodesic" if walls else "distance",
        "pairs": sizes.pairs,
        "latent": correlation(latent),
        "straight": correlation(straight),
    }


def greedy_success(task: Task, model: WorldModel, sizes: Sizes, seed: int) -> dict[str, Json]:
    """Return how often a greedy rule reaches its goal, led by latent distances or by the task's own.

    At each model step the rule tries a fixed set of actions (none, and `DIRECTIONS` · `LENGTHS` actions, each held
    for the whole step) in the true environment and takes the one whose true next observation has the smallest
    distance to the goal: the model's predictor plays no part.  A problem is solved once a model step ends in
    success.  `straight` and `geodesic` lead the same rule by the task's distances: the yardsticks.  Rates have
    Wilson's 95% intervals.
    """
    trial = trials(task)
    problems = make_problems(
        task.name,
        trial.greedy_kind,
        horizon=trial.greedy_steps,
        count=sizes.greedy,
        purpose="reporting",
        seed=seed,
    )
    latent_goals = encode(model, task, problems.goal_history)

    def latent(frames: Float[np.ndarray, "M K S"], which: Int[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
        goals = latent_goals[torch.from_numpy(which).to(latent_goals.device)]
        distance: Float[np.ndarray, " M"] = model.distance(encode(model, task, frames), goals).cpu().numpy()
        return distance

    rules: dict[str, Rule] = {
        "latent": latent,
        "straight": lambda frames, which: task.distance(frames[:, 0], problems.goals[which]),
    }
    if isinstance(task, HasGeodesic):
        geodesic = task.geodesic
        rules["geodesic"] = lambda frames, which: geodesic(frames[:, 0], problems.goals[which])
    solved: dict[str, Json] = {
        name: proportion(follow(task, problems, rule, trial.greedy_steps)) for name, rule in rules.items()
    }
    return {
        "kind": trial.greedy_kind, "steps": trial.greedy_steps, "actions": len(candidates(task)), **solved
    }  # fmt: skip


def candidates(task: Task) -> Float[np.ndarray, "C FRAMESKIP A"]:
    """Return the greedy rule's model actions: rest, and each length in each direction."""
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    moving = (task.action_high * np.array(LENGTHS)[:, None, None] * directions).reshape(-1, 2)
    return np.repeat(np.concatenate([np.zeros((1, 2)), moving])[:, None], FRAMESKIP, axis=1)


def follow(task: Task, problems: Problems, rule: Rule, steps: int) -> Bool[np.ndarray, " N"]:
    """Return which problems the greedy rule solves within so many model steps."""
    actions = candidates(task)
    states, solved = problems.starts.copy(), np.zeros(len(problems), dtype=bool)
    going = np.arange(len(problems))
    for _ in range(steps):
        path = task.simulate(
            np.repeat(states[going], len(actions), axis=0), np.tile(actions, (len(going), 1, 1))
        )
        cost = rule(after_model_step(task, path), np.repeat(going, len(actions)))
        best = cost.reshape(len(going), -1).argmin(axis=1)
        following = path[:, -1].reshape(len(going), len(actions), -1)[np.arange(len(going)), best]
        # The future depends on the state alone: once the state does not change, the rule is stuck for good.
        stuck = (following == states[going]).all(axis=1)
        states[going] = following
        solved[going] = task.success(following, problems.goals[going])
        going = going[~(solved[going] | stuck)]
        if not len(going):
            break
    return solved
