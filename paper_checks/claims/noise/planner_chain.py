"""The noised states of the shipped planner with the actions frozen, against the laws of Theorem 7 and of the chain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from grasp_theory import GRASP, PlanningProblem
from grasp_theory.planners.loop.optimizers import OptimizerName
from linear_systems import LinearSystem, noise, state_chain
from paper_checks.engine.laws import detectable_variance, normal_test, variance_p_value
from paper_checks.engine.records import Evidence, Grade
from paper_checks.engine.run import Run

ETA, SIGMA = 0.1, 0.5
"""The step size and noise of the simulations; σ = 0.5 is the paper's on Push-T."""
CHAIN_ITERATIONS = 60
"""Iterations of the simulated chain, which is compared with the exact law after so many."""
LIMIT_GAP = 1e-9
"""How near the exact law after many iterations must come to the stationary one, relatively."""


@dataclass(frozen=True)
class Chains:
    """s' = A s + a in every entry: each entry of the state is a chain of its own."""

    gain: float

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Return the next states; one action drives all entries."""
        return self.gain * state + action


def noised_states(
    run: Run, name: str, planner: GRASP, gain: float, horizon: int, chains: int
) -> NDArray[np.float64]:
    """Return the deviations of the states that the planner ends on from its noise-free run, (chains, T).

    The planner's own actions stay frozen; the chains are spread over problems and entries of their states.
    """
    rows = 16
    rng = run.rng(name)
    initial, goal = (torch.tensor(rng.standard_normal((rows, -(-chains // rows)))) for _ in range(2))
    problem = PlanningProblem(
        Chains(gain), initial, goal, horizon, 1, seeds=torch.tensor(rng.integers(2**62, size=rows))
    )

    def last(chosen: GRASP) -> Tensor:
        seen: list[Tensor | None] = []
        chosen.plan(problem, stop_when_reached=False, callback=lambda each: seen.append(each.virtual_states))
        assert seen[-1] is not None
        return seen[-1]

    left = last(planner) - last(replace(planner, state_noise=0.0))
    return left[:, 1:].movedim(1, -1).reshape(-1, horizon).numpy()


def frozen(iterations: int, optimizer: OptimizerName = "sgd") -> GRASP:
    """Return `GRASP.paper()` with η_s = `ETA`, the actions frozen and no syncs, started on the interpolation."""
    return replace(
        GRASP.paper(), iterations=iterations, optimizer=optimizer, state_lr=ETA, action_lr=0.0, state_noise=SIGMA,
        sync_every=None, check_every=None, initial_state_noise=0.0,
    )  # fmt: skip


@dataclass(frozen=True)
class TubeVariant:
    """The law that is stated, σ `factor` times the tube's, and what steps the states."""

    factor: float = 1.0
    optimizer: OptimizerName = "sgd"


def inspect_tube(run: Run, variant: TubeVariant) -> Evidence:
    """Test the law of s_1 after the mixing time: its prediction is F(s_0, a_0), which nothing moves."""
    factor, optimizer = variant.factor, variant.optimizer
    iterations = noise.mixing_time(ETA, 1e-6)
    left = noised_states(run, "tube", frozen(iterations, optimizer), 0.5, 2, run.size(1_000_000, 200_000))[
        :, 0
    ]
    found = normal_test(left / (factor * np.sqrt(noise.tube_variance(ETA, SIGMA))), run.level(2))
    return Evidence(
        Grade.STATISTICAL,
        all(found.outcomes.values()),
        f"s_1 of GRASP stepped by {optimizer}, {iterations} iterations, η = {ETA}, σ = {SIGMA}, over the tube's standard "
        f"deviation, {found.summary}",
        dict(found.numbers),
        outcomes=found.outcomes,
    )


def compare_chain(run: Run, horizon: int, factor: float) -> tuple[str, dict[str, bool]]:
    """Test the planner's states, with s̄_t live, against the exact law of the chain after as many iterations."""
    planner = replace(frozen(CHAIN_ITERATIONS), fix_final_state=False)
    left = noised_states(run, "chains", planner, 1.0, horizon, run.size(100_000, 20_000))
    root = np.linalg.cholesky(chain_covariance(horizon, CHAIN_ITERATIONS))
    level = run.level(2 + horizon)
    whitened = np.linalg.solve(factor * root, left.T)
    found = normal_test(whitened.ravel(), level)
    spread = np.sum((left / (factor * np.linalg.norm(root, axis=1))) ** 2, axis=0)
    smallest = min(variance_p_value(float(each), len(left)) for each in spread)
    summary = (
        f"GRASP after {CHAIN_ITERATIONS} iterations, {len(left)} chains, whitened by the exact law, {found.summary}; smallest "
        f"p of the variance at one t {smallest:.2g}, where {detectable_variance(len(left), level):.1%} is found"
    )
    return summary, {**found.outcomes, "variance at every t": smallest >= level}


def chain_covariance(horizon: int, iterations: int) -> Float[np.ndarray, "T T"]:
    """Return the covariance of (s_1, ..., s_T) after so many iterations from a fixed start, for A = 1: Σ ← J Σ Jᵀ + σ² I."""
    step = (1.0 - 2.0 * ETA) * np.eye(horizon) + 2.0 * ETA * np.eye(horizon, k=-1)
    covariance = np.zeros((horizon, horizon))
    for _ in range(iterations):
        covariance = step @ covariance @ step.T + SIGMA**2 * np.eye(horizon)
    return covariance


def chain_limit_gap(horizon: int) -> float:
    """Return how far the exact variances after 1000 iterations are from `state_chain.stationary_law`, relatively."""
    stated = state_chain.stationary_law(LinearSystem([[1.0]], [[1.0]]), horizon, ETA, SIGMA).states[:, 0, 0]
    return float(np.max(np.abs(np.diag(chain_covariance(horizon, 1000)) / stated - 1.0)))
