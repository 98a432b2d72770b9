"""Anderson's acceleration, and why no combination of iterates beats the cone of dependence.

The error of a plan that is right for another initial state is K^t δ at time t.  Every iterate of a method that combines
earlier iterates and their images, with any coefficients that add up to 1, still holds that plan beyond the k-th step, because
an iteration that is local in time has told nothing to it: U21 of docs/theory/limits.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from linear_systems.checked import checked
from linear_systems.validation import positive_integer, real_array

__all__ = ["anderson"]

Plan = Float[np.ndarray, "T d"]
RELATIVE_CUTOFF = 1e-13
"""Singular values of the residuals' differences below this, relative to the largest, are left out."""


@checked
def anderson(
    iteration: Callable[[Plan], Plan], start: ArrayLike, iterations: int, memory: int | None = None
) -> list[NDArray[np.float64]]:
    """Return the iterates x⁰, x¹, … of Anderson's acceleration of x ← f(x).

    x^{k+1} = Σ_i α_i f(x^i) over the last `memory` + 1 iterates, with Σ α_i = 1 and ‖Σ_i α_i (f(x^i) − x^i)‖₂ least.  For
    a linear f and unlimited memory it is GMRES in exact arithmetic (Walker and Ni, 2011).

    Arguments
        iteration: f, on plans (T, d).
        start: x⁰ (T, d).
        iterations: how many.
        memory: how many earlier iterates are used; None: all.

    Raises
        ParameterError, ShapeError.
    """
    count = positive_integer("iterations", iterations, minimum=0)
    kept = count if memory is None else positive_integer("memory", memory)
    points = [np.array(real_array("start", start, ndim=2))]
    images: list[NDArray[np.float64]] = []
    for _ in range(count):
        images.append(real_array("iteration", iteration(points[-1]), ndim=2))
        last = slice(max(len(images) - kept - 1, 0), None)
        residuals = [(f - x).ravel() for f, x in zip(images[last], points[last], strict=True)]
        steps = np.stack([residuals[-1] - r for r in residuals[:-1]] or [0.0 * residuals[-1]], axis=1)
        weights = np.linalg.lstsq(steps, residuals[-1], rcond=RELATIVE_CUTOFF)[0]
        point = images[-1].copy()
        for weight, image in zip(weights, images[last][:-1], strict=False):
            point -= weight * (images[-1] - image)
        points.append(point)
    return points
