"""The paper's printed figures, beside which ours stand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from experiments.study.tables import Cell
from grasp_theory.paper_tables import SUCCESS, TABLES
from grasp_theory.paper_tables import Cell as PrintedCell
from grasp_theory.tasks.task import FRAMESKIP

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
    found = _figures().get((table, _plain(cell.row), f"{ENVIRONMENTS[task]} H={FRAMESKIP * horizon}"))
    return None if found is None else Printed(found.get("success"), found.get("time"))


def _plain(label: str) -> str:
    return "".join(label.lower().replace("(ours)", "").split())


def _row(cell: PrintedCell) -> str:
    """Return the label of a row; in Table 5, where labels repeat, with the mode before it."""
    mode = cell.block.partition("objective.mode=")[2].rstrip(")")
    return f"{mode}: {cell.row}" if mode else cell.row


@cache
def _figures() -> dict[tuple[str, str, str], dict[str, float | None]]:
    """Return success and time by table, row and setting."""
    figures: dict[tuple[str, str, str], dict[str, float | None]] = {}
    for table in TABLES:
        for cell in table.cells:
            place = figures.setdefault((str(table.number), _plain(_row(cell)), cell.setting), {})
            place["success" if cell.quantity is SUCCESS else "time"] = (
                float(cell.value) if cell.has_value else None
            )
    return figures
