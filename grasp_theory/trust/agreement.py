"""What independently trained models make of the same plans: their agreement on where these end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp_theory.boundary import as_tensor, check_finite
from grasp_theory.dynamics import asked, rollout
from grasp_theory.problem import PlanningProblem
from linear_systems.checked import checked
from linear_systems.errors import ParameterError, ShapeError

Read = Callable[[Tensor], Tensor]
"""States (N, *S) of a model -> (N, P), quantities that mean the same for all models: a probe, a position."""


@checked
@torch.no_grad()
def agreement(
    views: Mapping[str, PlanningProblem], actions: Tensor, *, read: Mapping[str, Read] | None = None
) -> dict[str, Float[Tensor, " B"]]:
    """Return what K models say of the same B plans, as numbers that grow with doubt (but for `believers`).

    Each model k rolls the actions out from its own state of the start, and is asked in terms that all models share:
    how far its end is from its goal, d_k = d(s^k_T, g^k), for the states of models that were trained apart cannot be
    compared themselves.  The features of a plan are

        distance NAME:  d_k of each model,          worst:  max_k d_k,
        mean:           Σ_k d_k / K,                spread: max_k d_k − min_k d_k,
        believers:      the share of models that believe that the goal is reached, if all views have `reached`,
        departure:      max_t of the root mean square of q^k_t − q̄_t over models and quantities, q^k_t the P quantities
                        that `read` tells of s^k_t, each in units of its standard deviation over all plans and times of
                        the first model.

    `departure` is relative to the batch: a plan that is judged alone, or among other plans, has another.  As a feature of
    an `Acceptance`, compute it in batches of plans like those of the calibration.

    A row whose rollout is not finite has infinite distances, spread and departure, and is not believed.

    Arguments
        views: name -> the problems as that model sees them: its dynamics, the B starts and goals in its states, and
            `goal_distance` in shared terms (a probe's distance, say); the default, a squared distance in the model's own
            states, is comparable only between plans.  All have the same B, T and m.
        actions: (B, T, m), the plans.
        read: name -> what states tell, for every view; None leaves `departure` out.

    Returns
        Feature name -> (B,), float64, on the CPU.

    Raises
        ParameterError: no view, or `read` for other names than the views', or a function that raises an error.
        ShapeError: views that are not of the same B, T and m, or actions or quantities of another shape.
        NonFiniteError: an action is not finite.

    Source: disagreement of ensembles as doubt, Lakshminarayanan et al., Simple and scalable predictive uncertainty
    estimation using deep ensembles (2017).
    """
    actions = checked_actions(views, actions)
    if read is not None and set(read) != set(views):
        raise ParameterError(
            "read", f"a function for each of {list(views)}", f"{list(read)}", "give one a view"
        )
    distances, believed, told, finite = [], [], [], []
    for name, view in views.items():
        states = rollout(view.model, view.initial_state, actions.to(view.initial_state))
        fine = torch.isfinite(states).flatten(1).all(1)
        # What a reader or a judge is shown is finite; such rows are marked below.
        states = torch.where(fine.view(-1, *[1] * (states.ndim - 1)), states, view.initial_state[:, None])
        distances.append(end_distance(view, states[:, -1], fine))
        if view.reached is not None:
            candidates = states if view.reached_when == "any" else states[:, -1:]
            says = [view.judge(each, view.goal) for each in candidates.unbind(1)]
            believed.append((torch.stack(says).any(0) & fine).cpu())
        if read is not None:
            quantities = as_tensor("read", asked("read", read[name], states.flatten(0, 1)))
            if len(quantities) != states.shape[0] * states.shape[1]:
                raise ShapeError(
                    "read",
                    "quantities (N, P) of N states",
                    f"shape {tuple(quantities.shape)} in {name!r}",
                    "keep the first axis",
                )
            told.append(quantities.double().cpu().view(*states.shape[:2], -1))
            finite.append(fine.cpu())
    each = torch.stack(distances)
    worst = each.max(0).values
    features = {f"distance {name}": distance for name, distance in zip(views, each, strict=True)}
    features |= {"worst": worst, "mean": each.mean(0)}
    features["spread"] = torch.where(worst.isinf(), worst, worst - each.min(0).values)
    if len(believed) == len(views):
        features["believers"] = torch.stack(believed).double().mean(0)
    if told:
        features["departure"] = torch.where(
            torch.stack(finite).all(0), _departure(torch.stack(told)), torch.inf
        )
    return features


def checked_actions(views: Mapping[str, PlanningProblem], actions: Tensor) -> Tensor:
    """Return the actions as a tensor, after seeing that views and actions fit together.

    Raises
        ParameterError, ShapeError, NonFiniteError: as `agreement`.
    """
    if not views:
        raise ParameterError(
            "views", "at least one model's view of the problems", "none", "pass {name: problem}"
        )
    first = next(iter(views.values()))
    shape = (first.batch, first.horizon, first.action_dim)
    for name, view in views.items():
        found = (view.batch, view.horizon, view.action_dim)
        if found != shape:
            raise ShapeError(
                "views", f"problems of {shape} (B, T, m), as the first", f"{found} in {name!r}",
                "let all see the same problems",
            )  # fmt: skip
    actions = as_tensor("actions", actions, first.initial_state).detach()
    if actions.shape != shape:
        raise ShapeError(
            "actions", f"shape {shape} (B, T, m)", f"shape {tuple(actions.shape)}", "pass plan.actions"
        )
    check_finite("actions", actions)
    return actions


def end_distance(view: PlanningProblem, states: Tensor, finite: Bool[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return d(s_T, g) in float64 on the CPU, infinite where it, or what led there, is not finite."""
    distance = view.final_losses(states, view.goal).detach()
    return torch.where(finite & torch.isfinite(distance), distance, torch.inf).double().cpu()


def _departure(told: Float[Tensor, "K B t P"]) -> Float[Tensor, " B"]:
    scale = told[0].flatten(0, 1).std(0, correction=0)
    scale = torch.where(scale > 0, scale, 1.0)
    return ((told - told.mean(0)) / scale).square().mean((0, 3)).sqrt().amax(1)
