"""Every public callable, every parameter, every kind of bad value, with valid values for the rest.

`python tests/support/sweep.py --share 1` counts what the package answers, and lists the worst.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import io
import json
import random
import re
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import jaxtyping
import numpy as np
import torch
from bad_values import BAD

from linear_systems.errors import FloatOverflowError, InvalidInputError, PrecisionLossError, UndecidedError

LIMIT = 10.0
"""Seconds of processor time after which a call hangs."""

MODULES = (
    "linear_systems.system",
    *(f"linear_systems.conditioning.{name}" for name in ("shooting", "lifted", "reachability")),
    *(
        f"linear_systems.stop_gradient.{name}"
        for name in (
            "map", "transients", "acceleration", "basin", "fixed_end", "kreiss", "metrics", "parallel_iterations",
            "small_steps", "symbol_certificates", "sync", "uniform_bounds", "uniform_convergence",
        )
    ),
    *(f"linear_systems.noise.{name}" for name in ("joint", "langevin", "live", "state_chain", "tubes")),
    "linear_systems.exact.certificates",
    *(f"linear_systems.examples.{name}" for name in ("benchmarks", "facts", "random_systems")),
    *(f"grasp_theory.{name}" for name in ("action_sets", "compare", "control", "dynamics", "ensemble", "objectives", "problem")),
    *(f"grasp_theory.adapters.{name}" for name in ("history", "stable_worldmodel", "world_models")),
    *(
        f"grasp_theory.planners.{name}"
        for name in ("cem", "gradient_descent", "grasp", "hybrid", "latco", "mppi")
    ),
    *(
        f"grasp_theory.smoothing.{name}"
        for name in ("closed_forms", "constants", "extremal", "norms", "periodic", "polynomial", "quadrature", "radial")
    ),
    *(f"grasp_theory.statistics.{name}" for name in ("bootstrap", "intervals", "learn_then_test", "paired_trials", "proportions")),
    "grasp_theory.tasks",
    *(f"grasp_theory.tasks.{name}" for name in ("environment", "problems", "task")),
    *(
        f"grasp_theory.theorems.{name}"
        for name in (
            "appendix_a3", "corollary_1", "local_basin", "theorem_2", "theorem_3", "theorem_4", "theorem_5", "theorem_6",
            "theorem_6_uniform", "theorem_7", "theorem_8", "theorem_9",
        )
    ),
    *(
        f"grasp_theory.trust.{name}"
        for name in ("acceptance", "agreement", "checked", "density", "diagnosis", "evidence", "linearisation", "shipped")
    ),
    *(f"grasp_theory.world_models.{name}" for name in ("architecture", "card", "checkpoint", "model")),
)  # fmt: skip
"""Where the public functions and classes are defined; what a package keeps to itself is not among them."""
RECORDS = {
    "Benchmark", "Certificate", "ChainLaw", "Comparison", "ControlRun", "Diagnosis", "Basin", "Expectation", "Extremal",
    "Facts", "Iteration", "KreissConstant", "Linearisation", "LiveLimits", "Measured", "Mode", "OrnsteinUhlenbeckLaw",
    "Pair", "Pairing", "Progress", "Result", "SmoothedRadialLoss", "SyncedPlan", "Trial", "Bin", "TheoremCheck",
    "UniformBound", "Estimate", "ActionStep", "Ridge", "CEMSearch", "StableWorldModelSolver", "ModelDynamics",
    "SwappedPair", "Surgery", "SurgeredModel",
}  # fmt: skip
"""Classes that functions return and nobody builds, and bases."""
INTERNAL = {
    # Inner loops, called with what their callers have checked.
    "log_of", "log_gaussian_slope", "exponent", "points_in", "squared_distance", "step_defects", "lifted_pulls",
    "untouched", "known_not_finite", "trajectory", "one_step_predictions", "coloured", "refine_around", "plain",
    "log_bound", "log_geometric_bound", "state_gradient", "lifted_value", "checked_actions", "end_distance",
    "smooth_step", "bump", "constant", "jacobian_pair", "separation", "depth", "with_goal", "stacked_frames",
    "sample_angles", "require_stable_greedy_loop", "time_invariant", "synchronised", "unbiasedness_by_sampling",
    "exact_update_blocks", "right_hand_side", "adapted",
    "broadcast", "gradient_steps",
}  # fmt: skip


class Hang(BaseException):
    """A call that does not end."""


@dataclass(frozen=True)
class Call:
    """A public callable with valid arguments.

    Arguments
        name: as a user knows it.
        function: what is called.
        arguments: valid ones, made anew.
    """

    name: str
    function: Callable[..., Any]
    arguments: Callable[[], Mapping[str, Any]]


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public functions and classes by name."""
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name, item in sorted(vars(module).items()):
            wrapped = inspect.unwrap(item) if callable(item) and not inspect.isclass(item) else item
            own = getattr(wrapped, "__module__", None) == module_name
            if not own or name.startswith("_") or name in RECORDS | INTERNAL:
                continue
            kept = inspect.isfunction(wrapped) or (
                inspect.isclass(item)
                and not getattr(item, "_is_protocol", False)
                and not issubclass(item, Exception)
            )
            if kept and inspect.signature(item).parameters:
                yield f"{module_name}.{name}", item


def calls() -> list[Call]:
    """Return all public callables with what makes valid arguments for them."""
    found = [Call(name, item, lambda n=name, i=item: valid(n, i)) for name, item in public()]
    found.append(Call("gradient_steps", _gradient_steps, lambda: valid("gradient_steps", _gradient_steps)))
    for owner, method in _methods():
        bound = getattr(owner(), method)
        name = f"{type(owner()).__name__ if not inspect.isclass(owner()) else owner().__name__}.{method}"
        found.append(Call(name, bound, lambda n=name, o=owner, m=method: valid(n, getattr(o(), m))))
    return found


def valid(name: str, item: Callable[..., Any]) -> dict[str, Any]:
    """Return valid arguments of a callable: those that it needs, and None or the default for the others."""
    parts = name.split(".")
    given = {}
    for parameter in inspect.signature(item).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        keys = [".".join([*parts[place:], parameter.name]) for place in range(len(parts) + 1)]
        for key in keys:
            if key in _VALID and (parameter.default is parameter.empty or key != parameter.name):
                given[parameter.name] = _VALID[key]()
                break
        else:
            if parameter.default is parameter.empty:
                raise LookupError(f"no valid value for {name}.{parameter.name}")
    return given


def _methods() -> list[tuple[Callable[[], Any], str]]:
    import grasp_theory as gt
    from grasp_theory.statistics.bootstrap import Bootstrap

    few = {"iterations": 2}
    planners = [
        lambda: gt.GRASP(**few), lambda: gt.GradientDescent(**few), lambda: gt.CEM(**few, samples=5, elites=2),
        lambda: gt.MPPI(**few, samples=5), lambda: gt.LatCo(**few),
    ]  # fmt: skip
    return [
        *((planner, "plan") for planner in planners),
        (lambda: gt.Box(-1.0, 1.0), "project"),
        (lambda: gt.Balls(1.0, 2), "project"),
        (lambda: gt.Held(gt.Box(-1.0, 1.0), 1), "project"),
        (_system, "rollout"),
        (_system, "step"),
        (_system, "matrices"),
        (lambda: gt.Acceptance, "calibrate"),
        (lambda: gt.Acceptance, "load"),
        (_acceptance, "accept"),
        (_acceptance, "probability"),
        (_bootstrap, "mean"),
        (_bootstrap, "median"),
        *((_world_model, name) for name in ("encode", "step", "decode", "probe")),
        (lambda: Bootstrap, "__call__"),
    ][:-1]  # fmt: skip


def _system() -> Any:
    from linear_systems import LinearSystem

    return LinearSystem([[0.9, 0.1], [0.0, 0.8]], [[0.0], [1.0]])


def _model(state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    return state + 0.1 * action


def _problem(**changes: Any) -> Any:
    from grasp_theory import PlanningProblem

    given = {"horizon": 3, "action_dim": 2, "reached": _near} | changes
    return PlanningProblem(_model, torch.zeros(2, 2), torch.ones(2, 2), **given)


def _near(states: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
    return (states - goals).norm(dim=1) < 0.1


def _gradient_steps(system: Any, beta: Any, cycle: Any) -> Any:
    from linear_systems.stop_gradient.parallel_iterations import gradient_steps

    return gradient_steps(system, beta, cycle, 0.1)


def _bootstrap() -> Any:
    from grasp_theory.statistics.bootstrap import Bootstrap

    return Bootstrap(np.arange(4), np.random.default_rng(0), 10)


@cache
def _acceptance() -> Any:
    from grasp_theory import Acceptance

    rng = np.random.default_rng(0)
    feature = rng.normal(size=400)
    return Acceptance.calibrate({"agreement": feature}, feature + 0.3 * rng.normal(size=400) > 0, 0.2)


@cache
def _world_model() -> Any:
    from world_model_cases import world_model

    return world_model().eval()


class _Window:
    """A model that predicts from a window of two frames."""

    window = 2

    def predict(self, frames: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        return frames[..., -1, :] + 0.1 * actions[..., -1, :]


def _loss() -> Any:
    from grasp_theory.smoothing import Gaussian

    return Gaussian([0.0], 1.0)


def _quadratic(points: Any) -> Any:
    return np.sum(np.asarray(points) ** 2, axis=-1)


def _card() -> Any:
    from world_model_cases import card_for

    return card_for(_world_model().architecture)


def _file(suffix: str) -> Any:
    from grasp_theory.world_models import save

    folder = Path(tempfile.mkdtemp())
    if suffix == "model":
        save(_world_model(), _card(), folder / "small")
        return folder / "small"
    _acceptance().save(folder / "rule.json")
    return folder / "rule.json"


def _task() -> Any:
    from grasp_theory.tasks import by_name

    return by_name("wall_single")


def _plan() -> Any:
    from grasp_theory import CEM

    return CEM(iterations=1, samples=3, elites=2).plan(_problem())


def _free() -> Any:
    from linear_systems.stop_gradient.uniform_bounds import uniform_bound

    return uniform_bound(_system(), 1.0, (0.05, 0.3))


def _lazily(module: str, name: str) -> Callable[..., Any]:
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


_ZEROS = lambda *shape: lambda: np.zeros(shape)  # noqa: E731
_T = lambda *shape: lambda: torch.zeros(*shape)  # noqa: E731
_VALID: dict[str, Callable[[], Any]] = {
    "system": _system,
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
    "parallel_iterations.iterations_to.iteration": lambda: _lazily(
        "linear_systems.stop_gradient.parallel_iterations", "parallel_greedy"
    )(_system()),
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
    "free": _free,
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
    "Held.allowed": lambda: _lazily("grasp_theory", "Box")(-1.0, 1.0),
    "project.actions": _T(2, 3, 2),
    "Box.project.actions": _T(2, 3, 2),
    "Balls.project.actions": _T(2, 3, 2),
    "Held.project.actions": _T(2, 3, 2),
    "planners": lambda: {
        "a": _lazily("grasp_theory", "CEM")(iterations=1, samples=3, elites=2),
        "b": _lazily("grasp_theory", "GradientDescent")(iterations=1),
    },
    "problem": _problem,
    "planner": lambda: _lazily("grasp_theory", "CEM")(iterations=1, samples=3, elites=2),
    "control.step": lambda: _model,
    "control.steps": lambda: 2,
    "control.world": _T(2, 2),
    "dynamics": lambda: _model,
    "model": lambda: _model,
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
    "models": lambda: [_model, _model],
    "Ensemble.shapes": lambda: [(2,), (2,)],
    "PlanningProblem.initial_state": _T(2, 2),
    "PlanningProblem.goal": lambda: torch.ones(2, 2),
    "action_dim": lambda: 2,
    "HistoryDynamics.model": _Window,
    "frame_shape": lambda: (2,),
    "GrowingHistory.history": lambda: _lazily("grasp_theory.adapters", "HistoryDynamics")(_Window(), (2,), 2),
    "context": lambda: 1,
    "GrowingHistory.length": lambda: 3,
    "history_problem.model": _Window,
    "frames": _T(2, 1, 2),
    "history_problem.goal": _T(2, 2),
    "LeWMModel.model": lambda: _Peer(),
    "PreJEPAModel.model": lambda: _Peer(),
    "DINOWMModel.model": lambda: _Peer(),
    "as_stable_worldmodel_solver.model": lambda: _Peer(),
    "center": lambda: [0.0],
    "variance": lambda: 1.0,
    "wave_vector": lambda: [1.0],
    "direction": lambda: [1.0],
    "p": lambda: 2.0,
    "dim": lambda: 1,
    "period": lambda: 1.0,
    "maximise_gain.start": lambda: np.sin(np.arange(8.0)),
    "loss": _loss,
    "values": lambda: np.sin(np.arange(8.0)),
    "coefficients": lambda: [1.0, 2.0],
    "points": lambda: [[0.0]],
    "smooth.loss": lambda: _quadratic,
    "smooth_gradient.loss": lambda: _quadratic,
    "gradient": lambda: lambda x: 2 * np.asarray(x),
    "log_profile": lambda: lambda r: -0.5 * np.asarray(r) ** 2,
    "unbiasedness.loss": lambda: _quadratic,
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
    "records": lambda: [_lazily("grasp_theory.statistics.paired_trials", "PairedTrials")(((1, 1, 1),), 1, 0)],
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
    "task": _task,
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
    "Problems.shortest_steps": lambda: _task().shortest_steps(np.full((2, 2), 15.0), np.full((2, 2), 50.0)),
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
    "action_step.dynamics": lambda: _lazily("grasp_theory", "as_dynamics")(_model),
    "goal_drift.dynamics": lambda: _lazily("grasp_theory", "as_dynamics")(_model),
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
    "views": lambda: {"a": _problem(), "b": _problem()},
    "agreement.actions": _T(2, 3, 2),
    "plan": _plan,
    "acceptance": _acceptance,
    "evidence": lambda: lambda problem, plan: {"agreement": np.zeros(2)},
    "Transitions.dynamics": lambda: _model,
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
    "calibration": lambda: _acceptance().calibration,
    "diagnose.plans": lambda: 2,
    "Acceptance.load.path": lambda: _file("rule"),
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
    "architecture": lambda: _world_model().architecture,
    "Card.actions": lambda: _card().actions,
    "frame_offsets": lambda: _card().frame_offsets,
    "probe_names": lambda: _card().probe_names,
    "data": lambda: _card().data,
    "recipe": lambda: _card().recipe,
    "training": lambda: _card().training,
    "evaluation": lambda: _card().evaluation,
    "Card.dtype": lambda: "float32",
    "save.model": lambda: _world_model(),
    "card": _card,
    "save.path": lambda: Path(tempfile.mkdtemp()) / "small",
    "round_weights.model": lambda: __import__("world_model_cases").world_model(),
    "load_file.path": lambda: _file("model"),
    "read_card.path": lambda: _file("model"),
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
    "environments": lambda: _Worlds(),
    "GymnasiumWorld.seed": lambda: 0,
}


class _Peer(torch.nn.Module):
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


class _Worlds(list[Any]):
    """Two gymnasium environments."""

    def __init__(self) -> None:
        from grasp_theory.tasks.environment import TaskEnv

        super().__init__([TaskEnv("wall_single"), TaskEnv("wall_single")])


@dataclass(frozen=True)
class Answer:
    """What came of one call."""

    call: str
    parameter: str
    kind: str
    outcome: str
    detail: str


TYPED, UNNAMED, RAW, ACCEPTED, HUNG, OWN = (
    "typed",
    "typed without the name",
    "raw",
    "accepted",
    "hung",
    "the caller's own",
)


def answer(call: Call, parameter: str, kind: str) -> Answer:
    """Call with one bad value, and say what came of it."""
    arguments = {**call.arguments(), parameter: BAD[kind]()}

    def stop(*_: object) -> NoReturn:
        raise Hang

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _jaxtyping_off():
            warnings.simplefilter("ignore")
            found = call.function(**arguments)
            if inspect.isgenerator(found):
                next(found, None)
        outcome, detail = ACCEPTED, ""
    except InvalidInputError as error:
        named = re.search(rf"(?<!\w){parameter}(?!\w)", error.argument)
        outcome, detail = (TYPED if named else UNNAMED), str(error)
    except OSError as error:  # what `Raises` says of paths; it names the file
        outcome, detail = (TYPED if error.filename and parameter == "path" else RAW), str(error)[:200]
    except (FloatOverflowError, PrecisionLossError, UndecidedError) as error:
        outcome, detail = ACCEPTED, f"{type(error).__name__}"
    except Hang:
        outcome, detail = HUNG, ""
    except Exception as error:
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        where = f"{Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno}" if last else ""
        outcome, detail = RAW, f"{type(error).__name__} at {where}: {error}"[:200]
        if "raised by the function that was given" in str(error):
            outcome = OWN  # it comes through as it is
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return Answer(call.name, parameter, kind, outcome, detail)


@contextlib.contextmanager
def _jaxtyping_off() -> Iterator[None]:
    former = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", former)


def sweep(share: float, seed: int, only: str = "", kind: str | None = None) -> Iterator[Answer]:
    """Yield the answers to a sample of all bad values."""
    rng = random.Random(seed)
    for call in calls():
        for parameter in inspect.signature(call.function).parameters:
            for each in BAD if kind is None else [kind]:
                if rng.random() < share and only in call.name and _applies(call, parameter):
                    yield answer(call, parameter, each)


def _applies(call: Call, parameter: str) -> bool:
    kind = inspect.signature(call.function).parameters[parameter].kind
    return kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def main() -> None:
    """Print the counts of the sweep, and write every answer to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    begun = time.process_time()
    answers = list(sweep(arguments.share, arguments.seed, arguments.only))
    counts = Counter(each.outcome for each in answers)
    refused = sum(counts[each] for each in (TYPED, UNNAMED, RAW, HUNG))
    sys.stdout.write(f"{len(answers)} calls in {time.process_time() - begun:.0f} s: {dict(counts)}; ")
    sys.stdout.write(f"{counts[TYPED] / max(refused, 1):.2%} of {refused} refused are typed and named\n")
    if arguments.out is not None:
        arguments.out.write_text("\n".join(json.dumps(vars(each)) for each in answers), encoding="utf-8")


if __name__ == "__main__":
    main()
