"""The comparison of remedies, and that the documentation shows what it prints."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from linear_systems import LinearSystem, parallel_iterations, stop_gradient
from linear_systems.stop_gradient import symbol_certificates
from paper_checks.claims.theorem_6 import iteration_comparison
from paper_checks.claims.theorem_6.instances import (
    AGGRESSIVE,
    SCALAR,
    UNIFORM,
    benchmark,
    without_idle_actions,
)

PAGE = Path(__file__).parents[4] / "docs" / "theory" / "uniform_convergence.md"
START, END = (
    "<!-- printed by: python -m paper_checks.claims.theorem_6.iteration_comparison -->",
    "<!-- end of what is printed -->",
)
PRINTED_DIGITS = 0.02
"""Relative difference that a last printed digit may make on another machine."""


def _tokens(text: str) -> list[str]:
    return re.findall(r"[^\s|(),]+", text)


def _same(printed: str, found: str) -> bool:
    try:
        return math.isclose(float(printed), float(found), rel_tol=PRINTED_DIGITS, abs_tol=1e-4)
    except ValueError:
        return printed == found


def test_the_initial_error_is_that_of_the_straight_line():
    system = benchmark("double_integrator")
    error = iteration_comparison.initial_error(system, 5, 1.0)
    z = error + stop_gradient.fixed_point(system, 5, 1.0, np.ones(2), np.zeros(2)).reshape(5, -1)
    assert np.allclose(z[:, :2], np.linspace(1.0, 0.0, 6)[1:, None] * np.ones(2), atol=1e-14)
    assert np.allclose(z[:, 2:], 0.0, atol=1e-14)


def test_every_method_reaches_the_greedy_rollout_on_a_small_case():
    rows = iteration_comparison.compare(("scalar",), (4, 8))
    assert len({row.method for row in rows}) == len(rows) == 7
    assert all(count is not None for row in rows for count in row.counts)
    table = iteration_comparison.markdown(rows, (4, 8))
    assert table.count("\n| ") == 8
    greedy = next(row for row in rows if row.method == "parallel greedy")
    assert greedy.counts[1] <= 8
    assert greedy.sequential == greedy.counts


def test_what_is_not_reached_is_said():
    rows = iteration_comparison.compare(("double_integrator",), (4,), limit=3)
    assert f"> {iteration_comparison.LIMIT}" in iteration_comparison.markdown(rows, (4,))


def test_idle_actions_are_removed_without_changing_the_rest():
    system = LinearSystem([[0.5, 0.1], [0.0, 0.3]], [[1.0, 2.0], [0.0, 0.0]])
    reduced = without_idle_actions(system)
    assert reduced.action_dim == 1
    assert np.allclose(reduced.B @ reduced.B.T, system.B @ system.B.T, atol=1e-14)
    assert without_idle_actions(reduced) is reduced


def test_certificates_decide_both_ways_and_do_not_contradict():
    assert symbol_certificates.contracts(SCALAR, 1.0, UNIFORM, 128)
    assert not symbol_certificates.contracts(SCALAR, 1.0, UNIFORM, 1)
    assert not symbol_certificates.contracts(SCALAR, 1.0, AGGRESSIVE, 128)
    assert symbol_certificates.expands(SCALAR, 1.0, AGGRESSIVE)
    assert not symbol_certificates.expands(SCALAR, 1.0, UNIFORM)


def test_exact_blocks_are_those_of_the_library():
    system = benchmark("tanks_in_series")
    D, E = symbol_certificates.exact_update_blocks(system, 0.7, (0.3, 2.0))
    for exact, z in ((D, 0.0), (E, None)):
        floats = np.array([[float(int(x.p) / int(x.q)) for x in row] for row in exact.tolist()])
        symbol = stop_gradient.symbol(system, 0.7, (0.3, 2.0), 0.0).real
        expected = (
            symbol if z is not None else stop_gradient.symbol(system, 0.7, (0.3, 2.0), 1.0).real - symbol
        )
        assert np.abs(floats - expected).max() <= 1e-14 * (1.0 + np.abs(expected).max())


def test_a_time_varying_benchmark_is_refused():
    with pytest.raises(TypeError, match="time-varying"):
        benchmark("pendulum_fall")


def test_methods_share_the_fixed_point():
    """One iteration leaves a zero error zero, whatever the method."""
    for method in iteration_comparison.methods(SCALAR, 1.0):
        assert not method.advance(np.zeros((4, 2)), 0).any()
        assert parallel_iterations.iterations_to(method, np.ones((4, 2)), 1e-3).iterations is not None


@pytest.mark.slow
def test_the_page_shows_what_is_printed():
    page = PAGE.read_text(encoding="utf-8")
    shown = page[page.index(START) + len(START) : page.index(END)]
    printed = "\n".join(
        (
            iteration_comparison.scalar_table(),
            iteration_comparison.step_size_table(),
            iteration_comparison.markdown(iteration_comparison.compare()),
        )
    )
    pairs = list(zip(_tokens(shown), _tokens(printed), strict=True))
    assert [pair for pair in pairs if not _same(*pair)] == []
