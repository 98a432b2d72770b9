"""Bounds ‖J_T^k‖ <= C q^k for the stop-gradient iteration that hold at every horizon T, proved from its symbol.

sup_T ‖J_T^k‖₂ = max over |z| = 1 of ‖(D + zE)^k‖₂ (see `uniform_convergence`) is a maximum over one angle, and one power
of the symbol that contracts on the whole circle settles every k.

Source: docs/theory/uniform_convergence.md (U1, U2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from linear_systems.checked import checked
from linear_systems.errors import ParameterError, StepSizeError, UndecidedError
from linear_systems.rounding import rounding_allowance
from linear_systems.stop_gradient import map as stop_gradient
from linear_systems.stop_gradient.blocks import all_steps, prediction_gain, update_blocks
from linear_systems.stop_gradient.uniform_convergence import time_invariant
from linear_systems.system import AnySystem
from linear_systems.validation import StepSize, goal_weight, positive_float, positive_integer, step_sizes

__all__ = ["UniformBound", "uniform_bound", "uniform_power_norms"]

OVERSAMPLING = 8
"""Points on the circle for each power: between them a norm exceeds its samples by a factor <= 1/cos(π/16) = 1.02."""
FIRST_POWER, LAST_POWER = 64, 1024
"""Powers of the symbol between which `uniform_bound` looks for one that contracts."""


@dataclass(frozen=True)
class UniformBound:
    """The bound ‖J_T^k‖₂ <= constant · rate^k, for every horizon T and every k.

    Arguments
        constant: C.
        rate: q < 1.
        power: the k₀ with sup_T ‖J_T^{k₀}‖ <= q^{k₀} from which the bound follows for all k.
        peak: an upper bound of sup_{T,k} ‖J_T^k‖, the largest factor by which an error can ever grow.
    """

    constant: float
    rate: float
    power: int
    peak: float

    def iterations_to(self, tolerance: float) -> int:
        """Return a k after which every error, at every T, is at most `tolerance` times the initial one."""
        target = positive_float("tolerance", tolerance)
        return max(0, math.ceil(math.log(self.constant / target) / -math.log(self.rate)))


@checked
def uniform_power_norms(
    system: AnySystem, beta: float, step_size: StepSize, iterations: int
) -> tuple[Float[np.ndarray, " iterations_plus_one"], Float[np.ndarray, " iterations_plus_one"]]:
    """Return proved (lower, upper) bounds of sup_T ‖J_T^k‖₂ = max over |z| = 1 of ‖(D + zE)^k‖₂, k = 0..iterations.

    The maximum is sampled at N points.  Each entry u*(D + zE)^k v is a polynomial of degree k in z, so by a lemma of
    M. Riesz the samples fall short of the maximum by a factor of at least cos(πk/(2N)).  Rounding is bounded a
    posteriori: if X_i is the computed power and δ_i bounds the error of one product, then
    ‖(D + zE)^k‖ <= ‖X_k‖ + Σ_i ‖(D + zE)^{k−i}‖ δ_i.

    Arguments
        system: time-invariant dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        iterations: the highest power, at least 0.

    Raises
        ParameterError, StepSizeError.
    """
    pair, count = step_sizes(step_size), positive_integer("iterations", iterations, minimum=0)
    steps = all_steps(time_invariant(system), goal_weight("beta", beta))
    D, E = (blocks[0] for blocks in update_blocks(steps, pair))
    points = OVERSAMPLING * max(count, 1)
    # Conjugate points have the same norm, so half a circle is enough.
    z = np.exp(2j * np.pi * np.arange(points // 2 + 1) / points)[:, None, None]
    gain = float(np.linalg.norm(prediction_gain(steps, pair)))
    scale = np.sqrt(steps.block_size) + gain * (
        1.0 + float(np.linalg.norm(system.A) + np.linalg.norm(system.B))
    )
    symbol = D + z * E
    power = np.broadcast_to(np.eye(steps.block_size, dtype=complex), symbol.shape)
    lower, upper, errors = np.ones(count + 1), np.ones(count + 1), np.zeros(count + 1)
    for k in range(1, count + 1):
        errors[k] = rounding_allowance(
            scale * float(np.linalg.norm(power, axis=(1, 2)).max()), 2 * steps.block_size
        )
        power = symbol @ power
        sampled = _largest_norm(power)
        accumulated = float(upper[:k] @ errors[k:0:-1])
        lower[k] = max(0.0, sampled - accumulated)
        upper[k] = sampled + accumulated
    return lower, upper / np.cos(np.pi * np.arange(count + 1) / (2 * points))


@checked
def uniform_bound(
    system: AnySystem, beta: float, step_size: StepSize, rate: float | None = None
) -> UniformBound:
    """Return C and q with ‖J_T^k‖₂ <= C q^k for every T and k, proved from finitely many powers of the symbol.

    If ‖(D + zE)^{k₀}‖ <= q^{k₀} on the circle, then C = max over k < k₀ of ‖(D + zE)^k‖/q^k serves for every k.

    Arguments
        system: the dynamics, n states and m actions.
        beta: goal weight β >= 0, one number.
        step_size: η > 0, one number or a pair (η_s, η_a) of states and actions.
        rate: q in (r, 1); by default √r, half as fast as the iteration is in the end.

    Raises
        StepSizeError: r >= 1: no such bound exists.
        ParameterError: `rate` is not in (r, 1), or see `uniform_power_norms`.
        UndecidedError: no power up to `LAST_POWER` contracts: r or `rate` is too close to 1 (or to r) for this method.
    """
    radius = stop_gradient.uniform_rate(system, beta, step_size)
    if radius >= 1.0:
        raise StepSizeError(
            "step_size", "step sizes with r = max over |z| = 1 of ρ(D + zE) < 1", f"{step_size!r} with r = {radius:.6g}",
            "best_uniform_step_size",
        )  # fmt: skip
    q = math.sqrt(radius) if rate is None else positive_float("rate", rate)
    if not radius < q < 1.0:
        raise ParameterError("rate", f"a number between r = {radius:.6g} and 1", repr(rate), "leave it out")
    count = FIRST_POWER
    while count <= LAST_POWER:
        upper = uniform_power_norms(system, beta, step_size, count)[1]
        relative = upper / q ** np.arange(count + 1)
        contracting = np.flatnonzero(relative[1:] <= 1.0)
        if contracting.size:
            power = int(contracting[0]) + 1
            constant = float(relative[:power].max()) * (1.0 + rounding_allowance(1.0, power))
            return UniformBound(constant, q, power, float(upper[:power].max()))
        count *= 2
    raise UndecidedError(
        f"No power of the symbol up to {LAST_POWER} is below q^k for q = {q:.9g} (r = {radius:.9g}).  Try: a larger `rate`."
    )


def _largest_norm(matrices: Complex[np.ndarray, "N d d"]) -> float:
    """Return max ‖X‖₂, computing singular values only where the Frobenius norm leaves the maximum open."""
    frobenius = np.linalg.norm(matrices, axis=(1, 2))
    first = float(np.linalg.norm(matrices[int(np.argmax(frobenius))], 2))
    candidates = matrices[frobenius > first]
    return max(first, float(np.linalg.norm(candidates, 2, axis=(1, 2)).max(initial=0.0)))
