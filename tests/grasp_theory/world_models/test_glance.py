"""Cards on a screen: what is shown fits, is the card's own, and is left out where a card does not have it."""

from __future__ import annotations

import pytest
from world_model_cases import card_for

from grasp_theory.world_models import Card, available
from grasp_theory.world_models.card import Cards

pytestmark = pytest.mark.usefixtures("types_unchecked")


@pytest.mark.parametrize("card", available(), ids=lambda card: card.name)
def test_a_shipped_card_fits_a_screen_and_says_how_good_the_model_is(card: Card) -> None:
    lines = str(card).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(card.name)
    for name in ("GRASP", "MPPI"):
        found = card.evaluation["exploitability"][name]
        (line,) = (line for line in lines if line.split()[:1] == [name])
        assert f"{found['believed']['value']:.2f} [" in line
        assert f"{found['true']['value']:.2f} [" in line
    after = card.evaluation["open_loop"]["all"]["10"]["errors"]
    for quantity, errors in after.items():
        (line,) = (line for line in lines if line.split()[:1] == [quantity])
        assert line.split()[3] == f"{errors['model']['mean']['value']:.3g}"


@pytest.mark.parametrize("evaluation", [{}, {"error": 1.0}, {"open_loop": [1], "exploitability": "none"}])
def test_another_evaluation_is_left_out(evaluation: dict[str, object]) -> None:
    card = card_for(evaluation=evaluation)
    assert "in the world" not in str(card)
    assert str(Cards([card])).splitlines()[1].endswith("–")


def test_the_table_is_a_tuple_that_prints_a_row_for_each() -> None:
    cards = available()
    assert isinstance(cards, tuple)
    assert cards == tuple(cards)
    lines = str(cards).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[1 : 1 + len(cards)]] == [card.name for card in cards]
    assert str(Cards()).startswith("model")
