"""Measured orders of convergence and finite differences with an error estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from linear_systems.errors import ParameterError
from linear_systems.rounding import rounding_allowance

DIFFERENCE_STEP = 1e-3
"""Step of the central differences: after one Richardson step both kinds of error are about 1e-12."""


def observed_order(steps: Sequence[float], errors: Sequence[float]) -> float:
    """Return the exponent p of errors ≈ C steps^p: the slope of the last halvings, extrapolated.

    The local slopes p_i = log₂(e_i/e_{i+1}) differ from p by O(h); as h halves, 2 p_{i+1} − p_i removes that.

    Arguments
        steps: at least three step sizes, each half the one before.
        errors: the positive errors at them.

    Raises
        ParameterError.
    """
    h, e = np.asarray(steps, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if len(h) < 3 or len(h) != len(e) or (e <= 0).any() or not np.allclose(h[:-1], 2.0 * h[1:], rtol=1e-12):
        raise ParameterError(
            "steps and errors", "at least three halvings with positive errors", f"{h.tolist()}, {e.tolist()}",
            "use larger steps where the error is lost in rounding",
        )  # fmt: skip
    slopes = np.log2(e[:-1] / e[1:])
    return float(2.0 * slopes[-1] - slopes[-2])


def pooled_order(steps: Sequence[float], errors: ArrayLike) -> float:
    """Return the order of the root mean square over instances: the smallest order among them.

    A leading coefficient that happens to nearly vanish on one instance does not disturb it.

    Arguments
        steps: as in `observed_order`.
        errors: (instances, steps), the errors of each instance.

    Raises
        ParameterError.
    """
    squares = np.square(np.asarray(errors, dtype=np.float64))
    return observed_order(steps, np.sqrt(squares.mean(axis=0)).tolist())


def central_gradient(
    function: Callable[[NDArray[np.float64]], float], point: NDArray[np.float64]
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """Return the gradient by extrapolated central differences, and a bound on the error of each entry.

    With D(h) = f' + c h² + O(h⁴) the extrapolation (4 D(h/2) − D(h))/3 is off by O(h⁴), less than the
    truncation error |D(h) − D(h/2)|/3 that it removes; values off by δ add less than 3 δ/h.

    Arguments
        function: maps a vector (d,) to a float.
        point: (d,).
    """
    gradient, bound = np.empty(len(point)), np.empty(len(point))
    for i in range(len(point)):
        values = []
        for step in (DIFFERENCE_STEP, DIFFERENCE_STEP / 2):
            shift = np.zeros(len(point))
            shift[i] = step
            values.append((function(point + shift), function(point - shift), step))
        coarse, fine = ((up - down) / (2.0 * step) for up, down, step in values)
        scale = max(abs(value) for up, down, _ in values for value in (up, down))
        gradient[i] = (4.0 * fine - coarse) / 3.0
        bound[i] = abs(fine - coarse) / 3.0 + 3.0 * rounding_allowance(scale, len(point)) / DIFFERENCE_STEP
    return gradient, bound
