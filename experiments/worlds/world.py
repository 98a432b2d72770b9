"""What a world is, and problems drawn from one: solvable ones, which doing nothing does not solve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp_theory import PlanningProblem
from grasp_theory.dynamics import rollout
from linear_systems.errors import ParameterError


@dataclass(frozen=True)
class Draw:
    """N problems of a world, each with a plan that is meant to solve it.

    Arguments
        start, goal: (N, n).
        witness: (N, T, m), in [−1, 1].
        least: (N,), certified lower bound on the model steps of any plan that comes within reach of the goal.
    """

    start: Float[Tensor, "N n"]
    goal: Float[Tensor, "N n"]
    witness: Float[Tensor, "N T m"]
    least: Float[Tensor, " N"]


class World(Protocol):
    """Smooth dynamics on states of about unit scale and actions in [−1, 1]^m, with a source of problems."""

    @property
    def states(self) -> int:
        """The state dimension n."""

    @property
    def actions(self) -> int:
        """The action dimension m."""

    @property
    def horizon(self) -> int:
        """The horizon T of its problems."""

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Return F(s, a) for states (..., n) and actions (..., m)."""

    def reached(self, state: Tensor, goal: Tensor) -> Tensor:
        """Return (N,) booleans: whether each state (N, n) is within reach of its goal (N, n)."""

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Return problems, of which some may be trivial and some not solved by their witness."""


@dataclass(frozen=True)
class Within:
    """The goal region ‖s − g‖ < `reach`, for worlds to inherit.

    Arguments
        reach: in units of the states.
    """

    reach: float

    def reached(self, state: Float[Tensor, "N n"], goal: Float[Tensor, "N n"]) -> Bool[Tensor, " N"]:
        """Return whether each state is within reach of its goal."""
        within: Tensor = (state - goal).norm(dim=1) < self.reach
        return within


@dataclass(frozen=True)
class Problems:
    """B problems of a world.

    Arguments
        problem: what planners get.
        witness: (B, T, m), a plan that solves each: the least loss is that of being at the goal, 0 up to the reach.
        least: (B,), see `Draw`.
    """

    problem: PlanningProblem
    witness: Float[Tensor, "B T m"]
    least: Float[Tensor, " B"]


ROUNDS = 40
"""How often problems are drawn before a world is given up that yields too few."""


def problems(world: World, count: int, seed: int) -> Problems:
    """Return the first problems of a stream that their witness solves and doing nothing does not.

    Arguments
        world: the world.
        count: B.
        seed: of the stream, and of the planners' noise.

    Raises
        ParameterError: hardly any problem of the world is solvable and not trivial.
    """
    generator, kept, found = torch.Generator().manual_seed(seed), [], 0
    for _ in range(ROUNDS):
        drawn = world.draw(count, generator)
        good = world.reached(_end(world, drawn.start, drawn.witness), drawn.goal)
        good &= ~world.reached(_end(world, drawn.start, torch.zeros_like(drawn.witness)), drawn.goal)
        kept.append(Draw(drawn.start[good], drawn.goal[good], drawn.witness[good], drawn.least[good]))
        found += int(good.sum())
        if found >= count:
            break
    else:
        raise ParameterError(
            "world", "solvable problems that doing nothing does not solve", f"{found} of {count * ROUNDS}",
            "turn its dials back",
        )  # fmt: skip
    start, goal, witness, least = (
        torch.cat([getattr(each, name) for each in kept])[:count]
        for name in ("start", "goal", "witness", "least")
    )
    problem = PlanningProblem(
        world, start, goal, world.horizon, world.actions, world.reached, action_bounds=(-1.0, 1.0),
        seeds=torch.randint(2**62, (count,), generator=generator),
    )  # fmt: skip
    return Problems(problem, witness, least)


def _end(world: World, start: Tensor, actions: Tensor) -> Tensor:
    return rollout(world, start, actions)[:, -1]


def uniform(generator: torch.Generator, count: int, low: float, high: float) -> Float[Tensor, " N"]:
    """Return numbers between `low` and `high`."""
    return low + (high - low) * torch.rand(count, generator=generator)


def smooth_plans(generator: torch.Generator, count: int, horizon: int, actions: int) -> Tensor:
    """Return random plans (N, T, m) in [−1, 1] that change slowly: five knots of a line, uniform in the box."""
    knots = 2 * torch.rand(count, actions, 5, generator=generator) - 1
    plans: Tensor = torch.nn.functional.interpolate(knots, horizon, mode="linear", align_corners=True)
    return plans.transpose(1, 2).contiguous()
