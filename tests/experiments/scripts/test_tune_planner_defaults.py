"""The tuning problems are what they claim to be, and the command runs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from experiments.scripts import tune_planner_defaults as tuning
from grasp_theory import CEM, Plan, Planner


def _nothing(name: str) -> Plan:
    return replace(CEM(), iterations=1, samples=2, elites=2, initial_std=1e-6).plan(tuning.PROBLEMS[name](0))


@pytest.mark.parametrize("name", tuning.PROBLEMS)
def test_no_problem_is_solved_by_doing_nothing(name: str) -> None:
    assert not bool(_nothing(name).reached.any())


@pytest.mark.parametrize("name", tuning.PROBLEMS)
def test_every_kind_of_problem_can_be_solved(name: str) -> None:
    plan = CEM(iterations=15, samples=200).plan(tuning.PROBLEMS[name](0), torch.Generator().manual_seed(0))
    assert float(plan.reached.float().mean()) > 0.05


def test_the_command_reports_the_best_and_the_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base: Planner = CEM(iterations=2, samples=20, elites=4)
    monkeypatch.setitem(tuning.SPACES, "CEM", (base, {"initial_std": [0.3, 1.0]}))
    monkeypatch.setattr(tuning, "CONFIRMATION_SEEDS", range(2))
    threads = torch.get_num_threads()
    tuning.main("CEM", trials=2)
    torch.set_num_threads(threads)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 3
    assert lines[-1]["setting"] == "default"
    assert set(lines[0]["rates"]) == set(tuning.PROBLEMS)
