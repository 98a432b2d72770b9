"""Losses for the checks of Appendix A.2, each with the code that rebuilds it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grasp_theory.smoothing import Absolute, FourierMode, Gaussian, Loss, PeriodicLoss, RadialLoss, Step
from paper_checks.engine.run import Run

EXPONENTS = (1.0, 1.25, 1.5, 2.0, 3.0, 7.0, math.inf)
"""The values of p at which the statements about L^p are examined."""
PATCH_LATENT = 75_264
"""The dimension of a DINO patch latent: 14 × 14 patches of 384 numbers."""
DIMENSIONS = (1, 2, 3, 10, 1000, PATCH_LATENT, 100_000)

IMPORTS = "import math\nimport numpy as np\nfrom grasp_theory.smoothing import *\n"


@dataclass(frozen=True)
class Instance:
    """A loss and the expression that rebuilds it after `IMPORTS`."""

    loss: Loss
    expression: str

    def code(self, **parameters: float) -> str:
        """Return Python code for the loss and the named parameters."""
        lines = [f"{name} = {_number(value)}" for name, value in parameters.items()]
        return IMPORTS + "\n".join([f"loss = {self.expression}", *lines])


def gaussian(dim: int, variance: float) -> Instance:
    """Return exp(−‖s‖²/(2 variance)) on R^dim."""
    return Instance(Gaussian(np.zeros(dim), variance), f"Gaussian(np.zeros({dim}), {variance!r})")


def wave(wave_vector: NDArray[np.float64]) -> Instance:
    """Return cos(k · s)."""
    return Instance(FourierMode(wave_vector), f"FourierMode(np.array({wave_vector.tolist()}))")


def step(dim: int, width: float) -> Instance:
    """Return the half-space step in the first coordinate, smoothed by `width`."""
    return Instance(Step(np.eye(1, dim)[0], width=width), f"Step(np.eye(1, {dim})[0], width={width!r})")


def absolute(dim: int, width: float) -> Instance:
    """Return the distance from a hyperplane, smoothed by `width`."""
    loss = Absolute(np.eye(1, dim)[0], width=width)
    return Instance(loss, f"Absolute(np.eye(1, {dim})[0], width={width!r})")


def quartic(dim: int, scale: float) -> Instance:
    """Return exp(−(‖s‖/scale)⁴) on R^dim."""

    def log_profile(radii: NDArray[np.float64]) -> NDArray[np.float64]:
        return -((radii / scale) ** 4)

    def log_slope(radii: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.log(4.0 / scale) + 3.0 * np.log(radii / scale) - (radii / scale) ** 4)

    loss = RadialLoss(dim, log_profile, log_slope=log_slope)
    expression = (
        f"RadialLoss({dim}, lambda r: -((r / {scale!r}) ** 4), log_slope=lambda r: "
        f"np.log(4 / {scale!r}) + 3 * np.log(r / {scale!r}) - (r / {scale!r}) ** 4)"
    )
    return Instance(loss, expression)


def ball(dim: int, radius: float) -> Instance:
    """Return the indicator of a ball, which is not C¹."""
    loss = RadialLoss(dim, np.zeros_like, support=(0.0, radius))
    return Instance(loss, f"RadialLoss({dim}, np.zeros_like, support=(0.0, {radius!r}))")


def periodic(values: NDArray[np.float64], period: float) -> Instance:
    """Return the trigonometric polynomial through `values`."""
    loss = PeriodicLoss(values, period)
    return Instance(loss, f"PeriodicLoss(np.array({values.tolist()}), {period!r})")


def drawn_waves(rng: np.random.Generator, count: int, *, nonnegative: bool = False) -> Iterator[Instance]:
    """Yield random trigonometric polynomials in one and two dimensions in turn, rough and smooth in turn.

    The nonnegative ones are squares of trigonometric polynomials of half the bandwidth.
    """
    for index in range(count):
        shape = (16,) if index % 2 == 0 else (8, 8)
        spectrum = np.fft.fftn(rng.standard_normal(shape))
        distance = sum(k**2 for k in np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in shape], indexing="ij"))
        decay = np.exp(-rng.uniform(0.0, 0.5) * distance)
        if nonnegative:
            decay = decay * (distance < (shape[0] / 4) ** 2)
        values = np.fft.ifftn(spectrum * decay).real
        yield periodic(values**2 if nonnegative else values, float(rng.uniform(3.0, 20.0)))


def instances(run: Run, p: float) -> Iterator[tuple[Instance, float]]:
    """Yield losses with a noise level σ for the exponent p: those near the extremes first, then random ones."""
    rng = run.rng(f"losses at p = {p}")
    for dim in DIMENSIONS:
        best = dim * (1.0 - 1.0 / p) if p > 1.0 else 1e-7
        yield gaussian(dim, 4.0 * best), 2.0
        for variance in (1e-7, 1.0, 1e7):
            yield gaussian(dim, variance * float(rng.uniform(0.5, 2.0))), 0.5
    if math.isinf(p):
        for dim in DIMENSIONS:
            yield step(dim, 1e-3), 2.0
            yield absolute(dim, 1e-2), 1.0
        for dim in (1, 2, 50):
            direction = rng.standard_normal(dim)
            yield wave(direction / np.linalg.norm(direction)), float(rng.uniform(0.5, 2.0))
    for dim in (3,) if run.quick else (1, 2, 5, 1000, 100_000):
        yield quartic(dim, float(rng.uniform(0.5, 2.0)) * math.sqrt(dim)), 1.0
    for instance in drawn_waves(rng, run.size(6, 2)):
        yield instance, float(rng.uniform(0.3, 2.0))
    # Outside the theorem: not C¹, or in no L^p.
    yield absolute(2, 0.0), 1.0
    yield step(1, 0.0), 1.0


def _number(value: float) -> str:
    return "math.inf" if math.isinf(value) else repr(float(value))
