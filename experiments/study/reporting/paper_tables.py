"""The paper's printed figures, beside which ours stand.

They are the same as in `paper_checks.claims.printed.tables`, which this layer must not import; a test compares the two.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from experiments.study.tables import Cell
from grasp_theory.tasks.task import FRAMESKIP

PATH = Path(__file__).with_name("paper_tables.json")
ENVIRONMENTS = {"push_t": "Push-T", "point_maze": "PointMaze", "wall_single": "WallSingle"}


@dataclass(frozen=True)
class Printed:
    """What the paper prints in one cell.

    Arguments
        success: success rate in the model, in percent; None if this table has none.
        time: median seconds over solved trials (in Table 5 mean seconds over all); None if there is none.
    """

    success: float | None
    time: float | None


def printed(table: str, cell: Cell) -> Printed | None:
    """Return what the paper prints in our cell's place; None if it has no such cell.

    Rows are found by their labels, without regard to spaces, case and "(ours)"; columns by the problem set: task and
    H = 5 T environment steps.  Problems chosen for being long are not the paper's.
    """
    task, kind, horizon = cell.problem_set
    if task not in ENVIRONMENTS or kind == "long":
        return None
    rows = {_plain(label): settings for label, settings in _tables().get(table, {}).items()}
    found = rows.get(_plain(cell.row), {}).get(f"{ENVIRONMENTS[task]} H={FRAMESKIP * horizon}")
    return None if found is None else Printed(found.get("success"), found.get("time"))


def _plain(label: str) -> str:
    return "".join(label.lower().replace("(ours)", "").split())


@cache
def _tables() -> dict[str, dict[str, dict[str, dict[str, float | None]]]]:
    content: dict[str, dict[str, dict[str, dict[str, float | None]]]] = json.loads(
        PATH.read_text(encoding="utf-8")
    )
    return content
