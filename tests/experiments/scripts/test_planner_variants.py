"""The variants differ in what they are named after, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from typer.testing import CliRunner

from experiments.evaluation.exploitability import as_given
from experiments.scripts.planner_variants import app, variants
from grasp_theory import GRASP, Held
from grasp_theory.tasks import by_name
from grasp_theory.tasks.problems import make_problems
from grasp_theory.world_models import load


def test_variants_have_one_budget_and_the_sets_they_say() -> None:
    task, model = by_name("wall_single"), load("wall_single")
    problems = make_problems("wall_single", "random", horizon=3, count=2, purpose="tuning", seed=11)
    given = as_given(task, model, problems, 0)
    found = {name: (planner, allowed) for name, planner, allowed in variants(task, given, 600)}
    assert {planner.max_evaluations for planner, _ in found.values()} == {600}
    for name, (planner, allowed) in found.items():
        assert isinstance(allowed, Held) == name.endswith("held")
        assert planner == found[name.removesuffix(", held")][0]
    grasp, parallel = found["GRASP"][0], found["GRASP.parallel"][0]
    assert isinstance(parallel, GRASP)
    assert parallel.sync_method == "shooting"
    assert replace(parallel, sync_method="gradient", check_every=25) == grasp
    greedy = found["GRASP, greedy start"][0]
    assert isinstance(greedy, GRASP)
    assert greedy.greedy_spread == task.action_high
    assert replace(greedy, start="line", greedy_spread=1.0, sync_at_start=False) == grasp
    assert sum(name.startswith("GRASP.auto") for name in found) == 1


def test_a_row_is_printed_for_each_that_is_asked_for() -> None:
    result = CliRunner().invoke(app, ["point_maze", "--count", "1", "--horizon", "1", "--only", "MPPI"])
    assert result.exit_code == 0, result.output
    assert result.output.count("\n| ") == 3
