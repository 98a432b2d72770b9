"""`python -m experiments ablation`: one term left out at a time, measured alike, and the table that the docs quote."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from experiments.__main__ import app
from experiments.evaluation.sizes import QUICK
from experiments.training.ablation import TERMS, measure, table, variants
from experiments.training.recipe import recipe_for
from grasp_theory.tasks import by_name

DOCS = Path(__file__).parents[3] / "docs"
TINY = replace(QUICK, episodes=4, length=120, pairs=50, greedy=4, resamples=20)


def test_each_variant_lacks_one_term_and_nothing_else():
    whole = recipe_for("point_maze", "flat")
    found = dict(variants(whole))
    assert list(found) == [None, *TERMS]
    assert found.pop(None) == whole
    for term, recipe in found.items():
        assert getattr(recipe, term) == 0 != getattr(whole, term)
        assert replace(recipe, **{term: getattr(whole, term)}) == whole
    assert "reconstruction" not in dict(variants(recipe_for("wall_single", "flat")))  # it has none


@pytest.mark.slow
def test_measures_tell_a_trained_model_from_a_collapsed_one(offline):
    task = by_name("wall_single")
    trained = measure(task, offline.model, TINY)
    assert trained["effective_rank"] > 1.5
    assert (
        trained["open_loop"]["all"]["1"]["position"]["value"]
        < trained["open_loop"]["all"]["20"]["position"]["value"]
    )
    constant = deepcopy(offline.model)
    with torch.no_grad():
        constant.encoder.head[-1].weight.zero_()
    collapsed = measure(task, constant, TINY)
    assert collapsed["effective_rank"] == pytest.approx(1, abs=1e-6)
    assert "collapsed" in collapsed
    rows = [{"left_out": None, **trained}, {"left_out": "variance", **collapsed}]
    lines = table({"recipe": {"latent_dim": 4}, "rows": rows}).splitlines()
    assert len(lines) == 4
    assert lines[3].count("collapsed") == 3
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize("file", sorted(DOCS.glob("ablation_*.json")), ids=lambda file: file.stem)
def test_the_docs_quote_the_stored_figures(file):
    result = json.loads(file.read_text(encoding="utf-8"))
    assert result["quick"] is False
    assert file.name == f"ablation_{result['task']}.json"
    assert table(result) in (DOCS / "world_models.md").read_text(encoding="utf-8")


def test_a_task_without_a_recipe_is_refused(tmp_path):
    result = CliRunner().invoke(
        app, ["ablation", "breakout", "--folder", str(tmp_path)], env={"COLUMNS": "300"}
    )
    assert result.exit_code == 2
    assert "wall_single" in result.output


@pytest.mark.slow
def test_the_command_writes_its_figures(tmp_path):
    out = tmp_path / "figures.json"
    words = ["ablation", "wall_single", "--quick", "--folder", str(tmp_path), "--json", str(out)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert [row["left_out"] for row in found["rows"]] == [None, "variance", "covariance", "slowness"]
    assert table(found) in result.output
