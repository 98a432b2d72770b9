"""A run of the shipped planner, iteration by iteration, through what it shows to its callback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from grasp_theory import GRASP, Observation, Plan, PlanningProblem
from paper_checks.claims.method.gradients import Trajectory
from paper_checks.engine.run import Run
from paper_checks.engine.smooth_networks import SmoothNetwork, random_network


@dataclass(frozen=True, eq=False)
class Trace:
    """What a planner held after k = 0, ..., K iterations, for B problems.

    Arguments
        states: (K+1, B, T+1, n), the virtual states; actions: (K+1, B, T, m).
        goal: (B, n).
        plan: what was returned.
    """

    states: Tensor
    actions: Tensor
    goal: Tensor
    plan: Plan

    def steps(self) -> Iterator[tuple[int, Trajectory, Trajectory]]:
        """Yield k and the trajectories before and after iteration k, of one problem after the other."""
        for k in range(len(self.states) - 1):
            for row in range(self.states.shape[1]):
                yield k, self.at(k, row), self.at(k + 1, row)

    def at(self, k: int, row: int) -> Trajectory:
        """Return the trajectory of a problem after k iterations."""
        return Trajectory(self.states[k, row], self.actions[k, row], self.goal[row])


def trace(planner: GRASP, problem: PlanningProblem) -> Trace:
    """Run the planner to its last iteration, looking after each."""
    seen: list[Observation] = []
    plan = replace(planner, check_every=1).plan(problem, stop_when_reached=False, callback=seen.append)
    states = [each.virtual_states for each in seen if each.virtual_states is not None]
    return Trace(torch.stack(states), torch.stack([each.actions for each in seen]), problem.goal, plan)


def drawn_problem(
    rng: np.random.Generator, sizes: tuple[int, int, int], *, problems: int = 2
) -> tuple[SmoothNetwork, PlanningProblem]:
    """Draw a network and problems for it, seeded.

    Arguments
        rng: draws the network, the states, the initial actions and the seeds.
        sizes: n, m, T.
        problems: B.
    """
    n, m, T = sizes
    network = random_network(rng, n, m)
    initial, goal = (torch.tensor(rng.standard_normal((problems, n))) for _ in range(2))
    problem = PlanningProblem(
        network, initial, goal, T, m,
        initial_actions=torch.tensor(rng.standard_normal((problems, T, m))),
        seeds=torch.tensor(rng.integers(2**62, size=problems)),
    )  # fmt: skip
    return network, problem


def drawn_traces(run: Run, name: str, planner: GRASP, count: int) -> Iterator[tuple[SmoothNetwork, Trace]]:
    """Yield networks of random sizes and a run of the planner on each."""
    rng = run.rng(name)
    for _ in range(count):
        sizes = int(rng.integers(1, 4)), int(rng.integers(1, 3)), int(rng.integers(2, 5))
        network, problem = drawn_problem(rng, sizes)
        yield network, trace(planner, problem)
