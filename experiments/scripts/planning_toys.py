"""A small nonlinear planning problem that greedy plans do not solve: a ball that must go around a wall."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp_theory import PlanningProblem


@dataclass(frozen=True)
class BallAroundWall:
    """A ball in the plane and a wall on the line x = 0; horizontal motion into the wall is lost.

    F((x, y), a) = (x + v a_x (1 − w(x + v a_x, y + v a_y)), y + v a_y), v = `max_step`, for actions in
    [−1, 1]², where w(x, y) = σ((d − |x|)/τ) σ((h − |y|)/τ) is nearly 1 inside the wall and 0 outside: smooth,
    with gradients that vanish in the middle of the wall.

    Arguments
        half_height: h.
        half_thickness: d; 2d should be more than `max_step`, lest the ball jump over the wall.
        softness: τ.
        max_step: v.
        reach: the radius of the goal region.
    """

    half_height: float = 0.75
    half_thickness: float = 0.3
    softness: float = 0.04
    max_step: float = 0.25
    reach: float = 0.1

    def step(
        self, state: Float[Tensor, "*batch 2"], action: Float[Tensor, "*batch 2"]
    ) -> Float[Tensor, "*batch 2"]:
        """Return F(state, action)."""
        move = self.max_step * action
        free = 1 - self.wall(state + move)
        return state + torch.stack([move[..., 0] * free, move[..., 1]], dim=-1)

    def wall(self, position: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch"]:
        """Return w, between 0 (free) and 1 (wall)."""
        across = torch.sigmoid((self.half_thickness - position[..., 0].abs()) / self.softness)
        along = torch.sigmoid((self.half_height - position[..., 1].abs()) / self.softness)
        return across * along

    def reached(self, state: Float[Tensor, "N 2"], goal: Float[Tensor, "N 2"]) -> Bool[Tensor, " N"]:
        """Return whether each state is within `reach` of its goal."""
        within: Tensor = (state - goal).norm(dim=1) < self.reach
        return within

    def problem(
        self, batch: int, horizon: int, seed: int, dtype: torch.dtype = torch.float32
    ) -> PlanningProblem:
        """Return `batch` problems from one side of the wall to the other, all behind it."""
        generator = torch.Generator().manual_seed(seed)
        heights = 2 * torch.rand(2, batch, generator=generator, dtype=dtype) - 1
        start, goal = (0.8 * self.half_height * heights).unbind()
        side = torch.ones(batch, dtype=dtype)
        return PlanningProblem(
            self,
            torch.stack([-side, start], dim=1),
            torch.stack([side, goal], dim=1),
            horizon,
            action_dim=2,
            reached=self.reached,
            action_bounds=(-1.0, 1.0),
        )
