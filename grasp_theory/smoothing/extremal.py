"""A directed search for losses that attain the gain C_p(d) = sup σ ‖∇L_σ‖_p / ‖L‖_p.

Source: Theorem 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from grasp_theory.smoothing.norms import Measured, exponent, gradient_gain
from grasp_theory.smoothing.periodic import PeriodicLoss
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import positive_float, positive_integer, real_array

STALLED = 1e-10
"""The ascent stops when a step raises the gain by less than this."""


@dataclass(frozen=True)
class Extremal:
    """A loss of large gain.

    Arguments
        loss: the loss on the torus; σ is 1.
        gain: its gain, re-evaluated with norms on refined grids: a lower bound on C_p(d) up to its error.
        iterations: steps of the ascent.
    """

    loss: PeriodicLoss
    gain: Measured
    iterations: int


@checked
def maximise_gain(start: ArrayLike, period: float, p: float, iterations: int = 300) -> Extremal:
    """Climb from `start` to a loss of locally largest gain at σ = 1, by the power method for p-norms.

    The gain is the ratio of the convex function ‖T L‖_p, T L = ∇φ_1 * L, to ‖L‖_p.  Each step moves to the
    maximiser over the unit ball of L^p of the linearisation at the current L, which is
    sign(h)|h|^{p'−1} with h = T*(|T L|^{p−2} T L); by convexity the gain never falls.

    Arguments
        start: grid values of the first loss, (N,) or (N, N), as for `PeriodicLoss`.
        period: P, in units of σ.
        p: exponent in (1, ∞).
        iterations: limit on the number of steps.

    Raises
        ShapeError, DTypeError, NonFiniteError, ParameterError.
    """
    q, limit = exponent(p), positive_integer("iterations", iterations)
    if not 1.0 < q < math.inf:
        raise ParameterError("p", "1 < p < inf", repr(p), "C_1 = c_d and C_inf = sqrt(2/pi) are known")
    loss = PeriodicLoss(real_array("start", start), positive_float("period", period))
    values, symbols, gain, steps = loss.values, _symbols(loss), 0.0, 0
    if not np.any(values):
        raise ParameterError("start", "a loss that is not zero", "zeros", "start from noise")
    while steps < limit:
        steps += 1
        values = values / np.mean(np.abs(values) ** q) ** (1.0 / q)
        gradient = np.stack([fft.ifftn(s * fft.fftn(values)).real for s in symbols])
        length = np.linalg.norm(gradient, axis=0)
        previous, gain = gain, float(np.mean(length**q) ** (1.0 / q))
        if gain - previous <= STALLED:
            break
        dual = sum(
            fft.ifftn(np.conj(s) * fft.fftn(_scaled(length, q - 2.0) * g)).real
            for s, g in zip(symbols, gradient, strict=True)
        )
        values = np.sign(dual) * np.abs(dual) ** (1.0 / (q - 1.0))
    found = PeriodicLoss(values, loss.period)
    return Extremal(found, gradient_gain(found, 1.0, q), steps)


def _symbols(loss: PeriodicLoss) -> list[NDArray[np.complex128]]:
    """Return the Fourier multipliers of the components of ∇φ_1 *."""
    vectors = loss.wave_vectors()
    bell = np.exp(-0.5 * sum(k**2 for k in vectors))
    return [np.asarray(1j * k * bell, dtype=np.complex128) for k in vectors]


def _scaled(length: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Return |g|^power, and 0 where g = 0 (the product with g is 0 there for every p > 1)."""
    return np.where(length > 0.0, np.where(length > 0.0, length, 1.0) ** power, 0.0)
