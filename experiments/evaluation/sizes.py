"""How much an evaluation measures, and on which problems of each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from grasp_theory.tasks.problems import Kind
from grasp_theory.tasks.task import Task
from linear_systems.errors import ParameterError

SEED = 2_000_003
"""The seed of the evaluations in the cards.  Recipes were chosen on 1,000,003, but for the size of Push-T's latent, which
was settled by probes on training data after a smaller one had been seen on this seed."""


@dataclass(frozen=True)
class Sizes:
    """Sample sizes.

    Arguments
        episodes, length: held-out episodes, and environment steps of each.
        pairs: random (state, goal) pairs of the rank correlation.
        greedy: problems of the greedy rule.
        plans: problems that plans are made for.
        evaluations: model steps that each planner evaluates, for each step of the horizon.
        attacked: (state, goal) pairs of the state gradient.
        attack: iterations of its optimisation.
        resamples: of every bootstrap.
    """

    episodes: int
    length: int
    pairs: int
    greedy: int
    plans: int
    evaluations: int
    attacked: int
    attack: int
    resamples: int


FULL = Sizes(
    episodes=200, length=200, pairs=2000, greedy=80, plans=100, evaluations=1500,
    attacked=100, attack=400, resamples=1000,
)  # fmt: skip
LARGE = Sizes(
    episodes=20, length=120, pairs=200, greedy=5, plans=12, evaluations=300,
    attacked=20, attack=150, resamples=1000,
)  # fmt: skip
"""For models of frozen networks, whose pictures and steps cost a hundred times as much as a flat model's."""
QUICK = Sizes(
    episodes=40, length=150, pairs=300, greedy=10, plans=16, evaluations=300,
    attacked=20, attack=200, resamples=300,
)  # fmt: skip


@dataclass(frozen=True)
class Trials:
    """The problems of a task on which models are tried.

    Arguments
        greedy_kind, greedy_steps: problem set of the greedy rule, and how many model steps it may take.
        plan_kind, horizon: problem set and horizon of the plans.
    """

    greedy_kind: Kind
    greedy_steps: int
    plan_kind: Kind
    horizon: int


# The horizons of the plans leave slack: a planner that finds no plan in the model exploits nothing.  Random goals of
# Push-T are out of reach of any short plan, so its goals lie 25 environment steps ahead, as in DINO-WM.
TRIALS: Mapping[str, Trials] = {
    "wall_single": Trials("random", 12, "random", 12),
    "wall_single_long": Trials("random", 40, "random", 24),
    "point_maze": Trials("random", 25, "random", 16),
    "point_maze_long": Trials("random", 50, "random", 24),
    "push_t": Trials("trajectory", 8, "trajectory", 5),
}


def trials(task: Task) -> Trials:
    """Return the problems of a task.

    Raises
        ParameterError: if the task has none.
    """
    if task.name not in TRIALS:
        raise ParameterError(
            "task", f"one of {', '.join(TRIALS)}", repr(task.name), "add its problems to TRIALS"
        )
    return TRIALS[task.name]


def stream(task: Task, seed: int, measure: str) -> np.random.Generator:
    """Return the random numbers of one measure: no other measure, problem set or data collection draws from them."""
    return np.random.default_rng([seed, crc32(f"evaluation/{task.name}/{measure}".encode())])
