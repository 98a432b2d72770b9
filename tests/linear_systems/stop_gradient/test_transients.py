"""Norms of powers of J, first times below a tolerance, and rates that do not depend on the horizon."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from flint import fmpq, fmpq_mat
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq
from system_strategies import KINDS, Kind, random_system, systems, time_varying_systems

from linear_systems import stop_gradient
from linear_systems.errors import (
    FloatOverflowError,
    HorizonError,
    ParameterError,
    PrecisionLossError,
    ShapeError,
    StepSizeError,
    UndecidedError,
)
from linear_systems.examples.random_systems import random_time_varying_system
from linear_systems.rounding import rounding_allowance
from linear_systems.stop_gradient.level_sets import _crossings, largest_spectral_radius, spectral_radii
from linear_systems.system import AnySystem, LinearSystem, TimeVaryingLinearSystem

ONE = np.ones((1, 1))
EXAMPLE = LinearSystem(0.8 * ONE, ONE)
FAST_RATE, UNIFORM = 1 / 3, (0.05, 0.3)
"""Step sizes of the example: the best for ρ(J), and one whose growth does not depend on the horizon."""
NORM_ACCURACY = 1e-10
"""What log_transient_growth promises."""

step_size_pairs = st.tuples(st.floats(0.01, 0.5), st.floats(0.01, 0.5))


def exact_matrix(system: AnySystem, horizon: int, beta: float, pair: tuple[float, float]) -> fmpq_mat:
    """J in rational arithmetic, column by column from the update rules (80)-(81) as they are printed."""
    n, m = system.state_dim, system.action_dim
    A, B = (
        [[[Fraction(x) for x in row] for row in step] for step in matrices.tolist()]
        for matrices in system.matrices(horizon)
    )
    eta_s, eta_a = (Fraction(x) for x in pair)
    columns = []
    for index in range(horizon * (n + m)):
        z = [[Fraction(int(index == t * (n + m) + i)) for i in range(n + m)] for t in range(horizon)]
        column: list[Fraction] = []
        for t in range(horizon):
            before = z[t - 1][:n] if t else [Fraction(0)] * n
            s, a = z[t][:n], z[t][n:]
            ahead = [
                sum((A[t][i][j] * before[j] for j in range(n)), Fraction(0))
                + sum((B[t][i][j] * a[j] for j in range(m)), Fraction(0))
                for i in range(n)
            ]
            pull = [s[i] - ahead[i] - Fraction(beta) * ahead[i] for i in range(n)]
            column += [s[i] - 2 * eta_s * (s[i] - ahead[i]) for i in range(n)]
            column += [a[j] + 2 * eta_a * sum(B[t][i][j] * pull[i] for i in range(n)) for j in range(m)]
        columns.append([fmpq(x.numerator, x.denominator) for x in column])
    return fmpq_mat(columns).transpose()


def exact_log_norms(J: fmpq_mat, iterations: int) -> NDArray[np.float64]:
    """log ‖J^k‖ from exact powers, rounded once to float64 after scaling."""
    power = fmpq_mat([[fmpq(int(i == j)) for j in range(J.ncols())] for i in range(J.nrows())])
    logs = []
    for _ in range(iterations + 1):
        size = max(abs(x) for x in power.entries())
        floats = np.array([float(Fraction(int((x / size).p), int((x / size).q))) for x in power.entries()])
        norm = np.linalg.norm(floats.reshape(J.nrows(), -1), 2)
        log_size = _log(Fraction(int(size.p), int(size.q)))
        logs.append(np.log(norm) + log_size)
        power = power * J
    return np.array(logs)


def _log(x: Fraction) -> float:
    shift = x.numerator.bit_length() - x.denominator.bit_length()
    return float(np.log(float(x / Fraction(2) ** shift)) + shift * np.log(2.0))


class TestTransientGrowth:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("pair", [(0.05, 0.02), (0.4, 0.1)])
    def test_against_exact_powers(self, kind: Kind, pair: tuple[float, float]) -> None:
        system = random_system(np.random.default_rng(11), 2, 2, kind)
        expected = exact_log_norms(exact_matrix(system, 3, 1.5, pair), 20)
        logs = stop_gradient.log_transient_growth(system, 3, 1.5, pair, 20)
        assert abs(logs - expected).max() <= NORM_ACCURACY

    @given(time_varying_systems(max_n=2, max_m=2, max_length=3), step_size_pairs)
    @settings(max_examples=10)
    def test_time_varying_against_exact_powers(
        self, system: TimeVaryingLinearSystem, pair: tuple[float, float]
    ) -> None:
        horizon = system.length or 1
        expected = exact_log_norms(exact_matrix(system, horizon, 0.5, pair), 12)
        logs = stop_gradient.log_transient_growth(system, horizon, 0.5, pair, 12)
        assert abs(logs - expected).max() <= NORM_ACCURACY

    def test_varying_weights_are_a_time_varying_problem(self) -> None:
        system, beta = (
            random_system(np.random.default_rng(4), 3, 1, "complex"),
            np.array([0.2, 1.0, 3.0, 0.5]),
        )
        J = stop_gradient.update_matrix(system, 4, beta, 0.1).toarray()
        norms = stop_gradient.transient_growth(system, 4, beta, 0.1, 12)
        expected = [np.linalg.norm(np.linalg.matrix_power(J, k), 2) for k in range(13)]
        assert np.allclose(norms, expected, rtol=1e-9, atol=0)

    def test_long_horizons_use_the_toeplitz_structure(self) -> None:
        """Above the dense order the norm comes from Lanczos on a fast Fourier transform; below from all of J^k."""
        horizon = 120
        J = stop_gradient.update_matrix(EXAMPLE, horizon, 1.0, UNIFORM).toarray()
        norms = stop_gradient.transient_growth(EXAMPLE, horizon, 1.0, UNIFORM, 15)
        powers = [np.linalg.norm(np.linalg.matrix_power(J, k), 2) for k in range(16)]
        assert np.allclose(norms, powers, rtol=NORM_ACCURACY, atol=0)
        frozen = TimeVaryingLinearSystem(*EXAMPLE.matrices(horizon))
        varying = stop_gradient.transient_growth(frozen, horizon, 1.0, UNIFORM, 2)
        assert np.allclose(varying, norms[:3], rtol=NORM_ACCURACY, atol=0)

    @pytest.mark.parametrize(("a", "b", "eta"), [(0.9, 0.48, 0.078), (0.9, 0.48, 0.7), (1.3, 1.0, 0.1)])
    def test_norms_by_lanczos_are_those_of_the_dense_matrix(
        self, a: float, b: float, eta: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first case has top singular values that agree to nine digits at k = 4, where Lanczos gives up."""
        system = LinearSystem(a * ONE, b * ONE)
        logs = []
        for order in (0, 10**6):
            monkeypatch.setattr("linear_systems.stop_gradient.orbits.DENSE_ORDER", order)
            logs.append(stop_gradient.log_transient_growth(system, 50, 1.0, eta, 20))
        assert abs(logs[0] - logs[1]).max() <= NORM_ACCURACY

    def test_too_few_bits_are_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """16 bits are tried first and thrown away; with nothing beyond them the function refuses."""
        expected = stop_gradient.log_transient_growth(EXAMPLE, 10, 1.0, FAST_RATE, 30)
        start = np.random.default_rng(0).standard_normal(20)
        count = stop_gradient.iterations_to(EXAMPLE, 10, 1.0, FAST_RATE, start, 1e-3)
        monkeypatch.setattr("linear_systems.exact.balls.PRECISIONS", (16, 128))
        logs = stop_gradient.log_transient_growth(EXAMPLE, 10, 1.0, FAST_RATE, 30)
        assert abs(logs - expected).max() <= NORM_ACCURACY
        assert stop_gradient.iterations_to(EXAMPLE, 10, 1.0, FAST_RATE, start, 1e-3) == count
        monkeypatch.setattr("linear_systems.exact.balls.PRECISIONS", (16,))
        with pytest.raises(PrecisionLossError):
            stop_gradient.log_transient_growth(EXAMPLE, 10, 1.0, FAST_RATE, 30)

    def test_the_best_rate_has_an_enormous_constant(self) -> None:
        """ρ(J) = 0.745 and yet the error may grow by 28 orders of magnitude first, and more for longer horizons."""
        peaks = {
            T: stop_gradient.log_transient_growth(EXAMPLE, T, 1.0, FAST_RATE, 5 * T).max() / np.log(10)
            for T in (8, 16, 32)
        }
        assert peaks[16] > 4.5
        assert peaks[32] > 10.5
        # Exponential growth: every horizon step costs the same factor.
        assert abs((peaks[32] - peaks[16]) / 16 - (peaks[16] - peaks[8]) / 8) < 0.02

    @pytest.mark.slow
    def test_golden_peak(self) -> None:
        norms = stop_gradient.transient_growth(EXAMPLE, 80, 1.0, FAST_RATE, 600)
        assert norms.max() == pytest.approx(7.1655e28, rel=1e-4)

    @pytest.mark.parametrize(("a", "bound"), [(0.8, 1.8), (1.2, 2.2)])
    def test_uniform_step_sizes_have_a_small_constant_even_for_an_unstable_system(
        self, a: float, bound: float
    ) -> None:
        system = LinearSystem(a * ONE, ONE)
        growth = [stop_gradient.transient_growth(system, T, 1.0, UNIFORM, 60).max() for T in (10, 30, 60)]
        assert max(growth) < bound
        assert growth == sorted(growth)

    def test_beyond_float64(self) -> None:
        wild = LinearSystem(1e12 * ONE, ONE)
        logs = stop_gradient.log_transient_growth(wild, 40, 1.0, FAST_RATE, 60)
        assert logs.max() > 800
        with pytest.raises(FloatOverflowError, match="log_transient_growth"):
            stop_gradient.transient_growth(wild, 40, 1.0, FAST_RATE, 60)
        # Scaling A by c scales the block of lag d by c^d: at k = 30 >= T − 1 the highest lag decides.
        small = stop_gradient.log_transient_growth(LinearSystem(1e11 * ONE, ONE), 20, 1.0, FAST_RATE, 30)
        large = stop_gradient.log_transient_growth(wild, 20, 1.0, FAST_RATE, 30)
        assert large[30] - small[30] == pytest.approx(19 * np.log(10), rel=1e-10)

    @given(systems(max_n=2, max_m=2), st.integers(1, 6), step_size_pairs)
    @settings(max_examples=15)
    def test_norms_of_powers_are_submultiplicative_and_above_the_radius(
        self, system: LinearSystem, horizon: int, pair: tuple[float, float]
    ) -> None:
        logs = stop_gradient.log_transient_growth(system, horizon, 1.0, pair, 12)
        assert abs(logs[0]) <= NORM_ACCURACY
        for k in range(1, 13):
            for i in range(1, k):
                assert logs[k] <= logs[i] + logs[k - i] + 3 * NORM_ACCURACY
        radius = stop_gradient.spectral_radius(system, horizon, 1.0, pair)
        assert (logs >= np.arange(13) * np.log(radius) - 13 * NORM_ACCURACY).all()

    def test_finite_sections_approach_the_norm_of_the_symbol(self) -> None:
        """sup over T of ‖J_T^k‖ = max over |z| = 1 of ‖(D + zE)^k‖."""
        angles = np.linspace(0, np.pi, 721)
        symbols = [stop_gradient.symbol(EXAMPLE, 1.0, UNIFORM, np.exp(1j * w)) for w in angles]
        for k in (1, 5, 12):
            limit = max(np.linalg.norm(np.linalg.matrix_power(s, k), 2) for s in symbols)
            norms = [stop_gradient.transient_growth(EXAMPLE, T, 1.0, UNIFORM, k)[k] for T in (10, 40, 80)]
            assert norms == sorted(norms)
            assert norms[-1] <= limit * (1 + 1e-4)  # the grid misses the maximum by the square of its width
            assert norms[-1] >= limit * (1 - 1e-2)


class TestIterationsTo:
    @pytest.mark.parametrize("kind", ["stable", "unstable", "defective", "non_normal"])
    def test_against_exact_orbits(self, kind: Kind) -> None:
        rng = np.random.default_rng(7)
        system, horizon, pair = random_system(rng, 2, 1, kind), 3, (0.2, 0.05)
        start = rng.standard_normal(horizon * 3)
        J = exact_matrix(system, horizon, 1.0, pair)
        error = fmpq_mat([[fmpq(*float(x).as_integer_ratio())] for x in start])
        bound = fmpq(1, 4) * (error.transpose() * error)[0, 0]
        expected = 0
        while (error.transpose() * error)[0, 0] > bound:
            error, expected = J * error, expected + 1
        assert stop_gradient.iterations_to(system, horizon, 1.0, pair, start, 0.5) == expected

    def test_time_varying(self) -> None:
        rng = np.random.default_rng(8)
        system = random_time_varying_system(rng, 2, 1, 5, full_column_rank=True)
        beta, pair = rng.uniform(0.5, 2, 5), (0.1, 0.02)
        J = stop_gradient.update_matrix(system, 5, beta, pair).toarray()
        start = rng.standard_normal(15)
        errors = [np.linalg.norm(np.linalg.matrix_power(J, k) @ start) for k in range(400)]
        expected = int(np.argmax(np.array(errors) <= 1e-2 * errors[0]))
        assert expected > 0
        assert stop_gradient.iterations_to(system, 5, beta, pair, start, 1e-2) == expected

    def test_iterations_grow_with_the_horizon_only_at_the_fast_rate(self) -> None:
        counts = {}
        for pair in (FAST_RATE, UNIFORM):
            starts = {T: np.random.default_rng(0).standard_normal(2 * T) for T in (20, 40, 80)}
            counts[pair] = [
                stop_gradient.iterations_to(EXAMPLE, T, 1.0, pair, start, 1e-6) for T, start in starts.items()
            ]
        fast, uniform = counts[FAST_RATE], counts[UNIFORM]
        assert max(uniform) - min(uniform) <= 5
        assert (fast[2] - fast[1]) / (fast[1] - fast[0]) == pytest.approx(2.0, rel=0.02)

    def test_float64_iterates_of_the_fast_rate_never_arrive(self) -> None:
        """In exact arithmetic 1e-6 is reached at k = 452; in float64 the error stays of the order of 0.1."""
        horizon, rng = 40, np.random.default_rng(0)
        s_0, g = np.array([0.3]), np.array([1.0])
        target = stop_gradient.fixed_point(EXAMPLE, horizon, 1.0, s_0, g)
        start = rng.standard_normal(2 * horizon)
        exact = stop_gradient.iterations_to(EXAMPLE, horizon, 1.0, FAST_RATE, start - target, 1e-6)
        errors = {}
        for pair in (FAST_RATE, UNIFORM):
            z = start
            for _ in range(2 * exact):
                z = stop_gradient.update(EXAMPLE, horizon, 1.0, pair, s_0, g, z)
            errors[pair] = np.linalg.norm(z - target)
        assert errors[FAST_RATE] > 1e-3
        assert errors[UNIFORM] < 1e-12

    def test_scale_of_the_error_is_irrelevant(self) -> None:
        start = np.random.default_rng(1).standard_normal(20)
        counts = {
            stop_gradient.iterations_to(EXAMPLE, 10, 1.0, 0.1, scale * start, 1e-3)
            for scale in (2.0**-400, 1.0, 2.0**400)
        }
        assert len(counts) == 1

    def test_edges(self) -> None:
        start = np.ones(6)
        assert stop_gradient.iterations_to(EXAMPLE, 3, 1.0, 0.1, start, 1.0) == 0
        with pytest.raises(UndecidedError, match="max_iterations"):
            stop_gradient.iterations_to(EXAMPLE, 3, 1.0, 0.1, start, 1e-6, max_iterations=5)
        with pytest.raises(ParameterError, match="initial_error"):
            stop_gradient.iterations_to(EXAMPLE, 3, 1.0, 0.1, np.zeros(6), 0.5)
        with pytest.raises(ParameterError, match="tolerance"):
            stop_gradient.iterations_to(EXAMPLE, 3, 1.0, 0.1, start, 0.0)
        with pytest.raises(ParameterError, match="max_iterations"):
            stop_gradient.iterations_to(EXAMPLE, 3, 1.0, 0.1, start, 0.5, max_iterations=-1)
        with pytest.raises(ShapeError, match="initial_error"):
            stop_gradient.iterations_to(EXAMPLE, 3, 1.0, 0.1, np.ones(5), 0.5)


class TestUniformRate:
    def test_golden_values(self) -> None:
        unstable = LinearSystem(1.2 * ONE, ONE)
        assert stop_gradient.uniform_rate(EXAMPLE, 1.0, FAST_RATE) == pytest.approx(1.3437, abs=5e-5)
        assert stop_gradient.uniform_rate(EXAMPLE, 1.0, UNIFORM) == pytest.approx(0.95506, abs=5e-6)
        assert stop_gradient.uniform_rate(unstable, 1.0, UNIFORM) == pytest.approx(0.95641, abs=5e-6)

    @given(systems(max_n=4, max_m=4), st.floats(0.0, 5.0), step_size_pairs)
    @settings(max_examples=20)
    def test_it_is_the_maximum_over_the_circle(
        self, system: LinearSystem, beta: float, pair: tuple[float, float]
    ) -> None:
        """A dense grid never exceeds it, and comes close to it; eigenvalues of D + zE themselves are only
        good to eps^(1/2) where they are defective."""
        rate = stop_gradient.uniform_rate(system, beta, pair)
        angles = np.linspace(0, np.pi, 201)
        symbols = np.stack([stop_gradient.symbol(system, beta, pair, np.exp(1j * w)) for w in angles])
        grid = abs(np.linalg.eigvals(symbols)).max(axis=-1)
        scale = max(np.linalg.norm(symbols[0], 2), np.linalg.norm(symbols[-1], 2))
        blur = float(np.sqrt(rounding_allowance(1.0, len(symbols[0]))) * scale)
        assert grid.max() <= rate + blur
        assert rate <= grid.max() * (1 + 1e-2) + blur
        assert rate >= stop_gradient.spectral_radius(system, 1, beta, pair) - blur

    @given(systems(max_n=3, max_m=3, full_column_rank=True), st.floats(0.1, 3.0), step_size_pairs)
    def test_it_is_where_the_transfer_function_reaches_one(
        self, system: LinearSystem, beta: float, pair: tuple[float, float]
    ) -> None:
        """det(λ − D − zE) = 0 exactly where 1/z is an eigenvalue of A G(λ), G(λ) = P (λ − D)⁻¹ Q, E = Q A P:
        a second route, in n instead of n + m dimensions, along circles of λ instead of z."""
        rate = stop_gradient.uniform_rate(system, beta, pair)
        n = system.state_dim
        D = stop_gradient.symbol(system, beta, pair, 0).real
        Q = np.concatenate([2 * pair[0] * np.eye(n), -2 * pair[1] * (1 + beta) * system.B.T])
        circle = np.exp(1j * np.linspace(0, np.pi, 501))

        def gain(radius: float) -> float:
            resolvents = np.linalg.solve(
                radius * circle[:, None, None] * np.eye(len(D)) - D, Q.astype(complex)
            )
            return float(abs(np.linalg.eigvals(system.A @ resolvents[:, :n])).max())

        # The spectral radius of A G is subharmonic outside the spectrum of D, so there it falls with |λ|.
        assert gain(rate * (1 + 1e-4)) < 1
        inside = rate * (1 - 2e-3)
        if inside > abs(np.linalg.eigvals(D)).max():
            assert gain(inside) > 1

    def test_directions_that_never_move_have_rate_one(self) -> None:
        wide = random_system(np.random.default_rng(0), 1, 2, "stable")
        assert stop_gradient.uniform_rate(wide, 1.0, 0.01) == 1.0
        assert stop_gradient.uniform_rate(EXAMPLE, 0.0, 0.01) == 1.0
        assert stop_gradient.uniform_rate(LinearSystem(0 * ONE, 0 * ONE), 1.0, 0.5) == 1.0

    def test_crossings_of_a_level_are_all_found(self) -> None:
        rng = np.random.default_rng(2)
        D, E = rng.standard_normal((2, 5, 5))
        angles = np.linspace(0, np.pi, 4001)
        radii = spectral_radii(D, E, angles)
        level = 0.5 * (radii.min() + radii.max())
        found = _crossings(D, E, level)
        changes = np.flatnonzero(np.diff(np.sign(radii - level)))
        assert changes.size > 0
        for i in changes:
            root = brentq(
                lambda w: spectral_radii(D, E, np.array([w]))[0] - level, angles[i], angles[i + 1], xtol=1e-13
            )
            assert abs(found - root).min() < 1e-8

    def test_a_maximum_that_the_first_grid_misses_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With a first grid of two angles the level sets still find the peak in between."""
        rng = np.random.default_rng(3)
        D, E = rng.standard_normal((2, 4, 4))
        monkeypatch.setattr("linear_systems.stop_gradient.level_sets.FIRST_ANGLES", 2)
        monkeypatch.setattr(
            "linear_systems.stop_gradient.level_sets._climb", lambda D, E, w: spectral_radii(D, E, w).max()
        )
        best = spectral_radii(D, E, np.linspace(0, np.pi, 20001)).max()
        assert best > 1.01 * spectral_radii(D, E, np.array([0.0, np.pi])).max()
        assert largest_spectral_radius(D, E) == pytest.approx(best, rel=1e-7)

    def test_symbol_has_the_blocks_of_J(self) -> None:
        system = random_system(np.random.default_rng(5), 2, 1, "complex")
        J = stop_gradient.update_matrix(system, 3, 0.7, (0.1, 0.2)).toarray()
        z = 0.3 - 0.4j
        expected = J[3:6, 3:6] + z * J[3:6, :3]
        assert abs(stop_gradient.symbol(system, 0.7, (0.1, 0.2), z) - expected).max() == 0

    def test_only_for_toeplitz_matrices(self) -> None:
        varying = TimeVaryingLinearSystem(np.ones((2, 1, 1)), np.ones((2, 1, 1)))
        for call in (stop_gradient.uniform_rate, lambda *x: stop_gradient.symbol(*x, 1.0)):
            with pytest.raises(ParameterError, match="time-varying"):
                call(varying, 1.0, 0.1)
            with pytest.raises(ParameterError, match="beta"):
                call(EXAMPLE, -1.0, 0.1)
            with pytest.raises(StepSizeError):
                call(EXAMPLE, 1.0, -0.1)


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="iterations"):
        stop_gradient.transient_growth(EXAMPLE, 3, 1.0, 0.1, -1)
    with pytest.raises(HorizonError):
        stop_gradient.log_transient_growth(EXAMPLE, 0, 1.0, 0.1, 3)
    with pytest.raises(StepSizeError):
        stop_gradient.transient_growth(EXAMPLE, 3, 1.0, (0.0, 0.1), 3)
