"""The lifted problem: every matrix by two routes, its spectrum against dense and high-precision references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb
from high_precision import condition, exact_gram
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import eig
from scipy.sparse import csr_array
from system_strategies import KINDS, Kind, horizons, random_system, systems, time_varying_systems

from linear_systems import AnySystem, LinearSystem, TimeVaryingLinearSystem, lifted, shooting
from linear_systems.errors import (
    FloatOverflowError,
    HorizonError,
    InvalidInputError,
    NonFiniteError,
    PrecisionLossError,
    RankError,
    ShapeError,
)
from linear_systems.exact.balls import resolved
from linear_systems.exact.eigenvalue_counts import RESOLUTION, log2_smallest, residual_gram_counter
from linear_systems.rounding import EPS, rounding_allowance

ISSUE_ACCURACY = 1e-8
"""The relative error that L_L and its limit must reach."""

any_system = st.one_of(systems(), time_varying_systems())


def _horizon(system: AnySystem, horizon: int) -> int:
    return min(horizon, system.length or horizon)


def _smallest(system: AnySystem, horizon: int, null: int) -> float:
    """Return the smallest eigenvalue of MMᵀ after the `null` lowest, by counting in balls."""
    upper = math.log2(lifted.lipschitz(system, horizon) / 2.0)
    return 2.0 ** resolved(lambda: log2_smallest(residual_gram_counter(system, horizon), null, upper), "λ")


def _constant(system: LinearSystem, length: int) -> TimeVaryingLinearSystem:
    return TimeVaryingLinearSystem(np.stack([system.A] * length), np.stack([system.B] * length))


def _stack(states: NDArray[np.float64], actions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return z from the free states (T−1, n) and the actions (T, m)."""
    return np.concatenate([states.ravel(), actions.ravel()])


def _dense_norm_squared(system: AnySystem, horizon: int) -> float:
    return float(np.linalg.norm(lifted.residual_matrix(system, horizon).toarray(), 2)) ** 2


def _worst_on_grid(system: LinearSystem, points: int = 4001) -> float:
    """Return 2 max λmax(Φ(ω)) over a grid, written as the definition has it."""
    n = system.state_dim
    z = np.exp(1j * np.linspace(0.0, np.pi, points))[:, None, None]
    factor = z * np.eye(n) - system.A
    symbol = factor @ factor.conj().transpose(0, 2, 1) + system.B @ system.B.T
    return 2.0 * float(np.linalg.eigvalsh(symbol)[:, -1].max())


# Matrices


@given(any_system, horizons(12), st.integers(0, 2**32 - 1))
def test_residuals_are_those_of_stepping(system: AnySystem, horizon: int, seed: int) -> None:
    T, n, m = _horizon(system, horizon), system.state_dim, system.action_dim
    rng = np.random.default_rng(seed)
    states, actions = rng.standard_normal((T + 1, n)), rng.standard_normal((T, m))
    M = lifted.residual_matrix(system, T)
    b = lifted.right_hand_side(system, T, states[0], states[-1])
    assert isinstance(M, csr_array)
    assert M.shape == (n * T, n * (T - 1) + m * T)
    residuals = (M @ _stack(states[1:-1], actions) - b).reshape(T, n)
    for t in range(T):
        predicted = (
            system.step(states[t], actions[t])
            if isinstance(system, LinearSystem)
            else system.step(states[t], actions[t], t)
        )
        scale = float(np.abs(system.A).max() + np.abs(system.B).max() + 1.0) * float(
            np.abs(states).max() + np.abs(actions).max()
        )
        assert np.abs(residuals[t] - (predicted - states[t + 1])).max() <= rounding_allowance(scale, n + m)


@given(systems(kinds=("stable", "complex")), horizons(12), st.integers(0, 2**32 - 1))
def test_a_rollout_has_no_residual(system: LinearSystem, horizon: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    actions = rng.standard_normal((horizon, system.action_dim))
    states = system.rollout(rng.standard_normal(system.state_dim), actions)
    M, b = (
        lifted.residual_matrix(system, horizon),
        lifted.right_hand_side(system, horizon, states[0], states[-1]),
    )
    scale = float(
        (np.abs(system.A).max() + 1.0) * np.abs(states).max() + np.abs(system.B).max() * np.abs(actions).max()
    )
    residual = M @ _stack(states[1:-1], actions) - b
    assert np.abs(residual).max() <= rounding_allowance(scale, system.state_dim + system.action_dim)
    moved = states.copy()
    moved[-1] += 1.0
    off = M @ _stack(states[1:-1], actions) - lifted.right_hand_side(system, horizon, states[0], moved[-1])
    assert np.abs(off.reshape(horizon, -1)[-1] + 1.0).max() <= rounding_allowance(scale + 1.0, 20)


@given(any_system, horizons(12))
def test_hessian_is_the_second_difference_of_the_loss(system: AnySystem, horizon: int) -> None:
    T = _horizon(system, horizon)
    M, H = lifted.residual_matrix(system, T), lifted.hessian(system, T)
    assert isinstance(H, csr_array)
    dense = M.toarray()
    size = dense.shape[1]
    # J is quadratic, so J(e_i + e_j) − J(e_i) − J(e_j) + J(0) = H_ij for every b; here b = 0.
    rng = np.random.default_rng(0)
    for i, j in rng.integers(size, size=(10, 2)):
        both, one, other = (float(x @ x) for x in (dense[:, i] + dense[:, j], dense[:, i], dense[:, j]))
        assert abs(H[i, j] - (both - one - other)) <= rounding_allowance(both + one + other, len(dense))


def test_the_matrix_of_a_small_problem() -> None:
    M = lifted.residual_matrix(LinearSystem([[2.0]], [[3.0]]), 3).toarray()
    np.testing.assert_array_equal(M, [[-1, 0, 3, 0, 0], [2, -1, 0, 3, 0], [0, 2, 0, 0, 3]])
    b = lifted.right_hand_side(LinearSystem([[2.0]], [[3.0]]), 3, [5.0], [7.0])
    np.testing.assert_array_equal(b, [-10, 0, 7])
    np.testing.assert_array_equal(
        lifted.right_hand_side(LinearSystem([[2.0]], [[3.0]]), 1, [5.0], [7.0]), [-3.0]
    )


def test_bad_input() -> None:
    system = LinearSystem(np.eye(2), np.ones((2, 1)))
    functions = (lifted.residual_matrix, lifted.hessian, lifted.lipschitz, lifted.condition_number)
    for function in functions:
        with pytest.raises(HorizonError):
            function(system, 0)
        with pytest.raises(HorizonError):
            function(_constant(system, 3), 4)
    with pytest.raises(HorizonError):
        lifted.right_hand_side(system, 0, np.zeros(2), np.zeros(2))
    with pytest.raises(ShapeError) as shape:
        lifted.right_hand_side(system, 2, np.zeros(3), np.zeros(2))
    assert shape.value.argument == "initial_state"
    with pytest.raises(NonFiniteError) as finite:
        lifted.right_hand_side(system, 2, np.zeros(2), np.array([0.0, np.nan]))
    assert finite.value.argument == "goal"
    with pytest.raises(InvalidInputError) as varying:
        lifted.lipschitz_limit(_constant(system, 3))
    assert varying.value.argument == "system"


# Smoothness


@given(any_system, horizons(40))
def test_lipschitz_is_that_of_the_dense_matrix(system: AnySystem, horizon: int) -> None:
    T = _horizon(system, horizon)
    dense = 2.0 * _dense_norm_squared(system, T)
    computed = lifted.lipschitz(system, T)
    # The search stops within a rounding allowance of its first upper bound, at most 5 times the result.
    assert abs(computed - dense) <= rounding_allowance(dense, 10 * system.state_dim + system.state_dim * T)
    assert abs(computed - dense) <= ISSUE_ACCURACY * dense


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_lipschitz_at_the_longest_dense_horizon(kind: Kind) -> None:
    system = random_system(np.random.default_rng(KINDS.index(kind)), 6, 3, kind)
    for T in (100, 300):
        dense = 2.0 * _dense_norm_squared(system, T)
        assert abs(lifted.lipschitz(system, T) - dense) <= rounding_allowance(dense, 60 + 6 * T)


@given(any_system, horizons(40))
def test_the_chain_of_bounds(system: AnySystem, horizon: int) -> None:
    T = _horizon(system, horizon)
    exact, sharper, paper = (
        lifted.lipschitz(system, T),
        lifted.lipschitz_bound(system),
        lifted.theorem_3_bound(system),
    )
    if isinstance(system, LinearSystem):
        limit = lifted.lipschitz_limit(system)
        assert exact <= limit <= sharper
    assert exact <= sharper <= paper
    a, b = (np.linalg.norm(x, 2, axis=(-2, -1)).max() for x in (system.A, system.B))
    assert sharper == pytest.approx(2 * ((1 + a) ** 2 + b**2), rel=8 * EPS)
    assert paper == pytest.approx(6 * (1 + a**2 + b**2), rel=8 * EPS)


@given(any_system, horizons(30))
def test_lipschitz_grows_with_the_horizon(system: AnySystem, horizon: int) -> None:
    assume(system.length is None or horizon + 1 <= system.length)
    shorter, longer = lifted.lipschitz(system, horizon), lifted.lipschitz(system, horizon + 1)
    assert shorter <= longer + rounding_allowance(longer, 4 * system.state_dim)


@given(systems(), horizons(25))
def test_constant_time_varying_systems_agree(system: LinearSystem, horizon: int) -> None:
    series = _constant(system, 25)
    ours, theirs = lifted.residual_matrix(system, horizon), lifted.residual_matrix(series, horizon)
    assert (ours != theirs).nnz == 0
    expected = lifted.lipschitz(system, horizon)
    assert abs(lifted.lipschitz(series, horizon) - expected) <= rounding_allowance(
        expected, 4 * system.state_dim
    )
    assert lifted.lipschitz_bound(series) == lifted.lipschitz_bound(system)
    assert lifted.theorem_3_bound(series) == lifted.theorem_3_bound(system)


def test_steps_that_do_not_enter_do_not_count() -> None:
    """A_0 acts on the fixed s_0 only, and steps from T on are beyond the horizon, however large they are."""
    plain = random_system(np.random.default_rng(5), 3, 2, "stable")
    A, B = np.stack([plain.A] * 8), np.stack([plain.B] * 8)
    A[0], A[6], B[6] = 1e12, 1e12, 1e12
    system = TimeVaryingLinearSystem(A, B)
    expected = 2.0 * _dense_norm_squared(plain, 6)
    assert abs(lifted.lipschitz(system, 6) - expected) <= rounding_allowance(expected, 60)
    assert lifted.condition_number(system, 6) == pytest.approx(lifted.condition_number(plain, 6), rel=2e-9)


def test_the_long_horizon() -> None:
    system = random_system(np.random.default_rng(2), 3, 2, "unstable")
    limit = lifted.lipschitz_limit(system)
    gaps = []
    for T in (50, 100, 200, 400, 800):
        value = lifted.lipschitz(system, T)
        assert value <= limit
        gaps.append(limit - value)
    rates = np.log2(np.array(gaps[:-1]) / gaps[1:])
    assert np.all(np.abs(rates - 2.0) < 0.1)  # limit − L_L(T) falls like 1/T²
    for T in (lifted.LONG_HORIZON, lifted.LONG_HORIZON + 1, 10**9):
        assert limit * (1.0 - 1e-7) < lifted.lipschitz(system, T) <= limit
    assert lifted.lipschitz(system, 10**9) == pytest.approx(limit, rel=rounding_allowance(1.0, 60))
    assert lifted.condition_number(system, 10**9) == pytest.approx(
        lifted.condition_number(system, 5000), rel=1e-6
    )


def test_a_limit_that_is_attained() -> None:
    """A = 0 decouples the steps, so that the first trial of the search would hit an eigenvalue exactly."""
    system = LinearSystem([[0.0]], [[1.0]])
    assert lifted.lipschitz_limit(system) == 4.0
    for T in (2, 10, lifted.LONG_HORIZON + 1):
        assert lifted.lipschitz(system, T) == pytest.approx(4.0, rel=rounding_allowance(1.0, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_counting_agrees_with_factorising(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    system = random_system(np.random.default_rng(3), 3, 2, kind)
    for T in (2, 7, 50):
        expected = lifted.lipschitz(system, T)
        with monkeypatch.context() as patch:
            patch.setattr(lifted, "LONG_HORIZON", 0)
            counted = lifted.lipschitz(system, T)
        assert abs(counted - expected) <= rounding_allowance(expected, 10 * system.state_dim)


@given(systems())
def test_limit_is_the_worst_frequency(system: LinearSystem) -> None:
    limit, grid = lifted.lipschitz_limit(system), _worst_on_grid(system)
    # Φ has second derivative at most 2‖A‖ in norm, so a grid of spacing h misses at most ‖A‖ h² / 4 of λmax.
    missed = 0.5 * float(np.linalg.norm(system.A, 2)) * (np.pi / 4000) ** 2
    allowance = rounding_allowance(limit, 4 * system.state_dim)
    assert grid - allowance <= limit <= grid + missed + allowance


@pytest.mark.parametrize("kind", ["stable", "unstable", "complex", "defective"])
@pytest.mark.parametrize("seed", range(5))
def test_limit_separates_level_sets(kind: Kind, seed: int) -> None:
    """det(γI − Φ(ω)) = 0 has roots e^{iω} on the unit circle exactly for γ up to the limit; here by a general QZ."""
    n = 3
    system = random_system(np.random.default_rng(seed), n, 2, kind)
    limit = lifted.lipschitz_limit(system) / 2.0
    G, eye, zero = np.eye(n) + system.A @ system.A.T + system.B @ system.B.T, np.eye(n), np.zeros((n, n))

    def distance(level: float) -> float:
        pencil = (
            np.block([[zero, eye], [-system.A, G - level * eye]]),
            np.block([[eye, zero], [zero, system.A.T]]),
        )
        roots = eig(*pencil, right=False)
        return float(np.min(np.abs(np.abs(roots[np.isfinite(roots)]) - 1.0)))

    # A quadratic maximum: a level at a relative distance δ has its roots about √δ off the circle.
    assert distance(limit * (1 + 1e-6)) > 1e-5
    assert distance(limit * (1 - 1e-6)) < 1e-9


@pytest.mark.parametrize("a", [2.0, -1.5, 0.5, 1.0, 0.0])
@pytest.mark.parametrize("b", [0.0, 0.75])
def test_scalar_closed_forms(a: float, b: float) -> None:
    """M Mᵀ is tridiagonal Toeplitz with diagonal 1 + a² + b² and off-diagonal −a, but for its two corners."""
    system = LinearSystem([[a]], [[b]])
    expected = 2.0 * ((1.0 + abs(a)) ** 2 + b * b)
    assert lifted.lipschitz_limit(system) == pytest.approx(expected, rel=rounding_allowance(1.0, 1))
    assert lifted.lipschitz_bound(system) == pytest.approx(expected, rel=4 * EPS)
    assert lifted.lipschitz(system, 1) == pytest.approx(2.0 * b * b, rel=4 * EPS)
    # T = 2: [[1 + b², −a], [−a, a² + b²]] has eigenvalues b² + 1 + a² and b².
    assert lifted.lipschitz(system, 2) == pytest.approx(
        2.0 * (1 + a * a + b * b), rel=rounding_allowance(1.0, 4)
    )
    if b:
        expected_condition = (1 + a * a + b * b) / (b * b)
        assert lifted.condition_number(system, 2) == pytest.approx(expected_condition, rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.37])
def test_peaks_between_the_frequencies_of_the_grid(shift: float) -> None:
    """Many narrow peaks of nearly the same height, the highest of which a coarse grid misses."""
    angles = np.pi * (np.arange(8) + 0.5 + shift) / 9
    radii = 50.0 + 1e-3 * np.array([3, 1, 4, 1, 5, 9, 2, 6])
    blocks = np.zeros((16, 16))
    for k, (angle, radius) in enumerate(zip(angles, radii, strict=True)):
        c, s = radius * np.cos(angle), radius * np.sin(angle)
        blocks[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[c, -s], [s, c]]
    system = LinearSystem(blocks, np.full((16, 1), 1e-8))
    # Each block is a rotation: max_ω ‖e^{iω}I − rR‖ = 1 + r.
    assert lifted.lipschitz_limit(system) == pytest.approx(
        2 * (1 + radii.max()) ** 2, rel=rounding_allowance(1.0, 16)
    )


def test_the_limit_does_not_rest_on_the_frequency_search(monkeypatch: pytest.MonkeyPatch) -> None:
    system = random_system(np.random.default_rng(7), 4, 2, "complex")
    expected = lifted.lipschitz_limit(system)
    monkeypatch.setattr(lifted, "_largest_over_frequency", lambda A, G: 0.0)
    assert lifted.lipschitz_limit(system) == pytest.approx(expected, rel=rounding_allowance(1.0, 16))


def test_overflow() -> None:
    system = LinearSystem([[1e200]], [[1.0]])
    for value in (lifted.theorem_3_bound, lifted.lipschitz_bound, lifted.lipschitz_limit):
        with pytest.raises(FloatOverflowError, match="rescale"):
            value(system)
    with pytest.raises(FloatOverflowError):
        lifted.lipschitz(system, 3)


# Conditioning


def _null(system: AnySystem, horizon: int) -> int:
    """Return n − rank(C_T) for a generic system, whose only defects are too few steps, or B = 0."""
    return system.state_dim - min(system.state_dim, horizon * system.action_dim)


@settings(max_examples=12)
@given(
    st.one_of(
        systems(max_n=3, max_m=3, kinds=("stable", "unstable", "complex", "defective")),
        time_varying_systems(max_n=3, max_m=3),
    ),
    horizons(5),
)
def test_condition_number_in_high_precision(system: AnySystem, horizon: int) -> None:
    T = _horizon(system, horizon)
    M = lifted.residual_matrix(system, T).toarray()
    expected = condition(exact_gram(M), _null(system, T))
    assert lifted.condition_number(system, T) == pytest.approx(expected, rel=2e-9)


@given(any_system, horizons(20))
def test_condition_number_agrees_with_dense_singular_values(system: AnySystem, horizon: int) -> None:
    T = _horizon(system, horizon)
    M = lifted.residual_matrix(system, T).toarray()
    s = np.linalg.svd(M, compute_uv=False)
    s = s[s > rounding_allowance(s[0], max(M.shape))]
    assume(len(s) > 0)
    error = rounding_allowance(1.0, max(M.shape), s[0] / s[-1])
    assume(error < 1e-3)
    assert lifted.condition_number(system, T) == pytest.approx((s[0] / s[-1]) ** 2, rel=2 * error + 2e-9)


@pytest.mark.parametrize("varying", [False, True])
@pytest.mark.parametrize("horizon", [1, 2, 3, 8])
def test_planted_rank_deficiency(horizon: int, varying: bool) -> None:
    P = np.array([[1.0, 2, 0], [0, 1, 3], [0, 0, 1]]) @ np.tri(3)
    inverse = np.round(np.linalg.inv(P))
    np.testing.assert_array_equal(P @ inverse, np.eye(3))
    core = np.array([[1.5, 1, 0.5], [0, 0.5, 1], [0, 0, 2.0]])
    system = LinearSystem(P @ core @ inverse, P @ np.array([[0.0], [1.0], [0.0]]))
    expected = condition(exact_gram(lifted.residual_matrix(system, horizon).toarray()), 3 - min(horizon, 2))
    tested = _constant(system, horizon) if varying else system
    assert lifted.condition_number(tested, horizon) == pytest.approx(expected, rel=2e-9)


def test_condition_number_far_beyond_the_inverse_of_eps() -> None:
    """A chain of integrators with a short time step: κ(H_L) ≈ 1e33, which M Mᵀ in float64 cannot show."""
    n, dt = 4, 1e-4
    A = np.eye(n) + dt * np.eye(n, k=1)
    system = LinearSystem(A, dt * np.eye(n)[:, -1:])
    M = lifted.residual_matrix(system, 6).toarray()
    expected = condition(exact_gram(M), 0)
    assert expected > 1e20
    assert lifted.condition_number(system, 6) == pytest.approx(expected, rel=2e-9)
    assert np.linalg.cond(M @ M.T) != pytest.approx(expected, rel=0.1)


def test_condition_number_at_a_long_horizon() -> None:
    """Lifted κ of a reachable system is bounded in T: [e^{iω}I − A, B] has full rank at every ω (Hautus)."""
    system = LinearSystem([[1.0, 0.1], [0.0, 1.0]], [[0.005], [0.1]])
    values = [lifted.condition_number(system, T) for T in (500, 1000, 2000)]
    assert values[1] == pytest.approx(values[2], rel=1e-5)
    assert abs(values[2] - values[1]) < abs(values[1] - values[0]) / 3.0
    growth = shooting.condition_number(system, 2000) / shooting.condition_number(system, 1000)
    assert growth == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize("horizon", [7, 50, 10_000, 10**6])
def test_an_unreachable_mode_of_modulus_one_in_closed_form(horizon: int) -> None:
    """Its rows s_t − s_{t+1} have eigenvalues 2 − 2cos(kπ/T), k = 0..T−1, which enclose those of the other mode.

    So κ = cot²(π/2T), of which 0 (k = 0) is no part: κ(H_L) grows like T² where a mode is out of reach.
    """
    system = LinearSystem(np.diag([1.0, 0.5]), [[0.0], [0.7]])
    expected = math.tan(math.pi / (2 * horizon)) ** -2
    assert lifted.condition_number(system, horizon) == pytest.approx(expected, rel=2e-9)


def test_two_routes_to_the_smallest_eigenvalue() -> None:
    rng = np.random.default_rng(9)
    for kind in ("stable", "unstable", "complex", "defective"):
        system = random_system(rng, 3, 2, kind)
        for tested in (system, _constant(system, 15)):
            ball = _smallest(tested, 15, 0)
            s = np.linalg.svd(lifted.residual_matrix(tested, 15).toarray(), compute_uv=False)
            error = rounding_allowance(1.0, 45, s[0] / s[-1]) + RESOLUTION
            assert ball == pytest.approx(s[-1] ** 2, rel=2 * error)


@given(any_system, horizons(12), st.floats(0.01, 0.99))
def test_eigenvalue_counts(system: AnySystem, horizon: int, where: float) -> None:
    T = _horizon(system, horizon)
    values = np.linalg.svd(lifted.residual_matrix(system, T).toarray(), compute_uv=False) ** 2
    values = np.concatenate([values, np.zeros(system.state_dim * T - len(values))])
    shift = float(np.quantile(values, where)) + 1e-3 * float(values.max())
    assume(np.min(np.abs(values - shift)) > rounding_allowance(float(values.max()), len(values)))
    count = resolved(lambda: residual_gram_counter(system, T)(arb(shift)), "the count")
    assert count == np.sum(values < shift)


def test_a_wrong_rank_would_be_seen() -> None:
    """One null direction too few: nothing is resolved.  One too many: it is no gap away from the others."""
    system = LinearSystem(np.diag([2.0, 0.5]), [[0.0], [1.0]])
    top = lifted.lipschitz(system, 10) / 2.0
    assert lifted.condition_number(system, 10) == pytest.approx(top / _smallest(system, 10, 1), rel=2e-9)
    for null in (0, 2):
        with pytest.raises(PrecisionLossError):
            _smallest(system, 10, null)


def test_nothing_to_condition() -> None:
    with pytest.raises(RankError):
        lifted.condition_number(LinearSystem(np.eye(2), np.zeros((2, 1))), 1)
    assert math.isfinite(lifted.condition_number(LinearSystem(np.eye(2), np.zeros((2, 1))), 2))
