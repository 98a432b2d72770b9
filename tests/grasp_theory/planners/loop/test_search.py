"""The incumbents: when a row first reached, and which restart of a problem is the best."""

from __future__ import annotations

import torch
from planner_cases import pendulum_problem

from grasp_theory.planners.loop.rows import Rows
from grasp_theory.planners.loop.search import Incumbents


def _incumbents(*, stop_when_reached: bool) -> Incumbents:
    """Three problems with two restarts each."""
    rows = Rows(pendulum_problem(3), 2, torch.arange(3))
    return Incumbents(rows, stop_when_reached=stop_when_reached)


def test_a_row_is_dated_once_when_it_has_reached() -> None:
    incumbents = _incumbents(stop_when_reached=False)
    incumbents.believed_looks = torch.tensor([0, 1, 2, 0, 0, 1])
    incumbents.date(0)
    assert incumbents.first_iteration.tolist() == [-1, 0, 0, -1, -1, 0]
    incumbents.believed_looks[0] = 3
    incumbents.date(4)
    assert incumbents.first_iteration.tolist() == [4, 0, 0, -1, -1, 0]


def test_the_best_restart_has_the_least_loss_or_has_reached_where_that_stops() -> None:
    for stop, expected in ((False, [1, 2, 4]), (True, [1, 3, 4])):
        incumbents = _incumbents(stop_when_reached=stop)
        incumbents.loss = torch.tensor([3.0, 1.0, 2.0, 5.0, 4.0, 4.5], dtype=torch.float64)
        incumbents.believed[3] = True
        assert incumbents.best(2).tolist() == expected
