"""Tuning: the same budget for all, tuning problems only, and no difference between one run and many."""

from __future__ import annotations

import multiprocessing
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import polars as pl
import pytest
from study_cases import fake_rows

import experiments.study.tune as tune_module
from experiments.study.tables import SEARCHED
from experiments.study.targets import AUTO, Target, Tuned
from experiments.study.trials.settings import UNLIMITED, make_planner, untuned
from experiments.study.trials.store import Store, StoreError
from experiments.study.trials.unit import BUDGET, Unit, unit_key
from experiments.study.tune import OWN, SAMPLES, score, suggest, tune, tune_all, tuning_storage
from grasp_theory import CEM, GRASP, MPPI
from grasp_theory.tasks import by_name
from linear_systems.errors import ParameterError

TARGET = Target("wall_single", "random", 4, "GradientDescent")


class Landscape:
    """Stands in for planning: the smaller the step size, the more plans the witness believes, and the fewer the model."""

    def __init__(self) -> None:
        self.units: list[Unit] = []

    def __call__(self, units: Sequence[Unit]) -> Iterator[tuple[Unit, pl.DataFrame]]:
        for unit in units:
            self.units.append(unit)
            step = dict(unit.settings).get("lr", 0.3)
            agreed, believed = (round(unit.count / (1 + 10 * each)) for each in (step, 1 / step))
            rows = fake_rows(unit_key(unit), unit.count)
            yield (
                unit,
                rows.with_columns(
                    agreed=_first(agreed, unit.count), final_model=_first(believed, unit.count)
                ),
            )


def _first(number: int, count: int) -> pl.Series:
    return pl.Series([k < number for k in range(count)], dtype=pl.Boolean)


def test_the_best_of_all_trials_is_kept_with_the_untuned_default_beside(tmp_path: Path) -> None:
    landscape = Landscape()
    entry = tune(TARGET, Store(tmp_path), landscape, trials=12, problems=40, progress=False)
    assert entry["trials"] == 12
    assert entry["value"] > entry["default_value"]
    tried = [dict(unit.settings).get("lr", 0.3) for unit in landscape.units]
    assert entry["settings"]["lr"] == min(tried)
    assert entry["own_settings"]["lr"] == max(tried)
    assert {unit.budget for unit in landscape.units} == {BUDGET}
    assert {unit.purpose for unit in landscape.units} == {"tuning"}
    assert {unit.count for unit in landscape.units} == {40}


def test_where_the_default_solves_everything_nothing_else_is_tried(tmp_path: Path) -> None:
    def solve(units: Sequence[Unit]) -> Iterator[tuple[Unit, pl.DataFrame]]:
        for unit in units:
            every = _first(unit.count, unit.count)
            yield unit, fake_rows(unit_key(unit), unit.count).with_columns(agreed=every, final_model=every)

    entry = tune(TARGET, Store(tmp_path), solve, trials=9, problems=32, progress=False)
    assert (entry["trials"], entry["value"]) == (1, pytest.approx(1 + OWN))


def test_a_study_in_pieces_is_the_same_study(tmp_path: Path) -> None:
    whole = tune(TARGET, Store(tmp_path / "whole"), Landscape(), trials=8, problems=16, progress=False)
    for trials in (1, 3, 8):
        pieces = tune(
            TARGET, Store(tmp_path / "pieces"), Landscape(), trials=trials, problems=16, progress=False
        )
    assert pieces == whole
    again = Landscape()
    assert tune(TARGET, Store(tmp_path / "pieces"), again, trials=8, problems=16, progress=False) == whole
    assert not again.units


def test_neighbours_are_the_next_horizons_of_the_same_planner_and_task() -> None:
    every = [replace(TARGET, horizon=T) for T in (2, 4, 6, 8)]
    others = [replace(TARGET, horizon=5, planner="CEM"), replace(TARGET, horizon=5, task="push_t")]
    assert [one.horizon for one in TARGET.neighbours(every + others)] == [2, 6]
    assert [one.horizon for one in every[-1].neighbours(every)] == [6]
    assert not others[0].neighbours(every + others)


def test_what_a_neighbour_found_is_tried_once(tmp_path: Path) -> None:
    longer = replace(TARGET, horizon=6)
    best = tune(longer, Store(tmp_path), Landscape(), trials=8, problems=16, progress=False)
    landscape, found = Landscape(), tuple(sorted(best["settings"].items()))
    for _ in range(2):
        entry = tune(
            TARGET, Store(tmp_path), landscape, trials=1, problems=16, handed=[found], progress=False
        )
    assert len(landscape.units) == 2
    assert landscape.units[1].settings == found
    assert (entry["trials"], entry["handed"], entry["settings"]) == (1, 1, best["settings"])
    assert entry["value"] > entry["default_value"]


def test_settings_are_handed_on_until_every_target_has_tried_its_neighbours_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landscape = Landscape()
    monkeypatch.setattr("experiments.study.tune.runner", lambda device: landscape)
    targets = [replace(TARGET, horizon=T) for T in (2, 4, 6)]
    entries: dict[Target, list[float]] = {}
    for target, entry in tune_all(targets, tmp_path, trials=6, problems=200):
        entries.setdefault(target, []).append(entry["value"])
    assert len({values[-1] for values in entries.values()}) == 1
    assert max(values[0] for values in entries.values()) == entries[targets[0]][-1]
    assert len(dict.fromkeys(landscape.units)) == len(landscape.units)


@pytest.mark.slow
def test_targets_side_by_side_are_tuned_as_one_after_the_other(tmp_path: Path) -> None:
    targets = [TARGET, replace(TARGET, planner="LatCo"), replace(TARGET, horizon=2)]
    apart = dict(tune_all(targets, tmp_path / "apart", trials=2, problems=1))
    together = dict(tune_all(targets, tmp_path / "together", trials=2, problems=1, workers=2))
    assert together == apart
    assert set(apart) == set(targets)


def test_a_trial_that_a_kill_left_running_is_tried_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = tune(TARGET, store, Landscape(), trials=2, problems=8, progress=False)
    with tuning_storage(tmp_path) as storage:
        optuna.load_study(study_name=TARGET.name, storage=storage).ask()
    after = tune(TARGET, store, Landscape(), trials=4, problems=8, progress=False)
    assert first["trials"] == 2
    assert after["trials"] == 4


def _open_together(folder: Path, ready: Any, answers: Any) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ready.wait()
    try:
        with tune_module._readable(folder), tuning_storage(folder):
            answers.put("")
    except Exception as error:
        answers.put(f"{type(error).__name__}: {error}")


def test_several_processes_may_begin_a_folder_at_once(tmp_path: Path) -> None:
    """As `tune` does for one planner here and for another there."""
    here, count = multiprocessing.get_context("fork"), 4
    answers = here.SimpleQueue()
    for number in range(3):
        folder, ready = tmp_path / f"{number}", here.Barrier(count)
        folder.mkdir()
        each = [here.Process(target=_open_together, args=(folder, ready, answers)) for _ in range(count)]
        for process in each:
            process.start()
        assert [answers.get() for _ in each] == [""] * count
        for process in each:
            process.join()


def test_a_database_in_use_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune_module, "PATIENCE", 0.1)
    tune(TARGET, Store(tmp_path), Landscape(), trials=1, problems=8, progress=False)
    with closing(sqlite3.connect(tmp_path / "tuning.db")) as other:
        other.execute("begin exclusive")
        with pytest.raises(StoreError, match=r"tuning\.db to be free.*wait"):
            tune(TARGET, Store(tmp_path), Landscape(), trials=2, problems=8, progress=False)
    tune(TARGET, Store(tmp_path), Landscape(), trials=2, problems=8, progress=False)


def test_studies_of_another_version_of_optuna_are_named(tmp_path: Path) -> None:
    tune(TARGET, Store(tmp_path), Landscape(), trials=1, problems=8, progress=False)
    with closing(sqlite3.connect(tmp_path / "tuning.db")) as database:
        database.execute("update alembic_version set version_num = 'v99.0.0'")
        database.commit()
    with pytest.raises(ParameterError, match=r"tuning\.db to hold studies of Optuna"):
        tune(TARGET, Store(tmp_path), Landscape(), trials=2, problems=8, progress=False)


def test_a_study_of_other_problems_is_refused(tmp_path: Path) -> None:
    tune(TARGET, Store(tmp_path), Landscape(), trials=1, problems=8, progress=False)
    with pytest.raises(ParameterError, match="problems"):
        tune(TARGET, Store(tmp_path), Landscape(), trials=2, problems=9, progress=False)


def test_the_witness_s_belief_counts_first_and_the_model_s_own_breaks_ties() -> None:
    def rows(agreed: str, believed: str) -> pl.DataFrame:
        bits = {"agreed": agreed, "final_model": believed}
        values = {name: [{"1": True, "0": False}.get(bit) for bit in text] for name, text in bits.items()}
        return pl.DataFrame(values, schema=dict.fromkeys(bits, pl.Boolean))

    assert score(rows("00", "00")) == 0
    assert score(rows("11", "11")) == pytest.approx(1 + OWN)
    assert score(rows("100", "000")) > score(rows("000", "111"))
    assert score(rows("10", "10")) > score(rows("10", "00"))
    assert score(rows("--", "10")) == pytest.approx((1 + OWN) / 2)  # no witness


def test_auto_sets_itself_without_a_trial(tmp_path: Path) -> None:
    target, never = replace(TARGET, planner=AUTO), Landscape()
    entry = tune(target, Store(tmp_path), never, trials=3, problems=8, progress=False)
    assert not never.units
    settings = tuple(entry["settings"].items())
    made = make_planner("GRASP", settings)
    assert isinstance(made, GRASP)
    assert made.iterations == UNLIMITED
    assert settings != untuned("GRASP", by_name(TARGET.task))
    assert Tuned({target.name: entry}).settings(target) == tuple(sorted(settings))


@pytest.mark.parametrize("planner", SEARCHED)
def test_every_suggestion_leaves_the_end_to_the_budget(planner: str) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    task = by_name("wall_single")
    seen = set()
    for _ in range(30):
        settings = suggest(study.ask(), planner, task)
        made = make_planner(planner, settings)
        assert made.iterations == UNLIMITED
        if isinstance(made, CEM | MPPI):
            assert made.samples in SAMPLES
            assert 2 * made.samples <= BUDGET
        seen.add(settings)
    assert len(seen) == 30


def test_a_planner_without_a_space_is_refused() -> None:
    with pytest.raises(ParameterError, match="search space"):
        suggest(optuna.create_study().ask(), AUTO, by_name("wall_single"))


def test_tuned_settings_survive_the_file(tmp_path: Path) -> None:
    tuned = Tuned({}).with_entry(TARGET, {"settings": {"lr": 0.1, "iterations": 5}, "value": 1.0})
    assert Tuned.load(tmp_path).settings(TARGET) is None
    tuned.save(tmp_path)
    assert Tuned.load(tmp_path).settings(TARGET) == (("iterations", 5), ("lr", 0.1))


@pytest.mark.parametrize("stop", [3, 8, 9, 10])
def test_a_run_that_stopped_anywhere_hands_on_what_another_does(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [replace(TARGET, horizon=T) for T in (2, 4, 6, 8)]

    class Stopped(Exception):
        pass

    def ends(folder: str, after: int | None) -> dict[Target, object]:
        done = Counter[str]()

        def compute(units: Sequence[Unit]) -> Iterator[tuple[Unit, pl.DataFrame]]:
            for unit in units:
                done["units"] += 1
                if after is not None and done["units"] > after:
                    raise Stopped
                # Settings differ in what they are worth from horizon to horizon, so that neighbours' best ones are taken.
                worth = zlib.crc32(f"{unit.settings} {unit.horizon // 4}".encode()) % (unit.count + 1)
                rows = fake_rows(unit_key(unit), unit.count)
                solved = _first(worth, unit.count)
                yield unit, rows.with_columns(agreed=solved, final_model=solved)

        monkeypatch.setattr(tune_module, "runner", lambda **_: compute)
        return dict(tune_all(targets, tmp_path / folder, trials=2, problems=40))

    whole = ends("whole", None)
    with suppress(Stopped):
        ends("stopped", stop)
    assert ends("stopped", None) == whole
