"""The cards of the shipped models: complete, good enough, and what `evaluate` measures again."""

from __future__ import annotations

from math import inf

import pytest

from experiments.evaluation import evaluate
from grasp_theory.tasks import by_name
from grasp_theory.world_models import Card, available, load

CARDS = available()
OFFLINE = [card for card in CARDS if card.kind == "offline" and card.architecture.latent == "flat"]

TARGETS = {
    # task and latent: (which windows, error, {model steps: largest mean})
    ("wall_single", "flat"): [("all", "position", {1: 0.7, 4: 1.7, 10: 3.2, 20: 4.5})],
    ("point_maze", "flat"): [("all", "position", {4: 0.08, 10: 0.25})],
    ("push_t", "flat"): [("moving", "block", {4: 15.0, 10: 30.0}), ("moving", "angle", {4: 0.2, 10: 0.4})],
    ("push_t", "colours"): [
        ("moving", "block", {1: 6.5, 4: 11.0, 10: 19.0, 20: 36.0}),
        ("moving", "angle", {1: 0.06, 4: 0.1, 10: 0.18, 20: 0.32}),
    ],
}
"""What the open-loop errors of the shipped models are meant to be, in px, cells and radians."""
NONE = [("all", "position", {1: inf, 4: inf, 10: inf, 20: inf})]
"""For the long tasks, of whose models nothing was asked but to be better than a state that stays put."""


MISSED = {
    ("push_t", "flat", "block", 4), ("push_t", "flat", "block", 10),
    ("push_t", "colours", "block", 1), ("push_t", "colours", "block", 20),
    ("push_t", "colours", "angle", 1), ("push_t", "colours", "angle", 4), ("push_t", "colours", "angle", 20),
}  # fmt: skip
"""The targets that some shipped model of a task and latent misses; docs/world_models.md says by how much and why."""


def test_three_tasks_are_shipped():
    assert {(card.task, card.architecture.label) for card in OFFLINE} >= set(TARGETS)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_card_is_complete(card: Card):
    evaluation = card.evaluation
    assert set(evaluation) >= {
        "open_loop",
        "curves",
        "rank_correlation",
        "greedy",
        "exploitability",
        "state_gradient",
    }
    assert card.data["behaviour"]["episodes"] > 0
    assert card.training["cpu_seconds"] > 0
    task = by_name(card.task)
    assert card.probe_names == task.probe_names
    assert card.frame_offsets == task.frame_offsets
    assert (card.actions.low, card.actions.high) == (task.action_low, task.action_high)


def _misses(card: Card) -> set[tuple[str, str, str, int]]:
    found = set()
    for windows, error, limits in TARGETS.get((card.task, card.architecture.label), NONE):
        for step, limit in limits.items():
            entry = card.evaluation["open_loop"][windows][str(step)]["errors"][error]["model"]["mean"]
            if entry["value"] > limit:
                found.add((card.task, card.architecture.label, error, step))
    return found


def test_the_models_miss_what_they_are_said_to_miss_and_nothing_else():
    assert set().union(*map(_misses, OFFLINE)) == MISSED


@pytest.mark.parametrize("card", OFFLINE, ids=lambda card: card.name)
def test_a_model_is_better_than_a_state_that_stays_put(card: Card):
    for windows, error, limits in TARGETS.get((card.task, card.architecture.label), NONE):
        for step in limits:
            entry = card.evaluation["open_loop"][windows][str(step)]["errors"][error]
            assert entry["model"]["mean"]["high"] < entry["identity"]["mean"]["low"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "latent"), sorted(TARGETS))
def test_evaluate_measures_what_the_card_says(name: str, latent: str):
    """Open-loop errors to 2%; rates of success within their intervals, for a plan can turn on rounding."""
    model = load(name, latent=latent)
    again, card = evaluate(by_name(name), model), model.card.evaluation
    for windows, steps in card["open_loop"].items():
        for step, entry in steps.items():
            for error, measured in entry["errors"].items():
                expected = measured["model"]["mean"]["value"]
                found = again["open_loop"][windows][step]["errors"][error]["model"]["mean"]["value"]
                assert found == pytest.approx(expected, rel=0.02), (windows, step, error)
    for planner in ("GRASP", "GradientDescent", "CEM", "MPPI"):
        entry = card["exploitability"][planner]
        for rate in ("believed", "true"):
            found = again["exploitability"][planner][rate]["value"]
            assert entry[rate]["low"] <= found <= entry[rate]["high"], (planner, rate)
