"""`diagnose`: the theorems as instruments, on the user's own model, before planning."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.boundary import as_tensor, check_finite
from grasp_theory.dynamics import (
    LinearDynamics,
    TimeVaryingLinearDynamics,
    asked,
    one_step_predictions,
    rollout,
)
from grasp_theory.files import told, write_atomically
from grasp_theory.planners.grasp import GRASP
from grasp_theory.problem import PlanningProblem
from grasp_theory.trust.card_errors import card_errors
from grasp_theory.trust.findings import Section, findings, recommendation, screen
from grasp_theory.trust.linearisation import linearise
from grasp_theory.trust.measured import Measured
from grasp_theory.trust.noise import ErrorLaw, OneStepErrors, drift, tube
from grasp_theory.trust.page import render
from grasp_theory.trust.rates import rates
from grasp_theory.trust.reach import Metric, reach
from grasp_theory.trust.settings import choose_settings
from grasp_theory.trust.smoothness import final_responses, smoothness
from linear_systems.annotations import shown, takes
from linear_systems.checked import checked
from linear_systems.errors import DTypeError, NonFiniteError, ParameterError, ShapeError
from linear_systems.rounding import EPS
from linear_systems.validation import positive_float, positive_integer, square

LEARNED_RANK = 0.1
"""Part of the strongest action direction below which a direction of a learned model counts as idle."""


class Diagnosis(Measured):
    """What the theory says of planning with a model along P trajectories.  `print` it, or write it with `to_html`.

    The numbers are fields, see `Measured`: `smoothness`, `rates`, `tube`, `drift`, `reach`, `settings`.
    """

    @property
    def findings(self) -> Sequence[Section]:
        """Every number with its meaning and source, in sections."""
        return findings(self)

    @property
    def recommendation(self) -> Sequence[str]:
        """What to do, in sentences."""
        return recommendation(self)

    def __repr__(self) -> str:
        return screen(self)

    @checked
    def to_html(self, path: str | Path) -> Path:
        """Write one self-contained page and return its path.

        Arguments
            path: of the page; its folder must exist.

        Raises
            PathError: the file cannot be written.
            ParameterError: it is no path.
        """
        target = Path(path)
        with told("path", target, "a file that can be written"):
            write_atomically(target, render(self))
        return target


@checked
def diagnose(
    problem: PlanningProblem,
    *,
    states: Any = None,
    actions: Any = None,
    errors: Any = None,
    radius: float | None = None,
    metric: Metric | Any = None,
    goal_weight: float = 0.1,
    width: float = 1.0,
    plans: int = 8,
    rank_tolerance: float | None = None,
) -> Diagnosis:
    """Return what the theory says of planning these problems with this model.

    The model is linearised along P trajectories, in O(T) evaluations: A_t = ∂F/∂s, B_t = ∂F/∂a.  What is said of the
    iteration is said of that linearisation; curvature of the model enters through a radius only (U15).

    Arguments
        problem: B problems.  The first `plans` of them are looked at; all are asked whether they need an action.
        states: (B, T+1, *S), trajectories to linearise about; None: the rollouts of the actions.
        actions: (B, T, m), their actions; None: planned by `GRASP` with its defaults, the same in every call.
        errors: one-step errors s' − F(s, a), (N, *S); or transitions (s, a, s') from which they are taken; or σ_env, one
            number in units of a state's entry; or their `ErrorLaw`.  None: from the card of a shipped model, else nothing
            is said of them.
        radius: of the goal region, Euclidean, in units of the states; None: the region that `problem.reached` has.
        metric: d(states (N, *S), states (N, *S)) -> (N,), with the triangle inequality, or lower bounds on steps (B,).
        goal_weight: β > 0, the planner's γ.
        width: wanted width of the tube of noise on virtual states, in typical steps ‖s_{t+1} − s_t‖.
        plans: P, how many problems are looked at, at most.
        rank_tolerance: part of the strongest direction below which a direction of actions counts as idle.  None: rounding
            for linear systems, 0.1 for every other model.

    Raises
        ShapeError, DTypeError, NonFiniteError, ParameterError: something does not fit; the model is not differentiable.

    Source: Theorems 2, 3, 6, 7 and 9; docs/theory, U1–U18.
    """
    count = positive_integer("plans", plans)
    weight, wanted = positive_float("goal_weight", goal_weight), positive_float("width", width)
    if radius is not None:
        radius = positive_float("radius", radius)
    tolerance = _rank_tolerance(problem, rank_tolerance)
    part = problem.part(slice(0, count))
    known, given_metric = _errors(problem, errors), _metric(problem, metric)
    at, taken = _trajectories(problem, part, states, actions)

    linear = linearise(part, at, taken)
    responses = final_responses(linear)
    found = rates(linear, weight, tolerance)
    state_step = None if found.step_sizes is None else found.step_sizes[0]
    noise_tube = tube(linear, state_step, wanted)
    drifted = None
    if known is None:
        known = card_errors(problem.dynamics)
    if known is not None:
        judge = None if problem.reached is None else problem.judge
        drifted = drift(linear, known[0], part.goal, judge, radius, known[1])
    reached = reach(problem, part, linear, responses, given_metric, tolerance)
    return Diagnosis(
        problem, linear, actions is None, weight, tolerance, smoothness(linear, responses), found, noise_tube, drifted, reached,
        choose_settings(problem, linear, weight, found, noise_tube),
    )  # fmt: skip


def _trajectories(
    problem: PlanningProblem, part: PlanningProblem, states: Any, actions: Any
) -> tuple[Tensor, Float[Tensor, "P T m"]]:
    """Return the trajectories of the problems that are looked at."""
    if actions is None:
        if states is not None:
            raise ParameterError(
                "actions", "the actions of these states", "None", "pass actions (B, T, m) too"
            )
        taken = (
            GRASP(iterations=100)
            .plan(part, torch.Generator().manual_seed(0), stop_when_reached=False)
            .actions
        )
    else:
        taken = _like("actions", actions, problem, (problem.horizon, problem.action_dim))[: part.batch]
    if states is None:
        with torch.no_grad():
            at = rollout(problem.model, part.initial_state, taken)
        if not bool(torch.isfinite(at).all()):
            raise NonFiniteError(
                "actions",
                "a finite rollout",
                "NaN or infinity",
                "a shorter horizon, or states and actions that stay finite",
            )
        return at, taken
    axes = (problem.horizon + 1, *problem.initial_state.shape[1:])
    return _like("states", states, problem, axes)[: part.batch], taken


def _like(argument: str, value: Any, problem: PlanningProblem, axes: tuple[int, ...]) -> Tensor:
    tensor = as_tensor(argument, value, problem.initial_state)
    shape = (problem.batch, *axes)
    if tensor.shape != shape:
        raise ShapeError(
            argument, f"shape {shape}, one trajectory a problem", f"shape {tuple(tensor.shape)}",
            "pass states (B, T+1, *S) and actions (B, T, m)",
        )  # fmt: skip
    if not tensor.is_floating_point():
        raise DTypeError(argument, "floating-point numbers", f"{tensor.dtype}", "convert them")
    check_finite(argument, tensor)
    return tensor.detach().to(problem.initial_state)


def _errors(problem: PlanningProblem, errors: Any) -> tuple[OneStepErrors, str] | None:
    """Return one-step errors (N, n) in float64, or σ, and where they come from."""
    if errors is None:
        return None
    shape = tuple(problem.initial_state.shape[1:])
    if isinstance(errors, ErrorLaw):
        size = prod(shape)
        if tuple(errors.bias.shape) != (size,) or tuple(errors.covariance.shape) != (size, size):
            raise ShapeError(
                "errors",
                f"a law of errors in {size} entries",
                f"one in {len(errors.bias)}",
                "flatten the state's axes",
            )
        check_finite("errors", torch.cat([errors.bias[None], errors.covariance]))
        return errors, "given as a law"
    if getattr(errors, "ndim", None) == 0:
        errors = errors.item()
    if isinstance(errors, int | float):
        sigma = positive_float("errors", errors, allow_zero=True)
        square("errors", sigma)
        return sigma, "given as σ"
    one = f"(N, {', '.join(map(str, shape))})"
    hint = "pass s' − F(s, a) of transitions, a tuple (s, a, s') of tensors, or one number σ"
    if isinstance(errors, tuple):
        if len(errors) != 3:
            raise ShapeError("errors", "transitions (s, a, s')", f"{len(errors)} parts", "pass three tensors")
        parts = [as_tensor("errors", each, problem.initial_state) for each in errors]
        s, a, after = parts
        if s.shape[1:] != shape or after.shape != s.shape or a.shape != (*s.shape[:1], problem.action_dim):
            raise ShapeError(
                "errors", f"transitions of shapes {one}, (N, {problem.action_dim}) and {one}",
                f"{tuple(s.shape)}, {tuple(a.shape)} and {tuple(after.shape)}",
                "pass (s, a, s') of the same length; of trajectories, each with .flatten(0, 1)",
            )  # fmt: skip
        for name, each in zip(("s", "a", "s'"), parts, strict=True):
            if each.is_complex():
                raise DTypeError(
                    "errors", "real numbers", f"{each.dtype} for {name}", "pass real transitions"
                )
            if not bool(torch.isfinite(each).all()):
                raise NonFiniteError(
                    "errors", "finite transitions", f"NaN or infinity in {name}", "leave those out"
                )
        s, a, after = (each.to(problem.initial_state) for each in parts)
        with torch.no_grad():
            predicted = one_step_predictions(problem.model, torch.stack([s, after], 1), a[:, None])[:, 0]
        residuals, origin = after - predicted, f"from {len(s)} given transitions"
        if not bool(torch.isfinite(residuals).all()):
            raise NonFiniteError(
                "errors", "transitions whose next state the model predicts", "a prediction of NaN or infinity",
                "leave out states on which the model breaks",
            )  # fmt: skip
    else:
        try:
            residuals = as_tensor("errors", errors, problem.initial_state)
        except DTypeError as error:
            raise DTypeError("errors", f"one-step errors {one}", error.found, hint) from error
        if not residuals.is_floating_point():
            raise DTypeError(
                "errors", "floating-point errors", f"{residuals.dtype}", "convert them: .float()"
            )
        origin = f"from {len(residuals)} given errors"
    if residuals.ndim < 2 or tuple(residuals.shape[1:]) != shape or not len(residuals):
        raise ShapeError("errors", f"one-step errors {one}, N >= 1", f"shape {tuple(residuals.shape)}", hint)
    check_finite("errors", residuals)
    return residuals.detach().flatten(1).double().cpu(), origin


def _metric(problem: PlanningProblem, metric: Any) -> Metric | Tensor | None:
    if metric is None:
        return None
    if not takes(metric, 2) or isinstance(metric, Tensor):
        bounds = as_tensor("metric", metric, problem.initial_state)
        if bounds.shape != (problem.batch,):
            raise ShapeError(
                "metric", f"a function, or {problem.batch} lower bounds on steps", f"shape {tuple(bounds.shape)}",
                "pass d(states, states) -> (N,)",
            )  # fmt: skip
        check_finite("metric", bounds)
        return bounds
    with torch.no_grad():
        found = asked("metric", metric, problem.initial_state, problem.goal)
    if not isinstance(found, Tensor) or found.shape != (problem.batch,) or not bool((found >= 0.0).all()):
        raise ShapeError(
            "metric", "one number >= 0 for each of N pairs of states, shape (N,)",
            f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else shown(found), "return a tensor (N,)",
        )  # fmt: skip
    return cast(Metric, metric)


def _rank_tolerance(problem: PlanningProblem, given: float | None) -> float:
    if given is not None:
        tolerance = positive_float("rank_tolerance", given, allow_zero=True)
        if tolerance >= 1.0:
            raise ParameterError("rank_tolerance", "a number in [0, 1)", repr(given), "leave it out")
        return tolerance
    if isinstance(problem.model, LinearDynamics | TimeVaryingLinearDynamics):
        return EPS * max(prod(problem.initial_state.shape[1:]), problem.action_dim)
    return LEARNED_RANK
