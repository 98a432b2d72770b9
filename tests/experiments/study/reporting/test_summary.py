"""What rows say: counts, intervals that know their clusters, times, and curves that drop nobody."""

from __future__ import annotations

from math import inf

import numpy as np
import polars as pl
import pytest
from study_rows import MadeUpCell, rows_of

from experiments.study.reporting.summary import (
    clustered_share,
    current,
    outdated,
    seconds_in_batch,
    success,
    time_to_success,
    times,
    trials_of,
)
from grasp_theory.statistics.intervals import wilson
from linear_systems.errors import ParameterError

GRASP, GD = MadeUpCell("GRASP"), MadeUpCell("GD", planner="GradientDescent", settings=(("lr", 0.1),))


def test_models_that_agree_on_every_problem_do_not_narrow_the_interval() -> None:
    solved = [i % 3 == 0 for i in range(60)]
    one, three = (success(rows_of(GRASP, solved, models=models), "final_model") for models in (1, 3))
    assert one is not None
    assert three is not None
    assert (three.trials, three.problems, three.successes) == (180, 60, 60)
    assert (three.rate.low, three.rate.high) == pytest.approx((one.rate.low, one.rate.high))
    assert three.wilson.high - three.wilson.low < 0.7 * (three.rate.high - three.rate.low)
    assert three.by_model == {f"push_t-offline-colours-{seed}": pytest.approx(1 / 3) for seed in range(3)}


def test_clustered_intervals_cover_where_independent_ones_do_not() -> None:
    rng, runs, covered, naive = np.random.default_rng(0), 400, 0, 0
    for _ in range(runs):
        # Solved by all models or by none on most problems; the rate is 0.3.
        easy = rng.random((60, 1)) < 0.3
        happened = np.where(rng.random((60, 3)) < 0.8, easy, rng.random((60, 3)) < 0.3).ravel()
        found, plain = clustered_share(happened, np.repeat(np.arange(60), 3)), wilson(happened.mean(), 180)
        covered += found.low <= 0.3 <= found.high
        naive += plain.low <= 0.3 <= plain.high
    assert covered / runs > 0.95 - 0.044  # four standard errors of 400 runs
    assert naive / runs < 0.9


def test_only_the_latest_weights_count_and_every_trial_once() -> None:
    old = rows_of(GRASP, [True, True], model_hash="old", finished="2025-01-01T00:00:00+00:00")
    first = rows_of(GRASP, [False, False], finished="2026-01-01T00:00:00+00:00")
    again = rows_of(GRASP, [True], finished="2026-01-02T00:00:00+00:00", batch=2)
    tuning = rows_of(GRASP, [True], purpose="tuning")
    others = [rows_of(GRASP, [True], model=f"push_t-{name}-0") for name in ("robust-colours", "offline-flat")]
    stored = pl.concat([again, old, first, tuning, *others])
    assert current(stored).select("problem", "final_model").rows() == [(0, True), (1, False)]
    assert outdated(stored) == 2


@pytest.mark.parametrize("change", [{"code": "newer"}, {"problem_hash": "another"}])
def test_rows_of_older_code_or_problems_are_left_out_and_not_mixed_in(change: dict[str, str]) -> None:
    before = rows_of(GRASP, [False, False], finished="2026-01-01T00:00:00+00:00")
    gd = rows_of(GD, [True, True], finished="2026-01-01T00:00:00+00:00")
    after = rows_of(GRASP, [True], finished="2026-01-02T00:00:00+00:00", **change)
    stored = pl.concat([before, gd, after])
    # New code makes all of the planner's older rows on the task old, a new problem those of all planners in its place.
    others = [("GradientDescent", 0, True)] if "code" in change else [("GRASP", 1, False)]
    found = current(stored).select("planner", "problem", "final_model").rows()
    assert sorted(found) == [("GRASP", 0, True), *others, ("GradientDescent", 1, True)]
    assert outdated(stored) == len(stored) - len(found)


def test_of_a_trial_in_two_units_the_one_beside_most_others_counts() -> None:
    many = rows_of(GRASP, [False] * 3, finished="2026-01-01T00:00:00+00:00")
    few = rows_of(GRASP, [True], finished="2026-01-02T00:00:00+00:00")
    assert not current(pl.concat([few, many]))["final_model"].any()


def test_a_cell_is_its_planner_settings_and_problem_set() -> None:
    rows = pl.concat([
        rows_of(GRASP, [True] * 3), rows_of(GD, [True] * 4), rows_of(MadeUpCell("GD", planner="GradientDescent"), [True]),
        rows_of(MadeUpCell("GRASP", problem_set=("push_t", "trajectory", 8)), [True] * 5),
    ])  # fmt: skip
    assert [len(trials_of(rows, cell, "batch")) for cell in (GRASP, GD)] == [3, 4]
    assert trials_of(rows, GRASP, "single").is_empty()
    assert success(trials_of(rows_of(GRASP, [True], mode="single"), GRASP, "single"), "final_model") is None


def test_a_plan_believed_at_any_point_of_the_budget_is_counted_apart() -> None:
    curves = pl.Series(["0" * 30, "0" * 29 + "1", "01" + "0" * 28])
    rows = rows_of(GRASP, [False, True, False]).with_columns(believed_curve=curves)
    found = [success(trials_of(rows, GRASP, "batch"), name) for name in ("final_model", "any_model")]
    assert [None if each is None else each.successes for each in found] == [1, 2]


def test_times_tell_the_solved_from_all() -> None:
    single = rows_of(
        GRASP,
        [True, True, True, False, False, False, False],
        mode="single",
        seconds=[1.0, 2.0, 4.0] + [None] * 4,
    )
    found = times(single, limit=9.0)
    assert found is not None
    assert found.median_solved is not None
    assert (found.solved, found.trials, found.median_solved.value, found.median.value) == (3, 7, 2.0, inf)
    assert found.restricted_mean.value == pytest.approx((1 + 2 + 4 + 4 * 9) / 7)
    assert found.spent.value == pytest.approx((1 + 2 + 4 + 4 * 9) / 7)
    shorter = times(single, limit=2.0)
    assert shorter is not None
    assert shorter.restricted_mean.value == pytest.approx((1 + 2 * 6) / 7)
    none = times(rows_of(GRASP, [False], mode="single"))
    assert none is not None
    assert none.median_solved is None
    assert times(single.clear()) is None
    with pytest.raises(ParameterError, match="single"):
        times(rows_of(GRASP, [True]))


def test_time_in_a_batch_is_that_of_its_unit_shared() -> None:
    found = seconds_in_batch(rows_of(GRASP, [True, False] * 5, models=2).with_columns(seconds=20.0))
    assert found is not None
    assert found.value == pytest.approx(2.0)
    assert seconds_in_batch(rows_of(GRASP, [True], mode="single")) is None


def test_what_units_are_called_moves_no_interval_of_times() -> None:
    rows = rows_of(GRASP, [True] * 4, models=3)
    rows = rows.with_columns(seconds=pl.col("unit").rank("dense").cast(pl.Float64))
    units = rows["unit"].unique().sort()
    assert len(units) > 1
    renamed = rows.with_columns(pl.col("unit").replace_strict(units.to_list(), units.to_list()[::-1]))
    assert seconds_in_batch(renamed) == seconds_in_batch(rows)


def test_the_curve_ends_at_the_success_rate_and_not_at_one() -> None:
    solved = [True] * 6 + [False] * 4
    curve = time_to_success(rows_of(GRASP, solved, mode="single", seconds=[3, 1, 2, 2, 5, 8, *[None] * 4]))
    np.testing.assert_array_equal(curve.seconds, [0, 1, 2, 3, 5, 8])
    np.testing.assert_allclose(curve.share, [0, 0.1, 0.3, 0.4, 0.5, 0.6])
    assert (curve.low <= curve.share).all()
    assert (curve.share <= curve.high).all()
    assert (curve.trials, curve.solved) == (10, 6)
    end = wilson(0.6, 10)
    assert (curve.low[-1], curve.high[-1]) == pytest.approx((end.low, end.high))
    grid = time_to_success(rows_of(GRASP, solved, mode="single"), np.array([0.5, 1.0, 100.0]))
    np.testing.assert_allclose(grid.share, [0, 0.6, 0.6])
    with pytest.raises(ParameterError, match="at least one"):
        time_to_success(rows_of(GRASP, []))
