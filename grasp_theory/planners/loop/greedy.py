"""Greedy starts: at each time the action from which the model's next state is nearest to the goal."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.dynamics import TimeVaryingDynamics, untouched
from grasp_theory.planners.loop.rows import Rows
from grasp_theory.problem import PlanningProblem

SAMPLES, ROUNDS, ELITES = 32, 3, 4
"""Of the cross-entropy search for each action; its mean is tried beside the samples."""


GREEDY = ROUNDS * (SAMPLES + 1) + 1
"""What a greedy start counts in evaluations, for each step of the horizon."""


def greedy_rollout(rows: Rows, spread: float) -> tuple[Float[Tensor, "rows T m"], Tensor]:
    """Return actions a_t ≈ argmin_a d(F(s_t, a), g) + c(F(s_t, a), a) and their rollout s_0..s_T, (rows, T+1, *S).

    With d the square of the distance and c = 0 this is the closed loop that Algorithm 1's joint steps tend to without
    syncs (docs/theory, U19).  Each action is searched with `ROUNDS` rounds of `SAMPLES` samples around the initial action.

    Arguments
        rows: the rows.
        spread: standard deviation of the first round's samples, in units of an action's entry.
    """
    problem, model = rows.problem, rows.problem.model
    states, taken = [rows.initial_state], list[Tensor]()
    noise = rows.noise(SAMPLES, problem.action_dim)
    with torch.no_grad():
        for t in range(problem.horizon):
            step = (model.at(t) if isinstance(model, TimeVaryingDynamics) else model).step
            mean = rows.actions[:, t]
            std = torch.full_like(mean, spread)
            for _ in range(ROUNDS):
                tried = problem.project(mean.unsqueeze(1) + std.unsqueeze(1) * noise.draw())
                tried = torch.cat([tried, mean.unsqueeze(1)], 1)
                losses = _losses(problem, step, states[-1], rows.goal, tried)
                order = losses.topk(ELITES, dim=1, largest=False).indices
                best = tried.take_along_dim(order.unsqueeze(2), dim=1)
                mean, std = problem.project(best.mean(1, keepdim=True))[:, 0], best.std(1)
            taken.append(mean)
            states.append(untouched(step, states[-1], mean))
    rows.count(GREEDY * problem.horizon)
    return torch.stack(taken, 1), torch.stack(states, 1)


def _losses(
    problem: PlanningProblem,
    step: Callable[[Tensor, Tensor], Tensor],
    state: Tensor,
    goal: Tensor,
    actions: Float[Tensor, "rows N m"],
) -> Float[Tensor, "rows N"]:
    """Return the losses of single steps, infinite where not finite."""
    count, flat = actions.shape[1], actions.flatten(0, 1)
    after = untouched(step, state.repeat_interleave(count, 0), flat)
    losses = problem.final_losses(after, goal.repeat_interleave(count, 0))
    if problem.stage_cost is not None:
        losses = losses + problem.stage_cost(after, flat).double()
    losses = losses.view(-1, count)
    return losses.where(torch.isfinite(losses), torch.inf)
