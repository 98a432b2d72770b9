"""The planners' benchmark measures what it says: the looped version is the planner, the limit is a limit."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from experiments.__main__ import app
from experiments.bench import planners as bench_planners
from experiments.bench.measurement import Row
from grasp_theory import GRASP
from grasp_theory.planners.loop.rows import Rows
from grasp_theory.planners.loop.search import Incumbents

CPU = torch.device("cpu")
TINY = bench_planners.Sizes(1, 2, (2, 4), ((1, 2),), (600, 1200), 1e9)


def test_the_timed_model_has_the_sizes_that_the_problems_have() -> None:
    sizes = bench_planners.bench_model().architecture
    assert (sizes.state_shape, sizes.action_dim) == (bench_planners.STATE_SHAPE, bench_planners.ACTIONS)


def test_the_looped_version_is_the_planner() -> None:
    given = bench_planners.problem(3, 5, CPU)
    planner = replace(bench_planners.JOINT_STEP_SGD, state_noise=0.0)
    assert given.seeds is not None
    search = planner._search(rows := Rows(given, 1, given.seeds))
    looped = bench_planners.LoopedGRASP(given, planner)
    for k in range(4):
        search.step(k, Incumbents(rows, stop_when_reached=True))
        looped.step()
    assert search.actions.abs().max() > 1e-4
    torch.testing.assert_close(torch.stack([torch.stack(row) for row in looped.actions]), search.actions)
    torch.testing.assert_close(
        torch.stack([torch.stack(row) for row in looped.states]), search.virtual_states()
    )


def test_the_limit_is_the_models_action_gradient() -> None:
    given = bench_planners.problem(2, 3, CPU)
    gradient = bench_planners.bare_evaluation(given)()
    assert gradient.shape == (6, bench_planners.ACTIONS)
    assert gradient.abs().max() > 0


def test_evaluations_in_turn_are_on_one_time_step_each(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    class Watched(torch.nn.Module):
        def step(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            seen.append((*state.shape, *action.shape))
            return state * action.sum(-1, keepdim=True)

    monkeypatch.setattr(bench_planners, "bench_model", Watched)
    in_turn = bench_planners.evaluations_in_turn(bench_planners.problem(2, 3, CPU))
    seen.clear()  # a problem tries its model once
    in_turn()
    assert seen == [(2, 8, 2, 10)] * 3


def test_calls_take_turns_and_each_is_timed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def work() -> None:
        nonlocal now
        now += 0.5

    def twice() -> None:
        work()
        work()

    monkeypatch.setattr(time, "process_time", lambda: now)
    taken = bench_planners.in_turns({"one": work, "two": twice}, 5, 20, CPU)
    assert taken["one"] == pytest.approx([0.5] * 5)
    assert taken["two"] == pytest.approx([1.0] * 5)


def test_quick_measurements_have_the_rows_of_the_requirements() -> None:
    rows = [
        row
        for measure in bench_planners.MEASUREMENTS
        if measure is not bench_planners._memory
        for row in measure(TINY, CPU)
    ]
    assert all(row.value > 0 for row in rows if "sync" not in row.quantity)
    bounds = [row.required for row in rows if row.required is not None]
    assert bounds == [55, 0, 1.5, 1.05, 1.05, 1.10, 1.6, 1.1]
    assert next(row.value for row in rows if "reads" in row.quantity) == 0
    assert len({row.quantity for row in rows}) == len(rows)


@pytest.mark.slow
def test_quick_run_writes_its_figures(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    result = CliRunner().invoke(app, ["bench", "planners", "--quick", "--json", str(path)])
    data = json.loads(path.read_text())
    assert result.exit_code == (0 if all(row["met"] for row in data["rows"]) else 1), result.output
    assert {"environment", "rows"} == set(data)
    assert all(
        {"quantity", "value", "unit", "required", "relation", "met"} == set(row) for row in data["rows"]
    )
    largest = next(row["value"] for row in data["rows"] if "by the fit" in row["quantity"])
    assert largest > 3_000


def test_a_missed_requirement_fails_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench_planners, "MEASUREMENTS", (lambda sizes, device: [Row("ratio", 2.0, "", 1.1)],))
    path = tmp_path / "out" / "bench.json"
    before = torch.get_num_threads()
    result = CliRunner().invoke(app, ["bench", "planners", "--json", str(path)])
    assert result.exit_code == 1
    assert torch.get_num_threads() == before
    assert [row["met"] for row in json.loads(path.read_text())["rows"]] == [False]
    assert CliRunner().invoke(app, ["bench", "planners", "--quick"]).exit_code == 0


@pytest.mark.parametrize("device", ["meta", "nonsense", *([] if torch.cuda.is_available() else ["cuda"])])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    result = CliRunner().invoke(app, ["bench", "planners", "--device", device])
    assert result.exit_code == 2
    assert "--device" in result.output


def test_the_default_planner_is_measured() -> None:
    joint = replace(GRASP(), sync_every=None, check_every=None, cycle_decay=1.0)
    assert joint == bench_planners.JOINT_STEP
