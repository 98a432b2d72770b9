"""The commands, on planners that hardly try."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from experiments.__main__ import app
from experiments.study import study_commands as command
from experiments.study import tables
from experiments.study.tables import PRESETS, QUICK, ROWS
from experiments.study.targets import AUTO, Target, Tuned
from experiments.study.trials.settings import untuned
from experiments.study.trials.store import Store
from grasp_theory.tasks import by_name

RUNNER = CliRunner()
HASTE = {"CEM": 1, "MPPI": 1, "ICEM": 1, "CEMGD": 1, "LatCo": 2, "GradientDescent": 2, "GRASP": 2, AUTO: 3}
TRIED = len(ROWS) + len(PRESETS)
WHERE = ("wall_single", "random", 4)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with hasty settings; every table is about one problem set."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(tables, "SETS", {"1": [WHERE], "3": [WHERE], "mpc": [WHERE]})
    monkeypatch.setattr(tables, "ABLATED", [WHERE])
    monkeypatch.setattr(command, "RESULTS", tmp_path / "shipped")
    tuned = Tuned({})
    for planner in ROWS:
        settings = dict(untuned(planner.split(".")[0], by_name(WHERE[0]))) | {"iterations": HASTE[planner]}
        entry = {"settings": settings, "own_settings": settings | {"iterations": 4}}
        tuned = tuned.with_entry(Target(*WHERE, planner), entry)
    tuned.save(tmp_path / "results")
    return tmp_path / "results"


def call(*arguments: object) -> str:
    said = RUNNER.invoke(app, [str(argument) for argument in arguments], terminal_width=200)
    assert said.exit_code == 0, said.output
    return said.output


def test_a_table_is_computed_once_and_shown_again(results: Path) -> None:
    first = call("table", 3, "--quick", "--results", results, "--problems", 2, "--timed", 1)
    assert "WallSingle H=20" in first
    assert "GRASP" in first
    rows = Store(results).rows()
    # Two problems side by side and one by itself, with every planner.
    assert len(rows) == 3 * TRIED
    finished = rows["finished"].max()
    call("table", 3, "--quick", "--results", results, "--problems", 2, "--timed", 1)
    call("table", 3, "--stored", "--quick", "--results", results)
    assert call("table", 3, "--brief", "--stored", "--quick", "--results", results).startswith(
        "| WallSingle | H=20 |"
    )
    assert Store(results).rows()["finished"].max() == finished


@pytest.mark.parametrize("number", ["2", "5", "mpc", "tuning"])
def test_the_other_tables_too(number: str, results: Path, tmp_path: Path) -> None:
    shown = call(
        "table",
        number,
        "--quick",
        "--results",
        results,
        "--problems",
        2,
        "--timed",
        1,
        "--out",
        tmp_path / "out",
    )
    assert "WallSingle" in shown
    assert "H=20" in shown
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".md", ".csv", ".json"}


def test_status_says_what_is_there_and_what_is_not(results: Path) -> None:
    call("table", 4, "--quick", "--results", results, "--timed", 1)
    shown = call("status", "--results", results)
    assert "wall_single-random-4-reporting" in shown
    assert f"{TRIED} trials" in shown
    assert "table 4: 0 of" in shown  # the full one times more problems at a time
    assert f"{TRIED} trials in" in call("status", "--results", results, "--compact")
    for width in ("40", "80"):  # names stay whole, however narrow the terminal is
        narrow = CliRunner(env={"COLUMNS": width}).invoke(app, ["status", "--results", str(results)])
        assert "\nwall_single-random-4-reporting\n" in narrow.output
        assert "…" not in narrow.output
    assert not list((results / "parts").iterdir())


def test_tuning_writes_what_tables_read(results: Path) -> None:
    (results / "tuned.json").unlink()
    said = call(
        "tune",
        "wall_single",
        "--quick",
        "--planner",
        "GRASP",
        "--results",
        results,
        "--trials",
        1,
        "--problems",
        1,
    )
    entries = Tuned.load(results).entries
    assert list(entries) == ["GRASP wall_single-random-4"]
    entry = entries["GRASP wall_single-random-4"]
    assert entry["believed_by_another"] in (0.0, 1.0)  # of one problem: the value has a hundredth more
    assert 0 <= entry["value"] - entry["believed_by_another"] <= 0.01
    share = f"{100 * entry['believed_by_another']:.0f}%"
    assert f"GRASP wall_single-random-4: {share} believed (untuned {share})" in said
    assert "believed: the share of the returned plans that another training" in said
    assert entries["GRASP wall_single-random-4"]["trials"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table", "6"], "one of 1, 2, 3, 4, 5, mpc, tuning"),
        (["table", "3", "--stored", "--results", "nowhere"], "folder of results"),
        (["status", "--results", "nowhere"], "folder of results"),
        (["tune", "chess"], "some of wall_single"),
        (
            ["table", "3", "--problems", "201", "--quick"],
            "as many as the set wall_single-random-4-reporting has, found 201. Try: --problems 200",
        ),
    ],
)
def test_mistakes_are_explained(arguments: list[str], words: str, results: Path) -> None:
    if "--results" not in arguments and arguments[0] == "table":
        arguments = [*arguments, "--results", str(results)]
    said = RUNNER.invoke(app, arguments, terminal_width=200)
    assert said.exit_code == 2
    assert words in " ".join(said.output.replace("│", " ").split())


def test_quick_tuning_does_not_replace_what_ships(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "RESULTS", results)
    before = Tuned.load(results)
    said = RUNNER.invoke(app, ["tune", "wall_single", "--quick", "--results", str(results)])
    assert said.exit_code == 2
    assert "folder of your own" in " ".join(said.output.replace("│", " ").split())
    assert Tuned.load(results) == before


def test_without_settings_of_its_own_a_folder_uses_those_that_ship(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "RESULTS", results)
    assert command._tuned(results.parent / "fresh") == Tuned.load(results)
    assert QUICK.timed <= QUICK.problems
