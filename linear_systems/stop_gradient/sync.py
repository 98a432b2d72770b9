"""GRASP with full-rollout syncs on linear dynamics: the map of one period, and its fixed point.

A period is K gradient steps of Theorem 6 followed by one step a ← a − η ∇‖s_T(a) − g‖² on the rollout, Eq. (13)-(15).
Measured from the greedy rollout, with C the controllability matrix and d = g − s_T the greedy miss, it is

    e ← S (J^K e) + (0, 2η Cᵀ d),   S = identity on the states, I − 2η CᵀC on the actions,

so its fixed point is neither greedy nor a minimiser of the shooting loss unless Cᵀd = 0: docs/theory/sync.md, U19.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from linear_systems.checked import checked
from linear_systems.conditioning import shooting
from linear_systems.errors import UnstableSystemError
from linear_systems.stop_gradient.map import greedy_rollout, split, stack, update_matrix
from linear_systems.system import AnySystem
from linear_systems.validation import StepSize, positive_float, positive_integer, vector

__all__ = ["SyncedPlan", "sync_fixed_point", "sync_matrix"]


@dataclass(frozen=True, eq=False)
class SyncedPlan:
    """The fixed point of a period, after the sync.

    Arguments
        states: the virtual states s_1..s_T (T, n); they are not the rollout of the actions.
        actions: (T, m).
        miss: ‖g − s_T(actions)‖ of the rollout.
        greedy_miss: the same of the greedy rollout, which is the fixed point without syncs.
        radius: spectral radius of the period: the fixed point attracts if it is below 1.
    """

    states: NDArray[np.float64]
    actions: NDArray[np.float64]
    miss: float
    greedy_miss: float
    radius: float


@checked
def sync_matrix(
    system: AnySystem, horizon: int, beta: ArrayLike, step_size: StepSize, every: int, sync_step: float
) -> Float[np.ndarray, "Td Td"]:
    """Return the matrix S J^K of one period on deviations in time order.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        every: K >= 1, gradient steps in a period.
        sync_step: η >= 0 of the sync; 0 leaves it out.

    Raises
        HorizonError, StepSizeError, ParameterError.
    """
    J = update_matrix(system, horizon, beta, step_size).toarray()
    power = np.linalg.matrix_power(J, positive_integer("every", every))
    gain = 2.0 * positive_float("sync_step", sync_step, allow_zero=True)
    C = _on_all(system, horizon)
    return np.asarray(power - gain * C.T @ (C @ power))


@checked
def sync_fixed_point(
    system: AnySystem,
    horizon: int,
    beta: ArrayLike,
    step_size: StepSize,
    every: int,
    sync_step: float,
    initial_state: ArrayLike,
    goal: ArrayLike,
) -> SyncedPlan:
    """Return the plan to which GRASP with syncs converges on a linear system without noise, virtual states kept.

    Dense, so meant for T (n + m) up to some hundreds.  Source: Algorithm 1, Eq. (80)-(81), (15).

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        every, sync_step: K and η, as in `sync_matrix`.
        initial_state, goal: s_0 and g (n,).

    Raises
        UnstableSystemError: the period has spectral radius >= 1.
        HorizonError, ShapeError, StepSizeError, ParameterError.
    """
    M = sync_matrix(system, horizon, beta, step_size, every, sync_step)
    radius = float(np.abs(np.linalg.eigvals(M)).max())
    if radius >= 1.0:
        raise UnstableSystemError(
            "sync_step", "a period that contracts", f"spectral radius {radius:.6g}",
            "a smaller sync_step, more gradient steps in a period, or step sizes with r < 1",
        )  # fmt: skip
    g = vector("goal", goal, system.state_dim)
    states, actions = greedy_rollout(system, horizon, initial_state, g)
    missing, C = g - states[-1], _on_all(system, horizon)
    deviation = np.linalg.solve(np.eye(len(M)) - M, 2.0 * sync_step * (C.T @ missing))
    plan = split(system, horizon, stack(states[1:], actions) + deviation)
    miss = float(np.linalg.norm(missing - C @ deviation))
    return SyncedPlan(plan[0], plan[1], miss, float(np.linalg.norm(missing)), radius)


def _on_all(system: AnySystem, horizon: int) -> NDArray[np.float64]:
    """Return the controllability matrix as a map of z in time order, with zeros for the states."""
    C = shooting.controllability_matrix(system, horizon)
    n, m = system.state_dim, system.action_dim
    spread = np.zeros((n, C.shape[1] // m, n + m))
    spread[:, :, n:] = C.reshape(n, -1, m)
    return spread.reshape(n, -1)
