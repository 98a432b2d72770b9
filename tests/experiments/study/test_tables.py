"""What the tables are made of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.study.study_commands import every_target
from experiments.study.tables import (
    ABLATED,
    FULL,
    PRESETS,
    QUICK,
    ROWS,
    SEARCHED,
    SETS,
    SYNCS,
    TABLES,
    TUNING_SETS,
    Profile,
    cells,
    modes,
    not_tuned,
    sets,
    tuned_at,
    units,
)
from experiments.study.targets import AUTO, Target, Tuned, offline_model
from experiments.study.trials.settings import make_planner, settings_of, untuned
from experiments.study.trials.unit import PROBLEM_SETS, Unit, planner_of
from grasp_theory import GRASP, GradientDescent
from grasp_theory.tasks import by_name
from grasp_theory.world_models import available
from linear_systems.errors import ParameterError

TUNED = Tuned(
    {
        target.name: {
            name: dict(untuned(target.planner.split(".")[0], by_name(target.task)))
            for name in ("settings", "own_settings")
        }
        for target in every_target(FULL)
    }
)
MODELS = [card.name for card in available()]


@pytest.mark.parametrize("number", TABLES)
def test_every_table_can_be_computed(number: str) -> None:
    """Its problem sets are stored, its models shipped, its planners accept their settings; quick is a part of full."""
    full = {(cell.row, cell.column) for cell in cells(number, TUNED, FULL)}
    quick = {(cell.row, cell.column) for cell in cells(number, TUNED, QUICK)}
    assert len(full) == len(cells(number, TUNED, FULL))
    assert quick <= full
    made = units(cells(number, TUNED, FULL), modes(number), FULL, MODELS)
    assert made
    for unit in made:
        assert (PROBLEM_SETS / f"{unit.set_name}.npz").exists()
        assert unit.purpose == "reporting"
        assert unit.model == offline_model(unit.task, int(unit.model[-1]))
    for kind, count in (("long", 100), ("random", 200), ("trajectory", 200)):
        seen = {unit.indices.stop for unit in made if unit.kind == kind and unit.mode == "batch"}
        assert not seen or max(seen) == count


def test_every_planner_has_the_same_budget_and_no_other_limit() -> None:
    for number in TABLES:
        for unit in units(cells(number, TUNED, FULL), modes(number), FULL, MODELS):
            made = planner_of(unit)
            assert made.max_evaluations == 1500 * unit.horizon
            assert made.iterations == 1_000_000
            assert made.time_limit is None


def test_sets_take_settings_of_the_nearest_horizon_of_their_world() -> None:
    assert tuned_at(("push_t", "trajectory", 8)) == ("push_t", "trajectory", 10)
    assert tuned_at(("wall_single", "random", 6)) == ("wall_single", "random", 4)
    assert tuned_at(("wall_single_long", "long", 24)) == ("wall_single", "random", 16)
    assert tuned_at(("point_maze", "trajectory", 6)) == ("point_maze", "trajectory", 4)
    every = {where for group in SETS.values() for where in group}
    assert {tuned_at(where) for where in every} == set(TUNING_SETS)
    # What the file gives is what the table asks to be tuned.
    marked = Tuned(
        {
            Target(*where, "CEM").name: {"settings": {"place": place}}
            for place, where in enumerate(TUNING_SETS)
        }
    )
    for where in every:
        assert marked.settings(Target(*where, "CEM")) == (("place", TUNING_SETS.index(tuned_at(where))),)


def test_rows_are_all_planners_tuned_or_not_to_be_tuned() -> None:
    column = [cell for cell in cells("1", TUNED, FULL) if cell.problem_set == ("push_t", "trajectory", 8)]
    assert [cell.row for cell in column] == [*ROWS.values(), *PRESETS]
    made = {cell.row: make_planner(cell.planner, cell.settings) for cell in column}
    for row, planner in PRESETS.items():
        assert replace(made[row], iterations=1) == replace(planner(), iterations=1)
    own = cells("tuning", TUNED, FULL)
    assert len(own) == 2 * len(SEARCHED) * len(ABLATED)
    assert AUTO not in {cell.row for cell in own}


def test_the_paper_s_cells_are_there() -> None:
    assert {f"Push-T H={h}" for h in (40, 50, 60, 70, 80)} <= {c.column for c in cells("1", TUNED, FULL)}
    short = {(c.row, c.column) for c in cells("3", TUNED, FULL)}
    assert short >= {
        (row, f"{task} H={h}")
        for row in ("CEM", "LatCo", "GD", "GRASP")
        for task in ("Push-T", "PointMaze", "WallSingle")
        for h in (10, 20, 30)
    }
    assert short == {(c.row, c.column) for c in cells("4", TUNED, FULL)}


def test_ablations_change_one_thing() -> None:
    for where in ABLATED:
        variants = [cell for cell in cells("2", TUNED, FULL) if cell.problem_set == where]
        ours = make_planner("GRASP", TUNED.settings(Target(*where, "GRASP")) or ())
        assert isinstance(ours, GRASP)
        changes = [set(cell.settings) ^ set(settings_of(ours)) for cell in variants]
        fields = [{name for name, _ in change} for change in changes]
        assert all(len(names) <= 1 for names in fields)
        assert sum(not names for names in fields) == 3  # ours, in each of the three parts
        assert {name for names in fields for name in names} == {
            "sync_every",
            "state_noise",
            "stop_state_gradient",
        }
        assert {make_planner("GRASP", c.settings).sync_every for c in variants} >= {None, *SYNCS}


def test_table_5_varies_noise_and_loss() -> None:
    variants = [cell for cell in cells("5", TUNED, FULL) if cell.problem_set == ABLATED[1]]
    made = {cell.row: make_planner(cell.planner, cell.settings) for cell in variants}
    assert len(made) == 15
    assert made["tuned"] == make_planner(
        "GradientDescent", TUNED.settings(Target(*ABLATED[1], "GradientDescent")) or ()
    )
    # All of them are looked at after every iteration.
    assert {planner.check_every for planner in made.values()} <= {None, 1}
    assert all((planner.check_every == 1) == (planner.state_noise > 0) for planner in made.values())
    noisy = made["all: σ_s = 0.5, σ_a = 0.5"]
    assert isinstance(noisy, GradientDescent)
    # Variances of 0.5; actions are bounded by 1.8 in WallSingle.
    assert noisy.state_noise == pytest.approx(0.5**0.5, abs=1e-3)
    assert noisy.action_noise == pytest.approx(1.8 * 0.5**0.5, abs=1e-3)
    assert noisy.objective == "all"
    same = {made["default: σ_s = 0.0"], made["default: σ_a = 0.0"]}
    assert len(same) == 1


def test_units_are_paired_over_planners_and_timed_on_one_model() -> None:
    profile = Profile(problems=70, timed=20, seeds=(0, 1), chunk=50)
    found = units(cells("3", TUNED, profile), ("batch", "single"), profile, MODELS)
    assert len(found) == len(set(found))

    def problems(planner: str) -> set[tuple[object, ...]]:
        return {
            (u.task, u.horizon, u.model, u.mode, u.seed, i)
            for u in found
            if u.planner == planner
            for i in u.indices
        }

    assert problems("GRASP") == problems("CEM") == problems("GradientDescent")
    single = [unit for unit in found if unit.mode == "single"]
    assert {unit.model[-1] for unit in single} == {"0"}
    assert {unit.indices for unit in single} == {range(at, at + 5) for at in (0, 5, 10, 15)}
    # Planners take turns on a set: all have been timed on the first problems before one is on the next.
    turns = [(u.first, u.planner) for u in single if (u.task, u.horizon) == ("wall_single", 4)]
    assert [first for first, _ in turns] == sorted(first for first, _ in turns)
    assert len({planner for _, planner in turns[: len(SEARCHED)]}) == len(SEARCHED)
    walls: list[Unit] = [u for u in found if (u.task, u.horizon, u.planner) == ("wall_single", 4, "CEM")]
    assert sum(unit.count for unit in walls if unit.mode == "batch") == 2 * 70


def test_what_is_not_tuned_is_left_out_and_said() -> None:
    with pytest.raises(ParameterError, match="experiments tune push_t"):
        cells("1", Tuned({}), FULL)
    lacking = Target("wall_single", "random", 8, "CEM")
    most = Tuned({name: entry for name, entry in TUNED.entries.items() if name != lacking.name})
    assert not_tuned("1", most, FULL) == [lacking]
    shown = {cell.problem_set for cell in cells("1", most, FULL)}
    assert shown == set(sets("1", FULL)) - {("wall_single", "random", 8)}
    assert cells("1", most.with_defaults([lacking]), FULL) == cells("1", TUNED, FULL)
    assert not not_tuned("2", most, FULL)
    with pytest.raises(ParameterError, match="one of 1, 2"):
        sets("6", FULL)
    assert cells("tuning", Tuned({}).with_defaults(not_tuned("tuning", Tuned({}), QUICK)), QUICK)
