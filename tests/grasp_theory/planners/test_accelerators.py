"""Ready for an accelerator without one: no planner mixes devices, and a joint step lets no host wait."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from fake_device import OnDevice, fake_device
from planner_cases import PLANNERS, pendulum_problem

from grasp_theory import Planner, PlanningProblem


def moved(problem: PlanningProblem, device: torch.device) -> PlanningProblem:
    return replace(problem, initial_state=problem.initial_state.to(device), goal=problem.goal.to(device))


@pytest.mark.parametrize("planner", PLANNERS.values(), ids=PLANNERS.keys())
def test_planners_run_on_a_device_that_refuses_the_hosts_tensors(planner: Planner) -> None:
    problem = pendulum_problem(3)
    expected = planner.plan(problem)
    with fake_device() as device:
        plan = planner.plan(moved(problem, device))
        assert isinstance(plan.actions, OnDevice)
        assert plan.actions.device == plan.states.device == plan.loss.device == device
        torch.testing.assert_close(plan.actions.held, expected.actions)
        assert torch.equal(plan.status.cpu(), expected.status)


def test_the_fake_device_notices_a_tensor_of_the_host() -> None:
    with fake_device() as device:
        there = torch.ones(2, device=device)
        assert (there + 1.0).device == device
        with pytest.raises(RuntimeError, match="meet"):
            there + torch.ones(2)
