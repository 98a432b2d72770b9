"""The search for the worst system keeps the best start, stays inside the claim, and gives code that rebuilds it."""

from __future__ import annotations

import numpy as np
import pytest

from linear_systems import LinearSystem, TimeVaryingLinearSystem
from paper_checks.engine.search import as_code, worst_system


def two_hills(system: LinearSystem) -> float:
    """Of height 1 at A = 2 and of height 3 at A = −2, with no way from one to the other."""
    a, b = float(system.A[0, 0]), float(system.B[0, 0])
    hill = 1.0 - (a - 2.0) ** 2 if a > 0 else 3.0 - (a + 2.0) ** 2
    return hill - b**2


@pytest.mark.parametrize("seed", range(4))
def test_the_best_of_all_starts_is_kept_whichever_comes_last(seed: int) -> None:
    found = worst_system(two_hills, 1, 1, np.random.default_rng(seed), starts=8)
    assert found.value == pytest.approx(3.0, abs=1e-4)
    assert found.value == pytest.approx(two_hills(found.system))
    assert float(found.system.A[0, 0]) == pytest.approx(-2.0, abs=1e-2)


def test_the_budget_is_one_of_each_start() -> None:
    found = worst_system(two_hills, 1, 1, np.random.default_rng(0), starts=3, evaluations=20)
    assert 3 * 15 <= found.evaluations <= 3 * 22


def test_instances_outside_the_claim_are_not_kept() -> None:
    def outside(system: LinearSystem) -> float:
        return float("nan") if system.A[0, 0] < 0 else two_hills(system)

    found = worst_system(outside, 1, 1, np.random.default_rng(1), starts=8)
    assert found.value == pytest.approx(1.0, abs=1e-4)


def test_sizes_are_those_asked_for_and_no_start_is_refused() -> None:
    found = worst_system(lambda system: -float(np.abs(system.A).sum()), 2, 3, np.random.default_rng(0), 1, 30)
    assert (found.system.state_dim, found.system.action_dim) == (2, 3)
    with pytest.raises(ValueError, match="starts"):
        worst_system(two_hills, 1, 1, np.random.default_rng(0), starts=0)


def test_code_rebuilds_the_instance_exactly() -> None:
    rng = np.random.default_rng(0)
    for system in (
        LinearSystem(rng.standard_normal((2, 2)), rng.standard_normal((2, 1))),
        TimeVaryingLinearSystem(rng.standard_normal((3, 2, 2)), rng.standard_normal((3, 2, 1))),
    ):
        names = {"LinearSystem": LinearSystem, "TimeVaryingLinearSystem": TimeVaryingLinearSystem}
        code = as_code(system, step_size=np.float64(0.1), goal=np.arange(2.0), name="x")
        exec(code, names)
        rebuilt = names["system"]
        assert np.array_equal(rebuilt.A, system.A)
        assert np.array_equal(rebuilt.B, system.B)
        assert (names["step_size"], names["goal"], names["name"]) == (0.1, [0.0, 1.0], "x")
