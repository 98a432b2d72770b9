"""Golden traces: what every planner returned on a small linear system in float64 when it was last judged right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planner_cases import PLANNERS

from grasp_theory import PlanningProblem
from linear_systems.system import LinearSystem


def golden_problem() -> PlanningProblem:
    """Two problems whose answers differ."""
    system = LinearSystem(np.array([[1.0, 0.25], [-0.125, 0.875]]), np.array([[0.0, 0.125], [0.5, -0.25]]))
    start = torch.tensor([[1.0, 0.0], [-0.5, 0.25]], dtype=torch.float64)
    goal = torch.tensor([[-0.5, 0.5], [1.0, 1.0]], dtype=torch.float64)
    return PlanningProblem(system, start, goal, horizon=4, action_dim=2, seeds=torch.tensor([11, 12]))


GOLDEN: dict[str, tuple[list[float], list[float]]] = {
    "GRASP.parallel": (
        [2.7234222656783323e-11, 2.737797642867193e-10],
        [-2.2352122229859552, 2.0033731995663793],
    ),
    "GRASP": (
        [0.022699282572665944, 0.011137662102166896],
        [-1.4790974577193365, 1.3907245229124914],
    ),
    "GRASP.paper": ([1.2988673006754556, 0.832655180410258], [0.002076181988336466, 0.8384784865048864]),
    "GRASP.released": (
        [0.10066925826057249, 0.0009164814677217492],
        [-1.1689500999488254, 1.5487331563412585],
    ),
    "GRASP CEM sync": (
        [0.5294751636655314, 0.010569324064216056],
        [-0.03872989338454899, 1.7798072029180048],
    ),
    "GRASP all options": (
        [0.06623618016695497, 0.004220571534913892],
        [-1.42001940110213, 1.3335602091963041],
    ),
    "GradientDescent": (
        [0.025950483441326583, 0.02281743103490777],
        [-2.0290777660961887, 1.508316259755573],
    ),
    "GradientDescent noisy": (
        [0.12135741484803846, 0.0015576705743091375],
        [-1.7858408070393261, 2.8470520325201565],
    ),
    "GradientDescent.dino_wm": (
        [0.00010321188974764638, 0.0007355193023253187],
        [-2.2831344526986173, 2.0041469284606523],
    ),
    "GRASP greedy start": (
        [0.04113394229265442, 0.0029200206089658146],
        [-0.45987481561747445, 2.125716699393552],
    ),
    "CEM": ([0.0003843112794928017, 0.0009616719308381191], [-1.3189314279854456, 1.8500225171633087]),
    "ICEM": ([0.015462014997615858, 0.005475056951631718], [-1.370132253273715, 1.499379670815858]),
    "MPPI": ([0.0023210209768072926, 0.0006142813207192684], [-0.6444451152861682, 2.4249598325098862]),
    "CEMGD": ([0.0009882939645797463, 0.000652365323880289], [-1.8162076931907318, 1.7186510169992941]),
    "LatCo": ([0.30641258110591435, 0.159638448765765], [-1.00433436844912, 1.089404538469939]),
    "LatCo.paper": ([0.687725576558671, 0.20079219909241594], [-0.6571469370023244, 1.1684657204207358]),
}
"""Planner: (loss of both problems, first entry of their first actions)."""

ACCUMULATED_ROUNDING = 1e-9
"""Relative; a few hundred float64 operations, amplified by at most 1e4 by normalised steps (Adam, elites)."""


@pytest.mark.parametrize("name", PLANNERS)
def test_golden_trace(name: str) -> None:
    loss, actions = GOLDEN[name]
    plan = PLANNERS[name].plan(golden_problem())
    assert plan.loss.tolist() == pytest.approx(loss, rel=ACCUMULATED_ROUNDING, abs=ACCUMULATED_ROUNDING)
    assert plan.actions[:, 0, 0].tolist() == pytest.approx(actions, rel=ACCUMULATED_ROUNDING)
    assert loss[0] != loss[1]
