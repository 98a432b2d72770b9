"""The variants differ in what they are named after, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from typer.testing import CliRunner

from experiments.scripts.planner_variants import app, variants
from grasp_theory import GRASP, Held
from grasp_theory.tasks import by_name


def test_variants_have_one_budget_and_the_sets_they_say() -> None:
    task = by_name("wall_single")
    found = {name: (planner, allowed) for name, planner, allowed in variants(task, 600)}
    assert {planner.max_evaluations for planner, _ in found.values()} == {600}
    for name, (planner, allowed) in found.items():
        assert isinstance(allowed, Held) == name.endswith("held")
        assert planner == found[name.removesuffix(", held")][0]
    grasp, parallel = found["GRASP"][0], found["GRASP.parallel"][0]
    assert isinstance(parallel, GRASP)
    assert parallel.sync_method == "shooting"
    assert replace(parallel, sync_method="gradient", check_every=25) == grasp


def test_a_row_is_printed_for_each() -> None:
    result = CliRunner().invoke(app, ["point_maze", "--count", "1", "--horizon", "1"])
    assert result.exit_code == 0, result.output
    assert result.output.count("\n| ") == 10
