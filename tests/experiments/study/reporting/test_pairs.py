"""Comparisons on common trials: who is paired with whom, what a tie is, and what a family corrects."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from study_rows import MadeUpCell, rows_of

from experiments.study.reporting.pairs import SOONER, family, pair
from grasp_theory.statistics.paired_trials import holm
from linear_systems.errors import ParameterError

GRASP, GD = MadeUpCell("GRASP"), MadeUpCell("GD", planner="GradientDescent")


def test_trials_are_paired_on_model_and_problem_and_others_are_left_out() -> None:
    rows = pl.concat([
        rows_of(GRASP, [True, True, False, True], models=2),
        rows_of(GD, [False, True, True], models=3),
    ])  # fmt: skip
    found = pair(rows, GRASP, GD, "final_model")
    assert found is not None
    # Problem 3 and model 2 are on one side only.
    assert (found.record.trials, found.record.first_only, found.record.second_only) == (6, 2, 2)
    assert {model: alone.trials for model, alone in found.by_model.items()} == {
        "push_t-offline-colours-0": 3,
        "push_t-offline-colours-1": 3,
    }
    assert pair(rows, GRASP, MadeUpCell("CEM", planner="CEM"), "final_model") is None


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    rows = pl.concat([rows_of(GRASP, list(rng.random(30) < 0.6)), rows_of(GD, list(rng.random(30) < 0.4))])
    one, other = (
        pair(r, GRASP, GD, "final_true") for r in (rows, rows.sample(fraction=1, shuffle=True, seed=1))
    )
    assert one is not None
    assert other is not None
    assert one.record == other.record


def test_sooner_counts_who_solves_first_and_neither_as_a_tie() -> None:
    rows = pl.concat([
        rows_of(GRASP, [True, True, True, False, False], mode="single", seconds=[1, 5, 2, None, None]),
        rows_of(GD, [True, True, True, True, False], mode="single", seconds=[2, 3, 2, 9, None]),
    ])  # fmt: skip
    found = pair(rows, GRASP, GD, SOONER)
    assert found is not None
    assert (found.record.first_only, found.record.second_only, found.record.trials) == (1, 2, 5)


def test_starts_that_are_a_success_already_are_a_tie_however_long_the_looking_took() -> None:
    rows = pl.concat([
        rows_of(GRASP, [True, True, True], mode="single", seconds=[0.01, 0.03, 0.5]),
        rows_of(GD, [True, True, True], mode="single", seconds=[0.02, 0.02, 0.3]),
    ]).with_columns(pl.when(pl.col("problem") < 2).then(0).otherwise(1).alias("first_step"))  # fmt: skip
    found = pair(rows, GRASP, GD, SOONER)
    assert found is not None
    assert (found.record.first_only, found.record.second_only, found.record.trials) == (0, 1, 3)


def test_a_family_is_judged_together() -> None:
    cells = [MadeUpCell(f"GD {i}", planner="GradientDescent", settings=(("lr", float(i)),)) for i in range(4)]
    rng = np.random.default_rng(0)
    rows = pl.concat(
        [rows_of(GRASP, [True] * 40), *(rows_of(cell, list(rng.random(40) < 0.9 - 0.05 * i)) for i, cell in enumerate(cells))]
    )  # fmt: skip
    pairings = [found for cell in cells if (found := pair(rows, GRASP, cell, "final_model")) is not None]
    tested = family(pairings)
    assert [one.p_value for one in tested] == holm([pairing.record.p_value for pairing in pairings])
    alone = family(pairings[:1])[0]
    assert alone.p_value <= tested[0].p_value
    assert alone.high - alone.low < tested[0].high - tested[0].low
    assert alone.detectable < tested[0].detectable
    assert all(one.low <= one.pairing.record.difference <= one.high for one in tested)
    assert family([]) == ()


def test_what_cannot_be_paired_is_a_typed_error() -> None:
    rows = rows_of(GRASP, [True])
    with pytest.raises(ParameterError, match="problem set"):
        pair(rows, GRASP, MadeUpCell("GD", problem_set=("push_t", "trajectory", 8)), "final_model")
    with pytest.raises(ParameterError, match="outcome"):
        pair(rows, GRASP, GD, "success")
