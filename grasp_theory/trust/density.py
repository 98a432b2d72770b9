"""How far a plan is from the transitions that a model was trained on, and what the model gets wrong near it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.boundary import as_tensor, check_finite, check_states
from grasp_theory.dynamics import TimeVaryingDynamics, adapted, asked
from grasp_theory.problem import PlanningProblem
from grasp_theory.trust.agreement import checked_actions, end_distance
from linear_systems.checked import checked
from linear_systems.errors import ParameterError, ShapeError
from linear_systems.validation import positive_integer


@checked
class Transitions:
    """N transitions (s_i, a_i, s'_i) of a model's world, in the model's states: cached latents, a few thousand.

    Nearness of (s, a) to a transition is Euclidean distance of

        x(s, a) = (s / (σ_s √n), w a / (σ_a √m)),

    σ the standard deviations of each component over the transitions.  With the k nearest transitions of each (s_t, a_t)
    of a plan and r_i = s'_i − F(s_i, a_i), what the model F missed there:

        far:        max_t of the mean distance to them, in units of the median that the transitions have among themselves,
        error:      Σ_t of the mean ‖r_i‖ over them, in units of the states,
        corrected:  d(s_T, g) of the rollout s_{t+1} = F(s_t, a_t) + Σ_i w_i r_i, which is told what the model missed,
                    with weights w_i ∝ exp(−(x_i / x_1)²) for distances x_1 <= ... <= x_k.

    Transitions that the model was not trained on say more of its errors.

    Arguments
        dynamics: F, anything that `as_dynamics` takes, the same at all times.
        states, following: (N, *S), s and s'.
        actions: (N, m).
        neighbours: k, fewer than N.
        action_weight: w, how much actions count against states.

    Raises
        ShapeError, DTypeError, NonFiniteError, ParameterError.

    Source: nearest neighbours as doubt, Papernot & McDaniel, Deep k-nearest neighbors (2018).
    """

    def __init__(
        self,
        dynamics: Any,
        states: Any,
        actions: Any,
        following: Any,
        *,
        neighbours: int = 8,
        action_weight: float = 0.5,
    ) -> None:
        model = adapted("dynamics", dynamics)
        if isinstance(model, TimeVaryingDynamics):
            raise ParameterError(
                "dynamics",
                "a model that is the same at all times",
                "a time-varying one",
                "add time to the state",
            )
        states = as_tensor("states", states)
        check_states("states", states, states)
        following, actions = as_tensor("following", following, states), as_tensor("actions", actions, states)
        if following.shape != states.shape:
            raise ShapeError(
                "following", f"shape {tuple(states.shape)}, that of states", f"shape {tuple(following.shape)}",
                "pass states, actions and the states that followed, in this order",
            )  # fmt: skip
        check_states("following", following, states)
        if actions.ndim != 2 or len(actions) != len(states):
            raise ShapeError(
                "actions", f"({len(states)}, m)", f"{tuple(actions.shape)}", "one action a transition"
            )
        check_finite("actions", actions)
        self.neighbours = positive_integer("neighbours", neighbours)
        if not self.neighbours < len(states):
            raise ParameterError(
                "neighbours",
                f"fewer than the {len(states)} transitions",
                str(neighbours),
                "give more transitions",
            )
        if not (action_weight >= 0 and action_weight < float("inf")):
            raise ParameterError("action_weight", "a number >= 0", repr(action_weight), "0.5 is usual")
        action_weight = float(action_weight)
        self.model = model
        self._state_scale, self._action_scale = (
            _scale(states.flatten(1)),
            _scale(actions) / max(action_weight, 1e-12),
        )
        self._points = self._place(states, actions.to(states))
        with torch.no_grad():
            self._missed = following - asked("dynamics", model.step, states, actions.to(states))
        check_finite("dynamics", self._missed)
        self._missed_length = self._missed.flatten(1).norm(dim=1)
        sample = self._points[:: max(1, len(states) // 512)]
        own = _distances(sample, self._points).topk(self.neighbours + 1, largest=False).values[:, 1:].mean(1)
        self._unit = float(own.quantile(0.5)) or 1.0

    def __len__(self) -> int:
        return len(self._points)

    @torch.no_grad()
    def features(self, view: PlanningProblem, actions: Tensor) -> dict[str, Float[Tensor, " B"]]:
        """Return `far`, `error` and `corrected` of B plans; infinite where a rollout is not finite.

        Arguments
            view: the problems as the model sees them; the plans are rolled out by the model of the transitions.
            actions: (B, T, m), the plans.

        Raises
            ShapeError: states or actions of another shape than the transitions', or than the view's.
            NonFiniteError: an action is not finite.
        """
        actions = checked_actions({"view": view}, actions).to(view.initial_state)
        if view.initial_state.shape[1:] != self._missed.shape[1:] or actions.shape[2] != len(
            self._action_scale
        ):
            raise ShapeError(
                "view", f"states {tuple(self._missed.shape[1:])} and {len(self._action_scale)} action components",
                f"{tuple(view.initial_state.shape[1:])} and {actions.shape[2]}", "give the view of the transitions' model",
            )  # fmt: skip
        state, told = view.initial_state, view.initial_state
        far = actions.new_zeros(len(actions))
        error = actions.new_zeros(len(actions))
        for action in actions.unbind(1):
            distance, index = self._nearest(state, action)
            far = torch.maximum(far, distance.mean(1) / self._unit)
            error = error + self._missed_length[index].mean(1)
            distance, index = self._nearest(told, action)
            weight = torch.softmax(-(distance / distance[:, :1].clamp_min(1e-12)).square(), dim=1)
            missed = torch.einsum("bk,bk...->b...", weight, self._missed[index])
            state, told = self.model.step(state, action), self.model.step(told, action) + missed
        finite, told_finite = (torch.isfinite(each).flatten(1).all(1) for each in (state, told))
        told = torch.where(told_finite.view(-1, *[1] * (told.ndim - 1)), told, view.initial_state)
        return {
            "far": torch.where(finite, far, torch.inf).double().cpu(),
            "error": torch.where(finite, error, torch.inf).double().cpu(),
            "corrected": end_distance(view, told, told_finite),
        }

    def _nearest(self, states: Tensor, actions: Tensor) -> tuple[Float[Tensor, "B k"], Tensor]:
        """Return the distances of the k nearest transitions and which they are; NaN counts as 0, and is judged at the end."""
        points = torch.nan_to_num(self._place(states, actions), nan=0.0, posinf=1e18, neginf=-1e18)
        found = _distances(points, self._points).topk(self.neighbours, largest=False)
        return found.values, found.indices

    def _place(self, states: Tensor, actions: Tensor) -> Float[Tensor, "B p"]:
        return torch.cat([states.flatten(1) / self._state_scale, actions / self._action_scale], dim=1)


def _distances(points: Float[Tensor, "B p"], others: Float[Tensor, "N p"]) -> Float[Tensor, "B N"]:
    """Return Euclidean distances from differences: squares of states far from 0 would cancel, in float32 to the last digit."""
    return torch.cdist(points, others, compute_mode="donot_use_mm_for_euclid_dist")


def _scale(values: Float[Tensor, "N p"]) -> Float[Tensor, " p"]:
    """Return σ √p, with 1 for the σ of what never changes."""
    deviation = values.std(0, correction=0)
    scale: Tensor = torch.where(deviation > 0, deviation, 1.0) * values.shape[1] ** 0.5
    return scale
