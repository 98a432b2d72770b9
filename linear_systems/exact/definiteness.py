"""Decide exactly whether a rational symmetric matrix is positive definite, singular or negative somewhere.

The matrix is eliminated by a fraction-free LDLᵀ with diagonal pivoting (Bareiss): after k steps the entries
are minors of order k + 1, and dividing by the previous pivot is exact.  The same elimination runs in balls
(intervals with a proved radius), which is fast and proves any sign that the balls show, and in integers,
which always decides.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from flint import arb, ctx, fmpq_mat, fmpz

BALL_BITS = 64
"""Precision of the first elimination in balls, beyond what elimination itself consumes."""
BALL_BITS_PER_PIVOT = 4
"""Bits allowed for what one step of elimination in balls consumes."""
BALL_GROWTH = 4
"""The second, and last, elimination in balls has this many times the bits of the first."""

Entry: TypeAlias = Any
"""fmpz or arb: elimination needs no more of it than arithmetic and comparisons that are never wrong."""


@dataclass(frozen=True)
class Definiteness:
    """What the elimination of S showed.

    Arguments
        sign: 1, S is positive definite; 0, semidefinite and singular; −1, vᵀSv < 0 for some v.
        pivots: the pivots met, all positive: lower bounds of them if found in balls.
        method: the arithmetic that decided.
        eliminated: the indices eliminated, in order, before the direction was met.
        direction: unless sign is 1, the other entries (±1, or 0 where missing) of a v with vᵀSv <= 0.
    """

    sign: Literal[-1, 0, 1]
    pivots: tuple[Fraction, ...]
    method: str
    eliminated: tuple[int, ...]
    direction: dict[int, int]


def definiteness(S: fmpq_mat) -> Definiteness:
    """Decide the definiteness of a symmetric S (which is not checked), exactly."""
    numerators, denominator = S.numer_denom()
    first = BALL_BITS + BALL_BITS_PER_PIVOT * S.nrows()
    for bits in (first, BALL_GROWTH * first):
        with ctx.workprec(bits):
            balls = [[arb(x) for x in row] for row in numerators.tolist()]
            found = _decide(balls, _IN_BALLS, denominator, f"LDLᵀ in balls of {bits} bits")
        if found is not None:
            return found
    found = _decide(numerators.tolist(), _IN_INTEGERS, denominator, "LDLᵀ in integers")
    assert found is not None, "every integer is negative, zero or positive"
    return found


def nonpositive_direction(S: fmpq_mat, found: Definiteness) -> fmpq_mat:
    """Return the v ≠ 0, (n, 1), with vᵀSv < 0 (sign −1) or Sv = 0 (sign 0), exactly.

    On the eliminated indices E, where S_EE is positive definite, v minimises vᵀSv given the other entries w:
    v_E = −S_EE⁻¹ S_EW w, and the minimum is wᵀ(Schur complement)w.
    """
    eliminated, direction = found.eliminated, found.direction
    vector = fmpq_mat(S.nrows(), 1)
    for index, entry in direction.items():
        vector[index, 0] = entry
    if eliminated:
        block = fmpq_mat([[S[i, j] for j in eliminated] for i in eliminated])
        pull = fmpq_mat([[-sum(S[i, j] * entry for j, entry in direction.items())] for i in eliminated])
        for index, minimiser in zip(eliminated, block.solve(pull).entries(), strict=True):
            vector[index, 0] = minimiser
    return vector


@dataclass(frozen=True)
class _Arithmetic:
    one: Entry
    divide: Callable[[Entry, Entry], Entry]
    middle: Callable[[Entry], Entry]
    lower_ratio: Callable[[Entry, Entry], Fraction]


_IN_INTEGERS = _Arithmetic(
    one=fmpz(1),
    divide=operator.floordiv,  # exact: Bareiss
    middle=lambda x: x,
    lower_ratio=lambda a, b: Fraction(int(a), int(b)),
)
_IN_BALLS = _Arithmetic(
    one=arb(1),
    divide=operator.truediv,
    middle=lambda x: x.mid(),
    lower_ratio=lambda a, b: _dyadic((a / b).lower()),
)


@dataclass
class _Elimination:
    sign: Literal[-1, 0, 1]
    minors: list[Entry]
    eliminated: list[int]
    direction: dict[int, int]


def _fraction_free(rows: list[list[Entry]], arithmetic: _Arithmetic) -> _Elimination | None:
    """Eliminate in place; None where a ball that contains 0 leaves a sign open."""
    n = len(rows)
    order = list(range(n))
    minors: list[Entry] = []
    for k in range(n):
        for i in range(k, n):
            if rows[i][i] < 0:
                return _Elimination(-1, minors, order[:k], {order[i]: 1})
        largest = max(range(k, n), key=lambda i: arithmetic.middle(rows[i][i]))
        if not rows[largest][largest] > 0:
            return _without_pivot(rows, minors, order)
        _swap(rows, order, k, largest)
        pivot = rows[k][k]
        for i in range(k + 1, n):
            row, factor = rows[i], rows[i][k]
            for j in range(k + 1, i + 1):
                minor = pivot * row[j] - factor * rows[j][k]
                if minors:
                    minor = arithmetic.divide(minor, minors[-1])
                row[j] = rows[j][i] = minor
        minors.append(pivot)
    return _Elimination(1, minors, order, {})


def _without_pivot(rows: list[list[Entry]], minors: list[Entry], order: list[int]) -> _Elimination | None:
    """Judge a Schur complement without a positive or a negative diagonal entry."""
    k = len(minors)
    rest = range(k, len(rows))
    if not all(rows[i][i] == 0 for i in rest):
        return None
    for i in rest:
        for j in range(k, i):
            if rows[i][j] > 0 or rows[i][j] < 0:
                return _Elimination(
                    -1, minors, order[:k], {order[i]: 1, order[j]: -1 if rows[i][j] > 0 else 1}
                )
    if not all(rows[i][j] == 0 for i in rest for j in range(k, i)):
        return None
    return _Elimination(0, minors, order[:k], {order[k]: 1})


def _swap(rows: list[list[Entry]], order: list[int], k: int, i: int) -> None:
    order[k], order[i] = order[i], order[k]
    rows[k], rows[i] = rows[i], rows[k]
    for row in rows:
        row[k], row[i] = row[i], row[k]


def _decide(
    rows: list[list[Entry]], arithmetic: _Arithmetic, denominator: fmpz, method: str
) -> Definiteness | None:
    """Return what eliminating `rows` = `denominator` · S shows; None if a ball leaves a sign open."""
    found = _fraction_free(rows, arithmetic)
    if found is None:
        return None
    minors = [arithmetic.one, *found.minors]
    ratios = (arithmetic.lower_ratio(a, b) for a, b in zip(minors[1:], minors[:-1], strict=True))
    pivots = tuple(ratio / int(denominator) for ratio in ratios)
    return Definiteness(found.sign, pivots, method, tuple(found.eliminated), found.direction)


def _dyadic(point: arb) -> Fraction:
    mantissa, exponent = (int(part) for part in point.man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent
