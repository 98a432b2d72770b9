"""What inputs do to a model: states that fake the goal, actions that reach it, and problems that need no action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.dynamics import rollout
from grasp_theory.problem import PlanningProblem
from grasp_theory.trust.linearisation import Linearisation, linearise

Metric = Callable[[Tensor, Tensor], Tensor]
"""(states (N, *S), states (N, *S)) -> (N,): a distance between states, with the triangle inequality."""
TARGET = 0.1
"""A state input fakes the goal if ‖F(s + δ, a) − g‖ falls to this share of ‖F(s, a) − g‖; the same as in Figure 3's measure."""
RELINEARISED, SETTLING, STRAIGHT = 12, 6, 61
"""Gauss–Newton steps from the state, and from the goal; points that are tried on the straight way between them."""
CONJUGATE_STEPS = 50
TRIED_ACTIONS = 64
"""Actions tried at every state for the farthest that a step moves."""


@dataclass(frozen=True, eq=False)
class Reach:
    """Figures of P trajectories and of all B problems.

    Arguments
        state_gain: max_t ‖A_t‖₂, (P,): what an error of a state input is multiplied by in one step, at most.
        action_gains: singular values of B_t, (P, T, min(n, m)).
        faking: smallest ‖δ‖ found with ‖F(s_0 + δ, a_0) − g‖ <= `TARGET` ‖F(s_0, a_0) − g‖, over ‖g − s_0‖, (P,); infinite
            where none was found, NaN where s_0 = g.
        faking_steps: the same ‖δ‖ over a typical step, (P,).
        out_of_step: ‖(I − B_0B_0⁺)(g − F(s_0, 0))‖ over ‖g − F(s_0, 0)‖, (P,): of the way to the goal, what one action
            cannot change.
        out_of_reach: the same of C_T and g − s_T without actions, (P,): what the whole plan cannot.
        left_by_set: of that way, what the least actions leave when they are projected onto the action set, (P,): others in the
            set may leave less.
        idle: how many of all problems are solved by zero actions, in the action set; None without a goal region.
        least_steps: steps to the goals themselves at the longest step seen, or the bounds given, (B,); None without a metric.
        farthest_step: the farthest that a step was seen to move, in the metric; NaN without one.
    """

    state_gain: Float[np.ndarray, " P"]
    action_gains: Float[np.ndarray, "P T k"]
    faking: Float[np.ndarray, " P"]
    faking_steps: Float[np.ndarray, " P"]
    out_of_step: Float[np.ndarray, " P"]
    out_of_reach: Float[np.ndarray, " P"]
    left_by_set: Float[np.ndarray, " P"]
    idle: int | None
    least_steps: Float[np.ndarray, " B"] | None
    farthest_step: float


def reach(
    problem: PlanningProblem,
    part: PlanningProblem,
    linear: Linearisation,
    responses: Float[np.ndarray, "P n mT"],
    metric: Metric | Tensor | None,
    rank_tolerance: float,
) -> Reach:
    """Return the figures.

    Arguments
        problem: all problems.
        part: those that the trajectories belong to.
        linear: the linearisation.
        responses: C_T of every trajectory.
        metric: a distance between states, or the lower bounds themselves (B,).
        rank_tolerance: singular values below this times the largest count as zero.
    """
    goals = part.goal.flatten(1).double().cpu()
    states, actions = linear.flat_states, linear.actions.double().cpu()
    change = faking_change(part, linear.states[:, :1], linear.actions[:, :1])
    length, way = change.norm(dim=1).nan_to_num(nan=torch.inf), (goals - states[:, 0]).norm(dim=1)
    step = (states[:, 1:] - states[:, :-1]).norm(dim=2).median()
    first = linear.by_actions[:, 0]
    ahead = goals - (states[:, 1] - (first @ actions[:, 0, :, None])[..., 0])
    C = torch.from_numpy(responses)
    gap = goals - states[:, -1] + (C @ actions.flatten(1)[..., None])[..., 0]
    least = torch.stack(
        [
            torch.linalg.lstsq(c, g[:, None], rcond=rank_tolerance, driver="gelsd").solution[:, 0]
            for c, g in zip(C, gap, strict=True)
        ]
    )
    allowed = part.project(least.view_as(actions).to(linear.actions)).double().cpu()
    left = (gap - (C @ allowed.flatten(1)[..., None])[..., 0]).norm(dim=1)
    bounds, farthest = _least_steps(problem, linear, metric)
    return Reach(
        state_gain=_state_gain(linear),
        action_gains=torch.linalg.svdvals(linear.by_actions).numpy(),
        faking=torch.where(way > 0.0, length / way, torch.nan).numpy(),
        faking_steps=(length / step).numpy(),
        out_of_step=_outside(first, ahead, rank_tolerance),
        out_of_reach=_outside(C, gap, rank_tolerance),
        left_by_set=_ratio(left, gap.norm(dim=1)),
        idle=_idle(problem),
        least_steps=bounds,
        farthest_step=farthest,
    )  # fmt: skip


def faking_change(
    problem: PlanningProblem, states: Tensor, actions: Float[Tensor, "P 1 m"]
) -> Float[Tensor, "P n"]:
    """Return the smallest δ found with ‖F(s + δ, a) − g‖ <= TARGET ‖F(s, a) − g‖, NaN where none was found.

    Along the straight way to the goal first; then by Gauss–Newton, from δ = 0 with a target that comes down to TARGET
    step by step, and from δ = g − s: about the current δ the model is linearised, and conjugate gradients from 0 look for
    the shortest δ' with ‖F(s + δ, a) + A(δ' − δ) − g‖ within it.  What is returned meets TARGET in the model itself, so
    ‖δ‖ is an upper bound on the smallest that there is.

    Arguments
        problem: gives model and goals.
        states: (P, 1, *S).
        actions: (P, 1, m).
    """
    goals, start = problem.goal.flatten(1).double().cpu(), states.flatten(1).double().cpu()
    alone = replace(problem, horizon=1, initial_actions=None)
    best = torch.full_like(goals, torch.nan)

    def missing(change: Tensor) -> Tensor:
        with torch.no_grad():
            after = alone.parallel_step()(states + change.to(states).view_as(states), actions)
        return goals - after.flatten(1).double().cpu()

    def keep(change: Tensor, left: Tensor) -> None:
        shorter = ~(change.norm(dim=1) >= best.norm(dim=1))
        met = (left.norm(dim=1) <= target * (1.0 + 1e-6)) & shorter
        best[met] = change[met]

    left = missing(torch.zeros_like(goals))
    whole = left.norm(dim=1)
    target = TARGET * whole
    for share in torch.linspace(0.0, 1.2, STRAIGHT):
        keep(share * (goals - start), missing(share * (goals - start)))
    falling = torch.linspace(1.0, TARGET, RELINEARISED)[1:].tolist()
    for change, shares in (
        (torch.zeros_like(goals), [*falling, TARGET, TARGET]),
        (goals - start, [TARGET] * SETTLING),
    ):
        for share in shares:
            moved = states + change.to(states).view_as(states)
            linear = linearise(alone, torch.cat([moved, moved], 1), actions)
            wanted = missing(change) + linear.push(change[:, None, :, None])[:, 0, :, 0]
            change = _shortest(linear, wanted, share * whole)
            keep(change, missing(change))
    return best


def _shortest(
    linear: Linearisation, wanted: Float[Tensor, "P n"], target: Float[Tensor, " P"]
) -> Float[Tensor, "P n"]:
    """Return x, from conjugate gradients on ‖A x − wanted‖², at which the residual first is the target."""
    x, residual = torch.zeros_like(wanted), wanted.clone()
    slope = linear.pull(residual[:, None, :, None])[:, 0, :, 0]
    direction, square = slope, slope.square().sum(1)
    for _ in range(min(CONJUGATE_STEPS, wanted.shape[1])):
        excess = residual.square().sum(1) - target.square()
        going = excess > 1e-9 * target.square()
        if not bool(going.any()):
            break
        pushed = linear.push(direction[:, None, :, None])[:, 0, :, 0]
        curvature = pushed.square().sum(1)
        full = torch.where(curvature > 0.0, square / curvature, 0.0)
        # Along the direction the residual's square is r² − 2 l square + l² curvature; stop where it meets the target.
        root = (square.square() - curvature * excess).clamp_min(0.0).sqrt()
        early = torch.where(curvature > 0.0, (square - root) / curvature, 0.0)
        meets = square.square() >= curvature * excess
        length = torch.where(going, torch.where(meets, early, full), 0.0)[:, None]
        x, residual = x + length * direction, residual - length * pushed
        slope = linear.pull(residual[:, None, :, None])[:, 0, :, 0]
        before, square = square, slope.square().sum(1)
        direction = slope + torch.where(before > 0.0, square / before, 0.0)[:, None] * direction
    return x


def _state_gain(linear: Linearisation) -> Float[np.ndarray, " P"]:
    if linear.by_states is not None:
        return np.asarray(torch.linalg.matrix_norm(linear.by_states, ord=2).amax(1).numpy())
    vector = torch.randn(
        linear.plans,
        linear.horizon,
        linear.state_dim,
        1,
        generator=torch.Generator().manual_seed(0),
        dtype=torch.float64,
    )
    size = torch.ones(())
    for _ in range(10):  # power iteration on AᵀA; a lower bound
        vector = vector / vector.norm(dim=2, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
        pushed = linear.push(vector)
        size, vector = pushed.norm(dim=2), linear.pull(pushed)
    return np.asarray(size[..., 0].amax(1).numpy())


def _outside(
    matrices: Float[Tensor, "P n k"], vectors: Float[Tensor, "P n"], rank_tolerance: float
) -> Float[np.ndarray, " P"]:
    """Return ‖(I − M M⁺)v‖ / ‖v‖."""
    u, s, _ = torch.linalg.svd(matrices, full_matrices=False)
    span = u * ((s > rank_tolerance * s[:, :1]) & (s > 0.0))[:, None, :]
    outside = vectors - (span @ (span.mT @ vectors[..., None]))[..., 0]
    return _ratio(outside.norm(dim=1), vectors.norm(dim=1))


def _ratio(part: Float[Tensor, " P"], whole: Float[Tensor, " P"]) -> Float[np.ndarray, " P"]:
    return np.asarray(torch.where(whole > 0.0, part / whole, 0.0).numpy())


def _idle(problem: PlanningProblem) -> int | None:
    if problem.reached is None:
        return None
    with torch.no_grad():
        nothing = problem.initial_state.new_zeros(problem.batch, problem.horizon, problem.action_dim)
        states = rollout(problem.model, problem.initial_state, problem.project(nothing))
        looked_at = states[:, -1:] if problem.reached_when == "last" else states
        inside = [problem.judge(looked_at[:, t], problem.goal) for t in range(looked_at.shape[1])]
    return int(torch.stack(inside).any(0).sum())


def _least_steps(
    problem: PlanningProblem, linear: Linearisation, metric: Metric | Tensor | None
) -> tuple[Float[np.ndarray, " B"] | None, float]:
    """Return d(s_0, g)/v, to the goal itself and v the farthest that a step was seen to move: an estimate; or bounds given."""
    if metric is None:
        return None, float("nan")
    if isinstance(metric, Tensor):
        return np.asarray(metric.double().cpu().numpy()), float("nan")
    states, actions = linear.states[:, :-1], linear.actions
    generator = torch.Generator().manual_seed(0)
    farthest = 0.0
    scale = actions.abs().amax().clamp_min(1.0)
    with torch.no_grad():
        for tried in range(TRIED_ACTIONS + 1):
            drawn = torch.randn(actions.shape, generator=generator).to(actions) * 10.0 ** (tried % 3) * scale
            taken = problem.project(drawn) if tried and problem.allowed is not None else actions
            moved = linear.steps(slice(0, linear.horizon))(states, taken)
            farthest = max(farthest, float(metric(moved.flatten(0, 1), states.flatten(0, 1)).max()))
            if problem.allowed is None:
                break
        away = metric(problem.initial_state, problem.goal).double().cpu().numpy()
    return np.maximum(0.0, away / farthest if farthest > 0.0 else np.full(len(away), np.inf)), farthest
