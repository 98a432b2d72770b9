"""What is verified is what is shipped: a planner that is broken in any of these ways changes what is on record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from grasp_theory.planners import grasp
from grasp_theory.planners.loop import lifted, optimizers, search
from grasp_theory.problem import PlanningProblem
from paper_checks.claims import ALL_CLAIMS
from paper_checks.engine.run import Settings, run_claim
from paper_checks.report.verdicts import RECORD_PATH, deviations, load_recorded

Patch = pytest.MonkeyPatch
Search: type[Any] = grasp._GraspSearch


def wrap(patch: Patch, owner: Any, name: str, change: Callable[..., Any]) -> None:
    """Replace `owner.name` by `change(original, *arguments)`."""
    original = getattr(owner, name)
    patch.setattr(owner, name, lambda *given, **named: change(original, *given, **named))


def climb_the_loss(patch: Patch) -> None:
    def reversed_residual(original: Any, *given: Any) -> tuple[Tensor, Tensor]:
        residual, pull = original(*given)
        return -residual, pull

    wrap(patch, grasp, "lifted_pulls", reversed_residual)


def noise_the_goal(patch: Patch) -> None:
    def noised(original: Any, self: Any, *given: Any) -> None:
        original(self, *given)
        self.states[:, -1] += self.options.state_noise * torch.randn_like(self.states[:, -1])

    wrap(patch, Search, "joint_step", noised)


def sync_late(patch: Patch) -> None:
    wrap(patch, Search, "_sync_is_due", lambda original, self, iteration: original(self, iteration + 1))


def keep_the_state_gradient(patch: Patch) -> None:
    def kept(original: Any, self: Any, *given: Any) -> None:
        options = self.options
        self.options = replace(options, stop_state_gradient=False)
        original(self, *given)
        self.options = options

    wrap(patch, Search, "joint_step", kept)


def predict_from_the_state_before(patch: Patch) -> None:
    def late(original: Any, self: Any, states: Tensor, actions: Tensor) -> Tensor:
        predictions: Tensor = original(self, torch.cat([states[:, :1], states[:, :-1]], dim=1), actions)
        return predictions

    wrap(patch, lifted.LiftedSearch, "predict", late)


def keep_the_moments(patch: Patch) -> None:
    def at_first(original: Any, self: Any) -> None:
        if not hasattr(self, "steps"):
            original(self)

    wrap(patch, optimizers.Adam, "reset", at_first)


def clip_before_the_noise(patch: Patch) -> None:
    def unclipped(original: Any, *given: Any, **named: Any) -> None:
        with pytest.MonkeyPatch.context() as within:
            within.setattr(PlanningProblem, "project", lambda self, actions: actions)
            original(*given, **named)

    wrap(patch, lifted.LiftedSearch, "__init__", unclipped)


def weigh_the_wrong_term(patch: Patch) -> None:
    def swapped(
        original: Any, prediction: Tensor, states: Tensor, goal: Any, weight: float, axes: int
    ) -> Any:
        residual, _ = original(prediction, states, goal, weight, axes)
        _, pull = original(prediction, states, goal, 1.0, axes)
        return residual, weight * residual + (pull - residual)

    wrap(patch, grasp, "lifted_pulls", swapped)


def return_the_last(patch: Patch) -> None:
    wrap(
        patch,
        search.Incumbents,
        "__init__",
        lambda original, *given, **named: original(*given, **{**named, "returned": "last"}),
    )


def start_elsewhere(patch: Patch) -> None:
    def shifted(original: Any, rows: Any) -> Tensor:
        states: Tensor = original(rows)
        states[:, 0] += 1e-3
        return states

    wrap(patch, lifted, "interpolation", shifted)


@dataclass(frozen=True)
class Fault:
    """A way to break the planner, and the claims that must see it."""

    apply: Callable[[Patch], None]
    claims: tuple[str, ...]


FAULTS = {
    "the states climb the loss": Fault(climb_the_loss, ("noisy-dynamics",)),
    "noise on s_T": Fault(noise_the_goal, ("algorithm-1",)),
    "sync at the wrong k": Fault(sync_late, ("algorithm-1", "sync")),
    "no stop-gradient": Fault(keep_the_state_gradient, ("stop-gradient-losses",)),
    "s̄ of the wrong time": Fault(predict_from_the_state_before, ("noisy-dynamics", "langevin")),
    "Adam not reset at the sync": Fault(keep_the_moments, ("sync",)),
    "initial actions clipped before their noise": Fault(clip_before_the_noise, ("algorithm-1",)),
    "γ on the wrong term": Fault(weigh_the_wrong_term, ("stop-gradient-losses",)),
    "the last iterate returned": Fault(return_the_last, ("algorithm-1",)),
    "another s_0": Fault(start_elsewhere, ("algorithm-1", "text-initial-states")),
}
"""By what is wrong."""


def changes(claim_id: str) -> list[str]:
    """Return what `verify` would print of a claim."""
    claim = next(claim for claim in ALL_CLAIMS if claim.id == claim_id)
    recorded = load_recorded(RECORD_PATH)
    found = deviations([run_claim(claim, Settings(quick=True))], recorded, recorded)
    return [deviation.text for deviation in found]


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_planner_changes_a_finding_on_record(name: str, monkeypatch: Patch) -> None:
    fault = FAULTS[name]
    fault.apply(monkeypatch)
    for claim_id in fault.claims:
        told = changes(claim_id)
        flipped = [text for text in told if "was “stands" in text and "is “does not stand" in text]
        assert flipped, f"{claim_id} is as recorded with {name}: {told}"
