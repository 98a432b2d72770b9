"""GRASP's joint step, compiled whole, beside the plain one: run in a process of its own, without shape checks in the way."""

from __future__ import annotations

import torch
from planner_cases import pendulum_problem
from torch._dynamo.testing import CompileCounter

from grasp_theory import GRASP
from grasp_theory.planners.loop.rows import Rows
from grasp_theory.planners.loop.search import Incumbents


def captures_and_drift(backend: str) -> tuple[int, float]:
    """Return how often 8 iterations were captured, and how far they end from those that are not compiled."""
    problem, planner, captured = pendulum_problem(3), GRASP(sync_every=None), CompileCounter()
    rows = [Rows(problem, 1, torch.arange(3)) for _ in range(2)]
    plain, compiled = map(planner._search, rows)
    unused = Incumbents(rows[0], stop_when_reached=True)  # nothing is shown without a sync
    with torch._dynamo.config.patch(trace_autograd_ops=True):
        compiled.joint_step = torch.compile(
            compiled.joint_step, fullgraph=True, backend=captured if backend == "counter" else backend
        )
        for k in range(8):
            for search in (plain, compiled):
                search.step(k, unused)
    drift = max((compiled.actions - plain.actions).abs().max(), (compiled.states - plain.states).abs().max())
    return captured.frame_count, float(drift)
