"""The planners on a CUDA device: everything stays there, in the dtype of the inputs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from planner_cases import PLANNERS, Pendulum, pendulum_problem

from grasp_theory import Planner, rollout

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("planner", PLANNERS.values(), ids=PLANNERS.keys())
def test_the_plan_stays_on_the_device_of_the_problem(planner: Planner, dtype: torch.dtype) -> None:
    here = pendulum_problem()
    there = replace(
        here,
        initial_state=here.initial_state.to("cuda", dtype),
        goal=here.goal.to("cuda", dtype),
        initial_actions=None,
    )
    plan = planner.plan(there)
    for tensor in (plan.actions, plan.states, plan.loss, plan.status, plan.iterations):
        assert tensor.device.type == "cuda"
    assert plan.actions.dtype == plan.states.dtype == dtype
    assert torch.isfinite(plan.loss).all()
    torch.testing.assert_close(plan.states, rollout(Pendulum(), there.initial_state, plan.actions))
