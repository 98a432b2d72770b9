"""L_S, L_L and condition numbers are those of `linear_systems`, to 1e-8, on every linear system."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from system_strategies import systems, time_varying_systems
from trust_cases import close, linearised

from grasp_theory import LinearDynamics, PlanningProblem, diagnose
from grasp_theory.trust import linearisation
from grasp_theory.trust.smoothness import Smoothness, final_responses, smoothness
from linear_systems import lifted, shooting
from linear_systems.errors import FloatOverflowError, PrecisionLossError, RankError
from linear_systems.examples.random_systems import random_time_varying_system
from linear_systems.system import AnySystem, LinearSystem, TimeVaryingLinearSystem


def _expected(compute: Callable[[], float]) -> float:
    try:
        return compute()
    except FloatOverflowError:
        return math.inf
    except (PrecisionLossError, RankError):
        return math.nan


def _measured(system: AnySystem, horizon: int) -> Smoothness:
    linear = linearised(system, horizon)
    return smoothness(linear, final_responses(linear))


def _check(system: AnySystem, horizon: int) -> None:
    found = _measured(system, horizon)
    assert close(found.shooting_lipschitz[0], shooting.lipschitz(system, horizon))
    assert close(found.lifted_lipschitz[0], lifted.lipschitz(system, horizon))
    assert close(found.shooting_condition[0], _expected(lambda: shooting.condition_number(system, horizon)))
    assert close(found.lifted_condition[0], _expected(lambda: lifted.condition_number(system, horizon)))
    blocks = np.split(shooting.controllability_matrix(system, horizon), horizon, axis=1)
    assert np.allclose(
        found.gradients[0], [np.linalg.norm(block, 2) for block in blocks], rtol=1e-8, atol=0.0
    )


@settings(max_examples=25)
@given(system=time_varying_systems(max_n=4, max_m=3, max_length=8))
def test_time_varying(system: TimeVaryingLinearSystem) -> None:
    assert system.length is not None
    _check(system, system.length)


@settings(max_examples=25)
@given(system=systems(max_n=4, max_m=3), horizon=st.integers(1, 8))
def test_time_invariant(system: LinearSystem, horizon: int) -> None:
    # Along a plan the system is a time-varying one, by which rank is judged.
    A, B = system.matrices(horizon)
    _check(TimeVaryingLinearSystem(np.array(A), np.array(B)), horizon)


def test_growth_is_by_step() -> None:
    found = _measured(LinearSystem([[1.5]], [[2.0]]), 5)
    assert close(found.gradient_growth[0], 1.5)
    assert _measured(LinearSystem([[1.5]], [[2.0]]), 1).gradient_growth[0] == 1.0


def test_products_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    system = random_time_varying_system(np.random.default_rng(0), 5, 2, 6)
    dense = _measured(system, 6)
    monkeypatch.setattr(linearisation, "LARGEST_DENSE", 0)
    products = _measured(system, 6)
    assert close(products.shooting_lipschitz[0], dense.shooting_lipschitz[0])
    assert close(products.shooting_condition[0], dense.shooting_condition[0])
    assert close(products.lifted_lipschitz[0], dense.lifted_lipschitz[0])
    assert math.isnan(products.lifted_condition[0])


def test_c_t_beyond_float64_is_said() -> None:
    linear = linearised(LinearSystem([[1e200]], [[1.0]]), 4)
    with pytest.raises(FloatOverflowError, match="C_T"):
        final_responses(linear)


def test_what_rounding_hides_is_not_known() -> None:
    """A direction that no action reaches, rotated: float64 leaves it out, and float32 cannot tell it from rounding."""
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    A, B = turn @ np.diag([0.9, 0.7, 0.5]) @ turn.T, turn[:, :2] @ np.array([[1.0], [1.0]])
    found = [
        diagnose(PlanningProblem(
            LinearDynamics(torch.tensor(A, dtype=dtype), torch.tensor(B, dtype=dtype)),
            torch.zeros(1, 3, dtype=dtype), torch.ones(1, 3, dtype=dtype), 4, 1,
        )).smoothness
        for dtype in (torch.float64, torch.float32)
    ]  # fmt: skip
    assert 1.0 < found[0].shooting_condition[0] < 1e4
    assert 1.0 < found[0].lifted_condition[0] < 1e4
    assert math.isnan(found[1].shooting_condition[0])
    assert math.isnan(found[1].lifted_condition[0])
    np.testing.assert_allclose(found[1].lifted_lipschitz, found[0].lifted_lipschitz, rtol=1e-5)
