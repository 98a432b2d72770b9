"""The state-noised Langevin flow of Appendix A.3 on linear dynamics, and the laws it is compared with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import expm, solve_continuous_lyapunov, sqrtm
from system_strategies import horizons, random_system, systems, time_varying_systems

from linear_systems import lifted, noise
from linear_systems.errors import (
    DTypeError,
    HorizonError,
    NonFiniteError,
    NotSymmetricError,
    ParameterError,
    ShapeError,
    StepSizeError,
)
from linear_systems.examples.random_systems import random_input_matrix
from linear_systems.rounding import rounding_allowance
from linear_systems.system import AnySystem, LinearSystem

Array = NDArray[np.float64]

step_size_pairs = st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0))


@st.composite
def problems(draw: st.DrawFn, max_horizon: int = 6) -> tuple[AnySystem, int]:
    """Draw a system, time-varying or not, B of any rank, and a horizon."""
    if draw(st.booleans()):
        kinds = ("stable", "unstable", "complex", "defective", "rank_deficient")
        return draw(systems(max_n=3, max_m=4, kinds=kinds)), draw(horizons(max_horizon))
    system = draw(time_varying_systems(max_n=3, max_m=4, max_length=max_horizon))
    return system, system.length or 1


def parts(system: AnySystem, horizon: int, pair: tuple[float, float]) -> tuple[Array, Array, Array]:
    """M, its state columns and the diagonal of N."""
    M = lifted.residual_matrix(system, horizon).toarray()
    states = system.state_dim * (horizon - 1)
    return M, M[:, :states], np.repeat(pair, (states, M.shape[1] - states))


class TestOrnsteinUhlenbeck:
    @given(problems(), step_size_pairs, st.floats(0.1, 2.0))
    def test_residual_covariance_solves_the_lyapunov_equation(
        self, problem: tuple[AnySystem, int], pair: tuple[float, float], sigma: float
    ) -> None:
        """K P + P K = (σ²/2) M_s M_sᵀ, and P vanishes on ker Mᵀ: together these have one solution."""
        system, horizon = problem
        M, M_s, steps = parts(system, horizon, pair)
        K = (M * steps) @ M.T
        law = noise.ornstein_uhlenbeck(system, horizon, pair, sigma)
        P = law.residual_covariance
        scale = float(np.linalg.norm(K, 2) * sigma**2 / pair[0])
        allowance = rounding_allowance(scale, len(K), max(pair) / min(pair))
        assert abs(K @ P + P @ K - 0.5 * sigma**2 * M_s @ M_s.T).max() <= allowance
        assert abs(P @ law.frozen_residuals).max(initial=0.0) <= rounding_allowance(
            sigma**2 / pair[0], len(K)
        )
        assert np.array_equal(P, P.T)
        assert np.linalg.eigvalsh(P)[0] >= -rounding_allowance(sigma**2 / pair[0], len(K))
        assert law.mean_energy == pytest.approx(np.trace(P))

    @given(problems(), step_size_pairs)
    def test_every_direction_is_accounted_for(
        self, problem: tuple[AnySystem, int], pair: tuple[float, float]
    ) -> None:
        system, horizon = problem
        M, M_s, steps = parts(system, horizon, pair)
        states, sigma = M_s.shape[1], 0.7
        law = noise.ornstein_uhlenbeck(system, horizon, pair, sigma)
        flat = np.hstack([law.diffusing_directions, law.conserved_directions])
        assert law.relaxation_rates.size + flat.shape[1] == M.shape[1]
        assert law.relaxation_rates.size + law.frozen_residuals.shape[1] == M.shape[0]
        allowance = rounding_allowance(1.0, sum(M.shape), max(pair) / min(pair))
        assert abs(M @ flat).max(initial=0.0) <= allowance * np.linalg.norm(M, 2)
        assert abs(M.T @ law.frozen_residuals).max(initial=0.0) <= allowance * np.linalg.norm(M, 2)
        metric = flat.T @ (flat / steps[:, None])
        assert abs(metric - np.eye(len(metric))).max(initial=0.0) <= allowance
        # vᵀN⁻¹z is driven by σ/η_s v_sᵀ dW alone.
        drive = (sigma / pair[0]) * law.diffusing_directions[:states]
        rates = drive.T @ drive
        assert abs(rates - np.diag(law.diffusion_rates)).max(initial=0.0) <= allowance * sigma**2 / pair[0]
        assert (np.diff(law.diffusion_rates) >= 0).all()
        assert (law.diffusion_rates > 0).all()
        # A null vector of M is known up to rounding over the least singular value that is not 0 (Wedin).
        spread = np.sqrt(law.relaxation_rates.max(initial=1.0) / law.relaxation_rates.min(initial=1.0))
        assert abs(law.conserved_directions[:states]).max(initial=0.0) <= allowance * spread
        _, B = system.matrices(horizon)
        kernel = horizon * system.action_dim - int(np.linalg.matrix_rank(B).sum())
        assert law.conserved_directions.shape[1] == kernel
        relaxing = np.linalg.eigvalsh(2 * (M * steps) @ M.T)[law.frozen_residuals.shape[1] :]
        assert (
            abs(law.relaxation_rates - relaxing).max(initial=0.0) <= allowance * np.linalg.norm(M, 2) ** 2 * 2
        )

    def test_against_scipy_where_M_has_full_row_rank(self) -> None:
        system, pair, sigma = random_system(np.random.default_rng(0), 3, 2, "complex"), (0.1, 0.4), 0.8
        M, M_s, steps = parts(system, 6, pair)
        K = (M * steps) @ M.T
        law = noise.ornstein_uhlenbeck(system, 6, pair, sigma)
        expected = solve_continuous_lyapunov(2 * K, sigma**2 * M_s @ M_s.T)
        assert law.frozen_residuals.size == 0
        assert np.allclose(law.residual_covariance, expected, rtol=0, atol=1e-11)

    def test_the_transient_covariance_converges_to_it(self) -> None:
        """P(τ) from the exact discretisation of the flow of z itself (Van Loan), not of w."""
        system, pair, sigma = random_system(np.random.default_rng(1), 2, 1, "stable"), (0.3, 0.2), 0.5
        M, M_s, steps = parts(system, 3, pair)
        law = noise.ornstein_uhlenbeck(system, 3, pair, sigma)
        drift = -2 * steps[:, None] * M.T @ M
        source = np.diag(np.where(np.arange(len(steps)) < M_s.shape[1], sigma**2, 0.0))
        time = 30.0 / law.relaxation_rates[0]
        size = len(steps)
        block = expm(0.01 * np.block([[-drift, source], [np.zeros((size, size)), drift.T]]))
        transition = block[size:, size:].T
        step = transition @ block[:size, size:]
        covariance, power = step, transition
        doublings = int(np.ceil(np.log2(time / 0.01)))
        for _ in range(doublings):
            covariance = covariance + power @ covariance @ power.T
            power = power @ power
        elapsed = 0.01 * 2**doublings
        scale = np.linalg.norm(covariance, 2) * np.linalg.norm(M, 2) ** 2
        allowance = rounding_allowance(float(scale), size * doublings)
        assert abs(M @ covariance @ M.T - law.residual_covariance).max() <= allowance
        # The flat coordinates have spread for the whole time.
        coordinates = law.diffusing_directions / steps[:, None]
        spread = np.diag(coordinates.T @ covariance @ coordinates)
        assert np.allclose(spread, law.diffusion_rates * elapsed, rtol=1e-8, atol=0)

    def test_a_frozen_residual(self) -> None:
        """The second state is out of reach: its residuals can be moved around in time but their sum cannot."""
        system = LinearSystem(np.diag([0.5, 1.0]), np.array([[1.0], [0.0]]))
        law = noise.ornstein_uhlenbeck(system, 3, 0.1, 1.0)
        assert law.frozen_residuals.shape == (6, 1)
        expected = np.array([0, 1, 0, 1, 0, 1]) / np.sqrt(3)
        assert abs(abs(law.frozen_residuals[:, 0]) - expected).max() <= rounding_allowance(1.0, 6)

    def test_one_step_has_no_noise(self) -> None:
        """At T = 1 there is no free state, so nothing is noised and nothing diffuses."""
        law = noise.ornstein_uhlenbeck(
            LinearSystem(np.eye(2), np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])), 1, 0.1, 1.0
        )
        assert not law.residual_covariance.any()
        assert law.diffusing_directions.shape == (3, 0)
        assert abs(abs(law.conserved_directions[:, 0]) - np.sqrt(0.1) * np.eye(3)[2]).max() <= 1e-15

    def test_long_horizon(self) -> None:
        system = random_system(np.random.default_rng(2), 4, 2, "unstable")
        law = noise.ornstein_uhlenbeck(system, 60, (0.1, 0.1), 1.0)
        assert law.relaxation_rates.size + law.frozen_residuals.shape[1] == 240


class TestSuggestedLaws:
    @pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 1), (3, 2), (2, 3)])
    def test_boltzmann_law_from_the_density_of_the_states(self, n: int, m: int) -> None:
        """s has precision Λ = 2β M_sᵀ Π M_s where the loss depends on it, and w = Π M_s s."""
        rng, horizon, beta = np.random.default_rng(5), 4, 0.7
        system = LinearSystem(random_system(rng, n, 1, "complex").A, random_input_matrix(rng, n, m))
        M, M_s, _ = parts(system, horizon, (1.0, 1.0))
        M_a = M[:, M_s.shape[1] :]
        reduced = M_s - M_a @ np.linalg.lstsq(M_a, M_s)[0]
        values, vectors = np.linalg.eigh(2 * beta * reduced.T @ reduced)
        seen = values > 1e-6
        spread = reduced @ vectors[:, seen]
        expected = (spread / values[seen]) @ spread.T
        found = noise.boltzmann_residual_covariance(system, horizon, beta)
        assert abs(found - expected).max() <= rounding_allowance(1 / beta, len(M), 1e6)
        assert abs(2 * beta * found @ found - found).max() <= rounding_allowance(1 / beta, len(M))
        assert np.trace(found) == pytest.approx((n * horizon - min(n, m) * horizon) / (2 * beta), abs=1e-12)

    @pytest.mark.parametrize("horizon", [1, 2, 5])
    def test_boltzmann_law_of_a_system_with_an_unreachable_mode(self, horizon: int) -> None:
        """The second mode is driven by nothing: the projection onto range(Π M_s) by the SVD's own rank."""
        system, beta = LinearSystem([[0.5, 0.0], [0.0, 0.8]], [[1.0], [0.0]]), 0.7
        M, M_s, _ = parts(system, horizon, (1.0, 1.0))
        M_a = M[:, M_s.shape[1] :]
        reduced = M_s - M_a @ np.linalg.pinv(M_a) @ M_s
        expected = reduced @ np.linalg.pinv(reduced) / (2 * beta)
        found = noise.boltzmann_residual_covariance(system, horizon, beta)
        assert abs(found - expected).max() <= rounding_allowance(1 / beta, len(M), 1e3)
        # Of the 2T residuals T are met by the actions, and one direction of the rest is frozen.
        assert np.trace(found) == pytest.approx((horizon - 1) / (2 * beta), abs=1e-12)

    @given(problems(), step_size_pairs, st.floats(0.2, 5.0))
    def test_gibbs_law_is_that_of_the_flow_with_both_variables_noised(
        self, problem: tuple[AnySystem, int], pair: tuple[float, float], beta: float
    ) -> None:
        """Noise covariance 2N/β: K P + P K = (1/β) K, whatever N."""
        system, horizon = problem
        M, _, steps = parts(system, horizon, pair)
        K = (M * steps) @ M.T
        P = noise.gibbs_residual_covariance(system, horizon, beta)
        allowance = rounding_allowance(float(np.linalg.norm(K, 2)) / beta, len(K))
        assert abs(K @ P + P @ K - K / beta).max() <= allowance
        left = np.linalg.svd(M)[0]
        assert np.trace(P) == pytest.approx(np.linalg.matrix_rank(M) / (2 * beta))
        assert abs(P).max() <= (1 + allowance) / (2 * beta) * abs(left @ left.T).max()

    def test_state_noise_alone_gives_neither_law(self) -> None:
        """At η_a = η_s the energy lies strictly between those of (57) and (56)."""
        system, horizon, sigma = random_system(np.random.default_rng(3), 3, 2, "stable"), 5, 1.0
        beta = noise.inverse_temperature(0.1, sigma)
        energy = noise.ornstein_uhlenbeck(system, horizon, 0.1, sigma).mean_energy
        low = np.trace(noise.boltzmann_residual_covariance(system, horizon, beta))
        high = np.trace(noise.gibbs_residual_covariance(system, horizon, beta))
        assert 1.05 * low < energy < 0.95 * high

    @pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 1), (3, 2), (2, 3)])
    def test_fast_actions_approach_the_boltzmann_law_at_a_known_rate(self, n: int, m: int) -> None:
        """W₂ falls like (η_s/η_a)^{1/2}; with slow actions it does not fall at all."""
        rng = np.random.default_rng(4)
        system = LinearSystem(random_system(rng, n, 1, "stable").A, random_input_matrix(rng, n, m))
        beta = noise.inverse_temperature(0.1, 1.0)
        limit = noise.boltzmann_residual_covariance(system, 5, beta)

        def distance(ratio: float) -> float:
            law = noise.ornstein_uhlenbeck(system, 5, (0.1, 0.1 * ratio), 1.0)
            return noise.wasserstein2(law.residual_covariance, limit)

        distances = [distance(10.0**k) for k in (4, 6, 8)]
        orders = np.log10(np.array(distances[:-1]) / distances[1:]) / 2
        assert abs(orders - 0.5).max() < 0.01
        assert distance(1e-4) > 0.5 * distance(1e-2) > 10 * distances[0]


class TestWasserstein:
    @given(st.integers(1, 5), st.integers(0, 2**32 - 1))
    @settings(max_examples=25)
    def test_against_the_trace_formula(self, n: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        P, Q = (x @ x.T + 0.1 * np.eye(n) for x in rng.standard_normal((2, n, n)))
        P, Q = (P + P.T) / 2, (Q + Q.T) / 2
        root = sqrtm(P)
        squared = np.trace(P + Q - 2 * sqrtm(root @ Q @ root)).real
        found = noise.wasserstein2(P, Q)
        assert found**2 == pytest.approx(squared, rel=1e-9, abs=1e-10)
        assert noise.wasserstein2(Q, P) == pytest.approx(found, rel=1e-9)

    def test_commuting_and_close_covariances(self) -> None:
        first, second = np.array([4.0, 1.0, 0.0]), np.array([1.0, 1.0, 9.0])
        assert noise.wasserstein2(np.diag(first), np.diag(second)) == pytest.approx(np.sqrt(10))
        close = noise.wasserstein2(np.eye(2), np.diag([1 + 1e-12, 1.0]))
        assert close == pytest.approx(5e-13, rel=1e-3)
        assert noise.wasserstein2(np.eye(3), np.eye(3)) == 0.0

    def test_bad_input(self) -> None:
        good = np.eye(2)
        for error, bad in (
            (NotSymmetricError, np.array([[1.0, 1e-16], [0.0, 1.0]])),
            (ParameterError, np.diag([1.0, -1e-3])),
            (ShapeError, np.ones((2, 3))),
            (ShapeError, np.ones(2)),
            (NonFiniteError, np.diag([1.0, np.nan])),
            (DTypeError, np.eye(2, dtype=int)),
        ):
            for pair in ((bad, good), (good, bad)):
                with pytest.raises(error):
                    noise.wasserstein2(*pair)
        with pytest.raises(ShapeError, match="equal dimensions"):
            noise.wasserstein2(good, np.eye(3))


def test_bad_input() -> None:
    system = LinearSystem(np.eye(2), np.ones((2, 1)))
    with pytest.raises(HorizonError):
        noise.ornstein_uhlenbeck(system, 0, 0.1, 1.0)
    with pytest.raises(StepSizeError):
        noise.ornstein_uhlenbeck(system, 3, (0.1, 0.0), 1.0)
    with pytest.raises(ParameterError, match="sigma"):
        noise.ornstein_uhlenbeck(system, 3, 0.1, -1.0)
    with pytest.raises(ParameterError, match="sigma"):
        noise.inverse_temperature(0.1, 0.0)
    for law in (noise.boltzmann_residual_covariance, noise.gibbs_residual_covariance):
        with pytest.raises(ParameterError, match="inverse_temperature"):
            law(system, 3, 0.0)
        with pytest.raises(HorizonError):
            law(system, 0, 1.0)
