"""Named systems from the field, with units and sources.

Physical models are written here with their parameters and equations of motion, and discretised by holding
the actions over a step.  Linearisations of MuJoCo models are stored in `linear_systems/examples/data` with all their
digits, and `python -m experiments.scripts.linearise_mujoco` regenerates them.  What a system is said to be (unstable,
not reachable, far from normal) is computed from its matrices: `Benchmark.facts`.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import toeplitz
from scipy.signal import cont2discrete
from scipy.special import factorial, gammainc

from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.examples.facts import Facts, facts
from linear_systems.rounding import EPS
from linear_systems.system import AnySystem, LinearSystem, TimeVaryingLinearSystem

__all__ = ["Benchmark", "load", "load_all", "names"]

DATA = files("linear_systems.examples") / "data"
GYMNASIUM = "constants as in Gymnasium's {} (https://gymnasium.farama.org)"


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A named system.

    Arguments
        name: what `load` knows it by.
        description: what the system is.
        system: its matrices.
        states: the n states, each with its unit in brackets.
        actions: the m actions, each with its unit in brackets.
        time_step: seconds per step; None where time has no physical unit.
        source: where the model and its parameters come from.
        accuracy: the error of the entries of A and B, relative to the largest entry.
    """

    name: str
    description: str
    system: AnySystem
    states: tuple[str, ...]
    actions: tuple[str, ...]
    time_step: float | None
    source: str
    accuracy: float = EPS

    @property
    def facts(self) -> Facts:
        """What the matrices say of the system: growth, unstable modes, reachability, non-normality."""
        return facts(self.system, self.accuracy)


def names() -> tuple[str, ...]:
    """Return the names of all benchmarks: physical models first, then the stored linearisations."""
    stored = (entry.name for entry in DATA.iterdir())
    return (*_MODELS, *sorted(name.removesuffix(".json") for name in stored if name.endswith(".json")))


@checked
@cache
def load(name: str) -> Benchmark:
    """Return the benchmark called `name`.

    Raises
        ParameterError if there is none.
    """
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=1) or ["one of benchmarks.names()"]
        raise ParameterError("name", "the name of a benchmark", repr(name), close[0])
    return _MODELS[name]() if name in _MODELS else _stored(name)


def load_all() -> tuple[Benchmark, ...]:
    """Return every benchmark, in the order of `names`."""
    return tuple(load(name) for name in names())


def _stored(name: str) -> Benchmark:
    record = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    A, B = np.array(record["A"]), np.array(record["B"])
    return Benchmark(
        name,
        record["description"],
        LinearSystem(A, B) if A.ndim == 2 else TimeVaryingLinearSystem(A, B),
        tuple(record["states"]),
        tuple(record["actions"]),
        record["time_step"],
        record["source"],
        record["accuracy"],
    )


def _hold(A: ArrayLike, B: ArrayLike, time_step: float) -> LinearSystem:
    """Discretise ẋ = Ax + Bu with u held over the step (zero-order hold)."""
    a, b = np.asarray(A, dtype=np.float64), np.asarray(B, dtype=np.float64)
    n, m = b.shape
    discrete = cont2discrete((a, b, np.eye(n), np.zeros((n, m))), time_step, method="zoh")
    return LinearSystem(discrete[0], discrete[1])


def _scalar() -> Benchmark:
    return Benchmark(
        "scalar",
        "A = 0.8, B = 1: the smallest stable system, on which the constants of Theorem 6 already grow with T",
        LinearSystem([[0.8]], [[1.0]]),
        ("state [1]",),
        ("action [1]",),
        None,
        "worked example of this project for Theorem 6",
    )


def _double_integrator() -> Benchmark:
    step = 0.1
    return Benchmark(
        "double_integrator",
        "a unit mass on a line, pushed: the eigenvalue 1 has a Jordan block of size 2",
        LinearSystem([[1.0, step], [0.0, 1.0]], [[step**2 / 2], [step]]),
        ("position [m]", "velocity [m/s]"),
        ("acceleration [m/s²]",),
        step,
        "Newton's second law under zero-order hold, in closed form",
    )


def _pendulum_upright() -> Benchmark:
    gravity, mass, length, step = 10.0, 1.0, 1.0, 0.05
    inertia = mass * length**2 / 3
    return Benchmark(
        "pendulum_upright",
        "a uniform rod hinged at one end, near its upright equilibrium",
        _hold([[0.0, 1.0], [mass * gravity * length / 2 / inertia, 0.0]], [[0.0], [1 / inertia]], step),
        ("angle from upright [rad]", "angular velocity [rad/s]"),
        ("torque [N m]",),
        step,
        "rigid-body mechanics; " + GYMNASIUM.format("Pendulum-v1"),
    )


def _cart_pole_upright() -> Benchmark:
    gravity, cart, pole, half_length, step = 9.8, 1.0, 0.1, 0.5, 0.02
    total = cart + pole
    # At θ = 0: θ̈ = (gθ − u/M) / (l (4/3 − m/M)) and ẍ = u/M − (m l / M) θ̈, with M the total mass.
    arm = half_length * (4 / 3 - pole / total)
    lever = pole * half_length / total
    A = np.zeros((4, 4))
    A[0, 1] = A[2, 3] = 1.0
    A[1, 2], A[3, 2] = -lever * gravity / arm, gravity / arm
    B = [[0.0], [1 / total + lever / (total * arm)], [0.0], [-1 / (total * arm)]]
    return Benchmark(
        "cart_pole_upright",
        "a pole balanced on a cart, without friction",
        _hold(A, B, step),
        ("cart position [m]", "cart velocity [m/s]", "pole angle [rad]", "pole angular velocity [rad/s]"),
        ("force on the cart [N]",),
        step,
        "Barto, Sutton and Anderson, IEEE Trans. SMC-13 (1983) 834–846; " + GYMNASIUM.format("CartPole-v1"),
    )


def _planar_quadrotor_hover() -> Benchmark:
    gravity, mass, arm, inertia, step = 9.81, 0.486, 0.25, 0.00383, 0.02
    A = np.zeros((6, 6))
    A[:3, 3:] = np.eye(3)
    A[3, 2] = -gravity
    B = np.zeros((6, 2))
    B[4] = 1 / mass
    B[5] = arm / inertia, -arm / inertia
    return Benchmark(
        "planar_quadrotor_hover",
        "a quadrotor confined to a vertical plane, hovering: a chain of four integrators and one of two",
        _hold(A, B, step),
        ("x [m]", "z [m]", "pitch [rad]", "x velocity [m/s]", "z velocity [m/s]", "pitch rate [rad/s]"),
        ("right thrust minus hover [N]", "left thrust minus hover [N]"),
        step,
        "rigid-body mechanics; parameters of the Quadrotor2D model in Tedrake, Underactuated Robotics",
    )


def _boeing_747_longitudinal() -> Benchmark:
    A = [
        [-0.003, 0.039, 0.0, -0.322],
        [-0.065, -0.319, 7.74, 0.0],
        [0.02, -0.101, -0.429, 0.0],
        [0.0, 0.0, 1.0, 0.0],
    ]
    B = [[0.01, 1.0], [-0.18, -0.04], [-1.16, 0.598], [0.0, 0.0]]
    step = 0.1
    return Benchmark(
        "boeing_747_longitudinal",
        "a Boeing 747 in level flight at 40,000 ft and 774 ft/s: a short-period and a slow phugoid mode",
        _hold(A, B, step),
        ("speed along the body [ft/s]", "speed down [ft/s]", "pitch rate [0.01 rad/s]", "pitch [0.01 rad]"),
        ("elevator [0.01 rad]", "thrust [ft/s²]"),
        step,
        "S. Boyd, lecture notes of EE263 (Linear Dynamical Systems, Stanford), aircraft example",
    )


def _tanks_in_series() -> Benchmark:
    tanks, residence, step = 5, 2.0, 0.5
    order, x = np.arange(tanks), step / residence
    # Zero-order hold in closed form: the waiting time in k tanks is Erlang, so every entry is a Poisson
    # probability, and all diagonal entries are the same float: one Jordan block, exactly.
    impulse = np.exp(-x) * x**order / factorial(order)
    return Benchmark(
        "tanks_in_series",
        "five equal stirred tanks in series: stable and defective, one Jordan block of size 5",
        LinearSystem(toeplitz(impulse, np.zeros(tanks)), gammainc(order + 1, x)[:, np.newaxis]),
        tuple(f"concentration in tank {k + 1} [mol/L]" for k in order),
        ("concentration at the inlet [mol/L]",),
        step,
        "tanks-in-series model (Levenspiel, Chemical Reaction Engineering); residence time 2 s chosen here",
    )


def _vehicle_platoon() -> Benchmark:
    vehicles, stiffness, damping, step = 8, 1.0, 0.5, 0.25
    own, ahead = [[0.0, 1.0], [-stiffness, -damping]], [[0.0, 0.0], [stiffness, damping]]
    A = np.kron(np.eye(vehicles), own) + np.kron(np.eye(vehicles, k=-1), ahead)
    B = np.zeros((2 * vehicles, 1))
    B[1] = 1.0
    return Benchmark(
        "vehicle_platoon",
        "eight vehicles that each follow the one ahead: stable, yet disturbances grow along the string",
        _hold(A, B, step),
        tuple(f"{what} of vehicle {k + 1} [{unit}]" for k in range(vehicles)
              for what, unit in (("position error", "m"), ("velocity error", "m/s"))),
        ("acceleration of vehicle 1 [m/s²]",),
        step,
        "predecessor following (Swaroop and Hedrick, IEEE Trans. AC-41 (1996) 349–357); gains chosen here",
    )  # fmt: skip


def _convection_diffusion() -> Benchmark:
    points, speed, diffusivity, step = 12, 1.0, 0.05, 0.05
    width = 1.0 / (points + 1)
    upstream = diffusivity / width**2 + speed / (2 * width)
    downstream = diffusivity / width**2 - speed / (2 * width)
    A = upstream * np.eye(points, k=-1) + downstream * np.eye(points, k=1)
    A -= (upstream + downstream) * np.eye(points)
    B = np.zeros((points, 1))
    B[0] = upstream
    return Benchmark(
        "convection_diffusion",
        "concentration carried along a tube of 1 m: stable, with nearly dependent eigenvectors",
        _hold(A, B, step),
        tuple(f"concentration at {(k + 1) * width:.3f} m [mol/L]" for k in range(points)),
        ("concentration at the inlet [mol/L]",),
        step,
        "Reddy and Trefethen, SIAM J. Appl. Math. 54 (1994) 1634–1649; speed 1 m/s, diffusivity 0.05 m²/s",
    )


def _two_pendulums_on_a_cart() -> Benchmark:
    gravity, lengths, step = 9.81, (1.0, 1.01), 0.02
    A, B = np.zeros((4, 4)), np.zeros((4, 1))
    for k, length in enumerate(lengths):
        # A point mass on a massless rod: l θ̈ = gθ − u for the acceleration u of the cart.
        A[2 * k, 2 * k + 1], A[2 * k + 1, 2 * k], B[2 * k + 1] = 1.0, gravity / length, -1 / length
    return Benchmark(
        "two_pendulums_on_a_cart",
        "two upright pendulums of almost equal length on one cart: an unstable mode nearly out of reach",
        _hold(A, B, step),
        ("angle 1 [rad]", "angular velocity 1 [rad/s]", "angle 2 [rad]", "angular velocity 2 [rad/s]"),
        ("acceleration of the cart [m/s²]",),
        step,
        "rigid-body mechanics; with equal lengths the difference of the angles would be out of reach",
    )


def _spinning_spacecraft() -> Benchmark:
    inertia, spin, step = np.array([100.0, 120.0, 80.0]), 0.1, 1.0
    A = np.zeros((3, 3))
    A[0, 1] = (inertia[1] - inertia[2]) / inertia[0] * spin
    A[1, 0] = (inertia[2] - inertia[0]) / inertia[1] * spin
    # The wheel axes point from the centre of a cube to the four corners of one face.
    axes = np.array([[1.0, -1.0, -1.0, 1.0], [1.0, 1.0, -1.0, -1.0], [1.0, 1.0, 1.0, 1.0]]) / np.sqrt(3.0)
    return Benchmark(
        "spinning_spacecraft",
        "body rates of a spacecraft in slow spin about its third axis, with four reaction wheels: m > n",
        _hold(A, axes / inertia[:, np.newaxis], step),
        tuple(f"rate about axis {k} [rad/s]" for k in (1, 2, 3)),
        tuple(f"torque of wheel {k} [N m]" for k in (1, 2, 3, 4)),
        step,
        "Euler's equations about a steady spin; inertias and spin rate chosen here",
    )


def _pendulum_fall() -> Benchmark:
    gravity, mass, length, step, steps = 10.0, 1.0, 1.0, 0.05, 60
    pull, push = 3 * gravity / (2 * length), 3 / (mass * length**2)
    angle, rate = 0.1, 0.0
    A, B = np.empty((steps, 2, 2)), np.empty((steps, 2, 1))
    for t in range(steps):
        # ω' = ω + h (pull sin θ + push u), θ' = θ + h ω', and its derivative at (θ, ω, u = 0).
        stiffening = step * pull * np.cos(angle)
        A[t] = [[1 + step * stiffening, step], [stiffening, 1.0]]
        B[t] = [[step**2 * push], [step * push]]
        rate += step * pull * np.sin(angle)
        angle += step * rate
    return Benchmark(
        "pendulum_fall",
        "the pendulum of Pendulum-v1 along its free fall from 0.1 rad, 3 s: through the bottom and up again",
        TimeVaryingLinearSystem(A, B),
        ("angle from upright [rad]", "angular velocity [rad/s]"),
        ("torque [N m]",),
        step,
        "derivative of the step of the environment; " + GYMNASIUM.format("Pendulum-v1"),
    )


_MODELS = {
    model.__name__.removeprefix("_"): model
    for model in (
        _scalar,
        _double_integrator,
        _pendulum_upright,
        _cart_pole_upright,
        _planar_quadrotor_hover,
        _boeing_747_longitudinal,
        _tanks_in_series,
        _vehicle_platoon,
        _convection_diffusion,
        _two_pendulums_on_a_cart,
        _spinning_spacecraft,
        _pendulum_fall,
    )
}
