"""The bound (10) on the state step: it is sufficient, by the symbol and by powers, and refuses what it cannot bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from linear_systems import LinearSystem, TimeVaryingLinearSystem, stop_gradient, uniform_convergence
from linear_systems.errors import StepSizeError, UnstableSystemError
from linear_systems.stop_gradient.small_steps import small_step_limit
from tests.support.system_strategies import systems


@settings(deadline=None, max_examples=30)
@given(systems(max_n=3, max_m=2), st.floats(0.1, 5.0), st.floats(0.1, 0.9))
def test_it_is_enough(system: LinearSystem, beta: float, share: float) -> None:
    size = np.linalg.svd(system.B, compute_uv=False)
    assume(system.action_dim <= system.state_dim and size[-1] > 1e-2 * size[0] > 1e-4)
    assume(uniform_convergence.greedy_radius(system) < 0.9)
    action_step = share / ((1.0 + beta) * float(size[0]) ** 2)
    limit = small_step_limit(system, beta, action_step)
    assert 0.0 < limit <= 0.5
    assume(limit > 1e-6)
    assert stop_gradient.uniform_rate(system, beta, (0.99 * limit, action_step)) < 1.0


def test_scalar_in_closed_form() -> None:
    """K = 0, so ϑ → 0, v = 0: ε₀ = α(1−γ)/(2hℓ(α+3)) with b = 1/2, α = 1, γ = 1/2, hℓ = 1/2 + |a|."""
    found = small_step_limit(LinearSystem([[0.8]], [[1.0]]), 1.0, 0.125)
    assert found == pytest.approx(0.5 / (2.0 * 1.3 * 4.0), rel=2e-3)  # the search for ϑ ends at 0.004


def test_a_constant_sequence_is_as_good_as_the_system() -> None:
    """Finite sums of energies are smaller than the infinite one, so the bound of a sequence is no smaller."""
    A, B = np.array([[0.5, 0.2], [0.1, 0.7]]), np.array([[0.0], [1.0]])
    varying = TimeVaryingLinearSystem(np.tile(A, (60, 1, 1)), np.tile(B, (60, 1, 1)))
    constant = small_step_limit(LinearSystem(A, B), 1.0, 0.1)
    assert small_step_limit(varying, 1.0, 0.1) >= constant * (1.0 - 1e-6)
    J = stop_gradient.update_matrix(varying, 60, 1.0, (constant, 0.1)).toarray()
    assert float(np.abs(np.linalg.eigvals(J)).max()) < 1.0


@pytest.mark.parametrize("seed", range(4))
def test_period_two_converges_by_its_own_symbol(seed: int) -> None:
    rng = np.random.default_rng(seed)
    A, B = 0.4 * rng.standard_normal((2, 3, 3)), rng.standard_normal((2, 3, 1))
    B /= np.linalg.norm(B, axis=1, keepdims=True)
    limit = small_step_limit(
        TimeVaryingLinearSystem(np.tile(A, (30, 1, 1)), np.tile(B, (30, 1, 1))), 1.0, 0.25
    )
    assert limit > 1e-5
    four = TimeVaryingLinearSystem(np.tile(A, (2, 1, 1)), np.tile(B, (2, 1, 1)))
    J = stop_gradient.update_matrix(four, 4, 1.0, (0.99 * limit, 0.25)).toarray()
    z = np.exp(1j * np.linspace(0.0, np.pi, 91))[:, None, None]
    assert float(np.abs(np.linalg.eigvals(J[:8, :8] + z * J[8:, :8])).max()) < 1.0


def test_refusals() -> None:
    with pytest.raises(StepSizeError, match="action_step"):
        small_step_limit(LinearSystem([[0.8]], [[1.0]]), 1.0, 0.5)
    with pytest.raises(UnstableSystemError):
        small_step_limit(LinearSystem(np.diag([1.2, 0.5]), [[0.0], [1.0]]), 1.0, 0.1)
