"""Valid arguments of the public callables, by "callable.parameter" or by the parameter's name alone, each made anew."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch


def a_system() -> Any:
    from linear_systems import LinearSystem

    return LinearSystem([[0.9, 0.1], [0.0, 0.8]], [[0.0], [1.0]])


def shift(state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    return state + 0.1 * action


def a_problem(**changes: Any) -> Any:
    from grasp_theory import PlanningProblem

    given = {"horizon": 3, "action_dim": 2, "reached": near} | changes
    return PlanningProblem(shift, torch.zeros(2, 2), torch.ones(2, 2), **given)


def near(states: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
    return (states - goals).norm(dim=1) < 0.1


def gradient_steps_of(system: Any, beta: Any, cycle: Any) -> Any:
    from linear_systems.stop_gradient.parallel_iterations import gradient_steps

    return gradient_steps(system, beta, cycle, 0.1)


def a_bootstrap() -> Any:
    from grasp_theory.statistics.bootstrap import Bootstrap

    return Bootstrap(np.arange(4), np.random.default_rng(0), 10)


@cache
def an_acceptance() -> Any:
    from grasp_theory import Acceptance

    rng = np.random.default_rng(0)
    feature = rng.normal(size=400)
    return Acceptance.calibrate({"agreement": feature}, feature + 0.3 * rng.normal(size=400) > 0, 0.2)


@cache
def small_world_model() -> Any:
    from world_model_cases import world_model

    return world_model().eval()


class Window:
    """A model that predicts from a window of two frames."""

    window = 2

    def predict(self, frames: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        return frames[..., -1, :] + 0.1 * actions[..., -1, :]


def gaussian() -> Any:
    from grasp_theory.smoothing import Gaussian

    return Gaussian([0.0], 1.0)


def quadratic(points: Any) -> Any:
    return np.sum(np.asarray(points) ** 2, axis=-1)


def a_card() -> Any:
    from world_model_cases import card_for

    return card_for(small_world_model().architecture)


def stored_file(suffix: str) -> Any:
    from grasp_theory.world_models import save

    folder = Path(tempfile.mkdtemp())
    if suffix == "model":
        save(small_world_model(), a_card(), folder / "small")
        return folder / "small"
    an_acceptance().save(folder / "rule.json")
    return folder / "rule.json"


def a_task() -> Any:
    from grasp_theory.tasks import by_name

    return by_name("wall_single")


def one_plan() -> Any:
    from grasp_theory import CEM

    return CEM(iterations=1, samples=3, elites=2).plan(a_problem())


def free_bound() -> Any:
    from linear_systems.stop_gradient.uniform_bounds import uniform_bound

    return uniform_bound(a_system(), 1.0, (0.05, 0.3))


def lazily(module: str, name: str) -> Callable[..., Any]:
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


_ZEROS = lambda *shape: lambda: np.zeros(shape)  # noqa: E731
_T = lambda *shape: lambda: torch.zeros(*shape)  # noqa: E731
VALID: dict[str, Callable[[], Any]] = {
    "system": a_system,
    "horizon": lambda: 3,
    "beta": lambda: 1.0,
    "step_size": lambda: 0.1,
    "sigma": lambda: 0.1,
    "A": lambda: np.eye(2),
    "B": lambda: np.ones((2, 1)),
    "LinearDynamics.A": lambda: torch.eye(2),
    "LinearDynamics.B": _T(2, 2),
    "TimeVaryingLinearDynamics.A": _T(3, 2, 2),
    "TimeVaryingLinearDynamics.B": _T(3, 2, 2),
    "TimeVaryingLinearSystem.A": _ZEROS(3, 2, 2),
    "TimeVaryingLinearSystem.B": _ZEROS(3, 2, 1),
    "initial_state": _ZEROS(2),
    "goal": lambda: np.ones(2),
    "z": _ZEROS(9),
    "states": _ZEROS(3, 2),
    "actions": _ZEROS(3, 1),
    "state": _ZEROS(2),
    "action": _ZEROS(1),
    "initial_error": lambda: np.ones(9),
    "parallel_iterations.iterations_to.initial_error": lambda: np.ones((3, 3)),
    "parallel_iterations.iterations_to.iteration": lambda: lazily(
        "linear_systems.stop_gradient.parallel_iterations", "parallel_greedy"
    )(a_system()),
    "tolerance": lambda: 0.1,
    "iterations": lambda: 3,
    "iteration": lambda: lambda z: 0.5 * z,
    "start": lambda: np.ones(4),
    "anderson.start": lambda: np.ones((3, 1)),
    "diagonal": lambda: 0.5 * np.ones((2, 1, 1)),
    "left": lambda: 0.1 * np.ones((2, 1, 1)),
    "growth": lambda: np.array([1.0, 0.5, 0.2]),
    "curvature": lambda: 1.0,
    "contraction_basin.rate": lambda: 0.9,
    "rate": lambda: 0.9,
    "slope": lambda: 1.0,
    "second": lambda: 1.0,
    "third": lambda: 1.0,
    "residual": lambda: 1.0,
    "wasserstein2.first": lambda: np.eye(2),
    "wasserstein2.second": lambda: np.eye(2),
    "symbol.z": lambda: 1.0 + 0.0j,
    "metric": lambda: np.eye(2),
    "state_step": lambda: 0.1,
    "action_step": lambda: 0.1,
    "power": lambda: 4,
    "contracts.step_size": lambda: (0.05, 0.3),
    "expands.step_size": lambda: (0.05, 0.3),
    "benchmarks.load.name": lambda: "double_integrator",
    "every": lambda: 2,
    "sync_step": lambda: 0.1,
    "window": lambda: 2,
    "ratio": lambda: 1.0,
    "state_steps": lambda: np.array([0.1]),
    "action_steps": lambda: np.array([0.1]),
    "angles": lambda: np.array([0.5]),
    "free": free_bound,
    "fixed_end_bound.step_size": lambda: (0.05, 0.3),
    "inverse_temperature": lambda: 1.0,
    "learning_rate": lambda: 0.01,
    "centers": _ZEROS(3, 2),
    "tube_means.start": _ZEROS(2),
    "continuous_tube_variance.rate": lambda: 1.0,
    "H": lambda: np.eye(2),
    "c": lambda: 2.0,
    "prove_at_least.c": lambda: 0.5,
    "matrix": lambda: np.eye(2),
    "rng": lambda: np.random.default_rng(0),
    "n": lambda: 2,
    "m": lambda: 1,
    "kind": lambda: "stable",
    "length": lambda: 3,
    "initial_covariance": lambda: np.eye(2),
    "low": lambda: -1.0,
    "high": lambda: 1.0,
    "radius": lambda: 1.0,
    "size": lambda: 2,
    "Held.allowed": lambda: lazily("grasp_theory", "Box")(-1.0, 1.0),
    "project.actions": _T(2, 3, 2),
    "Box.project.actions": _T(2, 3, 2),
    "Balls.project.actions": _T(2, 3, 2),
    "Held.project.actions": _T(2, 3, 2),
    "planners": lambda: {
        "a": lazily("grasp_theory", "CEM")(iterations=1, samples=3, elites=2),
        "b": lazily("grasp_theory", "GradientDescent")(iterations=1),
    },
    "problem": a_problem,
    "planner": lambda: lazily("grasp_theory", "CEM")(iterations=1, samples=3, elites=2),
    "HeldFirst.first": lambda: lazily("grasp_theory", "MPPI")(iterations=1, samples=3),
    "HeldFirst.size": lambda: 1,
    "HeldFirst.auto.max_evaluations": lambda: 200,
    "held_problem.size": lambda: 1,
    "softly_held.size": lambda: 1,
    "softly_held.jerk": lambda: 0.1,
    "HeldFirst.auto.size": lambda: 1,
    "control.step": lambda: shift,
    "control.steps": lambda: 2,
    "control.world": _T(2, 2),
    "dynamics": lambda: shift,
    "model": lambda: shift,
    "rollout.initial_state": _T(1, 2),
    "rollout.actions": _T(1, 3, 2),
    "rollout_loss.initial_state": _T(1, 2),
    "rollout_loss.actions": _T(1, 3, 2),
    "rollout_loss.goal": _T(1, 2),
    **{
        f"{f}.{p}": v
        for f in ("dynamics_loss", "goal_loss", "lifted_loss")
        for p, v in {"states": _T(1, 4, 2), "actions": _T(1, 3, 2), "goal": _T(1, 2)}.items()
    },
    "stop_state_gradient": lambda: True,
    "goal_weight": lambda: 0.1,
    "models": lambda: [shift, shift],
    "Ensemble.shapes": lambda: [(2,), (2,)],
    "PlanningProblem.initial_state": _T(2, 2),
    "PlanningProblem.goal": lambda: torch.ones(2, 2),
    "action_dim": lambda: 2,
    "HistoryDynamics.model": Window,
    "frame_shape": lambda: (2,),
    "GrowingHistory.history": lambda: lazily("grasp_theory.adapters", "HistoryDynamics")(Window(), (2,), 2),
    "context": lambda: 1,
    "GrowingHistory.length": lambda: 3,
    "history_problem.model": Window,
    "frames": _T(2, 1, 2),
    "history_problem.goal": _T(2, 2),
    "LeWMModel.model": lambda: Peer(),
    "PreJEPAModel.model": lambda: Peer(),
    "DINOWMModel.model": lambda: Peer(),
    "as_stable_worldmodel_solver.model": lambda: Peer(),
    "center": lambda: [0.0],
    "variance": lambda: 1.0,
    "wave_vector": lambda: [1.0],
    "direction": lambda: [1.0],
    "p": lambda: 2.0,
    "dim": lambda: 1,
    "period": lambda: 1.0,
    "maximise_gain.start": lambda: np.sin(np.arange(8.0)),
    "loss": gaussian,
    "values": lambda: np.sin(np.arange(8.0)),
    "coefficients": lambda: [1.0, 2.0],
    "points": lambda: [[0.0]],
    "smooth.loss": lambda: quadratic,
    "smooth_gradient.loss": lambda: quadratic,
    "gradient": lambda: lambda x: 2 * np.asarray(x),
    "log_profile": lambda: lambda r: -0.5 * np.asarray(r) ** 2,
    "unbiasedness.loss": lambda: quadratic,
    "point": lambda: [0.1],
    "PeriodicLoss.period": lambda: 8.0,
    "clusters": lambda: np.arange(4),
    "resamples": lambda: 10,
    "x": lambda: np.arange(4.0),
    "y": lambda: np.array([0.0, 2.0, 1.0, 3.0]),
    "happened": lambda: np.array([True, False]),
    "share": lambda: 0.5,
    "wilson.n": lambda: 10.0,
    "level": lambda: 0.05,
    "count": lambda: 3,
    "trials": lambda: 10,
    "alpha": lambda: 0.1,
    "delta": lambda: 0.1,
    "scores": lambda: np.array([0.1, 0.9]),
    "wrong": lambda: np.array([True, False]),
    "thresholds": lambda: np.array([0.5]),
    "learned": lambda: (np.array([0.1, 0.9]), np.array([True, False])),
    "tested": lambda: (np.array([0.1, 0.9]), np.array([True, False])),
    "problems": lambda: ((3, 0, 1),),
    "first_only": lambda: 1,
    "second_only": lambda: 0,
    "PairedTrials.problems": lambda: ((1, 1, 1),),
    "records": lambda: [lazily("grasp_theory.statistics.paired_trials", "PairedTrials")(((1, 1, 1),), 1, 0)],
    "p_values": lambda: [0.1, 0.02],
    "first": lambda: 7,
    "fisher.second": lambda: 5,
    "cycle": lambda: 0.1,
    "barnard.second": lambda: 5,
    "diagnose.states": _T(2, 4, 2),
    "diagnose.actions": _T(2, 3, 2),
    "local_contraction.model": lambda: lambda s, a: s + a,
    "mcnemar.second": lambda: 5,
    "pairing.second": lambda: 5,
    "pairs": lambda: [(3, 5)],
    "pair": lambda: (3, 5),
    "other": lambda: (4, 5),
    "interval": lambda: "Wald",
    "successes": lambda: 3,
    "rounding": lambda: "nearest",
    "probability": lambda: 0.5,
    "lattice_probability.step": lambda: 2,
    "round_half_width.points": lambda: 4.3,
    "name": lambda: "wall_single",
    "task": a_task,
    "make_problems.task": lambda: "wall_single",
    "make_problems.kind": lambda: "random",
    "purpose": lambda: "tuning",
    "sample_histories.count": lambda: 2,
    "make_problems.count": lambda: 2,
    "Problems.task": lambda: "wall_single",
    "Problems.kind": lambda: "random",
    "seed": lambda: 0,
    "start_history": lambda: np.full((2, 1, 2), 15.0),
    "goal_history": lambda: np.full((2, 1, 2), 50.0),
    "Problems.horizon": lambda: np.array([5, 5]),
    "Problems.shortest_steps": lambda: a_task().shortest_steps(np.full((2, 2), 15.0), np.full((2, 2), 50.0)),
    "smoothed_gradient": lambda: [0.2],
    "largest": lambda: 1.0,
    "generator": lambda: None,
    "samples": lambda: 10,
    "local_contraction.start": _T(2),
    "local_contraction.goal": _T(2),
    "local_contraction.plan": _T(3, 4),
    "local_contraction.rate": lambda: 0.99,
    "local_contraction.iterations": lambda: 40,
    "local_contraction.step_size": lambda: (0.1, 0.4),
    "stop_gradient_step.start": _T(2),
    "stop_gradient_step.goal": _T(2),
    "stop_gradient_step.plan": _T(3, 4),
    "block_derivatives.start": _T(2),
    "block_derivatives.goal": _T(2),
    "block_derivatives.plan": _T(3, 4),
    "action_step.dynamics": lambda: lazily("grasp_theory", "as_dynamics")(shift),
    "goal_drift.dynamics": lambda: lazily("grasp_theory", "as_dynamics")(shift),
    **{
        f"{f}.{p}": _T(2)
        for f in ("action_step", "goal_drift")
        for p in ("state", "action", "next_state", "goal")
    },
    "action_step_size": lambda: 0.1,
    "state_jacobian": lambda: np.eye(2),
    "state_step_size": lambda: 0.1,
    "gain": lambda: 1.0,
    "step_sizes": lambda: (0.1, 0.1),
    "rollout_mean.initial_state": _ZEROS(2),
    "rollout_mean.actions": _ZEROS(3, 1),
    "greedy_necessity.step_size": lambda: (0.05, 0.3),
    "uniform_contraction.step_size": lambda: (0.05, 0.3),
    "views": lambda: {"a": a_problem(), "b": a_problem()},
    "agreement.actions": _T(2, 3, 2),
    "plan": one_plan,
    "acceptance": an_acceptance,
    "evidence": lambda: lambda problem, plan: {"agreement": np.zeros(2)},
    "Transitions.dynamics": lambda: shift,
    "Transitions.states": _T(20, 2),
    "Transitions.actions": _T(20, 2),
    "following": _T(20, 2),
    "linearise.states": _T(2, 4, 2),
    "linearise.actions": _T(2, 3, 2),
    "plans": lambda: {"agreement": np.linspace(-1, 1, 200)},
    "outcomes": lambda: np.arange(200) > 60,
    "Acceptance.names": lambda: ("agreement",),
    "Acceptance.centre": lambda: (0.0,),
    "Acceptance.scale": lambda: (1.0,),
    "Acceptance.weights": lambda: (1.0,),
    "Acceptance.intercept": lambda: 0.0,
    "Acceptance.threshold": lambda: 0.5,
    "Acceptance.alpha": lambda: 0.1,
    "Acceptance.confidence": lambda: 0.9,
    "calibration": lambda: an_acceptance().calibration,
    "diagnose.plans": lambda: 2,
    "Acceptance.load.path": lambda: stored_file("rule"),
    "Acceptance.accept.plans": lambda: {"agreement": np.zeros(3)},
    "Acceptance.probability.plans": lambda: {"agreement": np.zeros(3)},
    "latent": lambda: "flat",
    "probe_dim": lambda: 2,
    "Architecture.action_dim": lambda: 4,
    "frameskip": lambda: 2,
    "dimension": lambda: 2,
    "unit": lambda: "px",
    "Card.task": lambda: "wall_single",
    "Card.kind": lambda: "offline",
    "architecture": lambda: small_world_model().architecture,
    "Card.actions": lambda: a_card().actions,
    "frame_offsets": lambda: a_card().frame_offsets,
    "probe_names": lambda: a_card().probe_names,
    "data": lambda: a_card().data,
    "recipe": lambda: a_card().recipe,
    "training": lambda: a_card().training,
    "evaluation": lambda: a_card().evaluation,
    "Card.dtype": lambda: "float32",
    "save.model": lambda: small_world_model(),
    "card": a_card,
    "save.path": lambda: Path(tempfile.mkdtemp()) / "small",
    "round_weights.model": lambda: __import__("world_model_cases").world_model(),
    "load_file.path": lambda: stored_file("model"),
    "read_card.path": lambda: stored_file("model"),
    "module": lambda: torch.nn.Linear(2, 2),
    "LinearSystem.rollout.initial_state": _ZEROS(2),
    "LinearSystem.rollout.actions": _ZEROS(3, 1),
    "LinearSystem.step.state": _ZEROS(2),
    "LinearSystem.step.action": _ZEROS(1),
    "Bootstrap.mean.values": lambda: np.arange(4.0),
    "Bootstrap.median.values": lambda: np.arange(4.0),
    "WorldModel.encode.pixels": lambda: torch.zeros(2, 2, 16, 16, 3, dtype=torch.uint8),
    "WorldModel.encode.frames": lambda: torch.zeros(2, 2, 16, 16, 3, dtype=torch.uint8),
    "WorldModel.step.state": _T(2, 3),
    "WorldModel.step.action": _T(2, 4),
    "WorldModel.decode.state": _T(2, 3),
    "WorldModel.probe.state": _T(2, 3),
    "environments": lambda: Worlds(),
    "GymnasiumWorld.seed": lambda: 0,
}


class Peer(torch.nn.Module):
    """Stands for the other projects' models."""

    history_size = num_hist = 1
    extra_encoders = torch.nn.ModuleDict({"action": torch.nn.Identity()})
    concat_dim = 1
    num_action_repeat = num_proprio_repeat = 1
    action_encoder = predictor = torch.nn.Identity()

    def encode(self, *_: Any) -> Any: ...
    def predict(self, *_: Any) -> Any: ...
    def encode_obs(self, *_: Any) -> Any: ...
    def encode_act(self, *_: Any) -> Any: ...


class Worlds(list[Any]):
    """Two gymnasium environments."""

    def __init__(self) -> None:
        from grasp_theory.tasks.environment import TaskEnv

        super().__init__([TaskEnv("wall_single"), TaskEnv("wall_single")])
