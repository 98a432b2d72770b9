"""Whether stored rows are of the present code, and the words that say so where they are shown."""

from __future__ import annotations

import polars as pl

from experiments.study.trials.unit import code_digest

_MADE_BY = ["planner", "task", "mode"]


def with_present(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with a column more, `present`: whether the code that made them is that of this checkout."""
    made_by = rows.select("code", *_MADE_BY).iter_rows()
    present = [code == code_digest(*of) for code, *of in made_by]
    return rows.with_columns(pl.Series("present", present, dtype=pl.Boolean))


def former_code(rows: pl.DataFrame) -> str:
    """Return a sentence that says which rows are of former code; empty if none.

    It names planners and tasks, no counts: it changes only with what a reader must know.
    """
    known = with_present(rows).group_by("planner", "task").agg(pl.col("present").all())
    old = known.filter(~pl.col("present")).sort("planner", "task")
    if old.is_empty():
        return ""
    if len(old) == len(known):
        which = "All these trials are"
    else:
        tasks = old.group_by("planner", maintain_order=True).agg("task").iter_rows()
        which = (
            f"The trials of {'; '.join(f'{planner} on ' + ', '.join(names) for planner, names in tasks)} are"
        )
    return (
        f"{which} of former code: the study is to be run again before they say anything of the present code"
    )
