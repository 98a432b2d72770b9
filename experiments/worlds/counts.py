"""Condense the rows into the paired trials by which `paper_checks` judges the paper's algorithmic claims."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from experiments.paths import REPOSITORY
from experiments.worlds.protocol import CLAIMS
from experiments.worlds.verdicts import PARALLEL, calls, parallel, records
from grasp_theory.files import atomic_file
from grasp_theory.statistics.intervals import Json

PATH = REPOSITORY / "paper_checks" / "claims" / "ours" / "worlds.json"
SCHEMA_VERSION = 1
PROVENANCE = ("budget", "machine", "torch", "version", "commit")


def condense(rows: pl.DataFrame, *, present: bool) -> dict[str, Json]:
    """Return the trials of every claim that has all of them, and the counted calls.

    Arguments
        rows: of one code.
        present: whether that is the code of this checkout.
    """
    found = {name: trials for name in CLAIMS if (trials := records(rows, name)) is not None}
    about = {name: ", ".join(sorted(map(str, rows[name].unique()))) for name in PROVENANCE}
    counted: dict[str, Json] = {
        world: {planner: float(f"{counts[planner]:.6g}") for planner in ("GRASP", "GD", "CEM")}
        for world, counts in calls(rows).items()
        if world in PARALLEL and parallel(rows) is not None
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "provenance": {
            "trials": f"{len(rows)}, code {', '.join(rows['code'].unique().sort())[:16]}",
            **about,
            **({} if present else {"but": "the trials are of former code"}),
        },
        "claims": {
            name: {
                "level": CLAIMS[name].level,
                "pairs": [list(pair) for pair in CLAIMS[name].pairs],
                "worlds": {
                    world: [
                        [[list(entry) for entry in each.problems], each.first_only, each.second_only]
                        for each in of
                    ]
                    for world, of in trials.items()
                },
            }
            for name, trials in found.items()
        },
        "calls": dict(sorted(counted.items())) or None,
    }


def save(content: dict[str, Json], path: Path = PATH) -> None:
    """Write the trials, whole or not at all."""
    with atomic_file(path) as file:
        file.write((json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode())
