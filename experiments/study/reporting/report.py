"""Our tables beside the paper's, as data: every cell, every comparison, what is missing and where it was computed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from experiments.study.reporting.pairs import SOONER, Pairing, Tested, family, pair
from experiments.study.reporting.paper_tables import Printed, printed
from experiments.study.reporting.present import former_code
from experiments.study.reporting.summary import (
    OUTCOMES,
    Success,
    Times,
    seconds_in_batch,
    success,
    times,
    trials_of,
)
from experiments.study.tables import Cell
from grasp_theory.statistics.intervals import Estimate, Json

CAPTIONS = {
    "1": "Long horizons: success and time",
    "2": "Ablations of GRASP",
    "3": "Short horizons: success",
    "4": "Short horizons: time",
    "5": "Gradient descent with noise",
    "mpc": "Closed loop: replanning after every model step",
    "tuning": "Tuned by another model's belief, and by the model's own",
}
OURS = "GRASP"
PROVENANCE = ("machine", "device", "threads", "torch", "version", "commit")
"""Columns that say where and with what a row was computed."""
TIMED_ON = ("machine", "device", "threads", "torch")
"""Those of which times of one table must have one value each."""


@dataclass(frozen=True)
class CellReport:
    """One cell of one of our tables.

    Arguments
        cell: its place.
        outcomes: by name of `OUTCOMES`; None where no trial has that outcome.
        times: of the trials planned one after the other; None if there are none.
        in_batch: seconds per problem of whole runs side by side; None if there are none.
        paper: what the paper prints there, if anything.
    """

    cell: Cell
    outcomes: Mapping[str, Success | None]
    times: Times | None
    in_batch: Estimate | None
    paper: Printed | None

    @property
    def main(self) -> Success | None:
        """Success in the environment of the plan that is returned."""
        return self.outcomes["final_true"]

    @property
    def missing(self) -> bool:
        """Whether no trial of it is stored."""
        return self.times is None and not any(self.outcomes.values())


@dataclass(frozen=True)
class TableReport:
    """One of our tables.

    Arguments
        number: the paper's number of it, or "mpc".
        cells: in the order of the table.
        comparisons: GRASP with every other row, the family of one outcome judged together.
        provenance: for each of `PROVENANCE`, the machine's load, models and problem sets, what the trials have.
        warnings: what a reader must know before comparing figures.
        idle: by column, the share of the trials that are a success in the model before any action is planned.
    """

    number: str
    cells: Sequence[CellReport]
    comparisons: Sequence[Tested]
    provenance: Mapping[str, Sequence[str]]
    warnings: Sequence[str]
    idle: Mapping[str, float]

    @property
    def missing(self) -> Sequence[Cell]:
        """The cells without a trial."""
        return [report.cell for report in self.cells if report.missing]


def table_report(
    number: str, cells: Sequence[Cell], rows: pl.DataFrame, others: Sequence[Cell] = ()
) -> TableReport:
    """Return one of our tables.

    Arguments
        number: a key of `CAPTIONS`.
        cells: of `experiments.study.tables.cells`.
        rows: `summary.current` ones.
        others: cells of other tables, among them GRASP's that a table without such a row is compared with.
    """
    mode = "mpc" if number == "mpc" else "batch"
    one_by_one = rows.clear() if number == "mpc" else rows  # those times are of open-loop plans
    by_cell = [(cell, trials_of(rows, cell, mode), trials_of(one_by_one, cell, "single")) for cell in cells]
    limits = _limits(by_cell)
    reports = [
        CellReport(
            cell,
            {outcome: success(trials, outcome) for outcome in OUTCOMES},
            times(single, limit=limits.get(cell.problem_set)),
            seconds_in_batch(trials),
            printed(number, cell),
        )
        for cell, trials, single in by_cell
    ]
    frames = [frame for _, *pair_of_frames in by_cell for frame in pair_of_frames if not frame.is_empty()]
    used = pl.concat(frames) if frames else rows.clear()
    timed = [single for _, _, single in by_cell if not single.is_empty()]
    comparisons = [
        tested
        for outcome in (
            ("final_true",) if number == "mpc" else ("final_true", "final_model", "any_model", SOONER)
        )
        for tested in family(compare(cells, rows, outcome, mode, others))
    ]
    old = former_code(used)
    warnings = [
        *([old] if old else []),
        *_mixed_times(pl.concat(timed) if timed else rows.clear()),
        *_unequal(reports),
    ]
    idle = {
        cell.column: float((found["first_step"] == 0).fill_null(False).to_numpy().mean())
        for cell, trials, single in reversed(by_cell)
        for found in (single, trials)
        if not found.is_empty()
    }
    return TableReport(number, reports, comparisons, _provenance(used), warnings, idle)


def compare(
    cells: Sequence[Cell],
    rows: pl.DataFrame,
    outcome: str,
    mode: str = "batch",
    others: Sequence[Cell] = (),
) -> list[Pairing]:
    """Return the reference (GRASP, or the full method of an ablation) paired with the cells of every other row.

    Table 5 has no row of GRASP: its reference is among `others`.
    """
    references: dict[tuple[str, str, int], Cell] = {}
    for cell in (*cells, *others):
        if is_ours(cell):
            references.setdefault(cell.problem_set, cell)
    # Two rows about the same trials (Table 5's two ways of no noise) are one comparison.
    different = [cell for at, cell in enumerate(cells) if not any(same_trials(cell, c) for c in cells[:at])]
    pairings = (
        pair(rows, references[cell.problem_set], cell, outcome, mode)
        for cell in different
        if cell.problem_set in references and not same_trials(references[cell.problem_set], cell)
    )
    return [pairing for pairing in pairings if pairing is not None]


def is_ours(cell: Cell) -> bool:
    """Return whether a row is the paper's method with its usual settings."""
    return cell.row == OURS or "(ours)" in cell.row.lower()


def same_trials(one: Cell, other: Cell) -> bool:
    """Return whether two cells are about the same trials, wherever they stand."""
    return (one.problem_set, one.planner, one.settings) == (other.problem_set, other.planner, other.settings)


def to_json(report: TableReport) -> Json:
    """Return a table as plain values; infinity, which JSON lacks, becomes None."""
    return {
        "table": report.number,
        "caption": CAPTIONS[report.number],
        "provenance": {name: list(values) for name, values in report.provenance.items()},
        "warnings": list(report.warnings),
        "cells": [_cell_json(cell) for cell in report.cells],
        "comparisons": [comparison_json(tested) for tested in report.comparisons],
    }


def comparison_json(tested: Tested) -> Json:
    """Return a comparison as plain values."""
    pairing, record = tested.pairing, tested.pairing.record
    return {
        "first": pairing.first.row,
        "second": pairing.second.row,
        "column": pairing.first.column,
        "outcome": pairing.outcome,
        "trials": record.trials,
        "first_only": record.first_only,
        "second_only": record.second_only,
        "difference": record.difference,
        "low": tested.low,
        "high": tested.high,
        "p_holm": tested.p_value,
        "mcnemar": record.mcnemar,
        "detectable": tested.detectable if math.isfinite(tested.detectable) else None,
    }


def flat(report: TableReport) -> pl.DataFrame:
    """Return a table with one row a cell and one column a figure, for CSV."""
    return pl.DataFrame(
        [dict(_flattened("", _cell_json(cell))) for cell in report.cells], infer_schema_length=None
    )


def _cell_json(report: CellReport) -> Json:
    task, kind, horizon = report.cell.problem_set
    paper = report.paper
    return {
        "row": report.cell.row,
        "column": report.cell.column,
        "task": task,
        "kind": kind,
        "horizon": horizon,
        "planner": report.cell.planner,
        "settings": {name: value for name, value in report.cell.settings},
        **{outcome: _success_json(found) for outcome, found in report.outcomes.items()},
        "times": _times_json(report.times),
        "seconds_per_problem_in_batch": None if report.in_batch is None else report.in_batch.to_json(),
        "paper": None if paper is None else {"success": paper.success, "time": paper.time},
    }


def _success_json(found: Success | None) -> Json:
    if found is None:
        return None
    return {
        "successes": found.successes,
        "trials": found.trials,
        "problems": found.problems,
        "rate": found.rate.to_json(),
        "wilson": found.wilson.to_json(),
        "by_model": dict(found.by_model),
    }


def _times_json(found: Times | None) -> Json:
    if found is None:
        return None
    return {
        "trials": found.trials,
        "solved": found.solved,
        "median_solved": None if found.median_solved is None else found.median_solved.to_json(),
        "median": found.median.to_json(),
        "limit": found.limit,
        "restricted_mean": found.restricted_mean.to_json(),
        "spent": found.spent.to_json(),
    }


def _flattened(prefix: str, value: Json) -> Iterable[tuple[str, float | int | str | None]]:
    if isinstance(value, dict) and prefix != "settings" and not prefix.endswith(".by_model"):
        for name, inner in value.items():
            yield from _flattened(f"{prefix}.{name}" if prefix else name, inner)
    else:
        yield prefix, str(value) if isinstance(value, dict | list) else value


def _limits(
    by_cell: Iterable[tuple[Cell, pl.DataFrame, pl.DataFrame]],
) -> dict[tuple[str, str, int], float]:
    """Return, for each problem set, the longest time that any planner spent on a trial of it."""
    limits: dict[tuple[str, str, int], float] = {}
    for cell, _, single in by_cell:
        if not single.is_empty():
            longest = float(single["seconds"].to_numpy().max())
            limits[cell.problem_set] = max(longest, limits.get(cell.problem_set, 0.0))
    return limits


def _provenance(used: pl.DataFrame) -> dict[str, list[str]]:
    named = {name: _values(used, name) for name in PROVENANCE}
    sets = sorted(
        {f"{task}-{kind}-{T}" for task, kind, T in used.select("task", "kind", "horizon").iter_rows()}
    )
    load = used["load"].drop_nulls().to_numpy()
    loads = [f"{load.min():.1f} to {load.max():.1f}"] if len(load) else []
    return {**named, "load average": loads, "models": _values(used, "model"), "problem sets": sets}


def _values(rows: pl.DataFrame, column: str) -> list[str]:
    return sorted(str(value) for value in rows[column].unique().to_list())


def _mixed_times(timed: pl.DataFrame) -> list[str]:
    """Say where times of one task were taken on or with different things."""
    return [
        f"times of {task} are from more than one {name}: {', '.join(values)}; do not compare them"
        for (task,), rows in timed.group_by("task", maintain_order=True)
        for name in TIMED_ON
        if len(values := _values(rows, name)) > 1
    ]


def _unequal(reports: Sequence[CellReport]) -> list[str]:
    """Say where cells of one problem set have different numbers of trials."""
    counts: dict[tuple[str, str, int], set[int]] = {}
    for report in reports:
        if (found := report.main) is not None:
            counts.setdefault(report.cell.problem_set, set()).add(found.trials)
    return [
        f"on {task}-{kind}-{horizon} the rows have {', '.join(map(str, sorted(sizes)))} trials; only comparisons are "
        "on common ones"
        for (task, kind, horizon), sizes in counts.items()
        if len(sizes) > 1
    ]
