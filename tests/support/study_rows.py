"""Rows of the study as the engine writes them, with made-up outcomes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from experiments.study.targets import offline_model
from experiments.study.trials.trial import SCHEMA
from experiments.study.trials.unit import code_digest


@dataclass(frozen=True)
class MadeUpCell:
    row: str
    column: str = "H = 50"
    problem_set: tuple[str, str, int] = ("push_t", "trajectory", 10)
    planner: str = "GRASP"
    settings: tuple[tuple[str, Any], ...] = ()


def rows_of(
    cell: MadeUpCell,
    solved: Sequence[bool],
    *,
    models: int = 1,
    mode: str = "batch",
    seconds: Sequence[float | None] | None = None,
    **others: Any,
) -> pl.DataFrame:
    """Return a row for each problem and model; problem i is solved if `solved[i]`, in the model and in truth."""
    task, kind, horizon = cell.problem_set
    rows = []
    for seed in range(models):
        for problem, done in enumerate(solved):
            time = (1.0 if seconds is None else seconds[problem]) if done else None
            row = {
                "key": f"{cell.row}{cell.column}{cell.planner}{mode}{seed}-{problem}", "unit": f"{cell.row}-{mode}-{seed}",
                "task": task, "kind": kind, "horizon": horizon, "purpose": "reporting", "problem": problem,
                "model": offline_model(task, seed), "model_kind": "offline", "model_seed": seed, "model_hash": "h",
                "planner": cell.planner, "settings": json.dumps(dict(cell.settings), sort_keys=True), "seed": 0,
                "mode": mode, "batch": len(solved) if mode == "batch" else 1,
                "first_seconds": time, "first_model": done, "first_true": done,
                "final_model": done if mode == "batch" else None, "final_true": done if mode == "batch" else None,
                "believed_curve": "01"[bool(done)] * 30 if mode == "batch" else None, "budget": 1500,
                "seconds": 9.0 if time is None else time, "version": "0.1.0", "machine": "m",
                "code": code_digest(cell.planner, task, mode),
                "device": "cpu", "threads": 1, "torch": "2", "finished": "2026-01-01T00:00:00+00:00", **others,
            }  # fmt: skip
            rows.append({name: row.get(name) for name in SCHEMA})
    return pl.DataFrame(rows, schema=SCHEMA)
