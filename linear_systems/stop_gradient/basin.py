"""A radius, free of the horizon, within which an iteration with nonlinear blocks converges linearly.

Let y_t' = f_t(y_{t−1}, y_t) have the fixed point y*, the block bidiagonal derivative J there, and remainders

    ‖f_t(y*+e) − y*_t − (Je)_t‖ <= M max(‖e_{t−1}‖, ‖e_t‖)²   for errors up to `reach`.

With N_k = ‖J^k‖ in the norm max_t ‖e_t‖, a rate q and S = sup_k N_k/q^k, every start with max_t ‖e_t‖ < (1 − q)/(S² M)
(and <= reach/S) converges, ‖e^k‖ <= S (q + SM|e⁰|_*)^k ‖e⁰‖: see docs/theory/nonlinear.md, U15.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from linear_systems.checked import checked
from linear_systems.errors import ParameterError, ShapeError, UndecidedError
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import (
    StepSize,
    goal_weight,
    positive_float,
    positive_integer,
    real_array,
    step_sizes,
)

__all__ = ["Basin", "block_growth", "contraction_basin", "remainder_bound"]


@dataclass(frozen=True)
class Basin:
    """What guarantees linear convergence of the nonlinear iteration.

    Arguments
        radius: of max_t ‖e_t‖ at the start.
        amplification: S; no error on the way exceeds S times that of the start.
        rate: q; the rate in the end is at most q.
        power: the k₀ with N_{k₀} <= q^{k₀} from which S follows.
    """

    radius: float
    amplification: float
    rate: float
    power: int


@checked
def block_growth(
    diagonal: ArrayLike, left: ArrayLike, iterations: int
) -> Float[np.ndarray, " iterations_plus_one"]:
    """Return bounds N_k >= ‖J^k‖, k = 0..iterations, in the norm max_t ‖e_t‖₂, for J with blocks D_t and, left of it, E_t.

    N_k is the largest over t of Σ_j ‖(J^k)_{t,t−j}‖₂, which needs windows of k + 1 steps only: windows of a longer
    sequence that are all among those given have the same N_k.

    Arguments
        diagonal: D_t (T, d, d).
        left: E_t (T, d, d); E_0 has nothing to act on.
        iterations: the largest k.

    Raises
        ShapeError, ParameterError.
    """
    D, E = real_array("diagonal", diagonal, ndim=3), real_array("left", left, ndim=3)
    if D.shape != E.shape or D.shape[1] != D.shape[2]:
        raise ShapeError("left", f"{D.shape}, with square blocks", f"{E.shape}", "one E_t for every D_t")
    count = positive_integer("iterations", iterations, minimum=0)
    T, d = D.shape[:2]
    # bands[j][t] is the block (t, t − j) of J^k.
    bands: list[NDArray[np.float64]] = [np.broadcast_to(np.eye(d), D.shape)]
    growth = np.ones(count + 1)
    for k in range(1, count + 1):
        wider = [np.zeros_like(D) for _ in range(min(k, T - 1) + 1)]
        for j, band in enumerate(bands):
            wider[j] = wider[j] + D @ band
            if j + 1 < len(wider):
                wider[j + 1][1:] += E[1:] @ band[:-1]
        # Block (t, t − j) exists for t >= j only.
        for j, band in enumerate(wider):
            band[:j] = 0.0
        bands = wider
        norms = sum(np.linalg.norm(band, 2, axis=(1, 2)) for band in bands)
        growth[k] = float(np.max(norms)) * (1.0 + rounding_allowance(1.0, d * (k + 1)))
    return growth


@checked
def contraction_basin(growth: ArrayLike, curvature: float, rate: float, reach: float = np.inf) -> Basin:
    """Return the radius within which the iteration converges linearly, from N_k and the size of the remainder.

    Arguments
        growth: N_0..N_K (K+1,) of `block_growth`.
        curvature: M of the remainder, for errors up to `reach`.
        rate: q < 1, above the rate of J.
        reach: how far from the fixed point M is known to hold, in max_t ‖e_t‖.

    Raises
        UndecidedError: no N_k given is at most q^k, k >= 1: pass more of them, or a larger rate.
        ParameterError: the rate is not in (0, 1), or another argument is not positive.
        ShapeError: there is no N_0.
    """
    q, M = positive_float("rate", rate), positive_float("curvature", curvature, allow_zero=True)
    if q >= 1.0:
        raise ParameterError("rate", "a number below 1", repr(rate), "a rate between that of J and 1")
    N = real_array("growth", growth, ndim=1)
    if not N.size:
        raise ShapeError("growth", "N_0 at least", "none", "pass what block_growth returns")
    if N.min() <= 0.0:
        raise ParameterError("growth", "norms > 0", f"{N.min()}", "pass what block_growth returns")
    if not reach > 0.0:
        raise ParameterError(
            "reach", "a number > 0, or inf", repr(reach), "leave it out where M holds everywhere"
        )
    relative = N / q ** np.arange(N.size)
    contracting = np.flatnonzero(relative[1:] <= 1.0)
    if not contracting.size:
        raise UndecidedError(
            f"None of the {N.size} norms of powers is at most q^k for q = {q:g}.  Try: more powers, or a larger rate."
        )
    power = int(contracting[0]) + 1
    S = float(relative[:power].max())
    radius = min((1.0 - q) / (S * S * M) if M else np.inf, float(reach) / S)
    return Basin(radius, S, q, power)


@checked
def remainder_bound(
    slope: float, second: float, third: float, residual: float, beta: float, step_size: StepSize
) -> float:
    """Return M for the stop-gradient iteration (11)-(12) of a model F, from bounds of its derivatives on a tube.

    M = 2η_s L₂ + 2η_a (L₃ R + 2 L₂ ((1+β) L₁ + 1) + (1+β) L₁ L₂), a bound of the second derivative of one block.

    Arguments
        slope, second, third: L₁, L₂, L₃, bounds of the norms of the first, second and third derivatives of F in (s, a).
        residual: R, a bound of ‖(1+β) F(s_t, a_t) − s_{t+1} − βg‖.
        beta: the goal weight β >= 0.
        step_size: η, or the pair (η_s, η_a).

    Raises
        ParameterError, StepSizeError.
    """
    eta_s, eta_a = step_sizes(step_size)
    weight = 1.0 + goal_weight("beta", beta)
    bounds = {"slope": slope, "second": second, "third": third, "residual": residual}
    L1, L2, L3, R = (positive_float(name, value, allow_zero=True) for name, value in bounds.items())
    return 2.0 * eta_s * L2 + 2.0 * eta_a * (L3 * R + 2.0 * L2 * (weight * L1 + 1.0) + weight * L1 * L2)
