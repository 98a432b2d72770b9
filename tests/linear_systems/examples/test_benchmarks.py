"""The benchmarks are what they say: equations, units, stability, defects and reachability."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from fractions import Fraction

import numpy as np
import pytest
from flint import fmpq_mat
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.linalg import expm, solve_discrete_lyapunov
from scipy.signal import cont2discrete

from linear_systems.errors import ParameterError
from linear_systems.exact.certificates import exact_matrix, prove_at_most
from linear_systems.examples.benchmarks import load, load_all, names
from linear_systems.examples.facts import facts
from linear_systems.rounding import EPS, rounding_allowance
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem

STABLE = ("scalar", "boeing_747_longitudinal", "tanks_in_series", "vehicle_platoon", "convection_diffusion")
ODE_ERROR = 1e-12
"""Relative tolerance of the integrations that an equation of motion is differentiated through."""
DIFFERENCE = 1e-3
"""Step of the fourth-order differences of those integrations."""


def spectral_radius(A: NDArray[np.float64]) -> float:
    return float(np.abs(np.linalg.eigvals(A)).max())


# Every benchmark


def test_there_are_enough_benchmarks_of_every_kind() -> None:
    everything = load_all()
    assert len(names()) == len(set(names())) == len(everything) >= 10
    assert sum(name.startswith("mujoco_") for name in names()) >= 4
    assert sum(isinstance(b.system, TimeVaryingLinearSystem) for b in everything) >= 2
    assert any(b.system.action_dim > b.system.state_dim for b in everything)
    assert any(b.facts.unstable_modes for b in everything)
    assert any(b.facts.reachable_rank < b.system.state_dim for b in everything)


@pytest.mark.parametrize("name", names())
def test_every_benchmark_is_complete(name: str) -> None:
    b = load(name)
    assert b.name == name
    assert len(b.states) == len(set(b.states)) == b.system.state_dim
    assert len(b.actions) == len(set(b.actions)) == b.system.action_dim
    assert all(re.fullmatch(r"\S.* \[\S.*\]", label) for label in b.states + b.actions)
    assert len(b.description) > 20
    assert len(b.source) > 20
    assert b.time_step is None or 0 < b.time_step < 10
    assert EPS <= b.accuracy < 1e-8
    assert np.isfinite(b.system.A).all()
    assert np.isfinite(b.system.B).all()
    assert b.system.B.any()
    assert load(name) is b
    with pytest.raises(FrozenInstanceError):
        b.name = "other"


@pytest.mark.parametrize("name", names())
def test_facts_agree_with_a_general_eigensolver_where_that_can_be_trusted(name: str) -> None:
    b = load(name)
    if isinstance(b.system, TimeVaryingLinearSystem):
        transition = np.linalg.multi_dot(b.system.A[::-1])
        root = 1.0 / len(b.system.A)
    else:
        transition, root = b.system.A, 1.0
    n = len(transition)
    # ε^{1/n} is the worst scatter of an eigenvalue, that of a Jordan block of size n.
    scatter = rounding_allowance(1.0, n, b.accuracy / EPS) ** (1.0 / n) * np.linalg.norm(transition, 2)
    found = b.facts
    assert abs(found.spectral_radius ** (1 / root) - spectral_radius(transition)) <= scatter
    assert 0 <= found.departure_from_normality <= 1
    assert 0 < found.reachable_rank <= b.system.state_dim
    assert found.action_rank <= min(b.system.state_dim, b.system.action_dim)
    assert (found.unstable_modes == 0) == (found.spectral_radius <= 1 + 1e-6)


def test_an_unknown_name_has_its_own_error() -> None:
    with pytest.raises(ParameterError, match="Try: cart_pole_upright"):
        load("cartpole_upright")
    with pytest.raises(ParameterError, match=r"benchmarks\.names"):
        load("xyz")


# Equations of motion, derived a second time and differentiated through an ODE solver

Dynamics = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def rod_on_pivot(state: NDArray[np.float64], torque: NDArray[np.float64]) -> NDArray[np.float64]:
    gravity, mass, length = 10.0, 1.0, 1.0
    moment = mass * gravity * (length / 2) * np.sin(state[0]) + torque[0]
    return np.array([state[1], moment / (mass * length**2 / 12 + mass * (length / 2) ** 2)])


def cart_pole(state: NDArray[np.float64], force: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lagrange's equations, as a mass matrix, of a uniform rod of half length l on a cart."""
    gravity, cart, pole, half = 9.8, 1.0, 0.1, 0.5
    _, velocity, angle, rate = state
    mass = np.array(
        [[cart + pole, pole * half * np.cos(angle)], [pole * half * np.cos(angle), pole * half**2 * 4 / 3]]
    )
    forces = np.array(
        [force[0] + pole * half * rate**2 * np.sin(angle), pole * gravity * half * np.sin(angle)]
    )
    acceleration = np.linalg.solve(mass, forces)
    return np.array([velocity, acceleration[0], rate, acceleration[1]])


def planar_quadrotor(state: NDArray[np.float64], thrust: NDArray[np.float64]) -> NDArray[np.float64]:
    gravity, mass, arm, inertia = 9.81, 0.486, 0.25, 0.00383
    right, left = thrust + mass * gravity / 2
    pitch = state[2]
    lift = (right + left) / mass
    return np.array(
        [*state[3:], -lift * np.sin(pitch), lift * np.cos(pitch) - gravity, arm * (right - left) / inertia]
    )


def two_pendulums(state: NDArray[np.float64], acceleration: NDArray[np.float64]) -> NDArray[np.float64]:
    swing = [
        (9.81 * np.sin(angle) - acceleration[0] * np.cos(angle)) / length
        for angle, length in ((state[0], 1.0), (state[2], 1.01))
    ]
    return np.array([state[1], swing[0], state[3], swing[1]])


def spacecraft(rates: NDArray[np.float64], wheels: NDArray[np.float64]) -> NDArray[np.float64]:
    inertia = np.diag([100.0, 120.0, 80.0])
    body = rates + np.array([0.0, 0.0, 0.1])
    azimuth = np.pi / 4 + np.pi / 2 * np.arange(4)
    height = 1 / np.sqrt(3)
    axes = np.stack(
        [
            np.sqrt(1 - height**2) * np.cos(azimuth),
            np.sqrt(1 - height**2) * np.sin(azimuth),
            np.full(4, height),
        ]
    )
    return np.linalg.solve(inertia, axes @ wheels - np.cross(body, inertia @ body))


EQUATIONS: dict[str, Dynamics] = {
    "pendulum_upright": rod_on_pivot,
    "cart_pole_upright": cart_pole,
    "planar_quadrotor_hover": planar_quadrotor,
    "two_pendulums_on_a_cart": two_pendulums,
    "spinning_spacecraft": spacecraft,
}


def mismatch(A: NDArray[np.float64], B: NDArray[np.float64], dynamics: Dynamics, time_step: float) -> float:
    """Return how far [A, B] is from the derivative of the flow over a step, in units of what errors explain."""
    n, m = B.shape

    def flow(point: NDArray[np.float64]) -> NDArray[np.float64]:
        solved = solve_ivp(
            lambda _, s: dynamics(s, point[n:]),
            (0, time_step),
            point[:n],
            "DOP853",
            rtol=ODE_ERROR,
            atol=1e-16,
        )
        return np.asarray(solved.y[:, -1])

    assert not flow(np.zeros(n + m)).any()
    derivative = np.stack([difference(flow, e) for e in np.eye(n + m)], axis=1)
    # The flows are smooth on the scale of 1, so the truncation error is DIFFERENCE⁴ of their derivative.
    allowance = float(np.abs(derivative).max()) * (n * ODE_ERROR / DIFFERENCE + DIFFERENCE**4)
    return float(np.abs(derivative - np.hstack([A, B])).max()) / allowance


def difference(
    f: Callable[[NDArray[np.float64]], NDArray[np.float64]], direction: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the derivative of f at 0 along a direction, by fourth-order central differences."""
    near, far = DIFFERENCE * direction, 2 * DIFFERENCE * direction
    return np.asarray((8 * (f(near) - f(-near)) - f(far) + f(-far)) / (12 * DIFFERENCE))


@pytest.mark.parametrize("name", EQUATIONS)
def test_matrices_are_the_derivative_of_the_nonlinear_flow(name: str) -> None:
    b = load(name)
    assert b.time_step is not None
    assert mismatch(b.system.A, b.system.B, EQUATIONS[name], b.time_step) <= 1
    # The check would see a millionth of the matrices' size in any entry.
    wrong = b.system.A.copy()
    wrong[-1, 0] += 1e-6 * np.abs(wrong).max()
    assert mismatch(wrong, b.system.B, EQUATIONS[name], b.time_step) > 1


def test_the_double_integrator_is_the_zero_order_hold_of_newton() -> None:
    system, step = load("double_integrator").system, load("double_integrator").time_step
    block = expm(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]) * step)
    np.testing.assert_allclose(
        np.hstack([system.A, system.B]), block[:2], rtol=0, atol=rounding_allowance(1.0, 3)
    )


def test_the_aircraft_has_the_published_modes() -> None:
    """Short period −0.375 ± 0.88i and phugoid −0.0005 ± 0.067i, in 1/s, to the digits printed there."""
    b = load("boeing_747_longitudinal")
    rates = np.log(np.linalg.eigvals(b.system.A).astype(complex)) / b.time_step
    for published, digits in ((-0.375 + 0.882j, 3), (-0.0005 + 0.0674j, 4)):
        assert np.abs(rates - published).min() <= np.sqrt(2) * 0.5 * 10**-digits


def test_gymnasium_agrees_on_the_falling_pendulum() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    b = load("pendulum_fall")
    env = gymnasium.make("Pendulum-v1").unwrapped
    assert env.dt == b.time_step

    def step(state: NDArray[np.float64], torque: float) -> NDArray[np.float64]:
        env.reset(seed=0)
        env.state = state
        env.step(np.array([torque]))
        return np.asarray(env.state)

    state = np.array([0.1, 0.0])
    for A, B in zip(b.system.A, b.system.B, strict=True):
        found = np.stack([difference(lambda d, s=state: step(s + d[:2], d[2]), e) for e in np.eye(3)], axis=1)
        allowance = DIFFERENCE**4 + rounding_allowance(float(np.abs(state).max()), 4) / DIFFERENCE
        assert np.abs(found - np.hstack([A, B])).max() <= allowance
        state = step(state, 0.0)
        assert abs(state[1]) < env.max_speed, "the environment would clip the rate"


# What the systems are advertised to be


@pytest.mark.parametrize("name", STABLE)
def test_stability_is_proved_by_an_exact_lyapunov_inequality(name: str) -> None:
    A = load(name).system.A
    n = len(A)
    P = solve_discrete_lyapunov(A.T, np.eye(n))
    exact_P, exact_A = exact_matrix(np.tril(P) + np.tril(P, -1).T), exact_matrix(A)
    decrease = exact_A.transpose() * exact_P * exact_A - exact_P
    assert prove_at_most(decrease, Fraction(-1, 2)).verify()
    assert prove_at_most(exact_P * -1, Fraction(-1, 2)).verify()
    assert load(name).facts.unstable_modes == 0


@pytest.mark.parametrize(("name", "eigenvalue"), [("tanks_in_series", None), ("double_integrator", 1.0)])
def test_the_defective_systems_are_one_jordan_block_exactly(name: str, eigenvalue: float | None) -> None:
    A = load(name).system.A
    n = len(A)
    shifted = exact_matrix(A) - exact_matrix((A[0, 0] if eigenvalue is None else eigenvalue) * np.eye(n))
    power = fmpq_mat(np.eye(n, dtype=int).tolist())
    for k in range(1, n + 1):
        power *= shifted
        assert power.rank() == n - k


def test_tanks_match_a_general_discretisation() -> None:
    b = load("tanks_in_series")
    n = b.system.state_dim
    A = (np.eye(n, k=-1) - np.eye(n)) / 2.0
    discrete = cont2discrete(
        (A, np.eye(n)[:, :1] / 2.0, np.eye(n), np.zeros((n, 1))), b.time_step, method="zoh"
    )
    allowance = rounding_allowance(1.0, n)
    assert np.abs(discrete[0] - b.system.A).max() <= allowance
    assert np.abs(discrete[1] - b.system.B).max() <= allowance
    # Filled with concentration 1 and fed with 1, the tanks stay as they are.
    assert np.abs(b.system.A.sum(axis=1) + b.system.B[:, 0] - 1.0).max() <= allowance


def test_the_platoon_is_stable_yet_grows_exponentially_along_the_string() -> None:
    b = load("vehicle_platoon")
    mode = np.exp(np.roots([1.0, 0.5, 1.0])[0] * b.time_step)
    assert b.facts.spectral_radius == pytest.approx(abs(mode), rel=rounding_allowance(1.0, 16))
    peaks = []
    for vehicles in (2, 4, 8):
        block = b.system.A[: 2 * vehicles, : 2 * vehicles]
        power, peak = np.eye(2 * vehicles), 0.0
        for _ in range(1000):
            power = block @ power
            peak = max(peak, float(np.linalg.norm(power, 2)))
        peaks.append(peak)
    assert peaks[1] > 2 * peaks[0]
    assert peaks[2] > 2**2 * peaks[1]
    assert peaks[2] > 50


def test_convection_diffusion_has_the_eigenvalues_of_a_tridiagonal_toeplitz_matrix() -> None:
    b = load("convection_diffusion")
    n = b.system.state_dim
    width = 1.0 / (n + 1)
    up, down = 0.05 / width**2 + 0.5 / width, 0.05 / width**2 - 0.5 / width
    rates = -(up + down) + 2 * np.sqrt(up * down) * np.cos(np.pi * np.arange(1, n + 1) / (n + 1))
    condition = (up / down) ** ((n - 1) / 2)
    found = np.sort(np.linalg.eigvals(b.system.A).real)
    # Bauer–Fike: errors of the matrix come multiplied by the condition number of the eigenvectors.
    assert np.abs(found - np.sort(np.exp(rates * b.time_step))).max() <= rounding_allowance(1.0, n, condition)
    assert condition > 1e4
    assert b.facts.departure_from_normality > 0.3


def test_one_unstable_mode_of_the_two_pendulums_is_nearly_out_of_reach() -> None:
    b = load("two_pendulums_on_a_cart")
    assert b.facts.unstable_modes == 2
    assert b.facts.reachable_rank == 4
    assert b.facts.unstable_mode_distance is not None
    assert 0 < b.facts.unstable_mode_distance < 0.01 * np.linalg.norm(b.system.B, 2)
    # Either pendulum alone is more than ten times as far from being out of reach.
    for k in (0, 2):
        alone = facts(LinearSystem(b.system.A[k : k + 2, k : k + 2], b.system.B[k : k + 2]))
        assert alone.unstable_mode_distance is not None
        assert alone.unstable_mode_distance > 10 * b.facts.unstable_mode_distance


def test_the_spacecraft_has_more_actions_than_states() -> None:
    b = load("spinning_spacecraft")
    assert b.system.action_dim == 4 > b.system.state_dim == b.facts.action_rank == 3
    # The wheels' common null direction: opposite wheels against each other.
    assert np.abs(b.system.B @ np.array([1.0, -1.0, 1.0, -1.0])).max() <= rounding_allowance(0.01, 4)
    assert abs(b.facts.spectral_radius - 1.0) <= rounding_allowance(1.0, 3)


@pytest.mark.parametrize(
    ("name", "states", "actions", "reachable", "unstable"),
    [
        ("mujoco_inverted_pendulum", 4, 1, 4, 1),
        ("mujoco_inverted_double_pendulum", 6, 1, 6, 2),
        # The target of the reacher is moved by no action.
        ("mujoco_reacher", 8, 2, 4, 0),
        # In flight the momenta are conserved: only the joints (3 and 8) can be moved.
        ("mujoco_hopper", 12, 3, 6, 0),
        ("mujoco_ant", 28, 8, 16, 0),
        # On the ground everything can be reached.
        ("mujoco_half_cheetah", 18, 6, 18, 0),
    ],
)
def test_the_mujoco_models_have_the_reachable_states_that_physics_allows(
    name: str, states: int, actions: int, reachable: int, unstable: int
) -> None:
    b = load(name)
    assert (b.system.state_dim, b.system.action_dim) == (states, actions)
    assert (b.facts.reachable_rank, b.facts.unstable_modes) == (reachable, unstable)


# Facts of systems made for the purpose


def test_facts_of_a_scrambled_cascade() -> None:
    """Eight equal oscillators in a row: one Jordan block of size 8 for each of two eigenvalues."""
    blocks, turn = 8, np.array([[0.6, -0.5], [0.5, 0.6]])
    cascade = np.kron(np.eye(blocks), turn) + np.kron(np.eye(blocks, k=-1), np.eye(2))
    order = np.random.default_rng(0).permutation(2 * blocks)
    cascade = cascade[np.ix_(order, order)]
    truth = np.hypot(0.6, 0.5)
    found = facts(LinearSystem(cascade, np.eye(2 * blocks)[:, :1]))
    assert abs(found.spectral_radius - truth) <= rounding_allowance(1.0, 2)
    assert abs(spectral_radius(cascade) - truth) > 1e-4, (
        "a general eigensolver scatters it, so this tests something"
    )


def test_facts_of_a_normal_matrix() -> None:
    c, s = np.cos(0.3), np.sin(0.3)
    found = facts(LinearSystem([[c, -s], [s, c]], [[0.0], [1.0]]))
    assert found.departure_from_normality <= np.sqrt(rounding_allowance(1.0, 2))
    assert found.unstable_modes == 0
    assert found.unstable_mode_distance is None


def test_facts_of_an_unreachable_unstable_mode() -> None:
    found = facts(LinearSystem(np.diag([2.0, 0.5]), [[0.0], [1.0]]))
    assert found.unstable_modes == 1
    assert found.reachable_rank == 1
    assert found.unstable_mode_distance == 0.0


def test_facts_of_a_nilpotent_and_a_zero_matrix() -> None:
    found = facts(LinearSystem(np.eye(3, k=1), np.zeros((3, 1))))
    assert (found.spectral_radius, found.reachable_rank, found.action_rank) == (0.0, 0, 0)
    assert found.departure_from_normality == 1.0
    assert facts(LinearSystem(np.zeros((2, 2)), np.eye(2))).departure_from_normality == 0.0


def test_a_coarse_accuracy_excuses_a_mode_just_outside_the_circle() -> None:
    system = LinearSystem([[1.0 + 1e-6, 1.0], [0.0, 1.0 + 1e-6]], [[0.0], [1.0]])
    assert facts(system).unstable_modes == 2
    assert facts(system, accuracy=1e-9).unstable_modes == 0


def test_facts_of_a_time_varying_system_are_per_step() -> None:
    system = TimeVaryingLinearSystem(np.array([[[2.0]], [[4.0]], [[8.0]]]), np.ones((3, 1, 1)))
    assert facts(system).spectral_radius == pytest.approx(4.0, rel=rounding_allowance(1.0, 3))
    assert facts(system).unstable_mode_distance is None


def test_a_bad_accuracy_has_its_own_error() -> None:
    with pytest.raises(ParameterError, match="accuracy"):
        facts(LinearSystem([[1.0]], [[1.0]]), accuracy=-1.0)
