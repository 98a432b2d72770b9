"""Linearise real MuJoCo models: the data behind the `mujoco_*` benchmarks of `linear_systems.examples.benchmarks`.

The map that is linearised is one step of the Gymnasium environment: `frame_skip` physics steps, with the
integrator that the environment uses, under a held control.  MuJoCo's own mjd_transitionFD covers one physics
step and refuses the Runge–Kutta integrator that most of these environments use, so the derivative is taken
here by eighth-order central differences, in tangent coordinates: a position is displaced by mj_integratePos
and a displacement read off by mj_differentiatePos, which makes 2 nv coordinates also where nq > nv.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import mujoco
import numpy as np
import typer
from jaxtyping import Float

import linear_systems
from grasp_theory.command_line import add, expect_folder, new_app
from grasp_theory.files import write_atomically
from linear_systems.errors import ParameterError
from linear_systems.rounding import EPS

DATA = Path(linear_systems.__file__).parent / "examples" / "data"
ASSETS = "envs/mujoco/assets"
"""Where Gymnasium keeps its MuJoCo models."""
DIFFERENCE_STEPS = tuple(0.04 / 2**k for k in range(12))
"""Difference steps tried.  Long ones drown rounding errors but may cross a joint limit or break a contact."""
STENCIL = ((1.0, 4 / 5), (2.0, -1 / 5), (3.0, 4 / 105), (4.0, -1 / 280))
"""f'(x) ≈ Σ weight · (f(x + offset · h) − f(x − offset · h)) / h, with an error of order h⁸."""
SETTLING_STEPS = 3000
"""Physics steps after which a standing model has come to rest, to rounding error."""

Vector = Float[np.ndarray, " size"]
Matrix = Float[np.ndarray, "rows columns"]
Stack = Float[np.ndarray, "T rows columns"]
State = tuple[Vector, Vector]
"""Position qpos (nq,) and velocity qvel (nv,)."""
Pose = Mapping[str, float | tuple[float, ...]]
"""Joint name to position or velocity; a joint that is left out keeps its own default."""


@dataclass(frozen=True)
class Physics:
    """A compiled model and how its environment steps it."""

    model: Any
    data: Any
    frame_skip: int

    def step(self, state: State, control: Vector) -> State:
        """Return the state after one step of the environment; nothing carries over from earlier calls."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:], self.data.qvel[:] = state
        self.data.ctrl[:] = control
        for _ in range(self.frame_skip):
            mujoco.mj_step(self.model, self.data)
        return self.data.qpos.copy(), self.data.qvel.copy()

    def jacobian(self, state: State, control: Vector, h: float) -> tuple[Matrix, Matrix]:
        """Return A (2 nv, 2 nv) and B (2 nv, nu) of `step`, by central differences with step `h`."""
        model, nv = self.model, self.model.nv
        base = self.step(state, control)

        def displaced(direction: Vector) -> Vector:
            position = state[0].copy()
            mujoco.mj_integratePos(model, position, direction[:nv], 1.0)
            moved = self.step((position, state[1] + direction[nv : 2 * nv]), control + direction[2 * nv :])
            difference = np.empty(nv)
            mujoco.mj_differentiatePos(model, difference, 1.0, base[0], moved[0])
            return np.concatenate([difference, moved[1] - base[1]])

        columns = [
            sum(w * (displaced(c * h * axis) - displaced(-c * h * axis)) for c, w in STENCIL) / h
            for axis in np.eye(2 * nv + model.nu)
        ]
        both = np.stack(columns, axis=1)
        return both[:, : 2 * nv], both[:, 2 * nv :]


def posed(physics: Physics, position: Pose, velocity: Pose) -> State:
    """Return the state with the given joint positions and velocities, the others at their defaults."""
    mujoco.mj_resetData(physics.model, physics.data)
    for joint, value in position.items():
        physics.data.joint(joint).qpos[:] = value
    for joint, value in velocity.items():
        physics.data.joint(joint).qvel[:] = value
    return physics.data.qpos.copy(), physics.data.qvel.copy()


def settled(physics: Physics) -> State:
    """Return the state in which the model has come to rest from its default pose, under no control."""
    mujoco.mj_resetData(physics.model, physics.data)
    for _ in range(SETTLING_STEPS):
        mujoco.mj_step(physics.model, physics.data)
    return physics.data.qpos.copy(), physics.data.qvel.copy()


def at(position: Pose | None = None, velocity: Pose | None = None) -> Callable[[Physics], State]:
    """Return the function from a model to its state in this pose."""
    return partial(posed, position=position or {}, velocity=velocity or {})


@dataclass(frozen=True)
class Case:
    """What to linearise and where: one step at `start`, or `steps` steps along the uncontrolled motion."""

    description: str
    environment: str
    xml: str
    frame_skip: int
    start: Callable[[Physics], State] = field(default_factory=at)
    steps: int | None = None


CASES: Mapping[str, Case] = {
    "mujoco_inverted_pendulum": Case(
        "a pole balanced on a cart, upright", "InvertedPendulum-v5", "inverted_pendulum.xml", 2
    ),
    "mujoco_inverted_double_pendulum": Case(
        "two poles in a chain balanced on a cart, upright",
        "InvertedDoublePendulum-v5",
        "inverted_double_pendulum.xml",
        5,
    ),
    "mujoco_inverted_double_pendulum_fall": Case(
        "the double pendulum along its fall from 0.1 rad, 2 s",
        "InvertedDoublePendulum-v5",
        "inverted_double_pendulum.xml",
        5,
        start=at({"hinge": 0.1}),
        steps=40,
    ),
    "mujoco_reacher": Case(
        "a planar arm of two links, bent, and a target that no action moves",
        "Reacher-v5",
        "reacher.xml",
        2,
        start=at({"joint0": 0.3, "joint1": 1.0}),
    ),
    "mujoco_swimmer": Case(
        "a swimmer of three links gliding through a fluid, bent",
        "Swimmer-v5",
        "swimmer.xml",
        4,
        start=at(
            {"motor1_rot": 0.5, "motor2_rot": -0.5},
            {"slider1": 1.0, "slider2": 0.3, "free_body_rot": 0.2, "motor1_rot": 0.4, "motor2_rot": -0.3},
        ),
    ),
    "mujoco_hopper": Case(
        "a hopper in flight, knee bent",
        "Hopper-v5",
        "hopper.xml",
        4,
        start=at({"rootz": 1.75, "thigh_joint": -0.5, "leg_joint": -1.0, "foot_joint": 0.3}),
    ),
    "mujoco_half_cheetah": Case(
        "a half cheetah standing on the ground at rest, in contact",
        "HalfCheetah-v5",
        "half_cheetah.xml",
        5,
        start=settled,
    ),
    "mujoco_ant": Case(
        "an ant in flight, its orientation a quaternion",
        "Ant-v5",
        "ant.xml",
        5,
        start=at(
            {
                "root": (0.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0),
                "ankle_1": 1.0,
                "ankle_2": -1.0,
                "ankle_3": -1.0,
                "ankle_4": 1.0,
            }
        ),
    ),
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MuJoCo's notes on deprecated model syntax out of a log file in the working directory."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda _: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def physics_of(case: Case) -> Physics:
    """Compile the model of a case; its constraint solver runs to convergence, so that steps are smooth."""
    with _quiet():
        model = mujoco.MjModel.from_xml_string(_xml(case).decode())
    model.opt.tolerance = 0.0
    return Physics(model, mujoco.MjData(model), case.frame_skip)


def linearise(case: Case) -> dict[str, Any]:
    """Return the record of a case as it is stored: matrices, units, and what it takes to make them again."""
    physics = physics_of(case)
    model, control = physics.model, np.zeros(physics.model.nu)
    states = [case.start(physics)]
    for _ in range((case.steps or 1) - 1):
        states.append(physics.step(states[-1], control))
    A, B, difference_step, accuracy = _jacobians(physics, states, control)
    varying = case.steps is not None
    return {
        "description": f"{case.description} (MuJoCo)",
        "source": f"model {case.xml} and step of Gymnasium's {case.environment}, linearised by "
        "experiments/scripts/linearise_mujoco.py",
        "time_step": model.opt.timestep * case.frame_skip,
        "states": _state_names(model),
        "actions": _action_names(model),
        "accuracy": accuracy,
        "gymnasium_version": version("gymnasium"),
        "mujoco_version": mujoco.__version__,
        "environment": case.environment,
        "xml": case.xml,
        "xml_sha256": hashlib.sha256(_xml(case)).hexdigest(),
        "integrator": mujoco.mjtIntegrator(model.opt.integrator).name,
        "physics_time_step": model.opt.timestep,
        "frame_skip": case.frame_skip,
        "difference_step": difference_step,
        "dimensions": {
            "nq": model.nq,
            "nv": model.nv,
            "na": model.na,
            "nu": model.nu,
            "tangent": 2 * model.nv,
        },
        "control": control.tolist(),
        "qpos": [position.tolist() for position, _ in states],
        "qvel": [velocity.tolist() for _, velocity in states],
        "A": (A if varying else A[0]).tolist(),
        "B": (B if varying else B[0]).tolist(),
    }


def write(name: str, record: Mapping[str, Any], folder: Path) -> Path:
    """Write a record as JSON, one key a line; Python prints floats with all digits that they need."""
    lines = (f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in record.items())
    path = folder / f"{name}.json"
    write_atomically(path, "{\n" + ",\n".join(lines) + "\n}\n")
    return path


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which linearisations; all if none is named.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            help="Folder to write to.",
            exists=True,
            file_okay=False,
            show_default="linear_systems/examples/data",
        ),
    ] = DATA,
) -> None:
    """Linearise Gymnasium's MuJoCo models and store the matrices as JSON (deterministic)."""
    unknown = sorted(set(names or ()) - set(CASES))
    if unknown:
        raise ParameterError("names", f"some of {', '.join(CASES)}", ", ".join(unknown), "check the spelling")
    expect_folder(output)
    for name in names or CASES:
        record = linearise(CASES[name])
        path = write(name, record, output)
        typer.echo(f"{path.name}: A {np.shape(record['A'])}, accuracy {record['accuracy']:.1e}")


def _xml(case: Case) -> bytes:
    return (files("gymnasium") / ASSETS / case.xml).read_bytes()


def _jacobians(physics: Physics, states: list[State], control: Vector) -> tuple[Stack, Stack, float, float]:
    """Return A_t and B_t at the states, the difference step, and their error relative to the largest entry.

    The error is taken to be what halving the step changes, and the step is the one where that is least.
    """
    trials = []
    for h in DIFFERENCE_STEPS:
        jacobians = [physics.jacobian(state, control, h) for state in states]
        trials.append((np.stack([A for A, _ in jacobians]), np.stack([B for _, B in jacobians])))
    changes = [
        max(float(np.abs(f - c).max() / np.abs(c).max()) for f, c in zip(finer, coarser, strict=True))
        for coarser, finer in pairwise(trials)
    ]
    best = int(np.argmin(changes))
    return *trials[best], DIFFERENCE_STEPS[best], max(EPS, changes[best])


def _state_names(model: Any) -> list[str]:
    """Return the names of the tangent coordinates: displacements, then velocities."""
    coordinates: list[tuple[str, str]] = []
    for j in range(model.njnt):
        name = model.joint(j).name
        kind = mujoco.mjtJoint(model.jnt_type[j])
        if kind == mujoco.mjtJoint.mjJNT_FREE:
            coordinates += [(f"{name} {axis}", "m") for axis in "xyz"]
            coordinates += [(f"{name} rotation about {axis}", "rad") for axis in "xyz"]
        else:
            coordinates.append((name, _JOINT_UNITS[kind][0]))
    return [f"{name} [{unit}]" for name, unit in coordinates] + [
        f"velocity of {name} [{unit}/s]" for name, unit in coordinates
    ]


def _action_names(model: Any) -> list[str]:
    """Return the controls; the unit of a control is the force or torque that its gear makes of 1."""
    described = []
    for k in range(model.nu):
        joint = int(model.actuator_trnid[k, 0])
        force = _JOINT_UNITS[mujoco.mjtJoint(model.jnt_type[joint])][1]
        described.append(f"motor of {model.joint(joint).name} [{model.actuator_gear[k, 0]:g} {force}]")
    return described


_JOINT_UNITS = {mujoco.mjtJoint.mjJNT_SLIDE: ("m", "N"), mujoco.mjtJoint.mjJNT_HINGE: ("rad", "N m")}
"""Units of a joint's position and of the generalised force on it."""


app = new_app()
add(app, main, "files that were written stay; the others are made by their names.")

if __name__ == "__main__":
    app()
