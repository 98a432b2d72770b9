"""States and actions brought to a rollout that ends at the goal, by Levenberg–Marquardt steps that are parallel in time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp_theory.planners.loop.parallel_rollout import (
    Bidiagonal,
    Step,
    final_state_jacobian,
    jacobian_passes,
    linearise,
    moved,
    settled,
)

DAMPINGS = (0.01, 0.1, 1.0, 10.0)
"""μ over the mean of JJᵀ's diagonal; all are tried side by side, and each row goes on with the best of its own."""
CLOSING_SWEEPS = 2
LARGEST_STATE = 16
"""A Jacobian of a state with more entries costs more than the gradient steps that it replaces."""


def sync_passes(state_size: int, steps: int) -> int:
    """Return what `steps` steps and the closing sweeps count in evaluations for each time."""
    return steps * (jacobian_passes(state_size) + len(DAMPINGS)) + CLOSING_SWEEPS


class LevenbergMarquardt:
    """Multiple shooting: virtual states and actions move together, to s_{t+1} = F(s_t, a_t) and s_T = g.

    The model is linearised about the virtual states, r_t = F(s_t, a_t) − s_{t+1} being their defects.  With Φ_t what a
    defect changes in s_T and J_t = Φ_t B_t what an action does, one step is

        da = Jᵀ (J Jᵀ + μ I)^{-1} (g − s_T − Σ_t Φ_t r_t),    a ← P(a + da),    s ← s + δ,
        δ_{t+1} = A_t δ_t + B_t da_t + r_t,

    P the projection onto the action set.  Each damping's states are then evaluated, corrected once more with the same A
    (a chord step of Newton's method), and the damping wins whose corrected ‖s_T − g‖² plus squared defects are least.
    Sources: Levenberg (1944), Marquardt (1963); Bock and Plitt (1984) for multiple shooting.

    Arguments
        step: F on all times side by side.
        project: the projection P of actions (..., m).
        states: (N, T+1, *S), the virtual states, s_0 where the rollout starts; s_T need not be the goal.
        actions: (N, T, m).
        goal: (N, *S).
    """

    def __init__(
        self,
        step: Step,
        project: Callable[[Tensor], Tensor],
        states: Tensor,
        actions: Float[Tensor, "N T m"],
        goal: Tensor,
    ) -> None:
        self.evaluate, self.project, self.goal = step, project, goal.flatten(1)
        self.states, self.actions = states, actions

    def step(self) -> None:
        """Take one step; a row whose every damping leads to NaN or infinity stays."""
        linear = linearise(self.evaluate, self.states, self.actions)
        self.system = Bidiagonal(linear.by_states)
        defects = linear.defects.unsqueeze(3)
        through, by_actions = final_state_jacobian(self.system, linear.by_actions)
        missing = self.goal - self.states[:, -1].flatten(1) - (through @ defects).sum(1).squeeze(2)
        plans = self._plans(by_actions, missing)
        shifts = (plans - self.actions.unsqueeze(1)).permute(0, 2, 3, 1)
        changes = self.system.solve(defects + linear.by_actions @ shifts).permute(0, 3, 1, 2)
        count = plans.shape[1]
        tried = moved(self.states.repeat_interleave(count, 0), changes.flatten(0, 1))
        left = self._defects(tried, plans.flatten(0, 1)).view(-1, count, *linear.defects.shape[1:])
        corrections = self.system.solve(left.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        tried = moved(tried, corrections.flatten(0, 1)).view(-1, count, *self.states.shape[1:])
        merits = (tried[:, :, -1].flatten(2) - self.goal.unsqueeze(1)).square().sum(2) + left.square().sum(
            (2, 3)
        )
        merits, best = merits.nan_to_num(torch.inf, torch.inf).min(1)
        row, finite = torch.arange(len(best), device=best.device), torch.isfinite(merits)
        self.states = torch.where(_like(finite, self.states), tried[row, best], self.states)
        self.actions = torch.where(_like(finite, self.actions), plans[row, best], self.actions)

    def close(self) -> Bool[Tensor, " N"]:
        """Bring the states closer to the rollout of the actions, and return for which rows they are it.

        These are chord steps with the last step's A: one forward pass each.
        """
        change = self.states[:, 1:].flatten(2)
        for _ in range(CLOSING_SWEEPS):
            change = self.system.solve(self._defects(self.states, self.actions).unsqueeze(3)).squeeze(3)
            self.states = moved(self.states, change)
        return settled(self.states, change.norm(dim=2).amax(1))

    def _plans(
        self, by_actions: Float[Tensor, "N T d m"], missing: Float[Tensor, "N d"]
    ) -> Float[Tensor, "N dampings T m"]:
        """Return P(a + da) for each damping; what P holds back at first, a second solution makes up for elsewhere."""
        here, full = self.actions.unsqueeze(1), by_actions.unsqueeze(1)
        scale = (by_actions @ by_actions.mT).sum(1).diagonal(dim1=1, dim2=2).mean(1)
        ridge = scale[:, None] * torch.tensor(DAMPINGS, dtype=scale.dtype, device=scale.device)
        unit = torch.eye(full.shape[3], dtype=scale.dtype, device=scale.device)
        shift, free = torch.zeros_like(here), torch.ones_like(here, dtype=torch.bool)
        for _ in range(2):
            moving = full * free.unsqueeze(3)
            gram = (moving @ full.mT).sum(2) + ridge[:, :, None, None] * unit
            held = (full @ shift.where(~free, 0.0).unsqueeze(4)).sum(2)
            # _ex: singular rows become NaN, and no device waits for the news.
            weights = torch.linalg.solve_ex(gram, missing[:, None, :, None] - held)[0]
            wanted = here + torch.where(free, (full.mT @ weights.unsqueeze(2)).squeeze(4), shift)
            plans = self.project(wanted)
            shift, free = plans - here, free & (plans == wanted)
        return plans

    def _defects(self, states: Tensor, actions: Float[Tensor, "N T m"]) -> Float[Tensor, "N T d"]:
        with torch.no_grad():
            return (self.evaluate(states[:, :-1], actions) - states[:, 1:]).flatten(2)


def _like(rows: Bool[Tensor, " N"], tensor: Tensor) -> Tensor:
    return rows.view(-1, *[1] * (tensor.ndim - 1))
