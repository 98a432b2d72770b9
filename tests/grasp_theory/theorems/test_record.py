"""A theorem's record judges a relation up to its allowance, and no further."""

from __future__ import annotations

from typing import Literal

import pytest

from grasp_theory.theorems import TheoremCheck

Relation = Literal["=", "<=", ">="]


def check(computed: float, relation: Relation, allowance: float = 0.25, bound: float = 1.0) -> TheoremCheck:
    return TheoremCheck(computed, bound, relation, allowance, {"a": True})


@pytest.mark.parametrize(
    ("relation", "computed", "slack"),
    [
        ("<=", 0.5, 0.5),
        ("<=", 1.5, -0.5),
        (">=", 1.5, 0.5),
        (">=", 0.5, -0.5),
        ("=", 0.5, -0.5),
        ("=", 1.5, -0.5),
    ],
)
def test_the_slack_is_the_distance_to_violation(relation: Relation, computed: float, slack: float) -> None:
    assert check(computed, relation).slack == slack


@pytest.mark.parametrize(("relation", "direction"), [("<=", 1.0), (">=", -1.0), ("=", 1.0), ("=", -1.0)])
def test_the_relation_holds_up_to_the_allowance_and_no_further(relation: Relation, direction: float) -> None:
    assert check(1.0 + 0.25 * direction, relation).holds
    assert not check(1.0 + 0.375 * direction, relation).holds
    assert not check(1.0 + 0.25 * direction, relation, allowance=0.125).holds


def test_equal_infinities_are_equal_and_nan_holds_nothing() -> None:
    assert check(float("inf"), "=", bound=float("inf")).holds
    assert not check(float("nan"), "<=").holds


def test_assumptions_hold_only_together_and_do_not_change_what_holds() -> None:
    outside = TheoremCheck(0.5, 1.0, "<=", 0.0, {"a": True, "b": False})
    assert not outside.assumptions_hold
    assert outside.holds
    assert TheoremCheck(0.5, 1.0, "<=", 0.0, {}).assumptions_hold
