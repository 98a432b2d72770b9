"""Algorithm 1 written out line by line, as the reference that checks compare against."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.dynamics import Dynamics, rollout
from grasp_theory.objectives import lifted_loss, rollout_loss
from paper_checks.claims.method.gradients import Trajectory


@dataclass(frozen=True)
class StepSizes:
    """η_s and η_a."""

    states: float
    actions: float


@dataclass(frozen=True)
class CountingDynamics:
    """A model that records how often, one after the other, it was evaluated, and on how many inputs at once.

    Arguments
        model: the model to evaluate.
        batches: the number of inputs of each evaluation so far.
    """

    model: Dynamics
    batches: list[int] = field(default_factory=list)

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Return the model's next states, recorded."""
        self.batches.append(action[..., 0].numel())
        return self.model.step(state, action)


@dataclass(frozen=True)
class Truncated:
    """A model that passes no gradient to its state input."""

    model: Dynamics

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Return the model's next states, their gradient stopped at the state."""
        return self.model.step(state.detach(), action)


def joint_step(
    dynamics: Dynamics,
    trajectory: Trajectory,
    goal_weight: float,
    steps: StepSizes,
    noise: Float[Tensor, "T_plus_one n"],
    *,
    end_free: bool = False,
) -> Trajectory:
    """Return lines 4–6: one gradient step on Eq. (10), then `noise` added to s_1, ..., s_{T−1}.

    Arguments
        dynamics: the model F.
        trajectory: s_0, ..., s_T, a and g.
        goal_weight: γ.
        steps: η_s and η_a.
        noise: σ_state ξ_t for every t; the rows of s_0 and s_T are not used.
        end_free: whether s_T takes its gradient step, as in (93), or stays.  It is not noised: see line 6.
    """
    states, actions = trajectory.states.clone().requires_grad_(), trajectory.actions.clone().requires_grad_()
    loss = lifted_loss(dynamics, states, actions, trajectory.goal, goal_weight, stop_state_gradient=True)
    of_states, of_actions = torch.autograd.grad(loss, (states, actions))
    following = trajectory.states.clone()
    moved = slice(1, None) if end_free else slice(1, -1)
    following[moved] -= steps.states * of_states[moved]
    following[1:-1] += noise[1:-1]
    return Trajectory(following, trajectory.actions - steps.actions * of_actions, trajectory.goal)


def sync_step(
    dynamics: Dynamics, trajectory: Trajectory, step_size: float, *, assign_states: bool
) -> Trajectory:
    """Return line 7: roll out from s_0, then one gradient step on ‖s_T − g‖² over the actions, Eq. (15).

    Arguments
        dynamics: the model F.
        trajectory: s_0, ..., s_T, a and g.
        step_size: η_sync.
        assign_states: whether the virtual states become the rolled-out ones, as the line's arrow says, or
            stay, as Section 3.4 says ("we update only the actions").
    """
    actions = trajectory.actions.clone().requires_grad_()
    loss = rollout_loss(dynamics, trajectory.states[0], actions, trajectory.goal)
    gradient = torch.autograd.grad(loss, actions)[0]
    states = trajectory.states
    if assign_states:
        states = rollout(dynamics, trajectory.states[0], trajectory.actions)
    return Trajectory(states, trajectory.actions - step_size * gradient, trajectory.goal)
