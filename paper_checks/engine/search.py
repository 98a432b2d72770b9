"""Directed search for the worst instance of a bound, and instances written as code that rebuilds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from linear_systems import AnySystem, LinearSystem

OUTSIDE = 1e300
"""The cost of an instance outside the claim: finite, because Nelder–Mead subtracts costs."""


@dataclass(frozen=True)
class Worst:
    """The best value that a search reached, the system that attains it, and how many evaluations it took."""

    value: float
    system: LinearSystem
    evaluations: int


def worst_system(
    objective: Callable[[LinearSystem], float],
    n: int,
    m: int,
    rng: np.random.Generator,
    starts: int,
    evaluations: int = 400,
) -> Worst:
    """Maximise `objective` over systems of size (n, m) by Nelder–Mead from several random starts.

    Arguments
        objective: the ratio to maximise, such as actual/bound; NaN marks an instance outside the claim.
        n, m: state and action dimensions.
        rng: draws the starting entries of A and B from N(0, 1).
        starts: number of starting points.
        evaluations: budget of each start.
    """
    used = 0
    best: tuple[float, NDArray[np.float64]] | None = None

    def system_of(entries: NDArray[np.float64]) -> LinearSystem:
        return LinearSystem(entries[: n * n].reshape(n, n), entries[n * n :].reshape(n, m))

    def cost(entries: NDArray[np.float64]) -> float:
        nonlocal used
        used += 1
        value = objective(system_of(entries))
        return OUTSIDE if np.isnan(value) else -value

    for _ in range(starts):
        start = rng.standard_normal(n * n + n * m)
        found = minimize(cost, start, method="Nelder-Mead", options={"maxfev": evaluations, "adaptive": True})
        if best is None or -found.fun > best[0]:
            best = (float(-found.fun), found.x)
    if best is None:
        raise ValueError(f"starts: expected at least 1, found {starts}. Try: starts=1.")
    return Worst(best[0], system_of(best[1]), used)


def as_code(system: AnySystem, **parameters: object) -> str:
    """Return Python code that rebuilds `system` and the named parameters exactly."""
    lines = [f"system = {type(system).__name__}(A={_literal(system.A)}, B={_literal(system.B)})"]
    lines += [f"{name} = {_literal(value)}" for name, value in parameters.items()]
    return "\n".join(lines)


def _literal(value: object) -> str:
    if isinstance(value, np.ndarray | list):
        return repr(_plain(value))
    if isinstance(value, np.generic):
        return repr(value.item())
    return repr(value)


def _plain(value: ArrayLike) -> object:
    return np.asarray(value, dtype=np.float64).tolist()
