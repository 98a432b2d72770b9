"""Theorems 2, 3, 6, 7, 9 and A.3 on generated systems: the relation holds, is tight somewhere, and needs its assumptions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from system_strategies import horizons, systems, time_varying_systems

from grasp_theory.theorems import (
    gaussian_tube,
    lifted_smoothness,
    live_tube,
    rollout_mean,
    rollout_spread,
    shooting_smoothness,
    state_noise_law,
    stop_gradient_contraction,
)
from grasp_theory.theorems.theorem_2 import modes
from linear_systems import AnySystem, LinearSystem, lifted, shooting, stop_gradient
from linear_systems.errors import HorizonError, ParameterError, StepSizeError
from linear_systems.rounding import rounding_allowance

SCALAR = LinearSystem([[2.0]], [[0.5]])


class TestTheorem2:
    @given(systems(), horizons())
    def test_bound_and_geometric_bound_hold(self, system: LinearSystem, horizon: int) -> None:
        check = shooting_smoothness(system, horizon)
        assert check.holds
        assert check.computed >= check.quantities["log_geometric_bound"] - check.allowance

    def test_scalar_closed_forms(self) -> None:
        check = shooting_smoothness(SCALAR, 4)
        assert check.assumptions_hold
        assert check.bound == pytest.approx(np.log(2 * 0.25 * 4.0**3), rel=1e-15)
        assert check.computed == pytest.approx(np.log(2 * 0.25 * (4.0**4 - 1) / 3), rel=1e-15)
        assert check.quantities["log_geometric_bound"] == pytest.approx(check.computed, rel=1e-15)

    @pytest.mark.parametrize("system", [SCALAR, LinearSystem([[0.0]], [[0.5]])], ids=["λ = 2", "λ = 0"])
    def test_tight_at_one_step(self, system: LinearSystem) -> None:
        check = shooting_smoothness(system, 1)
        assert check.bound == pytest.approx(np.log(2 * 0.25), rel=1e-15)
        assert check.slack == pytest.approx(0.0, abs=check.allowance)

    @pytest.mark.parametrize(
        ("A", "B", "violated"),
        [
            ([[0.5]], [[1.0]], "|λ| > 1"),
            ([[1.0]], [[1.0]], "|λ| > 1"),
            ([[0.0, -2.0], [2.0, 0.0]], [[1.0], [0.0]], "λ is real"),
            ([[2.0, 0.0], [0.0, 3.0]], [[0.0], [0.0]], "μ > 0"),
        ],
    )
    def test_assumptions_are_reported(
        self, A: list[list[float]], B: list[list[float]], violated: str
    ) -> None:
        check = shooting_smoothness(LinearSystem(A, B), 5)
        assert not check.assumptions_hold
        assert not check.assumptions[violated]

    def test_modes_are_left_eigenpairs(self) -> None:
        system = LinearSystem([[1.5, 1.0], [0.0, 0.5]], [[1.0], [0.0]])
        for mode in modes(system):
            residual = system.A.T @ mode.vector - mode.eigenvalue * mode.vector
            assert np.abs(residual).max() <= rounding_allowance(1.0, 2)
            assert np.linalg.norm(mode.vector) == pytest.approx(1.0)

    def test_the_condition_of_a_mode_in_closed_form(self) -> None:
        # A normal matrix: ‖A‖/|λ| + (‖B‖/μ) ‖A‖/gap, and 1 at least.
        first, second = modes(LinearSystem([[4.0, 0.0], [0.0, 1.0]], [[3.0], [4.0]]))
        assert first.condition == pytest.approx(1.0 + 5.0 / 3.0 * 4.0 / 3.0, rel=1e-14)
        assert second.condition == pytest.approx(4.0 + 5.0 / 4.0 * 4.0 / 3.0, rel=1e-14)

    def test_the_right_eigenvector_would_not_do(self) -> None:
        # v = e_1 is a right eigenvector of A and unreached by B through Aᵀ: taking it would overstate μ.
        system = LinearSystem([[2.0, 10.0], [0.0, 0.5]], [[1.0], [-0.15]])
        overstated = np.log(2.0 * 1.0 * 2.0 ** (2 * 19))
        assert shooting.log_lipschitz(system, 20) < overstated

    def test_horizon_far_beyond_overflow(self) -> None:
        assert shooting_smoothness(SCALAR, 10**6).holds

    def test_bad_horizon(self) -> None:
        with pytest.raises(HorizonError):
            shooting_smoothness(SCALAR, 0)


class TestTheorem3:
    @given(systems(), horizons())
    def test_bounds_hold_and_are_ordered(self, system: LinearSystem, horizon: int) -> None:
        check = lifted_smoothness(system, horizon)
        assert check.holds
        limit, better = check.quantities["limit"], check.quantities["operator_bound"]
        assert check.computed <= limit * (1 + rounding_allowance(1.0, 4 * system.state_dim))
        assert limit <= better * (1 + rounding_allowance(1.0, 4 * system.state_dim))
        assert better <= 2.0 / 3.0 * check.bound * (1 + rounding_allowance(1.0, 4))

    @given(time_varying_systems())
    def test_time_varying(self, system: AnySystem) -> None:
        check = lifted_smoothness(system, system.length or 1)
        assert check.holds
        assert "limit" not in check.quantities

    def test_two_thirds_is_approached(self) -> None:
        check = lifted_smoothness(LinearSystem([[1.0]], [[1e-4]]), 2000)
        assert 0.66666 < check.computed / check.bound < 2.0 / 3.0

    def test_a_smaller_constant_fails(self) -> None:
        system = LinearSystem([[1.0]], [[0.1]])
        assert lifted.lipschitz(system, 50) > 3.9 / 6.0 * lifted.theorem_3_bound(system)


class TestTheorem6:
    @given(systems(full_column_rank=True), horizons(), st.floats(0.05, 3.0), st.floats(0.01, 0.99))
    def test_radius_is_at_most_the_rate(
        self, system: LinearSystem, horizon: int, beta: float, fraction: float
    ) -> None:
        check = stop_gradient_contraction(
            system, horizon, beta, fraction * stop_gradient.step_size_limit(system, beta)
        )
        assert check.assumptions_hold
        assert check.holds
        assert check.slack == pytest.approx(0.0, abs=check.allowance)  # constant β: attained

    @given(time_varying_systems(full_column_rank=True), st.floats(0.01, 0.99))
    def test_time_varying_systems_and_weights(self, system: AnySystem, fraction: float) -> None:
        T = system.length or 1
        beta = np.linspace(0.2, 2.0, T)
        check = stop_gradient_contraction(
            system, T, beta, fraction * stop_gradient.step_size_limit(system, beta)
        )
        assert check.holds
        # L of the theorem takes the largest ‖B_t‖ and β_t together, which no step need have: q ≥ 1 is possible.
        assert check.computed < 1.0 or not check.assumptions_hold

    @pytest.mark.parametrize(
        ("system", "beta", "step_size", "violated"),
        [
            (LinearSystem([[0.5]], [[1.0, 1.0]]), 1.0, 0.1, "B has full column rank"),
            (SCALAR, 0.0, 0.1, "β_min > 0"),
            (SCALAR, 1.0, 5.0, "step sizes below the stability limit"),
            # So small that the rate rounds to 1.
            (SCALAR, 1.0, 1e-30, "step sizes below the stability limit"),
        ],
    )
    def test_assumptions_are_reported(
        self, system: LinearSystem, beta: float, step_size: float, violated: str
    ) -> None:
        check = stop_gradient_contraction(system, 5, beta, step_size)
        assert not check.assumptions[violated]
        assert check.computed >= 1.0

    @pytest.mark.parametrize("step_size", [0.0, -0.1, float("nan"), (0.1, 0.0)])
    def test_bad_step_size(self, step_size: float) -> None:
        with pytest.raises(StepSizeError):
            stop_gradient_contraction(SCALAR, 5, 1.0, step_size)

    def test_negative_weight(self) -> None:
        with pytest.raises(ParameterError):
            stop_gradient_contraction(SCALAR, 5, -1.0, 0.1)


class TestTheorem7:
    @given(st.floats(0.01, 0.99), st.floats(0.01, 5.0), st.integers(1, 200))
    def test_variance_increases_to_the_tube(self, step_size: float, sigma: float, iterations: int) -> None:
        check = gaussian_tube(step_size, sigma, iterations)
        assert check.assumptions_hold
        assert check.holds
        left = (1 - 2 * step_size) ** (2 * iterations)
        assert check.slack == pytest.approx(check.bound * left, abs=check.allowance)

    def test_at_a_step_size_of_one_the_variance_grows_and_the_instance_is_outside(self) -> None:
        check = gaussian_tube(1.0, 0.5, 40)
        assert not check.assumptions_hold
        assert check.computed == pytest.approx(40 * 0.25)
        assert gaussian_tube(np.nextafter(1.0, 0.0), 0.5, 40).assumptions_hold

    def test_outside_the_assumption(self) -> None:
        check = gaussian_tube(1.2, 1.0, 10)
        assert not check.assumptions_hold
        assert check.computed > gaussian_tube(1.2, 1.0, 9).computed * 1.5

    @given(
        systems(max_n=3, kinds=("stable", "unstable", "complex")), st.integers(1, 10), st.floats(0.05, 0.95)
    )
    def test_live_states_spread_at_least_as_much(
        self, system: LinearSystem, horizon: int, eta: float
    ) -> None:
        check = live_tube(system, horizon, eta, 1.0)
        assert check.assumptions_hold
        assert check.holds

    def test_live_states_attain_the_tube_without_dynamics(self) -> None:
        check = live_tube(LinearSystem([[0.0]], [[1.0]]), 6, 0.3, 1.0)
        assert check.slack == pytest.approx(0.0, abs=check.allowance)


class TestTheorem9:
    @given(systems(), horizons(20), st.integers(0, 2**32 - 1))
    def test_mean(self, system: LinearSystem, horizon: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        start, actions = (
            rng.standard_normal(system.state_dim),
            rng.standard_normal((horizon, system.action_dim)),
        )
        assert rollout_mean(system, start, actions).holds

    def test_a_rollout_that_is_off_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        right = LinearSystem.rollout

        def off(self: LinearSystem, *given: object) -> object:
            states = right(self, *given)  # type: ignore[arg-type]
            states[3] += 1e-6
            return states

        monkeypatch.setattr(LinearSystem, "rollout", off)
        check = rollout_mean(SCALAR, [1.0], np.ones((5, 1)))
        assert not check.holds
        assert check.computed == pytest.approx(1e-6, rel=1e-6)

    @given(time_varying_systems())
    def test_spread(self, system: AnySystem) -> None:
        assert rollout_spread(system, system.length or 1, 0.3).holds

    def test_the_spread_a_step_and_its_allowance_for_growing_dynamics(self) -> None:
        # Σ_3 = (1 + 10⁶ + 10¹²) σ²; ‖A‖ = 10³ and ‖Φ‖ = 10⁶ amplify the rounding.
        check = rollout_spread(LinearSystem([[1e3]], [[1.0]]), 3, 0.5)
        assert check.quantities["per_step"] == pytest.approx(0.25 * (1.0 + 1e6 + 1e12) / 3.0, rel=1e-14)
        assert check.allowance == pytest.approx(rounding_allowance(check.bound, 3, 1e9), rel=1e-12)

    def test_limit_of_a_stable_system(self) -> None:
        check = rollout_spread(LinearSystem([[0.5]], [[1.0]]), 60, 2.0)
        assert check.quantities["limit"] == pytest.approx(4.0 / 0.75, rel=1e-14)
        assert check.computed == pytest.approx(check.quantities["limit"], rel=1e-14)

    @pytest.mark.parametrize("eigenvalue", [1.0, 1.05, 2.0])
    def test_no_limit_of_one_that_is_not_stable(self, eigenvalue: float) -> None:
        system = LinearSystem([[eigenvalue]], [[1.0]])
        assert rollout_spread(system, 5, 1.0).quantities["limit"] == float("inf")


class TestAppendixA3:
    @given(
        systems(max_n=3, max_m=3, kinds=("stable", "unstable", "complex")),
        st.integers(2, 6),
        st.floats(-2.0, 4.0),
    )
    def test_energy_is_never_below_the_suggested_law(
        self, system: LinearSystem, horizon: int, exponent: float
    ) -> None:
        assert state_noise_law(system, horizon, (0.05, 0.05 * 10.0**exponent), 0.5).holds

    def test_the_suggested_law_is_the_limit(self) -> None:
        system = LinearSystem([[0.9, 1.0], [0.0, 0.5]], [[0.0], [1.0]])
        near, far = (state_noise_law(system, 5, (0.05, 0.05 * ratio), 0.5) for ratio in (1e8, 1.0))
        assert near.quantities["wasserstein2"] < 1e-3 < 0.1 < far.quantities["wasserstein2"]
        assert near.computed == pytest.approx(near.bound, rel=1e-6)

    def test_flat_directions_are_counted(self) -> None:
        assert state_noise_law(SCALAR, 5, 0.05, 0.5).quantities["diffusing_directions"] == 4.0
