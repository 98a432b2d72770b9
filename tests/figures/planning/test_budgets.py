"""The figure of success against evaluations: what it draws is what the rows say."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl
import pytest
from study_rows import MadeUpCell, rows_of

from figures.planning import budgets

GRASP, CEM = MadeUpCell("GRASP"), MadeUpCell("CEM", planner="CEM")
FEWER = MadeUpCell("GD", planner="GradientDescent")
CURVES = {
    "true_curve": pl.Series(["0" * 5 + "1" * 5, "0" * 10]),
    "believed_curve": pl.Series(["1" * 30, "0" * 29 + "1"]),
}


def test_curves_are_means_over_the_same_trials() -> None:
    rows = pl.concat([rows_of(GRASP, [True, False]).with_columns(**CURVES), rows_of(CEM, [True, True]).with_columns(**CURVES),
                      rows_of(FEWER, [True]).with_columns(true_curve=pl.lit("0" * 10))])  # fmt: skip
    fewer = budgets.curves(rows, [GRASP, CEM, FEWER])["Push-T, H ≥ 40"]  # type: ignore[list-item]
    assert {row: shares["true_curve"][1, -1] for row, shares in fewer.items()} == {
        "GRASP": 1.0,
        "CEM": 1.0,
        "GD": 0.0,
    }
    found = budgets.curves(rows, [GRASP, CEM])  # type: ignore[list-item]
    assert list(found) == ["Push-T, H ≥ 40"]
    assert list(found["Push-T, H ≥ 40"]) == ["GRASP", "CEM"]
    evaluations, true = found["Push-T, H ≥ 40"]["GRASP"]["true_curve"]
    assert evaluations.tolist() == [150.0 * k for k in range(1, 11)]
    assert true.tolist() == [0.0] * 5 + [0.5] * 5
    assert found["Push-T, H ≥ 40"]["CEM"]["believed_curve"][1].tolist() == [0.5] * 29 + [1.0]
    figure = budgets.draw(found)
    assert [axes.get_ylabel() for axes in figure.axes] == list(budgets.OUTCOMES.values())
    plt.close(figure)


def test_groups_are_the_paper_s_short_and_long_horizons_and_ours_with_detours() -> None:
    assert budgets.group(("push_t", "trajectory", 6)) == "Push-T, H ≤ 30"
    assert budgets.group(("wall_single", "random", 8)) == "WallSingle, H ≥ 40"
    assert budgets.group(("wall_single_long", "long", 24)) == "WallSingle, detours"


def test_without_rows_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="no rows"):
        budgets.make()
