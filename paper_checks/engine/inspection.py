"""Turns many evaluations of a theorem into one piece of evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np
import sympy as sp

from grasp_theory.theorems import TheoremCheck
from linear_systems import LinearSystem, benchmarks
from linear_systems.examples.random_systems import KINDS, Kind, random_input_matrix, random_system
from paper_checks.engine.records import Evidence, Grade

Evaluations = Iterator[tuple[TheoremCheck, Callable[[], str]]]
"""Records of a theorem, each with a function that writes its instance as code."""


_Variant = TypeVar("_Variant")


def refuted(inspect: Callable[[_Variant], Evidence]) -> Callable[[_Variant], Evidence]:
    """Return the inspection of the opposite statement, for a caveat that says of a reading that it fails."""

    def opposite(variant: _Variant) -> Evidence:
        evidence = inspect(variant)
        return replace(evidence, passed=not evidence.passed)

    return opposite


def judge(
    evaluations: Iterable[tuple[TheoremCheck, Callable[[], str]]],
    what: str,
    grade: Grade = Grade.NUMERICAL,
) -> Evidence:
    """Return the evidence of many evaluations: it passes if at least one lies inside and all inside hold.

    Arguments
        evaluations: pairs of a theorem's record and a function that writes the instance as code.
        what: what was compared, for the summary.
        grade: the grade of one evaluation.
    """
    inside = outside = violations = 0
    worst_margin, worst_code = np.inf, ""
    for check, code in evaluations:
        if not check.assumptions_hold:
            outside += 1
            continue
        inside += 1
        violations += not check.holds
        margin = check.slack + check.allowance
        if not worst_code or margin < worst_margin:
            worst_margin, worst_code = margin, code()
    summary = f"{what}: {inside} instances inside the assumptions, {violations} violations"
    if outside:
        summary += f"; {outside} drawn instances violate an assumption and are not counted"
    numbers = {"instances": inside, "violations": violations, "smallest margin": float(worst_margin)}
    return Evidence(grade, inside > 0 and violations == 0, summary, numbers, worst_code, outside)


def identity(expressions: Iterable[sp.Expr | sp.MatrixBase], what: str, scope: str) -> Evidence:
    """Return symbolic evidence: every expression must simplify to zero.

    Arguments
        expressions: differences of the two sides.
        what: the identity.
        scope: for which sizes it is a proof, and why that is enough.
    """
    remainders = [_simplified(expression) for expression in expressions]
    passed = bool(remainders) and all(remainder == 0 for remainder in remainders)
    left = next((str(remainder) for remainder in remainders if remainder != 0), "")
    summary = f"{what}; {scope}" + (f"; remainder {left[:200]}" if left else "")
    return Evidence(Grade.SYMBOLIC, passed, summary, {"identities": len(remainders)})


def _simplified(expression: sp.Expr | sp.MatrixBase) -> sp.Expr:
    if isinstance(expression, sp.MatrixBase):
        return sum((sp.Abs(entry) for entry in map(_simplified, expression)), sp.Integer(0))
    return sp.simplify(sp.expand(expression))


def drawn_systems(
    rng: np.random.Generator,
    count: int,
    kinds: tuple[Kind, ...] = KINDS,
    max_n: int = 6,
    max_m: int = 8,
    *,
    full_column_rank: bool = False,
) -> Iterator[LinearSystem]:
    """Yield `count` random systems, the kinds in turn, of sizes up to (max_n, max_m); m ≤ n for full rank."""
    for index in range(count):
        n = int(rng.integers(1, max_n + 1))
        m = int(rng.integers(1, (min(n, max_m) if full_column_rank else max_m) + 1))
        system = random_system(rng, n, m, kinds[index % len(kinds)])
        yield LinearSystem(system.A, random_input_matrix(rng, n, m)) if full_column_rank else system


def real_systems() -> Iterator[tuple[str, LinearSystem]]:
    """Yield the name and the system of every time-invariant benchmark."""
    for name in benchmarks.names():
        system = benchmarks.load(name).system
        if isinstance(system, LinearSystem):
            yield name, system
