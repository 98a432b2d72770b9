"""The rows of a run in another folder, put into the stored ones: those that a table shows, and no others.

    python -m experiments.scripts.gather_rows FOLDER --task push_t --problems 150

A long run fills a folder of its own, which may hold problems that not all planners were tried on yet, and rows of settings that
were given up since.  The stored rows are what the tables are made of: current rows, of the settings in `tuned.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from experiments.paths import RESULTS
from experiments.study.reporting.summary import canonical, current
from experiments.study.tables import FULL, TABLES, cells
from experiments.study.targets import Tuned
from experiments.study.trials.store import Store
from grasp_theory.command_line import add, new_app

CELL = ["task", "kind", "horizon", "planner", "settings"]


def gather(
    folder: Annotated[Path, typer.Argument(help="Where the run left its rows.", exists=True)],
    task: Annotated[str, typer.Option(help="Only this task's rows are taken.")] = "",
    problems: Annotated[int, typer.Option(min=1, help="Of each set the first so many.")] = FULL.problems,
    results: Annotated[Path, typer.Option(help="Folder of the stored rows.")] = RESULTS,
) -> None:
    """Put the rows of a folder that a table shows into the stored rows, whose others are dropped."""
    store = Store(results)
    run = Store(folder).rows().filter(pl.col("problem") < problems)
    rows = pl.concat([store.rows(), run.filter(pl.col("task") == task) if task else run])
    kept = shown(rows, Tuned.load(results))
    held = store.replace(rows.select(store.layout.identity), kept)
    typer.echo(f"{held} rows kept of {len(rows)}")


def shown(rows: pl.DataFrame, tuned: Tuned) -> pl.DataFrame:
    """Return the current rows of reporting problems that are in some cell of a table.

    Arguments
        rows: of the study's trials.
        tuned: the settings of the tables' cells.
    """
    table = pl.DataFrame(
        [
            (*cell.problem_set, cell.planner, canonical(cell.settings))
            for number in TABLES
            for cell in cells(number, tuned, FULL)
        ],
        schema=dict(zip(CELL, (pl.String, pl.String, pl.Int32, pl.String, pl.String), strict=True)),
        orient="row",
    )
    now = current(rows)
    return now.join(table.cast({"horizon": now.schema["horizon"]}), on=CELL, how="semi")


if __name__ == "__main__":
    app = new_app()
    add(app, gather, "all that was stored before: the rows are written whole or not at all.")
    app()
