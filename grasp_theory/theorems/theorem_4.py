"""Theorem 4: Gaussian smoothing contracts gradients and controls their scale."""

from __future__ import annotations

import math

from grasp_theory.smoothing.constants import gain_lower_bound, gain_upper_bound, mean_norm
from grasp_theory.smoothing.norms import Loss, exponent, gradient_contraction_ratio, gradient_gain
from grasp_theory.theorems.record import TheoremCheck
from linear_systems.checked import checked


@checked
def gradient_contraction(loss: Loss, sigma: float, p: float) -> TheoremCheck:
    """Compare ‖∇L_σ‖_p with ‖∇L‖_p: part 1 of the theorem, as a ratio.

    Setting
        L on R^d, L_σ = φ_σ * L with φ_σ the density of N(0, σ² I_d); ‖∇L‖_p is the L^p norm of the Euclidean
        length |∇L|.
    Statement
        ‖∇L_σ‖_p ≤ ‖∇L‖_p for every p in [1, ∞]; at p = ∞ these are the Lipschitz constants.
    Source
        Theorem 4, part 1, Eq. (41), with (46)–(47).
    Assumptions
        L ∈ C¹ and ∇L ∈ L^p.  (Then L grows at most polynomially on average over balls, so L_σ exists.  C¹ is not
        needed: a distributional gradient in L^p is enough.  Young's inequality for the vector-valued ∇L
        follows from |φ_σ * ∇L| ≤ φ_σ * |∇L|, which is Minkowski's.)
    Arguments
        loss: L, with its norms.
        sigma: σ > 0, in units of s.
        p: exponent in [1, ∞].
    Returns
        A record with computed = ‖∇L_σ‖_p / ‖∇L‖_p and bound = 1; computed is NaN where both norms are infinite.
    Raises
        ParameterError, and what the loss's norms raise.
    """
    ratio = gradient_contraction_ratio(loss, sigma, p)
    return TheoremCheck(
        computed=ratio.value,
        bound=1.0,
        relation="<=",
        allowance=ratio.error,
        assumptions={
            "L is C¹": loss.differentiable,
            "∇L ∈ L^p": math.isfinite(loss.log_gradient_norm(p).value),
        },
        quantities={"p": exponent(p), "dim": float(loss.dim)},
    )


@checked
def scale_control(loss: Loss, sigma: float, p: float) -> TheoremCheck:
    """Compare σ ‖∇L_σ‖_p / ‖L‖_p with c_d: part 2 of the theorem, scale-free.

    Setting
        As for `gradient_contraction`.
    Statement
        ‖∇L_σ‖_p ≤ (c_d/σ) ‖L‖_p with c_d = E‖Z‖ = √2 Γ((d+1)/2)/Γ(d/2), for every p in [1, ∞].
    Source
        Theorem 4, part 2, Eq. (42), with (48)–(52).  The printed ∇_a in (42) and (48) should read ∇_s.
    Assumptions
        L ∈ C¹ and L ∈ L^p.  (C¹ is not needed: φ_σ * L is smooth for every L in L^p.)
    Arguments
        loss: L, with its norms.
        sigma: σ > 0, in units of s.
        p: exponent in [1, ∞].
    Returns
        A record with computed = σ ‖∇L_σ‖_p / ‖L‖_p and bound = c_d; in `quantities`, "better_bound", valid for every
        L and exact at p = 1, 2 and ∞, and "attained", a gain that some loss attains or approaches: the sharp
        constant lies between (proofs in `grasp_theory.smoothing.constants`).  computed is NaN where both norms
        are infinite.
    Raises
        ParameterError, and what the loss's norms raise.
    """
    gain = gradient_gain(loss, sigma, p)
    return TheoremCheck(
        computed=gain.value,
        bound=mean_norm(loss.dim),
        relation="<=",
        allowance=gain.error,
        assumptions={"L is C¹": loss.differentiable, "L ∈ L^p": math.isfinite(loss.log_norm(p).value)},
        quantities={
            "better_bound": gain_upper_bound(p, loss.dim),
            "attained": gain_lower_bound(p, loss.dim),
            "p": exponent(p),
            "dim": float(loss.dim),
        },
    )
