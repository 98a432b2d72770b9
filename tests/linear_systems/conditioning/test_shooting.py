"""The shooting problem: every quantity by two routes, in float64 where it suffices and exactly where not."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from high_precision import condition, eigenvalues, exact_final_state, exact_gramian
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from system_strategies import KINDS, Kind, horizons, random_system, systems, time_varying_systems

from linear_systems import AnySystem, LinearSystem, TimeVaryingLinearSystem, shooting
from linear_systems.errors import FloatOverflowError, HorizonError, PrecisionLossError, RankError
from linear_systems.exact.eigenvalue_counts import RESOLUTION
from linear_systems.rounding import EPS, rounding_allowance

ISSUE_ACCURACY = 1e-10
"""The relative error that L_S must reach against the dense Hessian for T <= 60."""
ROTATED = np.array([[1.5, 0.5], [0.5, 1.5]])
"""Eigenvalue 2 on (1, 1) and 1 on (1, −1), all exact in binary."""


def _horizon(system: AnySystem, horizon: int) -> int:
    return min(horizon, system.length or horizon)


def _constant(system: LinearSystem, length: int) -> TimeVaryingLinearSystem:
    return TimeVaryingLinearSystem(np.stack([system.A] * length), np.stack([system.B] * length))


any_system = st.one_of(systems(), time_varying_systems())


@settings(max_examples=15)
@given(any_system, horizons(8), st.integers(0, 2**32 - 1))
def test_controllability_matrix_is_the_exact_rollout(system: AnySystem, horizon: int, seed: int) -> None:
    T = _horizon(system, horizon)
    actions = np.random.default_rng(seed).standard_normal((T, system.action_dim))
    C = shooting.controllability_matrix(system, T)
    expected = [float(x) for x in exact_final_state(system, actions)]
    # C is right to a rounding of each block; what remains is the rounding of one product.
    scale = float(np.abs(C).max() * np.abs(actions).sum())
    assert C.shape == (system.state_dim, T * system.action_dim)
    assert np.abs(C @ actions.ravel() - expected).max() <= rounding_allowance(scale, C.shape[1])


@given(systems(kinds=("stable", "complex", "rank_deficient")), horizons(20))
def test_controllability_matrix_is_the_rollout_of_the_system(system: LinearSystem, horizon: int) -> None:
    impulses = np.eye(horizon * system.action_dim).reshape(-1, horizon, system.action_dim)
    final = system.rollout(np.zeros(system.state_dim), impulses)[:, -1].T
    C = shooting.controllability_matrix(system, horizon)
    largest = max(float(np.linalg.norm(np.linalg.matrix_power(system.A, k), 2)) for k in range(horizon))
    scale = largest**2 * float(np.abs(system.B).max()) * max(float(np.linalg.norm(system.A, 2)), 1.0)
    assert np.abs(final - C).max() <= rounding_allowance(scale, horizon * system.state_dim)


@settings(max_examples=15)
@given(any_system, horizons(8))
def test_gramian_is_the_exact_recursion(system: AnySystem, horizon: int) -> None:
    T = _horizon(system, horizon)
    expected = np.array([[float(x) for x in row] for row in exact_gramian(system, T)])
    W = shooting.gramian(system, T)
    np.testing.assert_array_equal(W, W.T)
    assert np.abs(W - expected).max() <= rounding_allowance(float(np.trace(expected)), 1)


@given(any_system, horizons())
def test_gramian_is_the_square_of_the_controllability_matrix(system: AnySystem, horizon: int) -> None:
    T = _horizon(system, horizon)
    C, W = shooting.controllability_matrix(system, T), shooting.gramian(system, T)
    assert np.abs(C @ C.T - W).max() <= rounding_allowance(float(np.trace(W)), C.shape[1])


@given(any_system, horizons(12), st.integers(0, 2**32 - 1))
def test_hessian_is_the_difference_of_gradients(system: AnySystem, horizon: int, seed: int) -> None:
    T = _horizon(system, horizon)
    a, b = system.matrices(T)
    direction = np.random.default_rng(seed).standard_normal((T, system.action_dim))
    # ∇J(a) = 2 CᵀC a − const: forward through the rollout, back through the adjoint.
    adjoint = 2.0 * np.array([float(x) for x in exact_final_state(system, direction)])
    costate, gradient, growth = adjoint, np.zeros_like(direction), 1.0
    for t in range(T - 1, -1, -1):
        gradient[t] = b[t].T @ costate
        costate = a[t].T @ costate
        growth *= max(1.0, float(np.linalg.norm(a[t], 2)))
    H = shooting.hessian(system, T)
    assert H.shape == (T * system.action_dim,) * 2
    scale = growth * float(
        np.abs(b).max() * np.linalg.norm(adjoint) + np.abs(H).max() * np.abs(direction).sum()
    )
    assert np.abs(H @ direction.ravel() - gradient.ravel()).max() <= rounding_allowance(scale, 10 * T)


@given(any_system, horizons(60))
def test_lipschitz_is_the_largest_eigenvalue_of_the_dense_hessian(system: AnySystem, horizon: int) -> None:
    T = _horizon(system, horizon)
    H = shooting.hessian(system, T)
    dense = float(np.linalg.eigvalsh(H)[-1])
    computed = shooting.lipschitz(system, T)
    assert abs(computed - dense) <= rounding_allowance(dense, len(H))
    assert abs(computed - dense) <= ISSUE_ACCURACY * abs(dense)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("horizon", [1, 7, 30])
def test_lipschitz_is_that_of_the_exact_gramian(kind: Kind, horizon: int) -> None:
    rng = np.random.default_rng([horizon, KINDS.index(kind)])
    system = random_system(rng, 4, 2, kind)
    exact = 2.0 * float(eigenvalues(exact_gramian(system, horizon))[-1])
    assert abs(shooting.lipschitz(system, horizon) - exact) <= rounding_allowance(exact, 1)


def test_products_in_float64_would_not_do() -> None:
    """The reason for ball arithmetic: on non-normal systems products formed in float64 lose many digits."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(20):
        system = random_system(rng, 4, 2, "non_normal")
        blocks = [system.B]
        for _ in range(29):
            blocks.append(system.A @ blocks[-1])
        naive = 2.0 * float(np.linalg.norm(np.hstack(blocks), 2)) ** 2
        worst = max(worst, abs(naive / shooting.lipschitz(system, 30) - 1.0))
    assert worst > 100 * ISSUE_ACCURACY


@given(systems(), horizons(20))
def test_constant_time_varying_systems_agree(system: LinearSystem, horizon: int) -> None:
    series = _constant(system, 20)
    C, W = shooting.controllability_matrix(system, horizon), shooting.gramian(system, horizon)
    assert np.abs(shooting.controllability_matrix(series, horizon) - C).max() <= 4 * EPS * np.abs(C).max()
    assert np.abs(shooting.gramian(series, horizon) - W).max() <= 4 * EPS * np.trace(W)
    expected = shooting.lipschitz(system, horizon)
    assert shooting.lipschitz(series, horizon) == pytest.approx(expected, rel=rounding_allowance(1.0, 1))
    if np.any(system.B):
        kappa = shooting.condition_number(system, horizon)
        assert kappa >= 1.0 - rounding_allowance(1.0, 1)
        full = np.linalg.matrix_rank(system.B) == system.state_dim
        if full:  # No rank is in question, so neither route rounds.
            assert shooting.condition_number(series, horizon) == pytest.approx(kappa, rel=2 * RESOLUTION)


@given(st.one_of(systems(), time_varying_systems()), horizons(30))
def test_lipschitz_grows_with_an_earlier_start(system: AnySystem, horizon: int) -> None:
    """W_{T+1} = W_T + A^T B Bᵀ A^Tᵀ for time-invariant systems, so L_S never shrinks."""
    assume(isinstance(system, LinearSystem))
    shorter, longer = shooting.lipschitz(system, horizon), shooting.lipschitz(system, horizon + 1)
    assert shorter <= longer + rounding_allowance(longer, 1)


@pytest.mark.parametrize("a", [2.0, -1.5, 0.5, 1.0, -1.0, 0.0])
@pytest.mark.parametrize("horizon", [1, 2, 13, 100])
def test_scalar_closed_form(a: float, horizon: int) -> None:
    b, q = 0.75, Fraction(a) ** 2
    series = Fraction(horizon) if q == 1 else (q**horizon - 1) / (q - 1)
    system = LinearSystem([[a]], [[b]])
    expected = float(2 * Fraction(b) ** 2 * series)
    assert shooting.lipschitz(system, horizon) == pytest.approx(expected, rel=4 * EPS)
    assert shooting.log_lipschitz(system, horizon) == pytest.approx(
        math.log(expected), rel=4 * EPS, abs=4 * EPS
    )
    assert shooting.condition_number(system, horizon) == pytest.approx(1.0, rel=4 * EPS)


def test_double_integrator_closed_form() -> None:
    """A^k B = (k, 1): W_T = [[Σk², Σk], [Σk, T]]."""
    system = LinearSystem([[1.0, 1.0], [0.0, 1.0]], [[0.0], [1.0]])
    for T in (1, 2, 10, 10**6):
        squares, linear = (T - 1) * T * (2 * T - 1) // 6, (T - 1) * T // 2
        np.testing.assert_array_equal(shooting.gramian(system, T), [[squares, linear], [linear, T]])


def test_log_lipschitz_far_beyond_float64() -> None:
    T = 10**9
    for a in (2.0, 1.0 + 2.0**-20, -3.0):
        expected = math.log(2.0 / (a * a - 1.0)) + 2 * T * math.log(abs(a))
        assert shooting.log_lipschitz(LinearSystem([[a]], [[1.0]]), T) == pytest.approx(expected, rel=4 * EPS)
    rotation = LinearSystem([[0.6, -0.8], [0.8, 0.6]], [[1.0], [0.0]])
    # |λ| = 1 up to a rounding of the entries, so the trace of W_T is T up to a factor (1 + EPS)^(2T).
    assert shooting.log_lipschitz(rotation, T) == pytest.approx(math.log(T), abs=4 * EPS * T)


def test_overflow_names_the_log_version() -> None:
    system = LinearSystem([[2.0]], [[1.0]])
    assert shooting.lipschitz(system, 500) == pytest.approx(2.0 / 3.0 * 4.0**500, rel=4 * EPS)
    with pytest.raises(FloatOverflowError, match="log_lipschitz"):
        shooting.lipschitz(system, 600)
    assert shooting.log_lipschitz(system, 600) == pytest.approx(
        math.log(2 / 3) + 1200 * math.log(2), rel=4 * EPS
    )
    with pytest.raises(FloatOverflowError, match="log_lipschitz"):
        shooting.gramian(system, 600)
    with pytest.raises(FloatOverflowError, match="log_lipschitz"):
        shooting.hessian(system, 600)
    with pytest.raises(FloatOverflowError, match="log_lipschitz"):
        shooting.controllability_matrix(system, 1100)


def test_underflow_is_not_silent() -> None:
    system = LinearSystem([[0.5]], [[1e-170]])
    with pytest.raises(PrecisionLossError, match="log_lipschitz"):
        shooting.lipschitz(system, 3)
    expected = math.log(2 * (1 - 0.25**3) / 0.75) + 2 * math.log(1e-170)
    assert shooting.log_lipschitz(system, 3) == pytest.approx(expected, rel=4 * EPS)


def test_an_unreachable_growing_mode_does_not_count() -> None:
    for T in (60, 10**4, 10**9):
        plain = LinearSystem(np.diag([2.0, 1.0]), [[0.0], [1.0]])
        assert shooting.lipschitz(plain, T) == 2.0 * T
        assert shooting.condition_number(plain, T) == pytest.approx(1.0, rel=4 * EPS)
    rotated = LinearSystem(ROTATED, [[1.0], [-1.0]])
    for T in (60, 3000):
        assert shooting.lipschitz(rotated, T) == pytest.approx(4.0 * T, rel=4 * EPS)


def test_cancellation_beyond_the_precision_is_refused() -> None:
    with pytest.raises(PrecisionLossError, match="unreachable"):
        shooting.lipschitz(LinearSystem(ROTATED, [[1.0], [-1.0]]), 10**6)


def test_no_action_reaches_the_final_state() -> None:
    system = LinearSystem([[2.0]], [[0.0]])
    assert shooting.lipschitz(system, 5) == 0.0
    assert shooting.log_lipschitz(system, 5) == -math.inf
    np.testing.assert_array_equal(shooting.gramian(system, 5), [[0.0]])
    for function in (shooting.condition_number, shooting.log_condition_number):
        with pytest.raises(RankError):
            function(system, 5)


def test_horizons_are_checked() -> None:
    functions = [getattr(shooting, name) for name in shooting.__all__]
    system = LinearSystem([[1.0]], [[1.0]])
    for function in functions:
        with pytest.raises(HorizonError):
            function(system, 0)
        with pytest.raises(HorizonError):
            function(_constant(system, 3), 4)


# Conditioning


@settings(max_examples=20)
@given(systems(max_n=4, max_m=4, kinds=("stable", "unstable", "complex", "defective")), horizons(25))
def test_condition_number_is_that_of_the_exact_gramian(system: LinearSystem, horizon: int) -> None:
    W = exact_gramian(system, horizon)
    null = system.state_dim - min(system.state_dim, horizon * system.action_dim)
    # B is Gaussian, so C_T has full rank; where it has not all n rows, W_T is singular in exact arithmetic.
    expected = condition(W, null)
    # The row space of a rank-deficient C_T is found in float64, with an error that κ(C_T) = √κ amplifies.
    error = RESOLUTION + rounding_allowance(1.0, system.state_dim, math.sqrt(expected) if null else 1.0)
    assume(error < 0.1)
    assert abs(shooting.condition_number(system, horizon) / expected - 1.0) <= error


@pytest.mark.parametrize("horizon", [3, 8, 25])
def test_condition_number_of_a_non_normal_system(horizon: int) -> None:
    for seed in range(3):
        system = random_system(np.random.default_rng(seed), 3, 2, "non_normal")
        expected = condition(exact_gramian(system, horizon), 0)
        assert shooting.condition_number(system, horizon) == pytest.approx(
            expected, rel=RESOLUTION + rounding_allowance(1.0, 3)
        )


def test_condition_number_agrees_with_dense_singular_values() -> None:
    rng = np.random.default_rng(4)
    for kind in ("stable", "complex", "rank_deficient"):
        system = random_system(rng, 4, 3, kind)
        for T in (1, 2, 5, 30):
            s = np.linalg.svd(shooting.controllability_matrix(system, T), compute_uv=False)
            s = s[s > rounding_allowance(s[0], 3 * T)]
            error = rounding_allowance(1.0, 3 * T, s[0] / s[-1])
            assert shooting.condition_number(system, T) == pytest.approx((s[0] / s[-1]) ** 2, rel=2 * error)


def test_condition_number_far_beyond_the_inverse_of_eps() -> None:
    """κ ≈ 2^200: no float64 eigenvalue of W_T, or singular value of C_T, has a digit of it right."""
    system = LinearSystem(np.diag([2.0, 0.5]), [[1.0], [1.0]])
    expected = condition(exact_gramian(system, 100), 0)
    assert expected > 1e58
    assert shooting.condition_number(system, 100) == pytest.approx(expected, rel=2 * RESOLUTION)
    assert shooting.log_condition_number(system, 100) == pytest.approx(math.log(expected), rel=RESOLUTION)
    with pytest.raises(FloatOverflowError, match="log_condition_number"):
        shooting.condition_number(system, 1000)
    assert shooting.log_condition_number(system, 1000) == pytest.approx(2000 * math.log(2), rel=0.01)


def test_growth_does_not_pass_for_rank_deficiency() -> None:
    """A growing mode actuated by 1e-9 counts at every horizon; one reached by rounding errors never does."""
    U = np.array([[0.6, -0.8], [0.8, 0.6]])
    A = U @ np.diag([3.0, 0.5]) @ U.T
    weak = LinearSystem(A, U @ np.array([[1e-9], [1.0]]))
    expected = condition(exact_gramian(weak, 40), 0)
    assert shooting.condition_number(weak, 40) == pytest.approx(expected, rel=2 * RESOLUTION)
    none = LinearSystem(A, U @ np.array([[0.0], [1.0]]))
    assert float(np.abs(shooting.controllability_matrix(none, 100)).max()) > 1e10
    assert shooting.condition_number(none, 100) == pytest.approx(1.0, rel=2 * RESOLUTION)


def test_a_grown_rounding_error_is_refused_or_left_out() -> None:
    """A growing mode out of reach but for rounding errors: time-invariant systems can leave it out at any T."""
    Q, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))
    core = np.array([[0.9, 0.3, 0.1], [0.0, 0.7, 0.2], [0.0, 0.0, 3.0]])
    system = LinearSystem(Q @ core @ Q.T, Q @ np.array([[0.0], [1.0], [0.0]]))
    reachable = LinearSystem(core[:2, :2], [[0.0], [1.0]])
    for T in (2, 10, 20, 50):
        expected = condition(exact_gramian(reachable, T), 0)
        assert shooting.condition_number(system, T) == pytest.approx(expected, rel=1e-9)
    series = _constant(system, 200)
    assert shooting.condition_number(series, 10) == pytest.approx(
        shooting.condition_number(system, 10), rel=1e-9
    )
    for T in (40, 200):
        with pytest.raises(PrecisionLossError, match="should be zero"):
            shooting.condition_number(series, T)
    # Where a small eigenvalue stands apart, it might pass for the one that should be zero.
    core[0, 1] = 1e-5
    series = _constant(LinearSystem(Q @ core @ Q.T, system.B), 40)
    with pytest.raises(PrecisionLossError, match="last digits"):
        shooting.condition_number(series, 40)


@pytest.mark.parametrize("varying", [False, True])
@pytest.mark.parametrize("horizon", [1, 2, 3, 4, 20])
def test_planted_rank_deficiency(horizon: int, varying: bool) -> None:
    """P [A₁₁ A₁₂; 0 A₂₂] P⁻¹ with integer P of determinant 1: exact floats, two states out of reach."""
    P = np.array([[1.0, 2, 0, 1], [0, 1, 3, 0], [0, 0, 1, 2], [0, 0, 0, 1]]) @ np.tri(4)
    core = np.array([[1.5, 1, 0.5, 1], [0, 0.5, 1, 2], [0, 0, 2.0, 1], [0, 0, 0, 0.25]])
    inverse = np.round(np.linalg.inv(P))
    np.testing.assert_array_equal(P @ inverse, np.eye(4))
    system = LinearSystem(P @ core @ inverse, P @ np.array([[0.0], [1.0], [0.0], [0.0]]))
    rank = min(horizon, 2)
    expected = condition(exact_gramian(system, horizon), 4 - rank)
    tested = _constant(system, horizon) if varying else system
    error = rounding_allowance(1.0, 4 * horizon, math.sqrt(expected) * np.linalg.cond(P))
    assert error < 1e-5
    assert abs(shooting.condition_number(tested, horizon) / expected - 1.0) <= error


@given(systems(kinds=("stable", "unstable", "complex")), horizons(15), st.integers(-30, 30))
def test_scaling_the_actions(system: LinearSystem, horizon: int, power: int) -> None:
    """κ does not see a power of two in B; L_S carries its square, exactly."""
    scaled = LinearSystem(system.A, system.B * 2.0**power)
    assert shooting.lipschitz(scaled, horizon) == shooting.lipschitz(system, horizon) * 4.0**power
    kappa = shooting.condition_number(system, horizon)
    assert shooting.condition_number(scaled, horizon) == pytest.approx(kappa, rel=2 * RESOLUTION)


def test_a_time_varying_system_that_forgets() -> None:
    """A_t = 0 in the middle: only later actions reach the final state, and the rank falls."""
    A = np.stack([np.eye(3), np.zeros((3, 3)), np.eye(3)])
    B = np.stack([np.eye(3)[:, :2], np.zeros((3, 2)), np.eye(3)[:, 2:] * [[2.0, 0.0]]])
    system = TimeVaryingLinearSystem(A, B)
    assert shooting.lipschitz(system, 1) == pytest.approx(2.0, rel=4 * EPS)
    assert shooting.condition_number(system, 3) == pytest.approx(1.0, rel=4 * EPS)
    with pytest.raises(RankError):
        shooting.condition_number(system, 2)
