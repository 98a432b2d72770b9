"""The planners that the conformance suite runs on, with settings small enough for tests, and models for them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from grasp_theory import CEM, CEMGD, GRASP, ICEM, MPPI, GradientDescent, LatCo, Planner, PlanningProblem

PLANNERS: dict[str, Planner] = {
    "GRASP": GRASP(iterations=30, sync_every=10, sync_steps=3, check_every=5),
    "GRASP.parallel": replace(
        GRASP.parallel(), iterations=30, sync_every=10, shooting_steps=2, check_every=15
    ),
    "GRASP.paper": replace(GRASP.paper(), iterations=30, sync_every=10),
    "GRASP.released": replace(GRASP.released(), iterations=30, sync_every=10),
    "GRASP CEM sync": GRASP(iterations=30, sync_every=10, sync_steps=2, sync_method="cem", check_every=100),
    "GRASP greedy start": GRASP(iterations=10, start="greedy", sync_every=5, sync_steps=2),
    "GRASP all options": GRASP(
        iterations=20, sync_every=5, sync_steps=2, check_every=25, stop_state_gradient=False,
        fix_final_state=False, noise_decay=0.95, cycle_decay=0.9, sync_states=False, initial_state_noise=0.1, initial_action_noise=0.1,
    ),
    "GradientDescent": GradientDescent(iterations=20, action_noise=0.0),
    "GradientDescent noisy": GradientDescent(
        iterations=20, objective="all", action_noise=0.1, state_noise=0.05, check_every=4, optimizer="sgd"
    ),
    "GradientDescent.dino_wm": replace(GradientDescent.dino_wm(), iterations=20),
    "CEM": CEM(iterations=6, samples=40, elites=8),
    "ICEM": ICEM(iterations=6, samples=40, elites=8),
    "MPPI": MPPI(iterations=8, samples=40),
    "CEMGD": CEMGD(iterations=4, samples=30, elites=6, refined=2, gradient_steps=3),
    "LatCo": LatCo(iterations=30, check_every=10),
    "LatCo.paper": replace(LatCo.paper(), iterations=30, check_every=10),
}  # fmt: skip
"""By name; each runs in a fraction of a second on a few rows."""

GRADIENT_PLANNERS = [name for name in PLANNERS if name not in ("CEM", "ICEM", "MPPI")]


class Pendulum:
    """A damped pendulum: elementwise arithmetic only, so that a row's result is the same bits in any batch."""

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        angle, speed = state.unbind(-1)
        speed = 0.95 * speed + 0.2 * action[..., 0] - 0.3 * torch.sin(angle)
        return torch.stack([angle + 0.3 * speed, speed], dim=-1)


class Patches:
    """States of two axes (p, q), mixed by a fixed layer, as patch latents are."""

    def __init__(self, dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(3)
        self.mix = torch.randn(4, 4, generator=generator, dtype=dtype) / 2
        self.drive = torch.randn(3, 12, generator=generator, dtype=dtype) / 2

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        push = (action @ self.drive).unflatten(-1, (3, 4))
        return state + 0.1 * torch.tanh(state @ self.mix + push)


class Poisoned:
    """The pendulum, but NaN or infinite in the rows that start beyond angle 100."""

    def __init__(self, poison: float) -> None:
        self.poison = poison

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        following = Pendulum().step(state, action)
        # A factor, so that the gradient of such a row is not finite either.
        bad = (state[..., :1] > 100.0) & (action.abs().sum(-1, keepdim=True) > 0)
        return following * torch.where(bad, self.poison, 1.0)


class Counting:
    """The pendulum, counting the rows of all its evaluations, forward and backward."""

    def __init__(self) -> None:
        self.rows = 0
        self.backward_rows = 0

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        rows = state.shape[:-1].numel()
        self.rows += rows
        following = Pendulum().step(state, action)
        if following.requires_grad:
            following.register_hook(self._count_backward)
        return following

    def _count_backward(self, gradient: Tensor) -> None:
        functorch = torch._C._functorch
        if functorch.is_batchedtensor(gradient):  # several cotangents side by side
            gradient = functorch.get_unwrapped(gradient)
        self.backward_rows += gradient[..., 0].numel()


def near(state: Tensor, goal: Tensor) -> Tensor:
    """The pendulum's goal region."""
    return (state - goal).flatten(1).norm(dim=1) < 0.15


def pendulum_problem(
    batch: int = 5, dtype: torch.dtype = torch.float64, **changes: object
) -> PlanningProblem:
    """`batch` random problems of horizon 8, some of which are solved earlier than others."""
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(batch, 2, generator=generator, dtype=dtype)
    goal = start + torch.randn(batch, 2, generator=generator, dtype=dtype) * torch.linspace(0.2, 1.5, batch)[
        :, None
    ].to(dtype)
    problem = PlanningProblem(
        Pendulum(), start, goal, horizon=8, action_dim=1, reached=near, action_bounds=(-3.0, 3.0),
        seeds=torch.arange(batch) + 100,
    )  # fmt: skip
    return replace(problem, **changes)  # type: ignore[arg-type]


def rows_of(problem: PlanningProblem, rows: slice) -> PlanningProblem:
    """The problems `rows` alone."""
    return problem.part(rows)
