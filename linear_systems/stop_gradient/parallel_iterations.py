"""Iterations that share the fixed point of Theorem 6, as maps of the error, to compare how fast each forgets a start.

An error is e_t = (s_{t+1} − s*_{t+1}, a_t − a*_t), t = 0..T−1, with s_0 known exactly; z* is the greedy rollout.  Every
iteration here is linear in it.  What they cost differs: `sequential_steps` counts, for one iteration, the model
evaluations that have to wait for one another; everything else runs in parallel over time.

No iteration that moves information by one time step an iteration can beat the rate ρ(K) of `parallel_greedy`, K the
greedy closed loop: see docs/theory/uniform_convergence.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.sparse import bsr_array, csr_array

from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.stop_gradient import uniform_convergence
from linear_systems.stop_gradient.blocks import all_steps, update_blocks
from linear_systems.stop_gradient.uniform_convergence import require_stable_greedy_loop, time_invariant
from linear_systems.system import AnySystem
from linear_systems.validation import (
    StepSize,
    goal_weight,
    goal_weights,
    positive_float,
    positive_integer,
    real_array,
    step_sizes,
)

__all__ = [
    "Iteration",
    "Progress",
    "best_minimised_step_size",
    "best_two_step_cycle",
    "gradient_steps",
    "gradient_sweeps",
    "iterations_to",
    "minimised_action_rate",
    "minimised_actions",
    "minimised_step_size_limit",
    "minimised_update_matrix",
    "parallel_greedy",
    "synchronised",
]

Errors = NDArray[np.float64]
"""(T, n+m)."""


@dataclass(frozen=True)
class Iteration:
    """A linear map of the error.

    Arguments
        name: what it is called in tables.
        advance: (error (T, n+m), k) -> the error after iteration number k = 0, 1, ...
        sequential_steps: T -> model evaluations that wait for one another, for one iteration (on average).
    """

    name: str
    advance: Callable[[Errors, int], Errors]
    sequential_steps: Callable[[int], float]


@dataclass(frozen=True)
class Progress:
    """What an iteration did: `iterations` to the tolerance (None: not reached), `peak` = max_k ‖e^k‖/‖e⁰‖ up to there."""

    iterations: int | None
    peak: float


@checked
def gradient_steps(system: AnySystem, beta: ArrayLike, *cycle: StepSize) -> Iteration:
    """Return gradient steps on the stop-gradient objective whose step sizes repeat in a cycle.  Source: Eq. (80)-(81).

    Arguments
        system: the dynamics, n states and m actions.
        beta: goal weight β >= 0, one number or one for each time (T,).
        cycle: step sizes > 0, each one number or a pair (η_s, η_a); one or more.

    Raises
        ParameterError: no step size is given.
    """
    if not cycle:
        raise ParameterError("cycle", "at least one step size", "none", "pass (eta_s, eta_a)")
    steps = all_steps(system, beta)
    blocks = [update_blocks(steps, step_sizes(step, "cycle")) for step in cycle]

    def advance(error: Errors, k: int) -> Errors:
        D, E = blocks[k % len(blocks)]
        return np.asarray(_times(D, error) + _delayed(E, error))

    name = "gradient steps" if len(cycle) == 1 else f"gradient steps, cycle of {len(cycle)}"
    return Iteration(name, advance, lambda horizon: 1.0)


@checked
def gradient_sweeps(system: AnySystem, beta: float, step_size: StepSize) -> Iteration:
    """Return Gauss–Seidel sweeps in time order: the gradient step at t uses the new s_t.  Symbol (I − zE)^{-1} D.

    Arguments
        system: time-invariant dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
    """
    steps = all_steps(time_invariant(system), beta)
    D, E = (blocks[0] for blocks in update_blocks(steps, step_sizes(step_size)))

    def advance(error: Errors, k: int) -> Errors:
        new: Errors = np.asarray(error @ D.T)
        for t in range(1, len(new)):
            new[t] += E @ new[t - 1]
        return new

    return Iteration("gradient sweeps", advance, float)


@checked
def minimised_actions(system: AnySystem, beta: float, state_step: float) -> Iteration:
    """Return gradient steps on the states with the actions minimised exactly (shortest minimiser) before each.

    On the states its symbol is (1 − 2η_s) I + (2η_s/(1+β)) BB⁺ + 2η_s z K; B may have any rank.

    Arguments
        system: the dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        state_step: η_s > 0.
    """
    A, B, inverse, n = _matrices(system)
    weight = goal_weight("beta", beta)
    eta = positive_float("state_step", state_step)

    def advance(error: Errors, k: int) -> Errors:
        ahead = _delayed(A[None], error[:, :n])
        actions = (error[:, :n] / (1.0 + weight) - ahead) @ inverse.T
        states = error[:, :n] - 2.0 * eta * (error[:, :n] - ahead - actions @ B.T)
        return np.concatenate([states, actions], axis=1)

    return Iteration("actions minimised", advance, lambda horizon: 1.0)


@checked
def parallel_greedy(system: AnySystem) -> Iteration:
    """Return block minimisation at all times at once: a_t greedy given s_t, s_{t+1} = A s_t + B a_t.

    Symbol zK on the states.  It is exact after T iterations and has the rate ρ(K), which nothing local beats.

    Arguments
        system: the dynamics, n states and m actions.
    """
    A, B, inverse, n = _matrices(system)

    def advance(error: Errors, k: int) -> Errors:
        ahead = _delayed(A[None], error[:, :n])
        actions = -ahead @ inverse.T
        return np.concatenate([ahead + actions @ B.T, actions], axis=1)

    return Iteration("parallel greedy", advance, lambda horizon: 1.0)


def synchronised(iteration: Iteration, system: AnySystem, every: int) -> Iteration:
    """Return `iteration` with the states reset to the rollout of the actions after every `every` iterations.

    The reset has the symbol (I − zA)^{-1}B, which is bounded on |z| <= 1 only if A is stable.

    Arguments
        iteration: on states and actions, as `gradient_steps` makes it.
        system: the dynamics, n states and m actions.
        every: at least 1.
    """
    period, n = positive_integer("every", every), system.state_dim

    def advance(error: Errors, k: int) -> Errors:
        moved = iteration.advance(error, k)
        if (k + 1) % period == 0:
            moved[:, :n] = system.rollout(np.zeros(n), moved[:, n:])[1:]
        return moved

    return Iteration(
        f"{iteration.name}, states reset every {period}",
        advance,
        lambda horizon: iteration.sequential_steps(horizon) + horizon / period,
    )


@checked
def iterations_to(
    iteration: Iteration, initial_error: ArrayLike, tolerance: float, max_iterations: int = 100_000
) -> Progress:
    """Return the first k with ‖e^k‖₂ <= tolerance · ‖e⁰‖₂, and how large the error was on the way.

    Errors are rounded relative to themselves, and nothing flows back in time, so this is close to what exact
    arithmetic does.  An iteration on z itself rounds relative to z: it comes no closer than about eps · peak.

    Arguments
        iteration: as the functions of this module make it.
        initial_error: e⁰ (T, n+m), in time order; (T, n) where only the states move.
        tolerance: positive, relative to the first error.
        max_iterations: where to stop.
    """
    error = real_array("initial_error", initial_error, ndim=2)
    start = float(np.linalg.norm(error))
    target = positive_float("tolerance", tolerance) * start
    limit = positive_integer("max_iterations", max_iterations)
    size = peak = start
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(limit + 1):
            if size <= target:
                return Progress(k, peak / start if start else 1.0)
            error = iteration.advance(error, k)
            size = float(np.linalg.norm(error))
            if not np.isfinite(size):
                return Progress(None, np.inf)
            peak = max(peak, size)
    return Progress(None, peak / start)


@checked
def minimised_update_matrix(system: AnySystem, horizon: int, beta: ArrayLike, state_step: float) -> csr_array:
    """Return the matrix of `minimised_actions` on the states (s_1, ..., s_T), sparse (Tn, Tn), time-varying or not.

    Block row t holds (1 − 2η_s) I + (2η_s/(1+β_t)) B_t B_t⁺ on the diagonal and 2η_s K_t to its left.

    Arguments
        system: the dynamics, n states and m actions.
        horizon: T >= 1, in steps.
        beta: goal weight β >= 0, one number or one for each time (T,).
        state_step: η_s > 0.

    Raises
        HorizonError, ParameterError.
    """
    A, B = system.matrices(horizon)
    weights, eta, n = goal_weights(beta, len(A)), positive_float("state_step", state_step), system.state_dim
    projections = B @ np.linalg.pinv(B)
    diagonal = (1.0 - 2.0 * eta) * np.eye(n) + 2.0 * eta * projections / (1.0 + weights[:, None, None])
    left = 2.0 * eta * (A - projections @ A)
    # Block row t holds its left block and its diagonal block, row 0 only the latter.
    data = np.stack([left, diagonal], axis=1).reshape(2 * len(A), n, n)[1:]
    columns = np.repeat(np.arange(len(A)), 2)[:-1]
    row_starts = np.concatenate([[0], np.arange(1, 2 * len(A), 2)])
    return csr_array(bsr_array((data, columns, row_starts), shape=(len(A) * n, len(A) * n)))


@checked
def minimised_action_rate(system: AnySystem, beta: float, state_step: float) -> float:
    """Return the T-free rate of `minimised_actions`: max(|1 − 2η_s β/(1+β)|, |1 − 2η_s| + 2η_s ρ(K)).

    The first term stands for range(B) and is absent if B = 0, the second for its complement, absent if B has rank n.

    Arguments
        system: the dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        state_step: η_s > 0.
    """
    weight = goal_weight("beta", beta)
    eta = positive_float("state_step", state_step)
    along, across = _parts(system)
    terms = [abs(1.0 - 2.0 * eta * weight / (1.0 + weight))] if along else []
    if across:
        terms.append(abs(1.0 - 2.0 * eta) + 2.0 * eta * uniform_convergence.greedy_radius(system))
    return max(terms)


@checked
def minimised_step_size_limit(system: AnySystem, beta: float) -> float:
    """Return the η_s below which `minimised_action_rate` < 1: 1/(1 + ρ(K)), or (1+β)/β if B has rank n.

    Arguments
        system: the dynamics, n states and m actions.
        beta: goal weight β > 0, one number.

    Raises
        UnstableSystemError: ρ(K) >= 1.
        ParameterError: beta is not positive.
    """
    weight = positive_float("beta", beta)
    radius = require_stable_greedy_loop(system)
    return 1.0 / (1.0 + radius) if _parts(system)[1] else (1.0 + weight) / weight


@checked
def best_minimised_step_size(system: AnySystem, beta: float) -> float:
    """Return the η_s with the smallest `minimised_action_rate`: max(1/2, 1/(1 + ρ(K) + β/(1+β))).

    The rate there is max(ρ(K), (1 + ρ(K) − b)/(1 + ρ(K) + b)), b = β/(1+β).  If B has rank n, η_s = (1+β)/(2β) converges
    in one iteration; if B = 0, it is 1/2.

    Arguments
        system: the dynamics, n states and m actions.
        beta: goal weight β > 0, one number.

    Raises
        UnstableSystemError: ρ(K) >= 1.
        ParameterError: beta is not positive.
    """
    weight = positive_float("beta", beta)
    radius = require_stable_greedy_loop(system)
    pull = weight / (1.0 + weight)
    along, across = _parts(system)
    if not across:
        return 1.0 / (2.0 * pull)
    return max(0.5, 1.0 / (1.0 + radius + pull)) if along else 0.5


@checked
def best_two_step_cycle(system: AnySystem, beta: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return two pairs (η_s, η_a), to be used in turn, with the smallest T-free rate found.

    At one ratio η_a/η_s the two updates are polynomials in the same operator, so the rate of the cycle is
    max |(1 − η μ)(1 − η' μ)|^{1/2} over the spectrum of `uniform_spectrum`.  Minimised by Nelder–Mead from the best
    constant step sizes, sampled over the circle; never worse there than these.

    Arguments
        system: the dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.

    Raises
        UnstableSystemError, UndecidedError, RankError, ParameterError: see `best_uniform_step_size`.
    """
    eta, action_step = uniform_convergence.best_uniform_step_size(system, beta)
    angles = uniform_convergence.sample_angles(system)

    def rate(point: Float[np.ndarray, " 3"]) -> float:
        first, second, ratio = np.exp(point)
        mu = uniform_convergence.uniform_spectrum(system, beta, float(ratio), angles)
        return float(np.sqrt(np.abs((1.0 - first * mu) * (1.0 - second * mu)).max()))

    constant = np.log([eta, eta, action_step / eta])
    starts = [constant + spread * np.array([-1.0, 1.0, 0.0]) for spread in (0.0, 0.3)]
    found = min(
        (minimize(rate, start, method="Nelder-Mead") for start in starts), key=lambda result: result.fun
    )
    first, second, ratio = np.exp(found.x if found.fun < rate(constant) else constant)
    return (float(first), float(first * ratio)), (float(second), float(second * ratio))


def _matrices(
    system: AnySystem,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], int]:
    """Return A, B, B⁺ and n."""
    invariant = time_invariant(system)
    return invariant.A, invariant.B, np.asarray(np.linalg.pinv(invariant.B)), invariant.state_dim


def _times(blocks: Float[np.ndarray, "L p d"], error: Float[np.ndarray, "T d"]) -> Float[np.ndarray, "T p"]:
    return np.asarray((blocks @ error[..., None])[..., 0])


def _delayed(blocks: Float[np.ndarray, "L p d"], error: Float[np.ndarray, "T d"]) -> Float[np.ndarray, "T p"]:
    """Return M_t e_{t−1}, with e_{−1} = 0."""
    before = np.concatenate([np.zeros_like(error[:1]), error[:-1]])
    return _times(blocks, before)


def _parts(system: AnySystem) -> tuple[bool, bool]:
    """Return whether range(B) and its complement are more than {0}."""
    rank = int(np.linalg.matrix_rank(time_invariant(system).B))
    return rank > 0, rank < system.state_dim
