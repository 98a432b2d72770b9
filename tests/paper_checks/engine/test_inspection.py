"""Many evaluations become one piece of evidence: what counts, what does not, and what is not enough."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
import sympy as sp

from grasp_theory.theorems import TheoremCheck
from paper_checks.engine.inspection import Evaluations, drawn_systems, identity, judge, refuted
from paper_checks.engine.records import Evidence, Grade


def evaluations(cases: Iterable[tuple[float, bool]]) -> Evaluations:
    """Yield records of "x <= 1" with allowance 1/8, inside its assumptions or not, each with its number as code."""
    for computed, inside in cases:
        yield TheoremCheck(computed, 1.0, "<=", 0.125, {"inside": inside}), lambda x=computed: f"x = {x}"


def test_no_evidence_does_not_pass() -> None:
    assert not judge(evaluations([]), "x ≤ 1").passed


def test_instances_outside_the_assumptions_are_reported_and_not_counted() -> None:
    only_outside = judge(evaluations([(0.5, False)]), "x ≤ 1")
    assert not only_outside.passed
    assert (only_outside.outside, only_outside.numbers["instances"]) == (1, 0)
    assert "1 drawn instances violate an assumption" in only_outside.summary
    mixed = judge(evaluations([(0.5, True), (9.0, False), (9.0, False)]), "x ≤ 1")
    assert mixed.passed
    assert (mixed.outside, mixed.numbers["instances"], mixed.numbers["violations"]) == (2, 1, 0)


def test_one_violation_among_many_does_not_pass_and_is_shown() -> None:
    found = judge(evaluations([(0.5, True), (1.25, True), (0.75, True)]), "x ≤ 1", Grade.CERTIFIED)
    assert not found.passed
    assert found.grade is Grade.CERTIFIED
    assert found.numbers == {"instances": 3, "violations": 1, "smallest margin": -0.125}
    assert found.instance == "x = 1.25"


def test_the_allowance_is_granted_and_the_worst_instance_shown() -> None:
    found = judge(evaluations([(1.125, True), (0.0, True)]), "x ≤ 1")
    assert found.passed
    assert found.numbers["smallest margin"] == 0.0
    assert found.instance == "x = 1.125"


def test_an_identity_must_vanish_in_every_expression_and_needs_one() -> None:
    x = sp.Symbol("x")
    zero = (x + 1) ** 2 - x**2 - 2 * x - 1
    assert identity([zero, sp.Matrix([zero, 0])], "square", "every x").passed
    assert not identity([], "nothing", "").passed
    for wrong in ([zero, x], [sp.Matrix([0, x])], [sp.Matrix([x, -x])]):
        found = identity(wrong, "square", "every x")
        assert not found.passed
        assert "remainder" in found.summary
    assert found.grade is Grade.SYMBOLIC


@pytest.mark.parametrize("passed", [True, False])
def test_refuted_is_the_opposite(passed: bool) -> None:
    found = refuted(lambda value: Evidence(Grade.NUMERICAL, value, "told"))(passed)
    assert (found.passed, found.summary) == (not passed, "told")


def test_drawn_systems_have_the_sizes_and_rank_asked_for() -> None:
    drawn = list(drawn_systems(np.random.default_rng(0), 60, max_n=4, max_m=6))
    assert {system.state_dim for system in drawn} == {1, 2, 3, 4}
    assert {system.action_dim for system in drawn} == {1, 2, 3, 4, 5, 6}
    for system in drawn_systems(np.random.default_rng(1), 40, max_n=4, full_column_rank=True):
        assert np.linalg.matrix_rank(system.B) == system.action_dim


def test_by_default_systems_have_up_to_six_states_and_eight_actions() -> None:
    drawn = list(drawn_systems(np.random.default_rng(0), 200))
    assert {system.state_dim for system in drawn} == set(range(1, 7))
    assert {system.action_dim for system in drawn} == set(range(1, 9))
