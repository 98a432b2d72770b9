"""The stored linearisations are what MuJoCo gives today, by two routes, and the script that makes them is repeatable."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

mujoco = pytest.importorskip("mujoco", reason="the stored linearisations are checked against MuJoCo")
pytest.importorskip("gymnasium", reason="the models are Gymnasium's")

from experiments.scripts import linearise_mujoco as script  # noqa: E402
from linear_systems import benchmarks  # noqa: E402
from linear_systems.rounding import rounding_allowance  # noqa: E402

STAGES = {"mjINT_EULER": 1, "mjINT_RK4": 4}
"""Evaluations of the equations of motion in a physics step."""
STENCIL_GAIN = 2 * sum(abs(weight) for _, weight in script.STENCIL)
"""How much the differences multiply an error of the step, times the difference step."""
TRANSITION_STEP = 1e-6
"""Difference step given to mjd_transitionFD, whose central differences have second order."""
CHAIN_STEP = 1e-3
"""Difference step for two steps of the environment, in which a displacement has longer to reach a kink."""


def stored(name: str) -> dict[str, Any]:
    record = json.loads((script.DATA / f"{name}.json").read_text(encoding="utf-8"))
    if record["mujoco_version"] != mujoco.__version__:
        pytest.skip(f"stored with MuJoCo {record['mujoco_version']}, this is {mujoco.__version__}")
    return dict(record)


def step_error(record: dict[str, Any], scale: float) -> float:
    """Return the rounding error of one step of the environment: every stage of every physics step adds to it."""
    stages = STAGES[record["integrator"]] * record["frame_skip"]
    return rounding_allowance(scale, stages * record["dimensions"]["tangent"])


def states_of(record: dict[str, Any]) -> list[script.State]:
    return [(np.array(q), np.array(v)) for q, v in zip(record["qpos"], record["qvel"], strict=True)]


@pytest.mark.parametrize("name", script.CASES)
def test_regenerating_gives_the_stored_matrices(name: str) -> None:
    record, case = stored(name), script.CASES[name]
    physics, control = script.physics_of(case), np.array(record["control"])
    A, B = (np.array(record[key]).reshape(-1, *np.shape(record[key])[-2:]) for key in "AB")
    h, scale = record["difference_step"], max(np.abs(A).max(), np.abs(B).max())
    motion = max(1.0, *(float(np.abs(np.concatenate(state)).max()) for state in states_of(record)))
    allowance = STENCIL_GAIN * step_error(record, motion * scale) / h
    for t, state in enumerate(states_of(record)):
        found = physics.jacobian(state, control, h)
        assert np.abs(found[0] - A[t]).max() <= allowance
        assert np.abs(found[1] - B[t]).max() <= allowance
    assert allowance <= 1e-5 * scale, "an allowance that lets everything pass"


@pytest.mark.parametrize("name", script.CASES)
def test_regenerating_gives_the_stored_states_and_description(name: str) -> None:
    record, case = stored(name), script.CASES[name]
    physics, control = script.physics_of(case), np.array(record["control"])
    states = states_of(record)
    assert len(states) == (case.steps or 1)
    expected = [case.start(physics), *(physics.step(state, control) for state in states[:-1])]
    amplification = float(np.linalg.norm(np.array(record["A"]), 2, axis=(-2, -1)).max())
    roundings = script.SETTLING_STEPS if case.start is script.settled else 1
    for found, state in zip(expected, states, strict=True):
        motion = max(1.0, float(np.abs(np.concatenate(state)).max()))
        allowance = roundings * step_error(record, motion * amplification)
        assert np.abs(np.concatenate(found) - np.concatenate(state)).max() <= allowance


def test_a_whole_record_is_made_again() -> None:
    name = "mujoco_inverted_pendulum"
    record, again = stored(name), script.linearise(script.CASES[name])
    assert list(record) == list(again)
    numeric = ("A", "B", "qpos", "qvel", "accuracy", "difference_step")
    assert {k: v for k, v in record.items() if k not in numeric} == {
        k: v for k, v in again.items() if k not in numeric
    }
    for key in ("A", "B"):
        difference = np.abs(np.array(record[key]) - np.array(again[key])).max()
        h = min(record["difference_step"], again["difference_step"])
        assert difference <= STENCIL_GAIN * step_error(record, 1.0) / h


@pytest.mark.parametrize("name", script.CASES)
def test_the_benchmark_is_the_record(name: str) -> None:
    record, benchmark = stored(name), benchmarks.load(name)
    assert benchmark.system.A.tolist() == record["A"]
    assert benchmark.system.B.tolist() == record["B"]
    assert benchmark.system.state_dim == record["dimensions"]["tangent"] == 2 * record["dimensions"]["nv"]
    assert benchmark.system.action_dim == record["dimensions"]["nu"]
    assert benchmark.time_step == pytest.approx(record["physics_time_step"] * record["frame_skip"], rel=1e-15)


def test_every_stored_linearisation_has_a_case() -> None:
    assert {path.stem for path in script.DATA.glob("*.json")} == set(script.CASES)


@pytest.mark.parametrize("name", script.CASES)
def test_one_physics_step_agrees_with_mujocos_own_derivative(name: str) -> None:
    """mjd_transitionFD wants one Euler step, so both routes take one, from the stored first state."""
    record, case = stored(name), script.CASES[name]
    physics = script.physics_of(case)
    physics.model.opt.integrator = mujoco.mjtIntegrator.mjINT_EULER
    single = script.Physics(physics.model, physics.data, frame_skip=1)
    state, control = states_of(record)[0], np.array(record["control"])
    A, B = single.jacobian(state, control, record["difference_step"])
    expected = np.zeros_like(A), np.zeros_like(B)
    mujoco.mj_resetData(physics.model, physics.data)
    physics.data.qpos[:], physics.data.qvel[:] = state
    physics.data.ctrl[:] = control
    mujoco.mjd_transitionFD(physics.model, physics.data, TRANSITION_STEP, True, *expected, None, None)
    for found, theirs in zip((A, B), expected, strict=True):
        scale = max(1.0, float(np.abs(theirs).max()))
        motion = max(1.0, float(np.abs(np.concatenate(state)).max()))
        rounding = rounding_allowance(scale * motion, len(A)) / TRANSITION_STEP
        assert np.abs(found - theirs).max() <= rounding + record["accuracy"] * scale


@pytest.mark.parametrize("name", ["mujoco_inverted_double_pendulum", "mujoco_swimmer", "mujoco_ant"])
def test_the_derivative_of_two_steps_is_the_product(name: str) -> None:
    """The chain rule ties the tangent coordinates at the end of a step to those at the start of the next."""
    record, case = stored(name), script.CASES[name]
    once = script.physics_of(case)
    twice = script.Physics(once.model, once.data, 2 * once.frame_skip)
    state, control, h = states_of(record)[0], np.array(record["control"]), CHAIN_STEP
    A0, B0 = once.jacobian(state, control, h)
    A1, B1 = once.jacobian(once.step(state, control), control, h)
    A, B = twice.jacobian(state, control, h)
    scale = float(np.linalg.norm(A1, 2) * max(np.linalg.norm(A0, 2), np.linalg.norm(B0, 2)))
    allowance = len(A) * scale * STENCIL_GAIN * step_error(record, 1.0) / h
    assert np.abs(A - A1 @ A0).max() <= allowance
    assert np.abs(B - (A1 @ B0 + B1)).max() <= allowance


def test_the_inverted_pendulum_agrees_with_its_equations_of_motion() -> None:
    """M q̈ = stiffness q − damping q̇ + gear u for a rod on a cart, stepped by the Runge–Kutta polynomial."""
    record = stored("mujoco_inverted_pendulum")
    model = script.physics_of(script.CASES["mujoco_inverted_pendulum"]).model
    cart, pole = (float(model.body(name).mass[0]) for name in ("cart", "pole"))
    sideways, _, lever = (float(x) for x in model.body("pole").ipos)
    moment = float(model.body("pole").inertia[0]) + pole * lever**2
    mass = np.array([[cart + pole, pole * lever], [pole * lever, moment]])
    stiffness = np.diag([0.0, pole * lever * -float(model.opt.gravity[2])])
    damping = np.diag(model.dof_damping)
    force = np.array([[float(model.actuator_gear[0, 0])], [0.0]])
    continuous = np.zeros((5, 5))
    continuous[:2, 2:4] = np.eye(2)
    continuous[2:4] = np.linalg.solve(mass, np.hstack([stiffness, -damping, force]))
    step = record["physics_time_step"] * continuous
    stages = sum(np.linalg.matrix_power(step, k) / factorial(k) for k in range(5))
    expected = np.linalg.matrix_power(stages, record["frame_skip"])[:4]
    found = np.hstack([record["A"], record["B"]])
    # The pole of the model leans by a 600th, which the equations above leave out.
    assert np.abs(found - expected).max() <= sideways / lever * np.abs(expected).max()
    assert sideways / lever < 2e-3


@pytest.mark.parametrize("name", script.CASES)
def test_model_and_frame_skip_are_those_of_the_environment(name: str) -> None:
    case = script.CASES[name]
    module = re.sub(r"(?<!^)(?=[A-Z])", "_", case.environment.removesuffix("-v5")).lower() + "_v5.py"
    text = (files("gymnasium") / "envs/mujoco" / module).read_text(encoding="utf-8")
    assert f"frame_skip: int = {case.frame_skip}," in text
    assert f'xml_file: str = "{case.xml}"' in text


def test_states_with_a_quaternion_have_tangent_coordinates() -> None:
    record = stored("mujoco_ant")
    assert record["dimensions"]["nq"] == record["dimensions"]["nv"] + 1
    assert len(record["qpos"][0]) == 15
    assert np.shape(record["A"]) == (28, 28)
    assert record["states"][3] == "root rotation about x [rad]"
    assert record["actions"][0] == "motor of hip_4 [150 N m]"


def test_the_half_cheetah_stands_still_in_contact() -> None:
    record = stored("mujoco_half_cheetah")
    physics = script.physics_of(script.CASES["mujoco_half_cheetah"])
    state = states_of(record)[0]
    after = physics.step(state, np.zeros(6))
    assert physics.data.ncon > 0
    moved = np.abs(np.concatenate(after) - np.concatenate(state)).max()
    assert moved <= record["frame_skip"] * step_error(record, float(np.abs(record["A"]).max()))


def test_a_step_carries_nothing_over() -> None:
    physics = script.physics_of(script.CASES["mujoco_half_cheetah"])
    start = script.settled(physics)
    first = physics.step(start, np.zeros(6))
    physics.step((start[0] + 0.1, start[1]), np.ones(6))
    again = physics.step(start, np.zeros(6))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])


# The command


def run(*arguments: str) -> Any:
    return CliRunner().invoke(script.app, list(arguments))


def test_the_command_is_repeatable_and_leaves_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        result = run("mujoco_inverted_pendulum", "mujoco_half_cheetah", "--output", str(folder))
        assert result.exit_code == 0, result.output
        assert "mujoco_half_cheetah.json: A (18, 18)" in result.output
        texts.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert texts[0] == texts[1]
    assert set(texts[0]) == {"mujoco_inverted_pendulum.json", "mujoco_half_cheetah.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second"}


def test_the_command_refuses_an_unknown_name() -> None:
    result = run("mujoco_pogo_stick")
    assert result.exit_code == 2
    assert "mujoco_pogo_stick" in result.output


def test_stored_numbers_have_all_their_digits(tmp_path: Path) -> None:
    values: NDArray[np.float64] = np.array([0.1, 1 / 3, 1e-300, np.nextafter(1.0, 2.0)])
    path = script.write("sample", {"A": values.tolist()}, tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))["A"] == values.tolist()
