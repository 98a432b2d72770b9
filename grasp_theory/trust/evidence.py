"""All that is known of a plan before it is tried, as the features of an `Acceptance`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.planners import History, Plan
from grasp_theory.problem import PlanningProblem
from grasp_theory.trust.agreement import Read, agreement
from grasp_theory.trust.density import Transitions
from linear_systems.checked import checked
from linear_systems.errors import ParameterError


@checked
def evidence(
    plan: Plan | Tensor,
    views: Mapping[str, PlanningProblem],
    *,
    transitions: Mapping[str, Transitions] | None = None,
    read: Mapping[str, Read] | None = None,
) -> dict[str, Float[Tensor, " B"]]:
    """Return the features of B plans: what several models make of them, and how near they are to what is known.

    Arguments
        plan: a `Plan`, or its actions (B, T, m).  Of a plan come `loss`, by the model that planned, and, if its history
            was asked for, `defect`: Σ_t ‖F(s_t, a_t) − s_{t+1}‖² of the virtual states when they were last seen, of
            the restart where it is least.
        views: name -> the problems as a model sees them: see `agreement`, whose features come first.
        transitions: name -> transitions in the states of that view: `far`, `error` and `corrected` of `Transitions`, their
            means over these views.
        read: see `agreement`.

    Returns
        Feature name -> (B,), float64, on the CPU.  More may be put beside them: {**evidence(...), "mine": ...}.

    Raises
        ParameterError, ShapeError, NonFiniteError: as `agreement` and `Transitions.features`; transitions for no view, or a
            `Plan` whose starts are those of no view.
    """
    known = transitions or {}
    if unknown := [name for name in known if name not in views]:
        raise ParameterError("transitions", f"names among {list(views)}", repr(unknown[0]), "name a view")
    actions = plan.actions if isinstance(plan, Plan) else plan
    if isinstance(plan, Plan) and not _of_these(
        plan.states[:, 0], [view.initial_state for view in views.values()]
    ):
        raise ParameterError(
            "views", "the problems that were planned for, as each model sees them", "other starts than the plan's",
            "make the views of the same problems, in the same order",
        )  # fmt: skip
    features = agreement(views, actions, read=read)
    near = [seen.features(views[name], actions) for name, seen in known.items()]
    for feature in near[0] if near else ():
        features[feature] = torch.stack([each[feature] for each in near]).mean(0)
    if isinstance(plan, Plan):
        features["loss"] = plan.loss.detach().double().cpu()
        if plan.history is not None:
            features["defect"] = _last_defect(plan.history)
    return features


def _of_these(starts: Tensor, known: Sequence[Tensor]) -> bool:
    """Return whether starts are those of a view; those of a product of models, of another shape, are not compared."""
    alike = [each for each in known if each.shape == starts.shape]
    return not alike or any(torch.equal(each.to(starts), starts) for each in alike)


def _last_defect(history: History) -> Float[Tensor, " B"]:
    """Return the least of the restarts' last defects that were seen."""
    defect = history.defect.double().cpu()
    seen = ~defect.isnan()
    steps = torch.arange(len(defect)).view(-1, 1, 1).expand_as(defect)
    last = torch.where(seen, steps, 0).amax(0)
    value = defect.gather(0, last[None])[0]
    return torch.where(value.isnan(), torch.inf, value).amin(1)
