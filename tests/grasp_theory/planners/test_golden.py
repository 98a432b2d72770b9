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
    "GRASP": ([1.032346330245507, 0.11768149831562351], [0.09648238865614499, 1.2009019297883288]),
    "GRASP.paper": ([2.1431467952195353, 1.6427038747557492], [0.03187369868196069, 0.10369265433824341]),
    "GRASP.released": ([0.0851903065529964, 0.001511086514551006], [-1.2256185431423312, 1.4503713177837618]),
    "GRASP CEM sync": ([0.5753891916036069, 0.011270829294904285], [0.3566163701723885, 1.1531081842122977]),
    "GRASP all options": (
        [1.2271005753088347, 0.2801134998731016],
        [-0.21191522036062768, 1.059723713919885],
    ),
    "GradientDescent": ([0.02397074601822423, 0.03010303200875239], [-1.892487044958556, 1.420257049376607]),
    "GradientDescent noisy": (
        [0.8732229438508577, 0.020149868687042875],
        [-0.8675456361538186, 2.033299333623318],
    ),
    "CEM": ([0.0003843112794928017, 0.0009616719308381191], [-1.3189314279854456, 1.8500225171633087]),
    "ICEM": ([0.015462014997615858, 0.005475056951631718], [-1.370132253273715, 1.499379670815858]),
    "MPPI": ([0.001848513377065067, 0.00040775586654639274], [-1.770765149530494, 2.001407320204421]),
    "CEMGD": ([0.0009882939645797463, 0.000652365323880289], [-1.8162076931907318, 1.7186510169992941]),
    "LatCo": ([0.7745598024382758, 0.3717521769727525], [-0.6902669443098044, 1.0008983588578182]),
    "LatCo multipliers": (
        [0.7026318983739073, 0.2039672743080261],
        [-0.6085773057740527, 1.0991812027150807],
    ),
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
