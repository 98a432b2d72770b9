"""Directed searches for the losses that come closest to Theorem 4's bound, and the curves of its constants."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize

from grasp_theory.smoothing import (
    Extremal,
    PeriodicLoss,
    gain_lower_bound,
    gain_upper_bound,
    gradient_gain,
    maximise_gain,
    mean_norm,
)
from grasp_theory.smoothing.constants import SUPREMUM_GAIN
from grasp_theory.theorems.theorem_4 import gradient_contraction, scale_control
from paper_checks.claims.smoothing.instances import IMPORTS, PATCH_LATENT, gaussian, step
from paper_checks.engine.records import Curve, Sharpness
from paper_checks.engine.run import Run


def record_sharpness(run: Run) -> None:
    """Search parametrised families for the largest ratio to the bounds (41) and (42)."""
    _contraction(run)
    for dim in (1, PATCH_LATENT):
        _gaussians(run, dim)
    _square_waves(run)
    _half_spaces(run)


def _contraction(run: Run) -> None:
    found = minimize(
        lambda x: -gradient_contraction(gaussian(3, math.exp(x[0])).loss, 1.0, 2.0).computed,
        [0.0],
        method="Nelder-Mead",
        bounds=[(-20.0, 20.0)],
        options={"maxfev": 60},
    )
    instance = gaussian(3, math.exp(float(found.x[0])))
    run.sharpness(
        Sharpness(
            "(41): ‖∇L_σ‖_p / ‖∇L‖_p, p = 2, d = 3",
            -float(found.fun),
            f"Nelder–Mead over the width of a Gaussian loss, {found.nfev} evaluations",
            instance.code(sigma=1.0, p=2.0),
            "sharp for every p and d: widths far above σ; no constant below 1 holds for all losses",
        )
    )


def _gaussians(run: Run, dim: int) -> None:
    """Search Gaussian losses over width and exponent."""
    c_d = mean_norm(dim)

    def log_gain(log_variance: float, inverse: float) -> float:
        # In many dimensions the gain itself underflows for most widths.
        loss, p = gaussian(dim, math.exp(log_variance)).loss, 1.0 / inverse
        return loss.smoothed(1.0).log_gradient_norm(p).value - loss.log_norm(p).value

    found = minimize(
        lambda x: math.log(c_d) - log_gain(x[0], x[1]),
        [math.log(dim), 0.7],
        method="Nelder-Mead",
        bounds=[(-30.0, 30.0), (1e-3, 1.0)],
        options={"maxfev": run.size(300, 150), "xatol": 1e-9, "fatol": 1e-12},
    )
    variance, p = math.exp(float(found.x[0])), 1.0 / float(found.x[1])
    best = gradient_gain(gaussian(dim, variance).loss, 1.0, p)
    run.sharpness(
        Sharpness(
            f"(42): σ‖∇L_σ‖_p / (c_d ‖L‖_p), d = {dim:,}",
            (best.value - best.error) / c_d,
            f"Nelder–Mead over the width of a Gaussian loss and 1/p, {found.nfev} evaluations",
            gaussian(dim, variance).code(sigma=1.0, p=p),
            "sharp at p = 1 in every dimension: point masses, approached by narrow Gaussians",
        )
    )


WAVE_POINTS = 4096


def square_wave(period: float, steepness: float) -> PeriodicLoss:
    """Return tanh(steepness · sin(2πs/period)), between a sine and a square wave."""
    phase = 2.0 * np.pi * np.arange(WAVE_POINTS) / WAVE_POINTS
    return PeriodicLoss(np.tanh(steepness * np.sin(phase)), period)


def _square_waves(run: Run) -> None:
    """Search soft square waves over wavelength and steepness, at p = ∞."""

    def gain(x: np.ndarray) -> float:
        return gradient_gain(square_wave(math.exp(x[0]), math.exp(x[1])), 1.0, math.inf).value

    found = minimize(
        lambda x: -gain(x),
        [1.5, 0.5],
        method="Nelder-Mead",
        bounds=[(0.5, 4.0), (-2.0, 4.5)],
        options={"maxfev": run.size(120, 60)},
    )
    run.sharpness(
        Sharpness(
            "(42) and (55) at p = ∞, d = 1: σ‖∇L_σ‖_∞ / (c_1 ‖L‖_∞)",
            -float(found.fun) / mean_norm(1),
            f"Nelder–Mead over wavelength and steepness of tanh(b sin(2πs/P)), {found.nfev} evaluations",
            IMPORTS + f"P, b = math.exp({float(found.x[0])!r}), math.exp({float(found.x[1])!r})\n"
            "loss = PeriodicLoss(np.tanh(b * np.sin(2 * np.pi * np.arange(4096) / 4096)), P)\nsigma, p = 1.0, math.inf",
            "sharp in one dimension: c_1 = √(2/π)",
        )
    )


def _half_spaces(run: Run) -> None:
    """Search half-space steps over their width, at p = ∞ in the dimension of a patch latent."""
    found = minimize(
        lambda x: -scale_control(step(PATCH_LATENT, math.exp(x[0])).loss, 1.0, math.inf).computed,
        [0.0],
        method="Nelder-Mead",
        bounds=[(-8.0, 3.0)],
        options={"maxfev": 60},
    )
    c_d = mean_norm(PATCH_LATENT)
    run.sharpness(
        Sharpness(
            f"(42) and (55) at p = ∞, d = {PATCH_LATENT:,}: σ‖∇L_σ‖_∞ / (c_d ‖L‖_∞)",
            -float(found.fun) / c_d,
            f"Nelder–Mead over the width of a half-space step, {found.nfev} evaluations",
            step(PATCH_LATENT, math.exp(float(found.x[0]))).code(sigma=1.0, p=math.inf),
            f"√(2/π)/σ in place of c_d/σ = {c_d:.1f}/σ, sharp; and for every p > 1 a constant that does not grow with d",
        )
    )


def search_waves(run: Run, p: float, dim: int) -> Extremal:
    """Return the best loss that the power method reaches on the torus from several starts."""
    rng = run.rng(f"waves at p = {p}, d = {dim}")
    shape = (128,) if dim == 1 else (32, 32)
    periods = (6.0, 8.0, 12.0) if dim == 1 else (8.0,)
    starts = [(rng.standard_normal(shape), period) for period in periods for _ in range(run.size(2, 1))]
    steps = run.size(300, 120)
    return max(
        (maximise_gain(s, period, p, steps) for s, period in starts), key=lambda found: found.gain.value
    )


def record_curves(run: Run) -> None:
    """Plot the constants over the dimension, and the gains over p."""
    dims = [round(10.0 ** float(x)) for x in np.linspace(0.0, 5.0, 16)]
    exponents = (1.1, 1.5, 2.0)
    series = {"c_d, the paper's, for every p": (dims, [mean_norm(d) for d in dims])}
    for p in exponents:
        series[f"best bound proved, p = {p:g}"] = (dims, [gain_upper_bound(p, d) for d in dims])
    series["sharp constant, p = ∞"] = (dims, [SUPREMUM_GAIN] * len(dims))
    run.curve(
        Curve(
            "Constants of σ‖∇L_σ‖_p ≤ C‖L‖_p over the dimension",
            "dimension d",
            "constant C",
            series,
            log_x=True,
            log_y=True,
            note="Only at p = 1 does the constant have to grow like √d; the paper's c_d is sharp there and nowhere else.",
        )
    )
    inverse = np.linspace(0.0, 1.0, 21)
    ps = [math.inf if x == 0.0 else 1.0 / float(x) for x in inverse]
    for dim in (1, PATCH_LATENT):
        curves = {
            "c_d, the paper's": (list(inverse), [mean_norm(dim)] * len(ps)),
            "best bound proved": (list(inverse), [gain_upper_bound(p, dim) for p in ps]),
            "attained in closed form": (list(inverse), [gain_lower_bound(p, dim) for p in ps]),
        }
        if dim == 1:
            found = [p for p in (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)]
            curves["found by the power method"] = (
                [1.0 / p for p in found],
                [search_waves(run, p, 1).gain.value for p in found],
            )
        run.curve(
            Curve(
                f"Gain of Gaussian smoothing over the exponent, d = {dim:,}",
                "1/p (0 is p = ∞)",
                "largest σ‖∇L_σ‖_p / ‖L‖_p",
                curves,
                log_y=dim > 1,
                note="The sharp constant lies between the attained values and the proved bound; both meet at p = 1, 2, ∞.",
            )
        )
