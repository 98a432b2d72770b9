"""`evaluate` as a whole, its tables and its command, on a tiny model with random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from evaluation_doubles import SIZE, SMALL, PerfectModel, StateModel, TellingWall
from rich.console import Console
from typer.testing import CliRunner

from experiments.evaluation import evaluate, evaluate_command, measures
from experiments.evaluation.printout import tables
from grasp_theory.command_line import add, new_app
from grasp_theory.tasks import by_name
from grasp_theory.world_models import ActionLayout, Architecture, Card, WorldModel, save
from linear_systems.errors import ParameterError, ShapeError

TASK = by_name("wall_single")
TINY = replace(
    SMALL, episodes=4, pairs=50, greedy=2, plans=3, evaluations=12, attacked=3, attack=4, resamples=20
)
APP = new_app()
add(APP, evaluate_command, "")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "QUICK", TINY)


@pytest.fixture(scope="module")
def model() -> WorldModel:
    torch.manual_seed(0)
    sizes = Architecture(
        "flat", 10, 2, image_size=SIZE, latent_dim=4, encoder_width=4, predictor_width=16, predictor_depth=1
    )
    return WorldModel(sizes).eval().requires_grad_(False)


@cache
def small(model: WorldModel) -> dict[str, Any]:
    """What `evaluate` says at TINY sizes."""
    return evaluate(TASK, model, seed=1, quick=True)


def test_everything_is_measured_and_the_same_each_time(model: WorldModel) -> None:
    found = small(model)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert evaluate(TASK, model, seed=1, quick=True) == found
    assert evaluate(TASK, model, seed=2, quick=True)["open_loop"] != found["open_loop"]
    assert (found["task"], found["seed"], found["quick"]) == ("wall_single", 1, True)
    for measure in ("open_loop", "curves", "rank_correlation", "greedy", "exploitability", "state_gradient"):
        assert found[measure], measure


def test_tables_show_the_figures(model: WorldModel) -> None:
    found = small(model)
    console = Console(width=160, record=True, file=StringIO())
    for table in tables(found):
        console.print(table)
    text = console.export_text()
    mean = found["open_loop"]["all"]["4"]["errors"]["position"]["model"]["mean"]
    assert f"{mean['value']:.3g} [{mean['low']:.3g}, {mean['high']:.3g}]" in text
    for words in ("state stays", "rank correlation with the geodesic", "believed and not true", "smallest δ"):
        assert words in text


def test_a_model_that_does_not_fit_is_refused(model: WorldModel) -> None:
    with pytest.raises(ShapeError, match="point_maze"):
        evaluate(by_name("point_maze"), model, quick=True)
    with pytest.raises(ParameterError, match=r"call model\.eval"):
        evaluate(TASK, WorldModel(model.architecture).train(), quick=True)
    with pytest.raises(ParameterError, match="seed"):
        evaluate(TASK, model, seed=-1, quick=True)


def test_command_writes_what_evaluate_returns(model: WorldModel, tmp_path: Path) -> None:
    card = Card(
        task="wall_single", kind="offline", seed=0, architecture=model.architecture,
        actions=ActionLayout(5, 2, TASK.action_low, TASK.action_high, "2 px"), frame_offsets=(0,),
        probe_names=("x (px)", "y (px)"),
        data={"behaviour": {"episodes": 1, "length": 1, "mixture": {"random": 1.0}, "seed": 0}}, recipe={},
        training={"wall_seconds": 0, "cpu_seconds": 0, "machine": "none", "threads": 1, "torch": "none"},
        evaluation={},
    )  # fmt: skip
    save(model, card, tmp_path / "model")
    threads = torch.get_num_threads()
    out = tmp_path / "figures.json"
    given = ["wall_single", "--model", str(tmp_path / "model"), "--quick", "--evaluation-seed", "1"]
    done = CliRunner().invoke(APP, [*given, "--json", str(out)])
    assert done.exit_code == 0, done.output
    assert "open-loop error" in done.output
    assert json.loads(out.read_text(encoding="utf-8")) == small(model)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("given", [["nowhere"], ["wall_single", "--model", "missing.safetensors"]])
def test_command_says_what_is_wrong(given: list[str]) -> None:
    done = CliRunner().invoke(APP, given)
    assert done.exit_code == 2
    assert "expected" in done.output


def test_a_perfect_model_is_told_from_a_still_one() -> None:
    task = TellingWall()
    windows = measures.held_out_windows(task, SMALL, 1)
    right, _ = measures.open_loop(task, PerfectModel(task), windows, SMALL, 1)
    still, _ = measures.open_loop(task, StateModel(task), windows, SMALL, 1)
    at_10 = [part["all"]["10"]["errors"]["position"]["model"]["mean"] for part in (right, still)]
    assert at_10[0]["high"] < at_10[1]["low"]
