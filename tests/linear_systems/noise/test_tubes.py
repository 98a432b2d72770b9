"""Laws of noisy updates: tubes (Theorem 7), rollouts (Theorem 9) and the joint iteration.

Monte Carlo tests are seeded and two-sided at LEVEL each, so a correct implementation fails none of them in practice.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from flint import arb_mat, ctx
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg import solve_discrete_lyapunov
from system_strategies import KINDS, Kind, horizons, random_system, systems, time_varying_systems

from linear_systems import noise, stop_gradient
from linear_systems.errors import (
    FloatOverflowError,
    HorizonError,
    ParameterError,
    ShapeError,
    StepSizeError,
    UnstableSystemError,
)
from linear_systems.examples.random_systems import random_time_varying_system
from linear_systems.rounding import rounding_allowance
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem

ONE = np.ones((1, 1))
LEVEL = 1e-6

contracting = st.floats(1e-6, 1 - 1e-6)


def assert_variance(samples: NDArray[np.float64], variance: float) -> None:
    """Centred normal samples have the given variance: two-sided χ² test, and Kolmogorov-Smirnov for the shape."""
    tail = stats.chi2(samples.size).cdf(np.sum(samples**2) / variance)
    assert LEVEL / 2 < tail < 1 - LEVEL / 2
    assert stats.kstest(samples / np.sqrt(variance), "norm").pvalue > LEVEL


class TestTube:
    @given(contracting, st.just(0.0) | st.floats(1e-100, 1e100))
    def test_variance_solves_its_lyapunov_equation(self, eta: float, sigma: float) -> None:
        """v = (1 − 2η)² v + σ², in exact arithmetic up to the rounding of v."""
        v, r = Fraction(noise.tube_variance(eta, sigma)), 1 - 2 * Fraction(eta)
        assert abs(v * (1 - r * r) - Fraction(sigma) ** 2) <= rounding_allowance(sigma**2, 1)

    @given(st.floats(1e-3, 1.5), st.floats(0.1, 3.0), st.integers(0, 60))
    def test_variances_follow_the_recursion_at_every_step_size(
        self, eta: float, sigma: float, iterations: int
    ) -> None:
        r, exact = (1 - 2 * Fraction(eta)) ** 2, [Fraction(0)]
        for _ in range(iterations):
            exact.append(r * exact[-1] + Fraction(sigma) ** 2)
        found = noise.tube_variances(eta, sigma, iterations)
        for value, expected in zip(found, exact, strict=True):
            # log r enters with a factor k.
            assert abs(Fraction(float(value)) - expected) <= rounding_allowance(
                float(expected), iterations + 1
            )

    def test_variances_converge_exactly_when_the_step_is_in_the_open_unit_interval(self) -> None:
        assert noise.tube_variances(0.25, 1.0, 200)[-1] == pytest.approx(noise.tube_variance(0.25, 1.0))
        assert noise.tube_variances(0.5, 2.0, 3).tolist() == [0.0, 4.0, 4.0, 4.0]
        assert noise.tube_variances(1.0, 2.0, 3).tolist() == [0.0, 4.0, 8.0, 12.0]
        assert noise.tube_variances(1.01, 1.0, 500)[-1] > 1e6
        with pytest.raises(FloatOverflowError, match="η_s"):
            noise.tube_variances(2.0, 1.0, 400)

    @given(st.floats(0.01, 1.2), st.integers(0, 2**32 - 1), st.integers(0, 30), st.integers(1, 3))
    def test_means_follow_a_moving_centre(self, eta: float, seed: int, count: int, n: int) -> None:
        rng = np.random.default_rng(seed)
        start, centers = rng.standard_normal(n), rng.standard_normal((count, n))
        means = noise.tube_means(eta, start, centers)
        r = 1 - 2 * eta
        powers = r ** np.arange(count)[::-1][:, None] if count else np.zeros((0, 1))
        closed = r**count * start + 2 * eta * np.sum(powers * centers, axis=0)
        scale = max(1.0, abs(r) ** count) * 10.0
        assert abs(means[-1] - closed).max() <= rounding_allowance(scale, count + 1)
        assert means.shape == (count + 1, n)

    @pytest.mark.parametrize("eta", [0.05, 0.5, 0.9])
    def test_law_after_k_steps_by_simulation(self, eta: float) -> None:
        rng, sigma, k = np.random.default_rng(0), 0.3, 12
        state = np.full(20_000, 2.0)
        for _ in range(k):
            state += -2 * eta * (state - 0.5) + sigma * rng.standard_normal(state.size)
        mean = noise.tube_means(eta, [2.0], np.full((k, 1), 0.5))[-1, 0]
        variance = noise.tube_variances(eta, sigma, k)[-1]
        assert_variance(state - mean, variance)
        with pytest.raises(AssertionError):
            assert_variance(state - mean, variance * 1.1)

    @given(contracting, st.floats(1e-12, 2.0))
    def test_mixing_time_is_the_first(self, eta: float, tolerance: float) -> None:
        k = noise.mixing_time(eta, tolerance)
        r = abs(1 - 2 * Fraction(eta))
        if k <= 500:
            assert r**k <= Fraction(tolerance)
            assert k == 0 or r ** (k - 1) > Fraction(tolerance)
        else:
            assert k == pytest.approx(np.log(tolerance) / np.log(float(r)), rel=1e-9, abs=1.0)

    def test_mixing_time_at_equality(self) -> None:
        assert noise.mixing_time(0.25, 2.0**-10) == 10
        assert noise.mixing_time(0.25, float(np.nextafter(2.0**-10, 0))) == 11
        assert noise.mixing_time(0.75, 2.0**-1074) == 1074
        assert noise.mixing_time(0.5, 1e-300) == 1
        assert noise.mixing_time(1e-17, 0.5) == pytest.approx(np.log(2) / 2e-17, rel=1e-12)

    def test_continuous_time_is_the_limit_of_short_steps(self) -> None:
        """η = λ dτ/2 and noise σ √dτ give σ²/(2λ) up to a relative λ dτ/2."""
        rate, sigma = 3.0, 0.7
        for dt in (1e-2, 1e-4):
            discrete = noise.tube_variance(rate * dt / 2, sigma * np.sqrt(dt))
            relative = discrete / noise.continuous_tube_variance(rate, sigma) - 1
            assert relative == pytest.approx(rate * dt / 2, rel=0.02)

    @pytest.mark.parametrize("eta", [1.0, 1.5, 0.0, -0.1, float("nan")])
    def test_no_stationary_law_outside_the_interval(self, eta: float) -> None:
        for call in (lambda: noise.tube_variance(eta, 1.0), lambda: noise.mixing_time(eta, 0.1)):
            with pytest.raises(StepSizeError):
                call()

    def test_bad_input(self) -> None:
        for bad in (-1.0, float("nan"), float("inf")):
            with pytest.raises(ParameterError, match="sigma"):
                noise.tube_variance(0.1, bad)
        with pytest.raises(ParameterError, match="tolerance"):
            noise.mixing_time(0.1, 0.0)
        with pytest.raises(ParameterError, match="rate"):
            noise.continuous_tube_variance(0.0, 1.0)
        with pytest.raises(ParameterError, match="iterations"):
            noise.tube_variances(0.1, 1.0, -1)
        with pytest.raises(ShapeError, match="start"):
            noise.tube_means(0.1, [1.0], np.ones((3, 2)))
        with pytest.raises(FloatOverflowError):
            noise.tube_means(3.0, [1.0], np.zeros((500, 1)))


class TestRollout:
    @given(time_varying_systems(max_n=4, max_m=2, max_length=10), st.floats(0.1, 3.0))
    def test_recursion_against_the_sum_of_propagated_noises(
        self, system: TimeVaryingLinearSystem, sigma: float
    ) -> None:
        horizon = system.length or 1
        covariances = noise.rollout_covariances(system, horizon, sigma)
        n = system.state_dim
        assert not covariances[0].any()
        for t in (1, horizon):
            expected, transition, condition = np.zeros((n, n)), np.eye(n), 1.0
            for s in range(t - 1, -1, -1):
                expected += sigma**2 * transition @ transition.T
                transition = transition @ system.A[s]
                condition = max(condition, float(np.prod([np.linalg.norm(a, 2) for a in system.A[s:t]])) ** 2)
            assert abs(covariances[t] - expected).max() <= rounding_allowance(sigma**2 * condition, t * n)

    @given(systems(max_n=4), horizons(30), st.floats(0.1, 3.0))
    def test_doubling_agrees_with_the_recursion(
        self, system: LinearSystem, horizon: int, sigma: float
    ) -> None:
        last = noise.rollout_covariances(system, horizon, sigma)[-1]
        alone = noise.rollout_covariance(system, horizon, sigma)
        scale = float(abs(last).max())
        assert abs(last - alone).max() <= rounding_allowance(scale, system.state_dim)
        spread = noise.log_rollout_spread(system, horizon, sigma)
        assert spread == pytest.approx(np.log(np.linalg.eigvalsh(last)[-1]), abs=1e-11)

    def test_time_varying_alone(self) -> None:
        system = random_time_varying_system(np.random.default_rng(0), 3, 1, 6)
        last = noise.rollout_covariances(system, 4, 0.5)[-1]
        allowance = rounding_allowance(float(abs(last).max()), 3)
        assert abs(noise.rollout_covariance(system, 4, 0.5) - last).max() <= allowance

    @given(systems(max_n=5, kinds=("stable", "non_normal", "rank_deficient")), st.floats(0.1, 3.0))
    def test_limit_solves_the_lyapunov_equation(self, system: LinearSystem, sigma: float) -> None:
        limit = noise.rollout_covariance_limit(system, sigma)
        residual = system.A @ limit @ system.A.T + sigma**2 * np.eye(system.state_dim) - limit
        norm = 1 + np.linalg.norm(system.A, 2) ** 2
        allowance = rounding_allowance(float(abs(limit).max()) * norm, system.state_dim)
        assert abs(residual).max() <= allowance
        assert np.linalg.eigvalsh(limit)[0] >= -allowance

    def test_limit_against_scipy_and_long_rollouts(self) -> None:
        system = random_system(np.random.default_rng(1), 4, 1, "stable")
        limit = noise.rollout_covariance_limit(system, 0.7)
        assert np.allclose(limit, solve_discrete_lyapunov(system.A, 0.49 * np.eye(4)), rtol=1e-11, atol=0)
        assert np.allclose(limit, noise.rollout_covariance(system, 2000, 0.7), rtol=1e-12, atol=0)

    def test_slowly_decaying_and_extreme_limits(self) -> None:
        near = 1 - 2.0**-40
        limit = noise.rollout_covariance_limit(LinearSystem(near * ONE, ONE), 1.0)[0, 0]
        assert limit == pytest.approx(float(1 / (1 - Fraction(near) ** 2)), rel=1e-14)
        assert noise.rollout_covariance_limit(LinearSystem(0 * ONE, ONE), 2.0)[0, 0] == 4.0

    @pytest.mark.parametrize(
        "A",
        [
            ONE,
            -ONE,
            np.array([[1.0, 1.0], [0.0, 1.0]]),
            np.array([[0.6, -0.8], [0.8, 0.6]]) * 1.001,
            np.diag([0.5, 1.5]),
        ],
    )
    def test_no_limit_without_stability(self, A: NDArray[np.float64]) -> None:
        with pytest.raises(UnstableSystemError, match="spectral radius"):
            noise.rollout_covariance_limit(LinearSystem(A, np.ones((len(A), 1))), 1.0)

    def test_spread_grows_like_the_square_of_the_unstable_mode(self) -> None:
        system = random_system(np.random.default_rng(3), 3, 1, "unstable")
        rho = abs(np.linalg.eigvals(system.A)).max()
        long, longer = (noise.log_rollout_spread(system, T, 0.1) for T in (10_000, 20_000))
        assert long > 710  # beyond float64
        assert (longer - long) / 10_000 == pytest.approx(2 * np.log(rho), rel=1e-9)
        for call in (noise.rollout_covariance, noise.rollout_covariances):
            with pytest.raises(FloatOverflowError, match="log_rollout_spread"):
                call(system, 10_000, 0.1)

    def test_simulation(self) -> None:
        rng = np.random.default_rng(4)
        system, horizon, sigma = random_system(rng, 2, 1, "complex"), 7, 0.4
        states = np.zeros((20_000, 2))
        for _ in range(horizon):
            states = states @ system.A.T + sigma * rng.standard_normal(states.shape)
        covariance = noise.rollout_covariance(system, horizon, sigma)
        for direction in ([1.0, 0.0], [0.6, -0.8]):
            v = np.array(direction)
            assert_variance(states @ v, v @ covariance @ v)

    def test_bad_input(self) -> None:
        system = LinearSystem(0.5 * ONE, ONE)
        varying = TimeVaryingLinearSystem(np.ones((2, 1, 1)), np.ones((2, 1, 1)))
        calls: list[Callable[..., object]] = [
            noise.rollout_covariance,
            noise.rollout_covariances,
            noise.log_rollout_spread,
        ]
        for call in calls:
            with pytest.raises(HorizonError):
                call(system, 0, 1.0)
            with pytest.raises(HorizonError):
                call(varying, 3, 1.0)
            with pytest.raises(ParameterError, match="sigma"):
                call(system, 2, -1.0)
        with pytest.raises(ParameterError, match="time-varying"):
            noise.rollout_covariance_limit(varying, 1.0)


class TestJointIteration:
    @given(st.data())
    @settings(max_examples=20)
    def test_it_solves_the_lyapunov_equation(self, data: st.DataObject) -> None:
        if data.draw(st.booleans()):
            system = data.draw(systems(max_n=3, max_m=3, full_column_rank=True))
            horizon = data.draw(horizons(6))
        else:
            system = data.draw(time_varying_systems(max_n=3, max_m=3, max_length=6, full_column_rank=True))
            horizon = system.length or 1
        beta = np.linspace(0.5, 2.0, horizon)
        ratio, share = data.draw(st.floats(0.1, 10.0)), data.draw(st.floats(0.05, 0.95))
        eta = share * min(stop_gradient.step_size_limit(system, b, ratio) for b in beta[[0, -1]])
        pair, sigma = (eta, ratio * eta), 0.6
        X = noise.joint_stationary_covariance(system, horizon, beta, pair, sigma)
        J = stop_gradient.update_matrix(system, horizon, beta, pair).toarray()
        Q = np.diag(np.tile(np.repeat((sigma**2, 0.0), (system.state_dim, system.action_dim)), horizon))
        allowance = rounding_allowance(
            abs(X).max() * (1 + np.linalg.norm(J, 2) ** 2), len(X), 1 + ratio + 1 / ratio
        )
        assert abs(J @ X @ J.T + Q - X).max() <= allowance
        assert np.array_equal(X, X.T)
        logs = noise.log_joint_stationary_variances(system, horizon, beta, pair, sigma).ravel()
        assert abs(np.exp(logs) - np.diag(X)).max() <= allowance

    @pytest.mark.parametrize("kind", KINDS[:5])
    @pytest.mark.parametrize("share", [0.2, 0.9])
    def test_error_against_high_precision(self, kind: Kind, share: float) -> None:
        """Σ_k J^k Q J^kᵀ by doubling in 600-bit balls: an independent route, whose rounding does not matter.

        J and Q are those of float64; J's own rounding is part of the allowance.
        """
        system = LinearSystem(random_system(np.random.default_rng(9), 2, 1, kind).A, np.array([[1.0], [0.3]]))
        horizon, eta = 12, share * stop_gradient.step_size_limit(system, 1.0)
        J = stop_gradient.update_matrix(system, horizon, 1.0, eta)
        with ctx.workprec(600):
            power = arb_mat(J.toarray().tolist())
            total = arb_mat(np.diag(np.tile([1.0, 1.0, 0.0], horizon)).tolist())
            for _ in range(20):
                total += power * total * power.transpose()
                power = power * power
            expected = np.array([[float(x) for x in row] for row in total.tolist()])
        X = noise.joint_stationary_covariance(system, horizon, 1.0, eta, 1.0)
        slowest = 1 - stop_gradient.spectral_radius(system, horizon, 1.0, eta)
        allowance = rounding_allowance(float(abs(expected).max()), 3 * horizon, 1 / slowest)
        assert abs(X - expected).max() <= allowance

    def test_uniform_step_sizes_keep_the_tube_and_the_fast_rate_does_not(self) -> None:
        """Theorem 7 says 1.06 for the standard deviation at η = 1/3, whatever T; here nothing is frozen."""
        example = LinearSystem(0.8 * ONE, ONE)
        logs = {
            pair: 0.5 * noise.log_joint_stationary_variances(example, 80, 1.0, pair, 1.0)[:, 0]
            for pair in (1 / 3, (0.05, 0.3))
        }
        assert np.log10(np.e) * logs[1 / 3][-1] == pytest.approx(29.24, abs=0.01)
        uniform = np.exp(logs[(0.05, 0.3)])
        assert uniform[-1] == pytest.approx(3.1427, abs=1e-4)
        assert uniform.max() - uniform[5] < 1e-6

    def test_beyond_float64(self) -> None:
        wild = LinearSystem(1e6 * ONE, ONE)
        logs = noise.log_joint_stationary_variances(wild, 60, 1.0, 1 / 3, 1.0)
        steps = np.diff(logs[:, 0])
        assert logs[-1, 0] > 800
        assert steps.min() == pytest.approx(2 * np.log(1e6), rel=0.2)
        with pytest.raises(FloatOverflowError, match="log_joint"):
            noise.joint_stationary_covariance(wild, 60, 1.0, 1 / 3, 1.0)

    def test_frozen_actions_and_predictions_give_the_tube(self) -> None:
        """With T = 1 the prediction moves with the action alone, and stops moving as η_a → 0."""
        example = LinearSystem(0.8 * ONE, ONE)
        for eta_a, slack in ((1e-3, 1e-2), (1e-6, 1e-5)):
            X = noise.joint_stationary_covariance(example, 1, 1.0, (0.2, eta_a), 0.5)
            assert X[0, 0] == pytest.approx(noise.tube_variance(0.2, 0.5), rel=slack)

    def test_simulation(self) -> None:
        rng, horizon, pair, sigma = np.random.default_rng(6), 3, (0.2, 0.1), 0.5
        system = LinearSystem(np.array([[0.5, 1.0], [0.0, -0.7]]), np.array([[0.4], [1.0]]))
        J = stop_gradient.update_matrix(system, horizon, 1.0, pair).toarray()
        z = np.zeros((20_000, 9))
        for _ in range(400):
            z = z @ J.T + sigma * rng.standard_normal(z.shape) * np.tile([1.0, 1.0, 0.0], horizon)
        assert stop_gradient.spectral_radius(system, horizon, 1.0, pair) ** 400 < 1e-9
        X = noise.joint_stationary_covariance(system, horizon, 1.0, pair, sigma)
        for v in (np.eye(9)[6], np.eye(9)[8], rng.standard_normal(9)):
            assert_variance(z @ v, v @ X @ v)

    def test_no_stationary_law(self) -> None:
        example = LinearSystem(0.8 * ONE, ONE)
        limit = stop_gradient.step_size_limit(example, 1.0)
        wide = random_system(np.random.default_rng(0), 2, 3, "stable")
        for system, beta, eta in ((example, 1.0, 1.001 * limit), (example, 0.0, 0.1), (wide, 1.0, 0.01)):
            with pytest.raises(UnstableSystemError, match="contraction"):
                noise.joint_stationary_covariance(system, 3, beta, eta, 1.0)
        with pytest.raises(ParameterError, match="sigma"):
            noise.log_joint_stationary_variances(example, 3, 1.0, 0.1, 0.0)
        assert not noise.joint_stationary_covariance(example, 3, 1.0, 0.1, 0.0).any()
