"""The constants of Gaussian smoothing: sup over L of σ ‖∇L_σ‖_p / ‖L‖_p, called the gain C_p(d) below.

Theorem 4 (42) says C_p(d) ≤ c_d = E‖Z‖, about √d, for every p.  Below, Z ~ N(0, I_d), U is uniform on the unit
sphere of R^d, 1/p + 1/p' = 1, and σ = 1 without loss of generality (replace L by L(σ ·)).

1. p = 1: C_1(d) = c_d.  Narrow Gaussians attain it: ‖∇φ_{√(1+v)}‖_1 = c_d / √(1+v) → c_d as v → 0.
2. p = ∞: C_∞(d) = √(2/π) for every d.  For a unit vector u, |u · ∇L_σ(s)| = |∫ u · ∇φ(ε) L(s − ε) dε|
   ≤ ‖L‖_∞ ∫ |u · ε| φ(ε) dε = ‖L‖_∞ E|Z_1|, and the Euclidean length of ∇L_σ(s) is one of these, at
   u = ∇L_σ/|∇L_σ|.  The half-space step L(s) = sign(u · s) attains it at s = 0.
3. p = 2: C_2(d) = e^{−1/2} for every d.  By Plancherel the gain is at most sup_k |k| e^{−|k|²/2}, at |k| = 1;
   waves of that wavelength under a wide envelope approach it.
4. Every p: C_p(d) ≤ c_d (E|U_1|^{p'})^{1/p'} (`angular_bound`).  For a unit vector u and the density
   w(ε) = |ε| φ(ε) / c_d, Hölder's inequality gives
   |u · ∇L_σ(s)| ≤ ∫ |u · ε/|ε|| c_d w(ε) |L(s − ε)| dε ≤ c_d (E|u · U|^{p'})^{1/p'} (∫ w(ε) |L(s − ε)|^p dε)^{1/p},
   since ε/|ε| is uniform on the sphere and independent of |ε| under w.  The right side does not depend on u;
   take u along ∇L_σ(s), the p-th power, and integrate over s.  At p = 1 this is c_d, at p = ∞ it is √(2/π), and
   for every p > 1 it stays below (E|Z_1|^{p'})^{1/p'} in all dimensions: the factor √d of (42) is needed at p = 1
   only.  Lyapunov's inequality bounds it by c_d^{1/p} (2/π)^{1/(2p')}, what interpolating the ends would give.
5. 1 ≤ p ≤ 2: for L complex-valued the constant is the same.  With x, y the gradients of the real and imaginary
   parts, the mean over θ of |x cos θ + y sin θ|^p is, at fixed |x|² + |y|², a concave symmetric function of the two
   eigenvalues of the Gram matrix of x and y, so smallest where x and y are parallel; comparing with scalar L, where
   they are, gives the claim.  So Riesz–Thorin for L^p(R^d; C^d) applies between any p_0 in [1, p], with bound 4, and
   2, with bound 3.  For p ≥ 2 it applies between 2 and ∞ with the complex constant at ∞, sup_v E|v · Z| over unit
   v ∈ C^d: √(2/π) if d = 1 and √π/2 if d ≥ 2 (real and imaginary parts orthogonal and of equal length, because
   E(λ Z_1² + (1 − λ) Z_2²)^{1/2} is concave and symmetric in λ).  `interpolated_bound`.
6. 1 < p ≤ 2 and L ≥ 0: the gain is at most e^{−1/2}/√(p − 1) in every dimension, and Gaussians of variance d/p'
   attain it as d → ∞ (`nonnegative_bound`).  Let L ≥ 0 be bounded with compact support (these are dense in the
   nonnegative cone), u the solution of ∂_t u = Δu/2 from L, so u = L_{√t}, w = log u and B = ∫ u^p.  Integrating
   by parts (u decays like a Gaussian, ∇w grows at most linearly and ∇²w is bounded),
   B' = (p − 1) ∫ u^p (Δw + (p/2)|∇w|²) = −(p(p − 1)/2) ∫ u^p |∇w|²,
   B'' = ∫ u^p [(p − 1)² (Δw + (p/2)|∇w|²)² + ((p − 1)(2 − p)/2) ‖∇²w‖_F²],
   so B'² ≤ B B'' by Cauchy–Schwarz: log B is convex in t and −B'(1) ≤ B(1) log(B(0)/B(1)).  By Hölder
   ‖∇u‖_p^p = ∫ (u^p |∇w|²)^{p/2} u^{p(1 − p/2)} ≤ (−2 B'/(p(p − 1)))^{p/2} B^{1 − p/2}; with x = log(B(0)/B(1)) this
   is at most (2x/(p(p − 1)))^{p/2} e^{−x} B(0), largest at x = p/2.  (For L of both signs log B need not be convex.)
   For p = ∞ and L ≥ 0 the gain is at most √(2/π)/2: subtract ‖L‖_∞/2 from L.
7. C_p(d) does not decrease in d (multiply L by a wide function of a further coordinate), so waves in one
   coordinate bound it from below in every dimension, and so do Gaussians of the best width (`gain_lower_bound`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import Polynomial
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from grasp_theory.smoothing.norms import exponent
from linear_systems.checked import checked
from linear_systems.validation import positive_integer

SUPREMUM_GAIN = math.sqrt(2.0 / math.pi)
"""C_∞(d) = E|Z_1| = √(2/π), for every d."""
WAVE_GAIN = math.exp(-0.5)
"""C_2(d) = max_k k e^{−k²/2} = e^{−1/2}, for every d."""
COMPLEX_SUPREMUM_GAIN = math.sqrt(math.pi) / 2.0
"""The constant at p = ∞ for complex-valued losses in two or more dimensions."""

_STIRLING_FROM = 10.0
# log Γ(z) = (z − ½) log z − z + ½ log 2π + Σ_k coefficient_k z^{−(2k+1)}; from z = 10 on the next term is below eps.
_STIRLING = Polynomial([1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360])


@checked
def mean_norm(dim: int) -> float:
    """Return c_d = E‖Z‖ = √2 Γ((d+1)/2) / Γ(d/2) for Z ~ N(0, I_d), without overflow for any d.

    Source: Eq. (42).  Lies between √(d − 1/2) and √d.

    Arguments
        dim: d >= 1.

    Raises
        ParameterError.
    """
    d = positive_integer("dim", dim)
    return math.sqrt(2.0) * math.exp(_log_gamma_ratio(d / 2, 0.5))


@checked
def angular_bound(p: float, dim: int) -> float:
    """Return c_d (E|U_1|^{p'})^{1/p'}, an upper bound on the gain C_p(d); the proof is number 4 of the module.

    Arguments
        p: the exponent, in [1, ∞].
        dim: d >= 1.

    Raises
        ParameterError.
    """
    return math.exp(_log_angular_bound(exponent(p), positive_integer("dim", dim)))


@checked
def interpolated_bound(p: float, dim: int) -> float:
    """Return the Riesz–Thorin bound on C_p(d) through the exact e^{−1/2} at p = 2; number 5 of the module.

    Arguments
        p: the exponent, in [1, ∞].
        dim: d >= 1.

    Raises
        ParameterError.
    """
    q, d = exponent(p), positive_integer("dim", dim)
    if q >= 2.0:
        end = SUPREMUM_GAIN if d == 1 else COMPLEX_SUPREMUM_GAIN
        return math.exp(-1.0 / q + (1.0 - 2.0 / q) * math.log(end))

    def log_bound(inverse: float) -> float:
        # 1/p = (1 − θ)/p_0 + θ/2 with 1/p_0 = inverse.  Every p_0 in [1, p] gives a valid bound.
        theta = (inverse - 1.0 / q) / (inverse - 0.5)
        return (1.0 - theta) * _log_angular_bound(1.0 / inverse, d) - theta / 2.0

    if q == 1.0:
        return math.exp(log_bound(1.0))
    best = minimize_scalar(log_bound, bounds=(1.0 / q, 1.0), method="bounded")
    return math.exp(min(float(best.fun), log_bound(1.0), log_bound(1.0 / q)))


@checked
def nonnegative_bound(p: float) -> float:
    """Return an upper bound, the same in every dimension, on the gain of losses L ≥ 0; number 6 of the module.

    e^{−1/2}/√(p − 1) for 1 < p ≤ 2, infinite for p = 1 (where it is c_d), √(2/π)/2 for p = ∞.  Between 2 and ∞
    nothing better than the bounds for losses of both signs is known here, and inf is returned.

    Raises
        ParameterError.
    """
    q = exponent(p)
    if math.isinf(q):
        return SUPREMUM_GAIN / 2.0
    return WAVE_GAIN / math.sqrt(q - 1.0) if 1.0 < q <= 2.0 else math.inf


@checked
def gain_upper_bound(p: float, dim: int, *, nonnegative: bool = False) -> float:
    """Return the best upper bound proved here on C_p(d) = sup_L σ ‖∇L_σ‖_p / ‖L‖_p; exact at p = 1, 2, ∞.

    Arguments
        p: exponent in [1, ∞].
        dim: the dimension d.
        nonnegative: whether only losses L ≥ 0 are meant.

    Raises
        ParameterError.
    """
    bound = min(angular_bound(p, dim), interpolated_bound(p, dim))
    return min(bound, nonnegative_bound(p)) if nonnegative else bound


@checked
def gaussian_gain(p: float, dim: int) -> float:
    """Return the largest gain of L(s) = exp(−‖s‖²/(2v)) over v > 0; the best width is v = d σ²/p'.

    In closed form, with a = d/(2p'): (1 + 1/(2a))^{−a} (1 + 2a)^{−1/2} (E‖Z‖^p)^{1/p} / √p.

    Arguments
        p: the exponent, in [1, ∞].
        dim: d >= 1.

    Raises
        ParameterError.
    """
    q, d = exponent(p), positive_integer("dim", dim)
    a = 0.5 * d * (1.0 - 1.0 / q)
    shrink = (a * math.log1p(0.5 / a) if a > 0.0 else 0.0) + 0.5 * math.log1p(2.0 * a)
    return math.exp(log_gaussian_slope(q, d) - shrink)


@checked
def gain_lower_bound(p: float, dim: int) -> float:
    """Return the largest gain that a closed form attains or approaches: number 7 of the module.

    Arguments
        p: the exponent, in [1, ∞].
        dim: d >= 1.

    Raises
        ParameterError.
    """
    if math.isinf(exponent(p)):
        return SUPREMUM_GAIN
    return max(WAVE_GAIN, gaussian_gain(p, dim))


def log_gaussian_slope(p: float, dim: int) -> float:
    """Return log of √v ‖∇L‖_p / ‖L‖_p for L(s) = exp(−‖s‖²/(2v)): (E‖Z‖^p)^{1/p} / √p, and e^{−1/2} at p = ∞."""
    if math.isinf(p):
        return -0.5
    return 0.5 * math.log(2.0) + _log_gamma_ratio(dim / 2, p / 2) / p - 0.5 * math.log(p)


def _log_angular_bound(p: float, dim: int) -> float:
    log_mean = 0.5 * math.log(2.0) + _log_gamma_ratio(dim / 2, 0.5)
    if p == 1.0:
        return log_mean
    q = 1.0 if math.isinf(p) else p / (p - 1.0)
    # E|U_1|^q = Γ((q+1)/2) Γ(d/2) / (√π Γ((d+q)/2)).
    return log_mean + (_log_gamma_ratio(0.5, q / 2) - _log_gamma_ratio(dim / 2, q / 2)) / q


def _log_gamma_ratio(z: float, a: float) -> float:
    """Return log Γ(z + a) − log Γ(z), a ≥ 0, without the cancellation of two large logarithms."""
    if z < _STIRLING_FROM:
        return float(gammaln(z + a) - gammaln(z))
    main = (z - 0.5) * math.log1p(a / z) + a * math.log(z + a) - a
    return main + _stirling_tail(z + a) - _stirling_tail(z)


def _stirling_tail(z: float) -> float:
    return float(_STIRLING(np.float64(z) ** -2) / z)
