"""Nonlinear dynamics: local linear convergence within a radius free of the horizon, proved in docs/theory/nonlinear.md."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.boundary import check_finite
from grasp_theory.theorems.record import TheoremCheck
from linear_systems.checked import checked, shown
from linear_systems.errors import DTypeError, ParameterError, ShapeError
from linear_systems.rounding import EPS
from linear_systems.stop_gradient.basin import block_growth, contraction_basin
from linear_systems.validation import StepSize, goal_weight, positive_float, positive_integer, step_sizes

Model = Callable[[Tensor, Tensor], Tensor]
"""(s (n,), a (m,)) -> next state (n,), differentiable, float64."""
FLOOR = 1e3
"""Errors below FLOOR · eps · (size of the plan) are rounding and no longer compared."""
START = 0.9
"""Size of the error that the iteration starts from, relative to the radius, in each of the T blocks."""


@checked
def stop_gradient_step(
    model: Model, start: Tensor, goal: Tensor, beta: float, step_size: StepSize, plan: Float[Tensor, "T d"]
) -> Float[Tensor, "T d"]:
    """Return the plan y_t = (s_{t+1}, a_t) after one iteration of Eq. (11)-(12) without noise, s_T free."""
    block = _block(model, start, goal, beta, step_size, plan)
    before = torch.cat([start[None], plan[:-1, : start.numel()]])
    return torch.vmap(block)(before, plan)


@checked
def block_derivatives(
    model: Model, start: Tensor, goal: Tensor, beta: float, step_size: StepSize, plan: Float[Tensor, "T d"]
) -> tuple[Float[np.ndarray, "T d d"], Float[np.ndarray, "T d d"]]:
    """Return D_t and E_t, the derivatives of block t of one iteration in y_t and y_{t−1}, at `plan`.

    For a nonlinear model D_t holds second derivatives of F in the action, times what is left of the goal.
    """
    block, n = _block(model, start, goal, beta, step_size, plan), start.numel()
    before = torch.cat([start[None], plan[:-1, :n]])
    in_state, D = torch.vmap(torch.func.jacrev(block, argnums=(0, 1)))(before, plan)
    E = torch.zeros_like(D)
    E[:, :, :n] = in_state
    return D.numpy(), E.numpy()


@checked
def local_contraction(
    model: Model,
    start: Tensor,
    goal: Tensor,
    plan: Float[Tensor, "T d"],
    beta: float,
    step_size: StepSize,
    curvature: float,
    rate: float,
    iterations: int,
    seed: int = 0,
) -> TheoremCheck:
    """Compare the errors of the nonlinear iteration from inside the basin with their linear bound.

    Setting
        y_t' = f_t(y_{t−1}, y_t) is one iteration of Eq. (11)-(12) with F nonlinear; y* a greedy rollout, J its derivative.
    Statement
        With N_k = ‖J^k‖ in the norm max_t ‖e_t‖, S = sup_k N_k/q^k and the remainder at most M max_t ‖e_t‖², every start
        with max_t ‖e⁰_t‖ < (1 − q)/(S² M) converges: max_t ‖e^k_t‖ <= S (q + S² M ‖e⁰‖)^k ‖e⁰‖, whatever the horizon.
    Source
        Ours; docs/theory/nonlinear.md, U15.
    Assumptions
        `plan` is a fixed point; the remainder is bounded by M on the whole space (as `curvature` says); q < 1 exceeds the
        rate of J.
    Arguments
        model: F as a function of one state (n,) and one action (m,).
        start, goal: s_0 and g (n,), float64.
        plan: the fixed point, (s_{t+1}, a_t) for t = 0..T−1.
        beta: the goal weight β >= 0.
        step_size: η, or the pair (η_s, η_a).
        curvature: M, as of `basin.remainder_bound`.
        rate: q in (0, 1).
        iterations: how many are compared.
        seed: of the directions of the start's error, whose size is `START` of the radius in each of the T blocks.
    Returns
        A record with computed = the largest max_t ‖e^k_t‖ over its bound, bound = 1; in `quantities` "radius",
        "amplification" S and "reached", the last error relative to the first.
    Raises
        ParameterError, StepSizeError, UndecidedError: no power of J up to `iterations` contracts at the rate q.
    """
    count, q = positive_integer("iterations", iterations), positive_float("rate", rate)
    positive_integer("seed", seed, minimum=0)
    D, E = block_derivatives(model, start, goal, beta, step_size, plan)
    basin = contraction_basin(block_growth(D, E, count), curvature, q)
    if not np.isfinite(basin.radius):
        raise ParameterError("curvature", "a positive bound", "0", "the linear theory, which needs no radius")
    moved = stop_gradient_step(model, start, goal, beta, step_size, plan)
    floor = FLOOR * EPS * (1.0 + float(plan.abs().max()))
    direction = torch.randn(plan.shape, dtype=plan.dtype, generator=torch.Generator().manual_seed(int(seed)))
    error = START * basin.radius * direction / direction.norm(dim=1, keepdim=True)
    first = float(error.norm(dim=1).max())
    growth = q + basin.amplification**2 * curvature * first
    current, worst, size = plan + error, 0.0, first
    for k in range(1, count + 1):
        current = stop_gradient_step(model, start, goal, beta, step_size, current)
        size = float((current - plan).norm(dim=1).max())
        worst = max(worst, (size - floor) / (basin.amplification * growth**k * first))
    return TheoremCheck(
        computed=worst,
        bound=1.0,
        relation="<=",
        allowance=FLOOR * EPS,
        assumptions={
            "plan is a fixed point": float((moved - plan).abs().max()) <= floor,
            "start inside the radius": first < basin.radius,
        },
        quantities={
            "radius": basin.radius, "amplification": basin.amplification, "reached": size / first,
        },
    )  # fmt: skip


def _block(
    model: Model, start: Tensor, goal: Tensor, beta: float, step_size: StepSize, plan: Tensor
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return f: (s_t, (s_{t+1}, a_t)) -> the new (s_{t+1}, a_t), after seeing that its inputs fit together."""
    eta_s, eta_a = step_sizes(step_size)
    beta = goal_weight("beta", beta)
    n = start.numel()
    for name, tensor, expected in (
        ("start", start, (n,)),
        ("goal", goal, (n,)),
        ("plan", plan, (len(plan), plan.shape[-1])),
    ):
        if tensor.shape != expected or not tensor.numel() or (name == "plan" and plan.shape[-1] <= n):
            needed = f"shape (T, {n} + m)" if name == "plan" else f"shape ({n or 'n'},)"
            raise ShapeError(
                name, needed, f"shape {tuple(tensor.shape)}", "one state, one goal, and rows (s_{t+1}, a_t)"
            )
        if tensor.dtype != start.dtype or not tensor.is_floating_point():
            raise DTypeError(name, "floating point like start", f"{tensor.dtype}", "convert it")
        check_finite(name, tensor)
    try:
        with torch.no_grad():
            following = model(start.detach(), plan[0, n:].detach())
    except Exception as error:  # whatever a model says of an action or a state that it cannot take
        found = f"{type(error).__name__}: {error}"
        raise ParameterError(
            "model, plan", f"a model of ({n},) and ({plan.shape[1] - n},)", found, "step one state with it"
        ) from error
    if not isinstance(following, Tensor) or following.shape != start.shape:
        raise ShapeError(
            "model", f"a next state of shape {tuple(start.shape)}", shown(following), "one state, one action"
        )

    def block(before: Tensor, own: Tensor) -> Tensor:
        state, action = own[:n], own[n:]
        prediction, pull_back, *_ = torch.func.vjp(lambda a: model(before, a), action)
        (slope,) = pull_back(prediction - state + beta * (prediction - goal))
        return torch.cat([state - 2.0 * eta_s * (state - prediction), action - 2.0 * eta_a * slope])

    return block
