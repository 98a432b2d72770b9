"""Linear systems as planning problems and as linearisations, and models for the diagnosis."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from grasp_theory import PlanningProblem
from grasp_theory.trust.linearisation import Linearisation, linearise
from linear_systems.system import AnySystem


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear_problem(system: AnySystem, horizon: int, batch: int = 2, **changes: object) -> PlanningProblem:
    """Random problems of a linear system, float64."""
    n, m = system.state_dim, system.action_dim
    start, goal = drawn(1, batch, n), drawn(2, batch, n)
    return PlanningProblem(system, start, goal, horizon, m, **changes)  # type: ignore[arg-type]


def linearised(system: AnySystem, horizon: int, plans: int = 1) -> Linearisation:
    """The linearisation of a linear system about random trajectories."""
    problem = linear_problem(system, horizon, plans)
    states, actions = (
        drawn(3, plans, horizon + 1, system.state_dim),
        drawn(4, plans, horizon, system.action_dim),
    )
    return linearise(problem, states, actions)


def close(found: float, expected: float, tolerance: float = 1e-8) -> bool:
    """Whether figures agree relative to their size, infinities and NaN included."""
    return bool(np.isclose(found, expected, rtol=tolerance, atol=0.0, equal_nan=True))


class Backward(torch.autograd.Function):
    """tanh with a backward pass of its own, and no forward derivative."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)  # type: ignore[attr-defined]
        return torch.tanh(x)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient * (1 - torch.tanh(x) ** 2)


def curved(state: Tensor, action: Tensor) -> Tensor:
    """A model of states (N, 3) and actions (N, 2) that bends."""
    push = torch.stack([action[..., 0], action[..., 1], action.prod(-1)], -1)
    return state + 0.3 * torch.tanh(state.roll(1, -1) + push)


def curved_backward_only(state: Tensor, action: Tensor) -> Tensor:
    """The same model, without forward derivatives."""
    push = torch.stack([action[..., 0], action[..., 1], action.prod(-1)], -1)
    return state + 0.3 * Backward.apply(state.roll(1, -1) + push)


MIX, DRIVE = drawn(5, 30, 30) / 30**0.5, drawn(6, 2, 600) / 600**0.5


def patches(state: Tensor, action: Tensor) -> Tensor:
    """A model of states (N, 20, 30), 600 entries, and actions (N, 2)."""
    return 0.9 * state + 0.1 * torch.tanh(state @ MIX) + (action @ DRIVE).unflatten(-1, (20, 30))
