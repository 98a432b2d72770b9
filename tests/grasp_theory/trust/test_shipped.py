"""Every shipped model can be diagnosed, with problems of its task and the errors of its card."""

from __future__ import annotations

import numpy as np
import pytest

from grasp_theory import diagnose
from grasp_theory.trust.card_errors import card_errors
from grasp_theory.trust.shipped import shipped_problem
from grasp_theory.world_models import Card, available
from grasp_theory.world_models.architecture import BACKBONES
from linear_systems.errors import ParameterError

pytest.importorskip("gymnasium")
NAMES = [card.name for card in available() if card.architecture.encoder not in BACKBONES]


def load_card(name: str) -> Card:
    return next(card for card in available() if name in (card.name, card.task))


def _diagnosed(name: str) -> None:
    problem, keywords = shipped_problem(name, count=8)
    found = diagnose(problem, plans=3, **keywords)
    has_law = load_card(name).architecture.latent == "flat"  # cards of patch latents have no covariance
    assert (found.drift is not None) == has_law
    if found.drift is not None:
        assert found.drift.origin.startswith("card")
        assert 0.0 < found.drift.sigma < 1.0
        assert np.isfinite(found.drift.blind_after).all()
    assert np.isfinite(found.smoothness.lifted_lipschitz).all()
    assert found.rates.step_sizes is not None
    assert found.reach.idle is not None
    assert found.reach.least_steps is not None
    assert len(str(found).splitlines()) <= 70


def test_a_model_by_its_task() -> None:
    _diagnosed("wall_single")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_model(name: str) -> None:
    _diagnosed(name)


def test_no_start_is_a_goal_and_every_goal_is_one() -> None:
    problem, _ = shipped_problem("push_t", count=8)
    assert problem.reached is not None
    assert problem.reached(problem.goal, problem.goal).all()
    assert not problem.reached(problem.initial_state * float("nan"), problem.goal).any()
    assert problem.reached(problem.initial_state, problem.goal).float().mean() < 0.5


def test_what_there_is_not_is_named() -> None:
    with pytest.raises(ParameterError, match="wall_single"):
        shipped_problem("wall_double")


def test_a_model_without_a_card_has_no_errors() -> None:
    problem, _ = shipped_problem("wall_single", count=2)
    assert card_errors(problem.dynamics) is not None
    assert card_errors(lambda s, a: s) is None
