"""Condense the stored rows into the counts that `paper_checks` judges the paper's claims by.

Only counts cross over, no statement: which rows are compared is fixed by the tables, and what the counts mean by the
rules of `paper_checks.claims.ours.replication`, which were written before there were any.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from experiments.paths import REPOSITORY, RESULTS
from experiments.study.figure_data.files import shares
from experiments.study.reporting.pairs import SOONER, Pairing
from experiments.study.reporting.present import former_code
from experiments.study.reporting.report import PROVENANCE, compare
from experiments.study.reporting.summary import current
from experiments.study.tables import FULL, Cell, cells
from experiments.study.targets import Tuned
from experiments.study.trials.store import existing
from grasp_theory.command_line import expect_writable
from grasp_theory.files import atomic_file
from grasp_theory.statistics.intervals import Json
from linear_systems.errors import ParameterError

PATH = REPOSITORY / "paper_checks" / "claims" / "ours" / "counts.json"
SCHEMA_VERSION = 2
NUMBERS = ("1", "2", "3", "5")
"""The tables whose trials claims are judged by; Table 4 has those of Table 3."""
DECISIVE = ("final_model", "final_true", "any_model", SOONER)
"""The outcomes that claims are judged by."""


def verdicts(
    results: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
    out: Annotated[Path, typer.Option(help="Where the counts go.")] = PATH,
) -> None:
    """Condense the stored trials into the counts by which `python -m paper_checks` judges the paper's claims."""
    expect_writable(out)
    rows, tuned = current(existing(results).rows()), Tuned.load(results)
    tables: dict[str, Sequence[Cell]] = {}
    for number in NUMBERS:
        try:
            tables[number] = cells(number, tuned, FULL)
        except ParameterError as error:
            typer.echo(f"table {number} is left out: {error}")
    content = condense(tables, rows, shares(results), tuned)
    save(content, out)
    typer.echo(f"{out}; now: python -m paper_checks --quick --record, and look at what changed")


def condense(
    tables: Mapping[str, Sequence[Cell]],
    rows: pl.DataFrame,
    figures: Mapping[str, tuple[int, int]],
    tuned: Tuned | None = None,
) -> dict[str, Json]:
    """Return the counts.

    Arguments
        tables: the cells of each table by its number.
        rows: `summary.current` ones.
        figures: by name, on how many of n independent problems something happened: (count, n).
        tuned: the settings that the cells have, whose budgets of tuning are told where they are others than the rows'.

    Raises
        ParameterError: no row.
    """
    if rows.is_empty():
        raise ParameterError("rows", "stored rows of reporting problems", "none", "run a table first")
    # Table 5 has no row of GRASP: Table 2's full method stands for it, or Table 1's GRASP where there is none.
    others = [cell for number in ("2", "1") for cell in tables.get(number, ())]
    found = [
        _pair(number, pairing)
        for number, cells in tables.items()
        for outcome in DECISIVE
        for pairing in compare(cells, rows, outcome, others=others)
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "provenance": _provenance(rows, Tuned({}) if tuned is None else tuned),
        "figures": {name: list(counts) for name, counts in sorted(figures.items())},
        "pairs": found,
    }


def save(content: Mapping[str, Json], path: Path = PATH) -> None:
    """Write the counts, one pair a line, whole or not at all."""
    pairs = content["pairs"]
    assert isinstance(pairs, list)
    lines = ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in pairs)
    head = json.dumps({**content, "pairs": []}, ensure_ascii=False, indent=1)
    with atomic_file(path) as file:
        file.write(
            head.replace('"pairs": []', f'"pairs": [\n{lines}\n ]' if lines else '"pairs": []').encode()
        )
        file.write(b"\n")


def _pair(number: str, pairing: Pairing) -> Json:
    task, kind, horizon = pairing.second.problem_set
    record = pairing.record
    return {
        "table": int(number),
        "task": task,
        "kind": kind,
        "horizon": horizon,
        "other": pairing.second.row,
        "outcome": pairing.outcome,
        "problems": [list(entry) for entry in record.problems],
        "first_only": record.first_only,
        "second_only": record.second_only,
        "by_model": {
            model: [alone.first_only, alone.second_only] for model, alone in pairing.by_model.items()
        },
    }


def _provenance(rows: pl.DataFrame, tuned: Tuned) -> dict[str, Json]:
    """Return in words what the rows are: which, of which models, and with what they were computed."""
    digest = hashlib.sha256("\n".join(sorted(rows["key"].to_list())).encode()).hexdigest()
    weights = rows.select("model", "model_hash").unique().sort("model")
    facts: dict[str, Json] = {
        "rows": f"{len(rows)}, digest {digest[:16]}",
        "models": ", ".join(f"{model} ({weight[:8]})" for model, weight in weights.iter_rows()),
    }
    for name in PROVENANCE:
        facts[name] = ", ".join(sorted(str(value) for value in rows[name].unique().to_list()))
    spent = ", ".join(f"{budget} T" for budget in sorted(rows["budget"].drop_nulls().unique()))
    chosen = {f"{entry['budget']} T" for entry in tuned.entries.values() if "budget" in entry}
    facts["budget"] = f"{spent} evaluations"
    if chosen - {spent}:
        facts["tuned at"] = (
            f"{', '.join(sorted(chosen))} evaluations, which is unfair to sampling planners: with settings for few samples they "
            "gain little from a larger budget"
        )
    if old := former_code(rows):
        facts["but"] = old
    return facts
