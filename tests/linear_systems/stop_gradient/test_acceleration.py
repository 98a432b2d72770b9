"""Anderson's acceleration: GMRES on linear maps, one iterate at a time, and the cone that it cannot leave."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linear_systems import LinearSystem, parallel_iterations
from linear_systems.errors import ParameterError
from linear_systems.stop_gradient.acceleration import anderson
from tests.support.system_strategies import systems


def test_it_ends_after_as_many_steps_as_there_are_unknowns() -> None:
    rng = np.random.default_rng(0)
    M = 0.5 * np.linalg.qr(rng.standard_normal((6, 6)))[0]
    offset, start = rng.standard_normal((3, 2)), rng.standard_normal((3, 2))
    iterates = anderson(lambda x: (M @ x.ravel()).reshape(3, 2) + offset, start, 8)
    fixed = np.linalg.solve(np.eye(6) - M, offset.ravel()).reshape(3, 2)
    assert np.abs(iterates[8] - fixed).max() <= 1e-10
    assert np.abs(iterates[3] - fixed).max() > 1e-3


def test_the_first_step_is_plain_and_residuals_are_those_of_gmres() -> None:
    """The smallest ‖r‖ over r^0 + span{(M − I) M^j r^0} belongs to x^1, …: x^{k+1} = f of the minimiser."""
    rng = np.random.default_rng(1)
    M = 0.3 * rng.standard_normal((5, 5))
    start = rng.standard_normal((5, 1))
    iterates = anderson(lambda x: M @ x, start, 3)
    assert np.abs(iterates[1] - M @ start).max() <= 1e-14
    krylov = np.concatenate(
        [np.linalg.matrix_power(M, j) @ (M - np.eye(5)) @ start for j in range(2)], axis=1
    )
    residual = (M - np.eye(5)) @ start
    weights = np.linalg.lstsq((M - np.eye(5)) @ krylov, -residual, rcond=None)[0]
    assert np.abs(iterates[3] - M @ (start + krylov @ weights)).max() <= 1e-9


@settings(deadline=None, max_examples=25)
@given(systems(max_n=3, max_m=2), st.integers(0, 5), st.sampled_from([None, 1, 2]), st.integers(0, 2**31))
def test_what_lies_beyond_the_cone_does_not_change(
    system: LinearSystem, iterations: int, memory: int | None, seed: int
) -> None:
    """Errors of the first block alone travel one step an iteration, whatever the coefficients."""
    method = parallel_iterations.gradient_steps(system, 1.0, 0.1)
    error = np.zeros((8, system.state_dim + system.action_dim))
    error[0] = np.random.default_rng(seed).standard_normal(error.shape[1])
    last = anderson(lambda e: method.advance(e.copy(), 0), error, iterations, memory)[-1]
    assert np.abs(last[iterations + 1 :]).max(initial=0.0) == 0.0


def test_a_memory_of_nothing_is_refused() -> None:
    with pytest.raises(ParameterError):
        anderson(lambda x: x, np.zeros((2, 2)), 3, 0)
