"""Slow references in exact and high-precision arithmetic, for matrices that float64 cannot judge."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
from numpy.typing import NDArray

from linear_systems.system import AnySystem

DIGITS = 120
"""Decimal digits of the eigenvalue references."""

Exact = list[list[Fraction]]


def exact(matrix: NDArray[np.float64]) -> Exact:
    return [[Fraction(float(x)) for x in row] for row in matrix]


def product(left: Exact, right: Exact) -> Exact:
    columns = list(zip(*right, strict=True))
    return [[sum((x * y for x, y in zip(row, c, strict=True)), Fraction(0)) for c in columns] for row in left]


def transpose(matrix: Exact) -> Exact:
    return [list(column) for column in zip(*matrix, strict=True)]


def exact_final_state(system: AnySystem, actions: NDArray[np.float64]) -> list[Fraction]:
    """Return s_T from s_0 = 0 by stepping in rational arithmetic."""
    A, B = system.matrices(len(actions))
    state: Exact = [[Fraction(0)] for _ in range(system.state_dim)]
    for a, b, action in zip(A, B, actions, strict=True):
        moved, pushed = product(exact(a), state), product(exact(b), exact(action[:, None]))
        state = [[x[0] + y[0]] for x, y in zip(moved, pushed, strict=True)]
    return [x[0] for x in state]


def exact_gram(matrix: NDArray[np.float64]) -> Exact:
    """Return X Xᵀ for a float64 matrix X."""
    rows = exact(matrix)
    return product(rows, transpose(rows))


def exact_gramian(system: AnySystem, horizon: int) -> Exact:
    """Return W_T by the recursion W ← A_t W A_tᵀ + B_t B_tᵀ in rational arithmetic."""
    A, B = system.matrices(horizon)
    W: Exact = [[Fraction(0)] * system.state_dim for _ in range(system.state_dim)]
    for a, b in zip(A, B, strict=True):
        moved, pushed = product(product(exact(a), W), transpose(exact(a))), exact_gram(b)
        W = [[x + y for x, y in zip(r, s, strict=True)] for r, s in zip(moved, pushed, strict=True)]
    return W


def eigenvalues(matrix: Exact) -> list[mpmath.mpf]:
    """Return the eigenvalues of a symmetric matrix, ascending, to about DIGITS digits of the largest."""
    with mpmath.workdps(DIGITS):
        entries = [[mpmath.mpf(x.numerator) / x.denominator for x in row] for row in matrix]
        return sorted(mpmath.eigsy(mpmath.matrix(entries), eigvals_only=True))


def condition(matrix: Exact, null: int) -> float:
    """Return the ratio of the largest eigenvalue to the smallest after the `null` lowest."""
    values = eigenvalues(matrix)
    with mpmath.workdps(DIGITS):
        return float(values[-1] / values[null])
