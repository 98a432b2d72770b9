"""Units of the analytic worlds: rows, budgets, resuming, and the command."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from experiments.__main__ import app
from experiments.study.code.modules import Definition
from experiments.study.execute import execute
from experiments.study.trials.store import Store, StoreError
from experiments.study.trials.unit import repository
from experiments.worlds import worlds_command
from experiments.worlds.protocol import BASE, CLAIMS, PLANNERS, WORLDS, cells
from experiments.worlds.systems import Benchmark
from experiments.worlds.trial import (
    LAYOUT,
    WorldUnit,
    code_digest,
    drawn_problems,
    here,
    of_one_code,
    run_unit,
    unit_key,
    work,
)
from grasp_theory import rollout
from linear_systems.errors import ParameterError

SMALL = WorldUnit("unicycle", "GRASP", 4, 400, 0)


@pytest.mark.parametrize("planner", PLANNERS)
def test_every_planner_stays_within_the_same_budget_and_its_success_is_true(planner: str) -> None:
    unit = WorldUnit("double integrator", planner, 4, 700, 1)
    rows = run_unit(unit)
    assert dict(rows.schema) == dict(LAYOUT.schema)
    assert len(rows) == 4
    assert (rows["evaluations"] <= unit.budget * rows["horizon"]).all()
    assert rows["calls"][0] > 0
    reach = Benchmark().reach ** 2
    assert (rows.filter("solved")["loss"] < reach * 1.001).all()
    assert (rows.filter(~rows["solved"])["loss"] >= reach * 0.999).all()


def test_sampling_planners_do_several_iterations_at_the_level_of_efficiency() -> None:
    rows = run_unit(WorldUnit("maze", "CEM", 2, CLAIMS["efficiency"].level, 0))
    assert rows["iterations"].max() == 3


def test_rows_are_the_same_again_and_their_key_holds_what_determines_them() -> None:
    first, again = run_unit(SMALL), run_unit(SMALL)
    assert first.drop("seconds").equals(again.drop("seconds"))
    others = [
        WorldUnit("wall", "GRASP", 4, 400, 0), WorldUnit("unicycle", "GD", 4, 400, 0), WorldUnit("unicycle", "GRASP", 5, 400, 0),
        WorldUnit("unicycle", "GRASP", 4, 401, 0), WorldUnit("unicycle", "GRASP", 4, 400, 1),
    ]  # fmt: skip
    assert len({unit_key(each) for each in [SMALL, *others]}) == 6


def test_the_digest_is_of_all_that_a_unit_can_execute() -> None:
    belongs = repository().closure(Definition("experiments.worlds.trial", "outcomes")).functions()
    classes = {type(make()) for make in WORLDS.values()} | {type(planner) for planner in PLANNERS.values()}
    for each in classes:
        assert f"{each.__module__}:{each.__name__}" in belongs
    assert {"experiments.worlds.plane:Plane.step", "experiments.worlds.world:problems"} <= belongs
    assert "experiments.worlds.verdicts:judge" not in belongs


def test_calls_are_counted_one_after_the_other() -> None:
    unit = WorldUnit("wall", "CEM", 1, 400, 0)
    rows = run_unit(unit)
    assert not rows["solved"][0]
    # The start, one iteration of samples and two looks: each goes through the T steps in order.
    assert rows["calls"][0] % rows["horizon"][0] == 0
    assert 3 <= rows["calls"][0] / rows["horizon"][0] <= 5


def test_a_killed_run_goes_on_and_its_rows_are_checked(tmp_path: Path) -> None:
    units = [SMALL, WorldUnit("unicycle", "CEM", 4, 400, 0)]
    store = Store(tmp_path, LAYOUT)
    assert execute(units[:1], store, here, key=unit_key, work=work, progress=False) == 1
    assert execute(units, store, here, key=unit_key, work=work, progress=False) == 1
    assert execute(units, store, here, key=unit_key, work=work, progress=False) == 0
    assert store.compact() == len(of_one_code(store.rows(), units)[0]) == 8
    assert store.rows()["problem"].to_list() == [0, 1, 2, 3] * 2
    with pytest.raises(StoreError, match="with the columns of this version"):
        Store(tmp_path).rows()


def test_rows_of_former_code_are_shown_only_where_there_are_no_others_and_are_told() -> None:
    new = run_unit(SMALL)
    old = new.with_columns(pl.lit("former").alias("code"), pl.lit("other").alias("unit"))
    rows, present = of_one_code(pl.concat([new, old]), [SMALL])
    assert present
    assert set(rows["code"]) == {code_digest()}
    rows, present = of_one_code(old, [SMALL])
    assert not present
    assert len(rows) == 4
    assert not len(of_one_code(new, [WorldUnit("unicycle", "GRASP", 4, 500, 0)])[0])


def test_the_planners_problems_are_those_of_the_witness() -> None:
    drawn = drawn_problems("trap", 4, 0)
    end = rollout(drawn.problem.model, drawn.problem.initial_state, drawn.witness)[:, -1]
    assert WORLDS["trap"]().reached(end, drawn.problem.goal).all()


def test_the_protocol_names_worlds_and_planners_that_there_are() -> None:
    named = cells()
    assert len(named) == len(set(named))
    assert {world for world, _ in named} == set(WORLDS)
    assert {planner for _, planner in named} == set(PLANNERS)
    assert len(BASE) >= 8
    assert cells(("sync",), ("wall",)) == [("wall", "GRASP"), ("wall", "GRASP, no sync")]


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ParameterError, match="check the spelling"):
        WorldUnit("moon", "GRASP", 1, 1, 0)
    assert CliRunner().invoke(app, ["worlds", "--claim", "moon"]).exit_code == 2


def test_the_command_prints_a_verdict(tmp_path: Path) -> None:
    words = ["worlds", "--claim", "sync", "--world", "linear", "--quick", "--results", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "Not judged, for trials are missing: sync" in result.output
    assert "| linear | " in result.output
    assert CliRunner().invoke(app, [*words, "--stored", "--compact"]).output in result.output


def test_trials_of_some_claims_are_not_recorded_as_if_they_were_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[object] = []
    monkeypatch.setattr(worlds_command, "save", saved.append)
    result = CliRunner().invoke(app, ["worlds", "--stored", "--record", "--results", str(tmp_path)])
    assert result.exit_code == 2
    assert "none for stop-gradient" in result.output
    assert not saved
