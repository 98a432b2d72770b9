"""Cards: what they must say, and that nothing else passes for one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from world_model_cases import ARCHITECTURES, card_for

from grasp_theory.world_models import Architecture, Card
from grasp_theory.world_models.architecture import LATER
from linear_systems.errors import ParameterError

pytestmark = pytest.mark.usefixtures("types_unchecked")

SAVED = card_for(sha256="0" * 64)
FIELDS = sorted(SAVED.to_json())
NESTED = [
    (part, name)
    for part in ("actions", "architecture", "training")
    for name in SAVED.to_json()[part]
    if name not in LATER
]


def _changed(path: str, value: object) -> dict[str, Any]:
    """The card's values with one of them, at a path such as "actions.low", replaced."""
    values = SAVED.to_json()
    *parents, last = path.split(".")
    inner = values
    for name in parents:
        inner = inner[name]
    assert last in inner
    inner[last] = value
    return values


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def test_round_trip_through_text(architecture: Architecture) -> None:
    encoder = "1" * 64 if architecture.encoder == "frozen" else None
    card = card_for(architecture, sha256="0" * 64, encoder_sha256=encoder, kind="robust", seed=2)
    assert Card.from_json(json.loads(json.dumps(card.to_json()))) == card
    assert card.name == f"wall_single-robust-{architecture.label}-2"


def test_numbers_keep_all_their_digits() -> None:
    card = card_for(evaluation={"error": 0.1 + 0.2}, sha256="0" * 64)
    assert Card.from_json(json.loads(json.dumps(card.to_json()))).evaluation["error"] == 0.1 + 0.2


def test_a_card_does_not_change_with_what_it_was_made_of() -> None:
    errors = {"mean": [1.0]}
    card = card_for(evaluation=errors)
    errors["mean"].append(2.0)
    assert card.evaluation == {"mean": [1.0]}
    card.to_json()["evaluation"]["mean"].append(3.0)
    assert card.evaluation == {"mean": [1.0]}


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_field_is_refused(name: str) -> None:
    values = SAVED.to_json()
    del values[name]
    with pytest.raises(ParameterError, match=name):
        Card.from_json(values)


@pytest.mark.parametrize(("part", "name"), NESTED, ids=[".".join(pair) for pair in NESTED])
def test_a_missing_inner_field_is_refused(part: str, name: str) -> None:
    values = SAVED.to_json()
    del values[part][name]
    with pytest.raises(ParameterError, match=rf"{part}: .*missing \['{name}'\]"):
        Card.from_json(values)


def test_a_card_from_before_a_field_of_the_architecture_was_there_has_its_default() -> None:
    values = SAVED.to_json()
    for name in LATER:
        del values["architecture"][name]
    assert Card.from_json(values) == SAVED


@pytest.mark.parametrize("part", [None, "actions", "architecture"])
def test_an_unknown_field_is_refused(part: str | None) -> None:
    values = SAVED.to_json()
    (values if part is None else values[part])["colour"] = "red"
    with pytest.raises(ParameterError, match=r"unknown \['colour'\]"):
        Card.from_json(values)


@pytest.mark.parametrize("written", [3, 17])
def test_a_future_format_asks_for_an_upgrade_whatever_its_fields(written: int) -> None:
    with pytest.raises(ParameterError, match="upgrade grasp-theory"):
        Card.from_json({"format": written, "fields of": "the future"})


def test_a_card_of_version_1_knows_no_types() -> None:
    values = SAVED.to_json() | {"format": 1}
    with pytest.raises(ParameterError, match=r"unknown \['dtype'\]"):
        Card.from_json(values)
    del values["dtype"]
    assert Card.from_json(values) == SAVED


@pytest.mark.parametrize("written", [0, -1, True, "1", 1.0, None])
def test_what_is_no_format_is_refused(written: object) -> None:
    with pytest.raises(ParameterError, match="format version"):
        Card.from_json(_changed("format", written))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("task", "../secret"), ("task", "wall-single"), ("task", ""), ("task", 3),
        ("kind", "both"), ("seed", -1), ("seed", 1.5), ("seed", True), ("licence", " "), ("code_version", None),
        ("architecture", []), ("architecture.latent", "round"), ("architecture.image_size", "16"),
        ("actions", None), ("actions.frameskip", 3), ("actions.frameskip", 0), ("actions.low", 1.8),
        ("actions.low", "-1"), ("actions.high", float("inf")), ("actions.order", "last"), ("actions.unit", ""),
        ("frame_offsets", [0]), ("frame_offsets", [5, 0]), ("frame_offsets", [0, 0]), ("frame_offsets", [1, 2]),
        ("frame_offsets", [0, 2.5]), ("frame_offsets", 5), ("probe_names", ["x", "y"]), ("probe_names", "xyz"),
        ("probe_names", ["x", "y", ""]), ("data", []), ("data", {"contacts": {}}), ("recipe", None),
        ("data.behaviour", {"episodes": 3}), ("data.behaviour", 3),
        ("training", []), ("training.wall_seconds", -1.0), ("training.cpu_seconds", "12"),
        ("evaluation", {"error": float("nan")}), ("evaluation", {"error": float("inf")}), ("evaluation", "good"),
        ("sha256", "0" * 63), ("sha256", "G" * 64), ("sha256", 0), ("encoder_sha256", "0" * 64),
        ("name", "push_t-offline-flat-0"), ("dtype", "float64"), ("dtype", None),
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused(path: str, value: object) -> None:
    with pytest.raises(ParameterError) as caught:
        Card.from_json(_changed(path, value))
    assert caught.value.hint


def test_mappings_may_say_more() -> None:
    for part in ("data", "recipe", "training", "evaluation"):
        values = SAVED.to_json()
        values[part]["more"] = [1, "two", {"three": None}]
        assert Card.from_json(values).to_json() == values


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"tolist"):
        card_for(evaluation={"error": torch.tensor(1.0)})


def test_the_values_that_the_refusals_start_from_are_a_card() -> None:
    assert Card.from_json(SAVED.to_json()) == SAVED
    moved = {**_changed("seed", 4), "name": "wall_single-offline-flat-4"}
    assert Card.from_json(moved) == replace(SAVED, seed=4)
