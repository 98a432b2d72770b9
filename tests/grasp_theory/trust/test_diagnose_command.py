"""`python -m grasp_theory diagnose`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from grasp_theory.__main__ import app

MODULE = """
import torch
from grasp_theory import PlanningProblem

problem = PlanningProblem(lambda s, a: 0.9 * s + a, torch.ones(2, 2), torch.zeros(2, 2), 3, 2)
number = 3

def make():
    return problem

def with_errors():
    return problem, {"errors": 0.1, "radius": 1.0}

def of_size(size):
    return problem

def with_a_number():
    return problem, 3

def with_a_misspelling():
    return problem, {"error": 0.1}

class Shelf:
    kept = problem
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ownmodel.py").write_text(MODULE)
    (tmp_path / "needy.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "ownmodel", raising=False)
    return tmp_path


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["diagnose", *words])


@pytest.mark.parametrize("target", ["ownmodel:problem", "ownmodel:make", "ownmodel:Shelf.kept"])
def test_a_problem_of_ones_own(folder: Path, target: str) -> None:
    result = call(target)
    assert result.exit_code == 0, result.output
    assert "Recommendation" in result.output
    assert "pass errors=" in result.output


def test_keywords_and_a_page(folder: Path) -> None:
    result = call("ownmodel:with_errors", "--html", "new/page.html", "--plans", "1")
    assert result.exit_code == 0, result.output
    assert "Diagnosis of 1 planned" in result.output
    assert "blind after" in result.output
    assert result.output.rstrip().endswith("wrote new/page.html")
    assert "blind after" in (folder / "new" / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ownmodel:nothing"], "'nothing'"),
        (["ownmodel:number"], "found 3"),
        (["no_such_module_here:problem"], "'no_such_module_here'"),
        (["ownmodel:problem", "--plans", "0"], "plans"),
        (["ownmodel:problem", "--html", "ownmodel.py/page.html"], "ownmodel.py/page.html"),
        (["ownmodel:of_size"], "a function that takes (size)"),
        (["ownmodel:with_a_number"], "a tuple of PlanningProblem, int"),
        (["ownmodel:with_a_misspelling"], "'error'"),
        (["ownmodel:"], "''"),
        ([":problem"], "module:factory"),
        (["no_such_task"], "wall_single"),
    ],
)
def test_a_wrong_use_is_one_line(folder: Path, words: list[str], said: str) -> None:
    result = call(*words)
    assert result.exit_code == 2
    (line,) = result.output.strip().splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_what_a_module_lacks_is_not_hidden(folder: Path) -> None:
    result = call("needy:problem")
    assert isinstance(result.exception, ModuleNotFoundError)
    assert result.exception.name == "no_such_module_anywhere"
