"""The gradients of Eq. (4) and (8)–(10) by three routes: automatic, closed form, finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from grasp_theory.dynamics import Dynamics
from grasp_theory.objectives import dynamics_loss, goal_loss, lifted_loss
from grasp_theory.theorems import TheoremCheck
from linear_systems.rounding import rounding_allowance
from paper_checks.engine.inspection import judge
from paper_checks.engine.orders import central_gradient
from paper_checks.engine.records import Evidence
from paper_checks.engine.run import Run
from paper_checks.engine.smooth_networks import SmoothNetwork, random_network


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A trajectory that need not be feasible.

    Arguments
        states: (T+1, n), s_0, ..., s_T; actions: (T, m); goal: (n,).
    """

    states: Tensor
    actions: Tensor
    goal: Tensor

    def flat(self) -> NDArray[np.float64]:
        """Return all states and actions as one vector."""
        return np.concatenate([self.states.numpy().ravel(), self.actions.numpy().ravel()])

    def unflat(self, vector: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """Return the states and actions of a vector in the order of `flat`."""
        split = self.states.numel()
        states, actions = torch.from_numpy(vector[:split]), torch.from_numpy(vector[split:])
        return states.reshape(self.states.shape), actions.reshape(self.actions.shape)


@dataclass(frozen=True)
class Objective:
    """One of Eq. (4), (8), (9), (10) with the weights of its two sums.

    Arguments
        equation: 4, 8, 9 or 10.
        goal_weight: γ in Eq. (10).
    """

    equation: int
    goal_weight: float = 0.7

    @property
    def stopped(self) -> bool:
        """Whether the state inputs of the model are stop-gradient copies."""
        return self.equation != 4

    @property
    def weights(self) -> tuple[float, float]:
        """The weights of Σ‖F − s_{t+1}‖² and of Σ‖F − g‖²."""
        return {4: (1.0, 0.0), 8: (1.0, 0.0), 9: (0.0, 1.0), 10: (1.0, self.goal_weight)}[self.equation]

    def value(self, dynamics: Dynamics, states: Tensor, actions: Tensor, goal: Tensor) -> Tensor:
        """Return the loss as the library computes it."""
        if self.equation == 10:
            return lifted_loss(
                dynamics, states, actions, goal, self.goal_weight, stop_state_gradient=self.stopped
            )
        if self.equation == 9:
            return goal_loss(dynamics, states, actions, goal, stop_state_gradient=self.stopped)
        return dynamics_loss(dynamics, states, actions, stop_state_gradient=self.stopped)

    def surrogate(
        self, dynamics: Dynamics, states: Tensor, actions: Tensor, goal: Tensor, frozen: Tensor
    ) -> Tensor:
        """Return the loss with the model's state inputs replaced by `frozen` (T+1, n), written out."""
        predictions = dynamics.step(frozen[:-1], actions)
        consistency, shaping = (predictions - states[1:]).square().sum(), (predictions - goal).square().sum()
        return self.weights[0] * consistency + self.weights[1] * shaping

    def automatic(self, dynamics: Dynamics, trajectory: Trajectory) -> tuple[Tensor, Tensor]:
        """Return ∇_s (T+1, n) and ∇_a (T, m) of the library's loss by reverse mode."""
        states = trajectory.states.detach().clone().requires_grad_()
        actions = trajectory.actions.detach().clone().requires_grad_()
        value = self.value(dynamics, states, actions, trajectory.goal)
        of_states, of_actions = torch.autograd.grad(value, (states, actions), materialize_grads=True)
        return of_states, of_actions

    def closed_form(self, network: SmoothNetwork, trajectory: Trajectory) -> tuple[Tensor, Tensor]:
        """Return the same gradients from (78)–(79) and (100), with Jacobians derived by hand.

        With r_t = F(s_t, a_t) − s_{t+1} and d_t = w r_t + γ(F(s_t, a_t) − g): ∇_{a_t} = 2 J_tᵀ d_t, and
        ∇_{s_t} = −2 w r_{t−1}, plus 2 G_tᵀ d_t where the state input is not stopped.
        """
        states, actions, goal = trajectory.states, trajectory.actions, trajectory.goal
        predictions = network.step(states[:-1], actions)
        residuals = self.weights[0] * (predictions - states[1:])
        pulls = residuals + self.weights[1] * (predictions - goal)
        of_state, of_action = network.jacobians(states[:-1], actions)
        gradient = torch.cat([torch.zeros_like(states[:1]), -2.0 * residuals])
        if not self.stopped:
            gradient[:-1] += 2.0 * torch.einsum("tij,ti->tj", of_state, pulls)
        return gradient, 2.0 * torch.einsum("tij,ti->tj", of_action, pulls)

    def finite_differences(
        self, dynamics: Dynamics, trajectory: Trajectory, *, freeze: bool
    ) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
        """Return the gradient of the surrogate (`freeze`) or of the value by differences, and its error bound."""

        def value(vector: NDArray[np.float64]) -> float:
            states, actions = trajectory.unflat(vector)
            frozen = trajectory.states if freeze else states
            return float(self.surrogate(dynamics, states, actions, trajectory.goal, frozen))

        return central_gradient(value, trajectory.flat())


def random_trajectory(rng: np.random.Generator, n: int, m: int, horizon: int) -> Trajectory:
    """Draw a trajectory with standard normal entries."""
    shapes = ((horizon + 1, n), (horizon, m), (n,))
    return Trajectory(*(torch.tensor(rng.standard_normal(shape)) for shape in shapes))


def random_problems(run: Run, name: str, count: int) -> Iterator[tuple[SmoothNetwork, Trajectory]]:
    """Draw networks and trajectories with n, m up to 3 and T up to 4."""
    rng = run.rng(name)
    for _ in range(count):
        n, m, T = (int(rng.integers(1, top)) for top in (4, 4, 5))
        yield random_network(rng, n, m), random_trajectory(rng, n, m, T)


def inspect_three_ways(run: Run, objective: Objective, stated: Objective, *, freeze: bool) -> Evidence:
    """Compare the library's gradient of `objective` with the closed form and the differences of `stated`."""

    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        for network, trajectory in random_problems(run, "three ways", run.size(12, 5)):
            automatic = torch.cat([part.flatten() for part in objective.automatic(network, trajectory)])
            closed = torch.cat([part.flatten() for part in stated.closed_form(network, trajectory)])
            differences, bound = stated.finite_differences(network, trajectory, freeze=freeze)
            # Every entry is a sum of at most n + hidden products of numbers below this scale.
            scale = 2.0 * (1.0 + network.state_lipschitz) * (float(closed.abs().max()) + 10.0)
            exact = rounding_allowance(scale, len(network.bias))
            code = network.as_code
            yield TheoremCheck(float((automatic - closed).abs().max()), 0.0, "<=", exact, {}), code
            excess = float(np.max(np.abs(automatic.detach().numpy() - differences) - bound))
            yield TheoremCheck(excess, 0.0, "<=", exact, {}), code

    return judge(
        evaluations(),
        "reverse mode against Jacobians derived by hand (to rounding) and against central differences (to their "
        "own error bound), entry by entry, on random networks",
    )
