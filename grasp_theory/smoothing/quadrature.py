"""Gauss–Hermite smoothing of a smooth loss in one or two dimensions, with error control by raising the order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from scipy.special import roots_hermitenorm

from grasp_theory.smoothing.norms import points_in
from linear_systems.checked import checked
from linear_systems.errors import NonFiniteError, ParameterError, PrecisionLossError, ShapeError
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import positive_float, real_array

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""A function of points (..., d), returning (...) for a loss and (..., d) for a gradient."""

ORDERS = {1: (15, 24, 37, 58, 91, 142, 221, 346, 541, 846), 2: (15, 24, 37, 58, 91, 142)}
"""Nodes per axis, by dimension: growing by 1.56 with the parity in turn, so that a jump never hides between nodes.

Even rules of every order would agree on a step near the origin, and agree on a wrong value.
"""
DEFAULT_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Expectation:
    """E[g(s + σZ)] at some points.

    Arguments
        value: (...) or (..., d).
        error: estimated absolute error of every entry: the larger of the last two changes with the order, plus
            rounding.
        order: nodes per axis.
    """

    value: Float[np.ndarray, "*shape"]
    error: float
    order: int


@checked
def smooth(
    loss: Function, sigma: float, points: ArrayLike, dim: int, tolerance: float = DEFAULT_TOLERANCE
) -> Expectation:
    """Return L_σ(s) = E[L(s + σZ)] at points (..., d), d = 1 or 2.

    The integrand must be smooth: at a corner or a jump of L the error falls so slowly with the order that the
    tolerance is not met and the function raises.  Closed forms and `RadialLoss` serve those.

    Source: Eq. (40), (53).

    Arguments
        loss: L, a function of points (..., d) that returns (...).
        sigma: standard deviation of the noise, in units of s.
        points: (..., d).
        dim: d, 1 or 2.
        tolerance: relative to E|L(s + σZ)|, the largest over the points.

    Raises
        ParameterError, ShapeError, DTypeError, NonFiniteError, PrecisionLossError.
    """
    return _expect(lambda nodes, moved: _loss_values(loss, moved), sigma, points, dim, tolerance)


@checked
def smooth_gradient(
    loss: Function, sigma: float, points: ArrayLike, dim: int, tolerance: float = DEFAULT_TOLERANCE
) -> Expectation:
    """Return ∇L_σ(s) = E[L(s + σZ) Z]/σ at points (..., d): Eq. (44), which needs no derivative of L.

    Arguments
        loss, sigma, points, dim, tolerance: as for `smooth`; the tolerance is relative to E|L Z|/σ.

    Raises
        As `smooth`.
    """
    scale = positive_float("sigma", sigma)

    def integrand(nodes: NDArray[np.float64], moved: NDArray[np.float64]) -> NDArray[np.float64]:
        return _loss_values(loss, moved)[..., None] * nodes / scale

    return _expect(integrand, scale, points, dim, tolerance)


@checked
def expected_gradient(
    gradient: Function, sigma: float, points: ArrayLike, dim: int, tolerance: float = DEFAULT_TOLERANCE
) -> Expectation:
    """Return E[∇L(s + σZ)] at points (..., d): Eq. (45), the left side of Eq. (54).

    Arguments
        gradient: ∇L, a function of points (..., d) that returns (..., d).
        sigma, points, dim, tolerance: as for `smooth`.

    Raises
        As `smooth`.
    """

    def integrand(nodes: NDArray[np.float64], moved: NDArray[np.float64]) -> NDArray[np.float64]:
        return _returned("gradient", gradient(moved), moved.shape)

    return _expect(integrand, sigma, points, dim, tolerance)


def _expect(
    integrand: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
    sigma: float,
    points: ArrayLike,
    dim: int,
    tolerance: float,
) -> Expectation:
    scale = positive_float("sigma", sigma)
    if dim not in ORDERS:
        raise ParameterError(
            "dim", "1 or 2", repr(dim), "use closed forms or RadialLoss in higher dimensions"
        )
    allowed = positive_float("tolerance", tolerance)
    array = points_in(dim, points)
    axis = array.ndim - 1
    totals: list[NDArray[np.float64]] = []
    for order in ORDERS[dim]:
        nodes, weights = _rule(order, dim)
        values = integrand(nodes, array[..., None, :] + scale * nodes)
        totals.append(np.tensordot(values, weights, axes=(axis, 0)))
        size = float(np.max(np.tensordot(np.abs(values), weights, axes=(axis, 0)), initial=0.0))
        changes = [float(np.max(np.abs(totals[-1] - other), initial=0.0)) for other in totals[-3:-1]]
        if len(changes) == 2 and max(changes) <= allowed * size:
            return Expectation(np.asarray(totals[-1]), max(changes) + rounding_allowance(size, dim), order)
    raise PrecisionLossError(
        f"Gauss–Hermite quadrature with {ORDERS[dim][-1]} nodes per axis still changes by {max(changes):.1e} where "
        f"{allowed * size:.1e} was allowed: the integrand is not smooth on the scale of sigma, or its expectation "
        "does not exist. Try: a closed form, a smaller sigma, or a larger tolerance."
    )


def _rule(order: int, dim: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes (K, d) and weights (K,) of the product rule for N(0, I_d)."""
    nodes, weights = roots_hermitenorm(order)
    kept = weights > 0.0  # at high orders the outermost weights underflow, and a loss may overflow there
    nodes, weights = nodes[kept], weights[kept] / weights.sum()
    axes = np.meshgrid(*[nodes] * dim, indexing="ij")
    products = np.meshgrid(*[weights] * dim, indexing="ij")
    return np.stack([axis.ravel() for axis in axes], axis=-1), np.prod(products, axis=0).ravel()


def _loss_values(loss: Function, moved: NDArray[np.float64]) -> NDArray[np.float64]:
    return _returned("loss", loss(moved), moved.shape[:-1])


def _returned(argument: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return what a function of the caller returned; refuse a wrong shape and what is not finite."""
    try:
        array = real_array(argument, value)
    except NonFiniteError as error:
        raise NonFiniteError(
            argument, "finite values at the quadrature nodes", error.found, "bound the loss, or reduce sigma"
        ) from error
    if array.shape != shape:
        raise ShapeError(
            argument, f"a function returning shape {shape}", f"shape {array.shape}", "vectorise it"
        )
    return array
