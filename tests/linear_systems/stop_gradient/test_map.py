"""The stop-gradient iteration: its matrices, spectrum, step sizes and fixed point (Theorem 6)."""

from __future__ import annotations

import numpy as np
import pytest
from flint import fmpq, fmpq_mat
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import eye_array
from scipy.sparse.linalg import spsolve
from system_strategies import horizons, random_system, systems, time_varying_systems

from linear_systems import stop_gradient
from linear_systems.errors import (
    DTypeError,
    FloatOverflowError,
    HorizonError,
    NonFiniteError,
    ParameterError,
    RankError,
    ShapeError,
    StepSizeError,
)
from linear_systems.rounding import rounding_allowance
from linear_systems.system import AnySystem, LinearSystem, TimeVaryingLinearSystem

ONE = np.ones((1, 1))
EXAMPLE = LinearSystem(0.8 * ONE, ONE)
"""The example in which the rate of Theorem 6 is best at η = 1/3, for β = 1."""

step_size_pairs = st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0))
weights = st.floats(0.05, 5.0)


@st.composite
def problems(draw: st.DrawFn, full_column_rank: bool = False, max_horizon: int = 8) -> tuple[AnySystem, int]:
    """Draw a system, time-varying or not, and a horizon."""
    if draw(st.booleans()):
        return draw(systems(max_n=4, max_m=5, full_column_rank=full_column_rank)), draw(horizons(max_horizon))
    system = draw(
        time_varying_systems(max_n=4, max_m=5, max_length=max_horizon, full_column_rank=full_column_rank)
    )
    return system, draw(st.integers(1, system.length or 1))


def varying_weights(rng: np.random.Generator, horizon: int) -> NDArray[np.float64]:
    return rng.uniform(0.1, 3.0, horizon)


def hessian_block(B: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """H_t as Eq. (83) writes it."""
    n = B.shape[0]
    return 2 * np.block([[np.eye(n), -B], [-B.T, (1 + beta) * B.T @ B]])


class TestMap:
    @given(problems(), step_size_pairs, st.integers(0, 2**32 - 1))
    def test_matrix_and_offset_are_those_of_the_update(
        self, problem: tuple[AnySystem, int], pair: tuple[float, float], seed: int
    ) -> None:
        system, horizon = problem
        rng = np.random.default_rng(seed)
        beta = varying_weights(rng, horizon)
        s_0, g = rng.standard_normal((2, system.state_dim))
        J = stop_gradient.update_matrix(system, horizon, beta, pair)
        c = stop_gradient.update_offset(system, horizon, beta, pair, s_0, g)
        zero = np.zeros(system.state_dim)
        columns = [
            stop_gradient.update(system, horizon, beta, pair, zero, zero, unit) for unit in np.eye(c.size)
        ]
        size = system.state_dim + system.action_dim
        scale = abs(J).max() * (1 + abs(system.A).max())
        assert abs(J.toarray() - np.array(columns).T).max() <= rounding_allowance(scale, size)
        origin = stop_gradient.update(system, horizon, beta, pair, s_0, g, np.zeros(c.size))
        assert abs(c - origin).max() <= rounding_allowance(scale * max(abs(s_0).max(), abs(g).max()), size)

    @given(problems(), step_size_pairs, st.integers(0, 2**32 - 1))
    def test_update_follows_the_gradient_with_the_stopped_state_held(
        self, problem: tuple[AnySystem, int], pair: tuple[float, float], seed: int
    ) -> None:
        """Central differences are exact for the quadratic (75); the copy of s_t under sg(·) is not moved."""
        system, horizon = problem
        rng = np.random.default_rng(seed)
        n, size = system.state_dim, system.state_dim + system.action_dim
        beta = varying_weights(rng, horizon)
        s_0, g = rng.standard_normal((2, n))
        z = rng.standard_normal(horizon * size)
        A, B = system.matrices(horizon)
        held = np.concatenate([s_0[None], stop_gradient.split(system, horizon, z)[0][:-1]])

        def loss(variables: NDArray[np.float64]) -> float:
            states, actions = stop_gradient.split(system, horizon, variables)
            ahead = np.einsum("tij,tj->ti", A, held) + np.einsum("tij,tj->ti", B, actions)
            return float(np.sum((states - ahead) ** 2) + np.sum(beta[:, None] * (g - ahead) ** 2))

        gradient = np.array([(loss(z + e) - loss(z - e)) / 2 for e in np.eye(z.size)])
        steps = np.tile(np.repeat(pair, (n, system.action_dim)), horizon)
        moved = stop_gradient.update(system, horizon, beta, pair, s_0, g, z)
        allowance = rounding_allowance(max(loss(z + e) for e in np.eye(z.size)), z.size)
        assert abs(moved - (z - steps * gradient)).max() <= allowance

    @given(problems())
    def test_matrix_is_block_lower_bidiagonal_with_the_blocks_of_eq_83(
        self, problem: tuple[AnySystem, int]
    ) -> None:
        system, horizon = problem
        beta, eta = 1.5, 0.125
        d = system.state_dim + system.action_dim
        J = stop_gradient.update_matrix(system, horizon, beta, eta).toarray()
        blocks = J.reshape(horizon, d, horizon, d).transpose(0, 2, 1, 3)
        _, B = system.matrices(horizon)
        for t in range(horizon):
            for s in range(horizon):
                if s == t:
                    expected = np.eye(d) - eta * hessian_block(B[t], beta)
                    assert abs(blocks[t, s] - expected).max() <= rounding_allowance(abs(expected).max(), d)
                elif s != t - 1:
                    assert not blocks[t, s].any()
                else:
                    # E_t reads states only: the previous action has no influence of its own.
                    assert not blocks[t, s][:, system.state_dim :].any()

    def test_constant_weights_given_singly_or_one_by_one_are_the_same(self) -> None:
        system = random_system(np.random.default_rng(0), 3, 2, "complex")
        one = stop_gradient.update_matrix(system, 5, 0.5, (0.1, 0.2))
        many = stop_gradient.update_matrix(system, 5, np.full(5, 0.5), (0.1, 0.2))
        frozen = TimeVaryingLinearSystem(np.stack([system.A] * 5), np.stack([system.B] * 5))
        varying = stop_gradient.update_matrix(frozen, 5, 0.5, (0.1, 0.2))
        assert (one != many).nnz == 0
        assert (one != varying).nnz == 0

    @given(problems(), st.integers(0, 2**32 - 1))
    def test_split_inverts_stack(self, problem: tuple[AnySystem, int], seed: int) -> None:
        system, horizon = problem
        z = np.random.default_rng(seed).standard_normal(horizon * (system.state_dim + system.action_dim))
        states, actions = stop_gradient.split(system, horizon, z)
        assert np.array_equal(stop_gradient.stack(states, actions), z)
        assert np.array_equal(states[0], z[: system.state_dim])


class TestSpectrum:
    @given(problems(), st.integers(0, 2**32 - 1))
    def test_closed_form_agrees_with_a_symmetric_eigensolver(
        self, problem: tuple[AnySystem, int], seed: int
    ) -> None:
        system, horizon = problem
        beta = varying_weights(np.random.default_rng(seed), horizon)
        values = stop_gradient.hessian_block_eigenvalues(system, horizon, beta)
        _, B = system.matrices(horizon)
        for t in range(horizon):
            expected = np.linalg.eigvalsh(hessian_block(B[t], float(beta[t])))
            allowance = rounding_allowance(expected[-1], expected.size)
            assert abs(values[t] - expected).max() <= allowance

    def test_two_on_the_complement_of_the_range_and_zero_on_the_kernel(self) -> None:
        tall = stop_gradient.hessian_block_eigenvalues(LinearSystem(np.eye(3), np.eye(3, 1)), 1, 1.0)
        wide = stop_gradient.hessian_block_eigenvalues(LinearSystem(np.eye(1), np.eye(1, 3)), 1, 1.0)
        pair = 3 + np.array([-1, 1]) * np.sqrt(5)
        assert np.allclose(tall[0], np.sort([2, 2, *pair]), rtol=1e-15, atol=0)
        assert np.allclose(wide[0], np.sort([0, 0, *pair]), rtol=1e-15, atol=0)

    @pytest.mark.parametrize("beta", [1e-14, 1e-8, 1.0, 1e8])
    @pytest.mark.parametrize("b", [1e-7, 0.3, 1.0, 1e6])
    def test_small_eigenvalue_keeps_its_digits(self, b: float, beta: float) -> None:
        """det H_t / 4 = β b², so the product of the two eigenvalues is known without cancellation."""
        small, large = stop_gradient.hessian_block_eigenvalues(LinearSystem(ONE, b * ONE), 1, beta)[0]
        half_trace = 1 + (fmpq(1) + _rational(beta)) * _rational(b) ** 2
        assert abs(small * large / (4 * beta * b**2) - 1) <= rounding_allowance(1.0, 1)
        assert abs((small + large) / float(2 * half_trace) - 1) <= rounding_allowance(1.0, 1)

    @given(problems(), step_size_pairs)
    def test_spectral_radius_agrees_with_a_dense_eigensolver_on_each_block(
        self, problem: tuple[AnySystem, int], pair: tuple[float, float]
    ) -> None:
        system, horizon = problem
        _, B = system.matrices(horizon)
        scale = np.diag(np.repeat(pair, B.shape[1:]))
        blocks = [np.eye(len(scale)) - scale @ hessian_block(b, 2.0) for b in B]
        expected = max(abs(np.linalg.eigvals(block)).max() for block in blocks)
        allowance = rounding_allowance(
            1 + max(np.linalg.norm(block, 2) for block in blocks),
            len(scale),
            np.sqrt(max(pair) / min(pair)),
        )
        assert abs(stop_gradient.spectral_radius(system, horizon, 2.0, pair) - expected) <= allowance

    @pytest.mark.parametrize("kind", ["stable", "unstable", "defective", "complex"])
    def test_spectral_radius_is_a_root_of_the_exact_characteristic_polynomial_of_J(self, kind: str) -> None:
        rng = np.random.default_rng(3)
        system, horizon, pair = random_system(rng, 2, 1, kind), 4, (0.2, 0.05)  # type: ignore[arg-type]
        J = stop_gradient.update_matrix(system, horizon, 1.5, pair).toarray()
        exact = fmpq_mat([[_rational(float(x)) for x in row] for row in J]).charpoly()
        roots = [complex(root) for root, _ in exact.complex_roots()]
        radius = stop_gradient.spectral_radius(system, horizon, 1.5, pair)
        # J itself is rounded: its diagonal blocks, which are similar to symmetric ones, by eps each.
        allowance = rounding_allowance(abs(J).max(), J.shape[0], np.sqrt(pair[0] / pair[1]))
        assert abs(max(abs(root) for root in roots) - radius) <= allowance

    def test_a_general_eigensolver_is_wrong_where_the_closed_form_is_right(self) -> None:
        J = stop_gradient.update_matrix(EXAMPLE, 80, 1.0, 1 / 3)
        assert abs(
            stop_gradient.spectral_radius(EXAMPLE, 80, 1.0, 1 / 3) - np.sqrt(5) / 3
        ) <= rounding_allowance(1.0, 2)
        assert abs(np.linalg.eigvals(J.toarray())).max() > 1.1

    def test_kernel_directions_never_move(self) -> None:
        system = random_system(np.random.default_rng(1), 2, 3, "stable")
        assert stop_gradient.spectral_radius(system, 4, 1.0, 0.01) == 1.0
        assert stop_gradient.spectral_radius(EXAMPLE, 4, 0.0, 0.01) == 1.0


class TestStepSizes:
    @given(problems(), step_size_pairs, st.integers(0, 2**32 - 1))
    def test_contraction_rate_bounds_the_spectral_radius(
        self, problem: tuple[AnySystem, int], pair: tuple[float, float], seed: int
    ) -> None:
        system, horizon = problem
        beta = varying_weights(np.random.default_rng(seed), horizon)
        rate = stop_gradient.contraction_rate(system, horizon, beta, pair)
        radius = stop_gradient.spectral_radius(system, horizon, beta, pair)
        slack = rounding_allowance(1 + rate, system.state_dim + system.action_dim)
        assert radius <= rate + slack
        if system.length is None:
            constant = stop_gradient.contraction_rate(system, horizon, 0.7, pair)
            assert abs(constant - stop_gradient.spectral_radius(system, horizon, 0.7, pair)) <= slack
            assert abs(rate - radius) <= slack

    @given(step_size_pairs)
    def test_eigenvalues_grow_with_the_singular_value_and_the_weight(self, pair: tuple[float, float]) -> None:
        """What makes μ and L of Eq. (85) sit at the corners."""
        b, beta = np.meshgrid(np.geomspace(1e-3, 1e3, 25), np.geomspace(1e-3, 1e3, 25), indexing="ij")
        varying = TimeVaryingLinearSystem(np.ones((b.size, 1, 1)), b.reshape(-1, 1, 1))
        values = stop_gradient.hessian_block_eigenvalues(varying, b.size, beta.ravel()).reshape(*b.shape, 2)
        for axis in (0, 1):
            ratios = np.diff(np.log(values), axis=axis)
            assert ratios.min() >= -rounding_allowance(1.0, 1)

    @given(problems(full_column_rank=True), weights, st.floats(0.05, 20.0))
    def test_the_limit_separates_contraction_from_divergence(
        self, problem: tuple[AnySystem, int], beta: float, ratio: float
    ) -> None:
        system, _ = problem
        horizon = system.length or 3
        limit = stop_gradient.step_size_limit(system, beta, ratio)

        def radius(eta: float) -> float:
            return stop_gradient.spectral_radius(system, horizon, beta, (eta, ratio * eta))

        assert radius(limit * (1 - 1e-9)) < 1 < radius(limit * (1 + 1e-9))

    @given(problems(full_column_rank=True), weights, st.floats(0.05, 20.0))
    def test_no_step_size_beats_the_best(
        self, problem: tuple[AnySystem, int], beta: float, ratio: float
    ) -> None:
        system, _ = problem
        horizon = system.length or 3
        limit = stop_gradient.step_size_limit(system, beta, ratio)
        best = stop_gradient.best_step_size(system, beta, ratio)

        def radius(eta: float) -> float:
            return stop_gradient.spectral_radius(system, horizon, beta, (eta, ratio * eta))

        found = minimize_scalar(radius, bounds=(0.0, limit), method="bounded", options={"xatol": 1e-9})
        assert radius(best) <= found.fun + rounding_allowance(1.0, 8)
        assert abs(radius(best) - found.fun) <= 1e-6

    def test_best_step_sizes_of_the_example(self) -> None:
        assert abs(stop_gradient.best_step_size(EXAMPLE, 1.0) - 1 / 3) <= rounding_allowance(1 / 3, 2)
        assert stop_gradient.step_size_limit(EXAMPLE, 1.0) == pytest.approx(2 / (3 + np.sqrt(5)), rel=1e-15)

    def test_varying_weights_limit_the_step_by_the_heaviest(self) -> None:
        both = stop_gradient.step_size_limit(EXAMPLE, [0.5, 2.0])
        assert both == stop_gradient.step_size_limit(EXAMPLE, 2.0)

    def test_no_best_step_size_without_uniqueness(self) -> None:
        wide = random_system(np.random.default_rng(0), 2, 3, "stable")
        with pytest.raises(RankError, match="full column rank"):
            stop_gradient.best_step_size(wide, 1.0)
        with pytest.raises(ParameterError, match="beta"):
            stop_gradient.best_step_size(EXAMPLE, 0.0)


class TestFixedPoint:
    @given(problems(full_column_rank=True), st.integers(0, 2**32 - 1))
    def test_it_is_fixed_and_the_greedy_rollout(self, problem: tuple[AnySystem, int], seed: int) -> None:
        system, horizon = problem
        rng = np.random.default_rng(seed)
        beta = varying_weights(rng, horizon)
        s_0, g = rng.standard_normal((2, system.state_dim))
        z = stop_gradient.fixed_point(system, horizon, beta, s_0, g)
        states, actions = stop_gradient.greedy_rollout(system, horizon, s_0, g)
        assert np.array_equal(states[0], s_0)
        # Singular values of B lie in [0.3, 3] and weights in [0.1, 3], so cond(K_t) <= 60; errors of a state
        # grow with the products of (I − B B⁺) A along the way.
        A, _ = system.matrices(horizon)
        growth = np.prod([max(1.0, np.linalg.norm(a, 2)) for a in A])
        size = horizon * (system.state_dim + system.action_dim)
        allowance = rounding_allowance(max(abs(z).max(), growth), size, 60.0 * growth)
        assert abs(z - stop_gradient.stack(states[1:], actions)).max() <= allowance
        J = stop_gradient.update_matrix(system, horizon, beta, 0.1)
        c = stop_gradient.update_offset(system, horizon, beta, 0.1, s_0, g)
        assert abs(J @ z + c - z).max() <= rounding_allowance(
            max(abs(z).max(), 1.0), size, 60.0 * abs(J).max()
        )

    def test_against_a_sparse_solve(self) -> None:
        rng = np.random.default_rng(5)
        system, horizon = random_system(rng, 3, 2, "complex"), 12
        beta, s_0, g = varying_weights(rng, horizon), rng.standard_normal(3), rng.standard_normal(3)
        J = stop_gradient.update_matrix(system, horizon, beta, (0.1, 0.3))
        c = stop_gradient.update_offset(system, horizon, beta, (0.1, 0.3), s_0, g)
        expected = spsolve((eye_array(c.size) - J).tocsc(), c)
        z = stop_gradient.fixed_point(system, horizon, beta, s_0, g)
        assert np.allclose(z, expected, rtol=1e-9, atol=1e-9 * abs(z).max())

    def test_it_is_not_the_rollout_of_other_actions(self) -> None:
        """The comparison above is not vacuous: actions that miss the greedy ones by 1e-6 are not fixed."""
        s_0, g = np.array([0.3]), np.array([1.0])
        _, actions = stop_gradient.greedy_rollout(EXAMPLE, 5, s_0, g)
        off = EXAMPLE.rollout(s_0, actions + 1e-6)[1:]
        z = stop_gradient.stack(off, actions + 1e-6)
        assert abs(stop_gradient.update(EXAMPLE, 5, 1.0, 0.1, s_0, g, z) - z).max() > 1e-8

    def test_without_full_column_rank_fixed_points_differ_and_the_rollout_takes_the_shortest(self) -> None:
        rng = np.random.default_rng(2)
        system, horizon = random_system(rng, 2, 3, "stable"), 4
        s_0, g = rng.standard_normal((2, 2))
        with pytest.raises(RankError, match="full column rank"):
            stop_gradient.fixed_point(system, horizon, 1.0, s_0, g)
        states, actions = stop_gradient.greedy_rollout(system, horizon, s_0, g)
        kernel = np.linalg.svd(system.B)[2][-1]
        assert abs(actions @ kernel).max() <= rounding_allowance(abs(actions).max(), 3)
        for shift in (0.0, 7.0):
            z = stop_gradient.stack(states[1:], actions + shift * kernel)
            moved = stop_gradient.update(system, horizon, 1.0, 0.1, s_0, g, z)
            assert abs(moved - z).max() <= rounding_allowance(10.0 * abs(z).max(), 8)

    def test_rank_is_required_of_every_step(self) -> None:
        B = np.stack([ONE, np.zeros((1, 1)), ONE])
        with pytest.raises(RankError, match="t = 1"):
            stop_gradient.fixed_point(TimeVaryingLinearSystem(np.stack([ONE] * 3), B), 3, 1.0, [1.0], [0.0])
        # A dependent column that floats cannot represent exactly is found, too.
        column = np.array([[0.1], [0.2], [0.7]])
        dependent = LinearSystem(np.eye(3), np.hstack([column, 3 * column]))
        with pytest.raises(RankError):
            stop_gradient.fixed_point(dependent, 2, 1.0, np.ones(3), np.zeros(3))

    def test_a_zero_weight_leaves_the_action_open(self) -> None:
        with pytest.raises(ParameterError, match="beta"):
            stop_gradient.fixed_point(EXAMPLE, 3, [1.0, 0.0, 1.0], [1.0], [0.0])

    def test_overflow_is_told(self) -> None:
        blind = LinearSystem(np.diag([1e100, 1.0]), np.eye(2, 1, k=-1))
        for call in (
            lambda: stop_gradient.fixed_point(blind, 9, 1.0, [1.0, 1.0], [0.0, 0.0]),
            lambda: stop_gradient.greedy_rollout(blind, 9, [1.0, 1.0], [0.0, 0.0]),
        ):
            with pytest.raises(FloatOverflowError, match="greedy rollout"):
                call()


class TestBadInput:
    @pytest.mark.parametrize(
        ("error", "arguments"),
        [
            (HorizonError, (EXAMPLE, 0, 1.0, 0.1)),
            (StepSizeError, (EXAMPLE, 3, 1.0, 0.0)),
            (StepSizeError, (EXAMPLE, 3, 1.0, (0.1, -0.1))),
            (StepSizeError, (EXAMPLE, 3, 1.0, (0.1, float("inf")))),
            (ParameterError, (EXAMPLE, 3, -1.0, 0.1)),
            (ParameterError, (EXAMPLE, 3, float("nan"), 0.1)),
            (ParameterError, (EXAMPLE, 3, [1.0, -1.0, 1.0], 0.1)),
            (ShapeError, (EXAMPLE, 3, [1.0, 1.0], 0.1)),
            (NonFiniteError, (EXAMPLE, 3, [1.0, np.nan, 1.0], 0.1)),
            (DTypeError, (EXAMPLE, 3, np.ones(3, dtype=complex), 0.1)),
            (HorizonError, (TimeVaryingLinearSystem(np.ones((2, 1, 1)), np.ones((2, 1, 1))), 3, 1.0, 0.1)),
        ],
    )
    def test_map_and_spectrum(
        self, error: type[Exception], arguments: tuple[AnySystem, int, float, float]
    ) -> None:
        for function in (
            stop_gradient.update_matrix,
            stop_gradient.spectral_radius,
            stop_gradient.contraction_rate,
        ):
            with pytest.raises(error):
                function(*arguments)

    def test_vectors(self) -> None:
        good = (EXAMPLE, 3, 1.0, 0.1, [1.0], [0.0])
        with pytest.raises(ShapeError, match="initial_state"):
            stop_gradient.update_offset(EXAMPLE, 3, 1.0, 0.1, [1.0, 2.0], [0.0])
        with pytest.raises(ShapeError, match="goal"):
            stop_gradient.fixed_point(EXAMPLE, 3, 1.0, [1.0], [0.0, 1.0])
        with pytest.raises(ShapeError, match="z"):
            stop_gradient.update(*good, np.ones(5))
        with pytest.raises(NonFiniteError, match="z"):
            stop_gradient.update(*good, np.full(6, np.inf))
        with pytest.raises(ParameterError, match="actions"):
            stop_gradient.stack(np.ones((4, 1)), np.ones((3, 1)))

    def test_ratio_and_overflow(self) -> None:
        with pytest.raises(ParameterError, match="ratio"):
            stop_gradient.step_size_limit(EXAMPLE, 1.0, 0.0)
        with pytest.raises(FloatOverflowError, match="largest singular value"):
            stop_gradient.spectral_radius(LinearSystem(ONE, 1e200 * ONE), 1, 1.0, 0.1)


def _rational(value: float) -> fmpq:
    return fmpq(*value.as_integer_ratio())
