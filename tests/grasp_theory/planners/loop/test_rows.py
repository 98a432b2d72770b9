"""A row's noise: drawn in blocks that bound the memory, in an order that depends on the row alone."""

from __future__ import annotations

import torch
from planner_cases import pendulum_problem

from grasp_theory.planners.loop.rows import Rows


def test_a_block_is_at_most_64_draws_and_16384_numbers_or_one_draw() -> None:
    problem, seed = pendulum_problem(1), torch.tensor([5])
    for size, draws in ((1, 64), (256, 64), (1000, 16), (2**14, 1), (20_000, 1)):
        rows, again = Rows(problem, 1, seed), Rows(problem, 1, seed)
        first = rows.noise(size).draw()
        block = problem.goal.new_empty(draws, size).normal_(generator=again.generators[0])
        assert torch.equal(first, block[:1])
        assert torch.equal(rows.generators[0].get_state(), again.generators[0].get_state())


def test_restarts_begin_with_the_actions_of_their_problem() -> None:
    problem = pendulum_problem(3, initial_actions=torch.arange(24.0, dtype=torch.float64).view(3, 8, 1) / 24)
    rows = Rows(problem, 2, torch.arange(3))
    assert torch.equal(rows.actions, problem.start()[[0, 0, 1, 1, 2, 2]])
