"""What the planners share that move virtual states and actions side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp_theory.dynamics import asked
from grasp_theory.planners.loop.evaluations import require_differentiable
from grasp_theory.planners.loop.optimizers import OptimizerName, make_optimizer
from grasp_theory.planners.loop.planner import Planner
from grasp_theory.planners.loop.rows import Rows
from grasp_theory.planners.loop.search import Search


@dataclass(frozen=True, kw_only=True)
class LiftedPlanner(Planner):
    """The hyper-parameters that planners over virtual states share; each gives them its own defaults."""

    state_lr: float
    action_lr: float
    optimizer: OptimizerName
    initial_state_noise: float
    initial_action_noise: float


class LiftedSearch(Search):
    """A search over s_1..s_T and a_0..a_{T−1}.  Source: Eq. (4), with the start of Section 4.1.

    Arguments
        options: the planner.
        rows: the rows.
        final_state_free: whether s_T moves too, or is fixed to g.
    """

    def __init__(self, options: LiftedPlanner, rows: Rows, *, final_state_free: bool) -> None:
        super().__init__(rows, rows.actions.clone())
        self.free = slice(1, rows.problem.horizon + final_state_free)
        """The states that are moved: s_1..s_{T−1}, and s_T where it is free."""
        self.states = interpolation(rows)
        self.noise = rows.noise(*self.states[0, self.free].shape)
        if options.initial_state_noise:
            self.states[:, self.free] += options.initial_state_noise * self.noise.draw()
        if options.initial_action_noise:
            noise = rows.noise(*self.actions.shape[1:]).draw()
            self.actions = rows.problem.project(self.actions + options.initial_action_noise * noise)
        self.state_optimizer = make_optimizer(options.optimizer, options.state_lr)
        self.action_optimizer = make_optimizer(options.optimizer, options.action_lr)
        self._step = rows.problem.parallel_step()

    def predict(self, states: Tensor, actions: Float[Tensor, "rows T m"]) -> Tensor:
        """Return F(s_t, a_t) for all t at once, with the graph of its gradient."""
        self.rows.count(actions.shape[1], gradient=True)
        with torch.enable_grad():
            prediction: Tensor = asked("dynamics", self._step, states, actions)
        require_differentiable(prediction)
        return prediction

    def virtual_states(self) -> Tensor:
        """Return the virtual states (rows, T+1, *S)."""
        return self.states

    def broken(self) -> Bool[Tensor, " rows"]:
        """Return which rows hold NaN or infinity, or had a gradient that did."""
        return super().broken() | ~torch.isfinite(self.states.flatten(1).sum(1))


def interpolation(rows: Rows) -> Tensor:
    """Return s_t = (1 − t/T) s_0 + (t/T) g for t = 0..T, (rows, T+1, *S).  Source: Section 4.1."""
    horizon = rows.problem.horizon
    start, goal = rows.initial_state.unsqueeze(1), rows.goal.unsqueeze(1)
    fraction = torch.linspace(0, 1, horizon + 1, dtype=start.dtype, device=start.device)
    fraction = fraction.view(1, -1, *[1] * (start.ndim - 2))
    states = torch.lerp(start, goal, fraction)
    states[:, -1] = rows.goal
    return states
