"""A study of one's own: the page's example runs through every command, and what is wrong in a file is told."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from experiments.__main__ import app
from experiments.study.tables import OWN_TABLES, Cell, Profile, units
from experiments.study.targets import Tuned
from experiments.study.trials.own import study_of
from experiments.study.trials.store import Store
from experiments.study.trials.trial import run_unit
from experiments.study.trials.unit import Unit, trial_keys, witness
from linear_systems.errors import ParameterError

PAGE = Path(__file__).parents[3] / "docs" / "own_study.md"
RUNNER = CliRunner(env={"COLUMNS": "200"})

MADE = """
import torch
from experiments.study import Case, Study
from grasp_theory import PlanningProblem
def case(given, replay):
    start, goal, horizon = given
    near = lambda state, goal: (state - goal).norm(dim=1) < 0.1
    return Case(PlanningProblem(lambda s, a: s + a, start, goal, horizon, 2, reached=near), replay)
STUDY = Study('a', ('m', 'n'), (('b', 3),), lambda *_: case"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page's file, whose networks are trained less."""
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path_factory.mktemp("own") / "my_study.py"
    file.write_text(text.replace("range(400)", "range(150)"), encoding="utf-8")
    return file


def call(*arguments: object) -> str:
    said = RUNNER.invoke(app, [str(argument) for argument in arguments], terminal_width=200)
    assert said.exit_code == 0, said.output
    return said.output


def unit(path: Path, **changes: object) -> Unit:
    fields = {
        "task": str(path), "kind": "mirrored", "horizon": 20, "purpose": "reporting", "first": 2, "count": 4,
        "model": f"{path}:seed_0", "planner": "GradientDescent", "settings": (("lr", 0.3),), "budget": 60,
    }  # fmt: skip
    return Unit(**{**fields, **changes})  # type: ignore[arg-type]


def test_rows_say_what_model_world_and_witness_say(path: Path) -> None:
    rows = run_unit(unit(path, budget=300))
    assert rows["problem"].to_list() == [2, 3, 4, 5]
    assert rows["final_model"].to_list() == [True] * 4  # the disc is not on the way
    assert rows["final_true"].to_list() == [True] * 4
    assert rows["agreed"].to_list() == [True] * 4
    assert rows["true_curve"].str.len_chars().unique().to_list() == [10]
    across = run_unit(unit(path, kind="across", horizon=24, budget=300))
    assert across["final_true"].sum() < 4
    alone = run_unit(unit(path, mode="single", count=1, budget=300))
    assert alone["first_model"].to_list() == [True]
    same = ["problem", "final_model", "final_true", "agreed", "believed_curve", "true_curve", "loss"]
    assert_frame_equal(run_unit(unit(path, budget=300)).select(same), rows.select(same))


def test_keys_are_of_the_file_the_model_and_the_problem(path: Path, tmp_path: Path) -> None:
    known = trial_keys(unit(path))
    assert len(set(known)) == 4
    for change in ({"model": f"{path}:seed_1"}, {"kind": "across", "horizon": 24}, {"purpose": "tuning"}):
        assert not set(known) & set(trial_keys(unit(path, **change)))
    other = tmp_path / "my_study.py"
    other.write_text(
        path.read_text(encoding="utf-8").replace("RADIUS = 0.1, 0.3", "RADIUS = 0.1, 0.31"), encoding="utf-8"
    )
    assert not set(known) & set(trial_keys(unit(other, model=f"{other}:seed_0")))
    assert witness(f"{path}:seed_2") == f"{path}:seed_0"
    with pytest.raises(
        ParameterError,
        match=r"^problems: expected at most 100, .* set .*-mirrored-20-reporting has, found 102\. Try: --problems 100",
    ):
        trial_keys(unit(path, first=98))
    with pytest.raises(ParameterError, match="batch or single"):
        run_unit(unit(path, mode="mpc"))


def test_a_set_of_any_name_is_planned_whole(path: Path, tmp_path: Path) -> None:
    """Of our own long sets half as many problems are planned; "long" is a word like any other here."""
    other = tmp_path / "my_study.py"
    other.write_text(path.read_text(encoding="utf-8").replace('"across"', '"long"'), encoding="utf-8")
    profile = Profile(problems=40, timed=0, seeds=(0,), study=str(other))
    cell = Cell("GRASP", "", (str(other), "long", 24), "GRASP", ())
    assert [made.indices for made in units([cell], ("batch",), profile, [])] == [range(40)]


@pytest.mark.slow
def test_every_command_takes_it(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    shared = ("--study", path, "--results", folder)
    call("tune", *shared, "--quick", "--planner", "CEM", "--trials", 2)
    assert set(Tuned.load(folder).entries) == {f"CEM {path}-mirrored-20", f"CEM {path}-across-24"}
    for number in OWN_TABLES:
        shown = call("table", number, *shared, "--quick", "--problems", 4, "--timed", 1)
        assert "Disc" in shown
        assert "T=20" in shown
    assert f"{path}-across-24" not in call("table", "1", *shared, "--quick", "--stored", "--brief")
    assert "table 1: 0 of" not in call("status", *shared)
    rows = Store(folder).rows()
    assert set(rows["model_kind"].unique()) == {"own"}
    assert rows.filter(pl.col("mode") == "batch")["agreed"].null_count() == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("STUDY = 3", "STUDY in"),
        ("import no_such_module", "ModuleNotFoundError, line 1: No module named"),
        ("from grasp_theory import GRASP\nGRASP(iterations=0)", "ParameterError, line 2: iterations is to be"),
        ("from experiments.study import Study\nSTUDY = Study('a', ('m',), (('b', 3),), lambda *_: [][1])", "IndexError, line 2: list"),
        (f"{MADE}((torch.zeros(2, 2), torch.ones(2, 3), 3), lambda a, r: a))", "a Case of 'b', T = 3"),
        ("from experiments.study import Study\nSTUDY = Study('a', (), (('b', 3),), None)", "line 2: models is to be one or more"),
        ("from experiments.study import Study\nSTUDY = Study('a', ('m', 'm'), (('b', 3),), None)", "each once"),
        ("from experiments.study import Study\nSTUDY = Study('a', ('m',), (('b', 0),), None)", "positive horizons"),
        ("from experiments.study import Study\nSTUDY = Study('a', ('m',), (('b', 3),), lambda *_: 7)", "a Case, found"),
        ("from experiments.study import Study\nSTUDY = Study('a', ('m'), (('b', 3),), None)", "a comma after a single one"),
        ("from experiments.study import Study\nSTUDY = Study('a', ('m',), ('b', 3), None)", "a comma after a single one"),
        (f"{MADE}((torch.zeros(2, 2), torch.ones(2, 2), 4), lambda a: a))", "problems of T = 3"),
        (f"{MADE}((torch.zeros(2, 2), torch.ones(2, 2), 3), lambda a: a))", "a `replay` of (actions, rows)"),
        (f"{MADE}((torch.zeros(2, 2), torch.ones(2, 2), 3), lambda a, r: a))", "other problems for reporting than for tuning"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_told(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(text, encoding="utf-8")
    said = RUNNER.invoke(
        app, ["table", "1", "--study", str(path), "--results", str(tmp_path)], terminal_width=200
    )
    assert said.exit_code == 2
    assert words in " ".join(said.output.replace("│", " ").split())


def test_a_study_imports_what_lies_beside_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "of_the_disc.py").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    study = tmp_path / "importing.py"
    study.write_text("from of_the_disc import STUDY\n", encoding="utf-8")
    shown = call("table", 1, "--study", study, "--results", tmp_path, "--quick", "--stored")
    assert "Table 1, Disc" in shown
    assert "the paper's" not in shown


def test_what_a_study_does_not_have_is_told(path: Path, tmp_path: Path) -> None:
    for arguments, words in (
        (["table", "3", "--study", str(path), "--results", str(tmp_path)], "one of 1, 2, 5, tuning"),
        (["table", "1", "--study", str(path)], "a folder of your own"),
        (["tune", "push_t", "--study", str(path), "--results", str(tmp_path)], "none with --study"),
        (
            ["table", "1", "--study", str(tmp_path / "none.py"), "--results", str(tmp_path)],
            "the path of a Python file",
        ),
    ):
        said = RUNNER.invoke(app, arguments, terminal_width=200)
        assert said.exit_code == 2, said.output
        assert words in " ".join(said.output.replace("│", " ").split())
    assert study_of(str(path)).name == "Disc"
