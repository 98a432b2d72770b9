"""What crosses over to the checks of the paper: every decisive comparison, from the tables' cells, readable there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from study_rows import MadeUpCell, rows_of
from typer.testing import CliRunner

from experiments.study.reporting.counts import condense, save, verdicts
from experiments.study.reporting.pairs import pair
from experiments.study.trials.store import Store
from grasp_theory.command_line import add, new_app
from linear_systems.errors import ParameterError
from paper_checks.claims.ours.counts import Share, load

GRASP = MadeUpCell("GRASP")
CEM = MadeUpCell("CEM", planner="CEM")
FULL = MadeUpCell("25 (ours)", settings=(("sync_every", 25),))
STOP = MadeUpCell("Stop (ours)", settings=(("sync_every", 25),))
FLOW = MadeUpCell("Flow", settings=(("stop_state_gradient", False), ("sync_every", 25)))
NOISY = MadeUpCell("default: σ_s = 0.5", planner="GradientDescent")
TABLES = {"1": [CEM, GRASP], "2": [FULL, STOP, FLOW], "5": [NOISY]}


def rows() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.concat(
        rows_of(cell, list(rng.random(20) < rate), models=2, mode=mode)
        for cell, rate in ((GRASP, 0.8), (CEM, 0.5), (FULL, 0.8), (FLOW, 0.4), (NOISY, 0.6))
        for mode in ("batch", "single")
    )


def test_what_is_saved_is_what_the_checks_load(tmp_path: Path) -> None:
    made = rows()
    path = tmp_path / "ours.json"
    save(condense(TABLES, made, {"figure3/x/nearby": (3, 10)}), path)
    ours = load(path)
    assert {(pair.table, pair.other, pair.outcome) for pair in ours.pairs} == {
        (table, other, outcome)
        for table, other in ((1, "CEM"), (2, "Flow"), (5, "default: σ_s = 0.5"))
        for outcome in ("final_model", "final_true", "any_model", "sooner")
    }
    assert ours.figures == {"figure3/x/nearby": Share(3, 10)}
    for found in ours.pairs:
        cells = {1: (GRASP, CEM), 2: (FULL, FLOW), 5: (FULL, NOISY)}[found.table]
        expected = pair(made, *cells, found.outcome)
        assert expected is not None
        assert found.record == expected.record
        assert (found.task, found.kind, found.horizon) == GRASP.problem_set
        assert found.by_model["push_t-offline-colours-1"] == (
            expected.by_model["push_t-offline-colours-1"].first_only,
            expected.by_model["push_t-offline-colours-1"].second_only,
        )
    assert ours.provenance["machine"] == "m"
    assert ours.provenance["rows"].startswith("400, digest ")


def test_the_file_is_small_and_the_same_for_rows_in_any_order(tmp_path: Path) -> None:
    made = rows()
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    save(condense(TABLES, made, {}), one)
    save(condense(TABLES, made.sample(fraction=1, shuffle=True, seed=0), {}), other)
    assert one.read_bytes() == other.read_bytes()
    assert one.stat().st_size < 5000
    save(condense({"1": [GRASP]}, made, {}), one)
    assert load(one).pairs == ()


def test_nothing_is_condensed_from_nothing() -> None:
    with pytest.raises(ParameterError, match="run a table"):
        condense(TABLES, rows().clear(), {})


def test_the_command_says_what_is_left_out(tmp_path: Path) -> None:
    app = new_app()
    add(app, verdicts, "")
    nothing = CliRunner().invoke(
        app, ["--results", str(tmp_path / "none"), "--out", str(tmp_path / "ours.json")]
    )
    assert nothing.exit_code == 2
    made = rows_of(GRASP, [True, False])
    Store(tmp_path).write(made["unit"][0], made)
    out = tmp_path / "ours.json"
    found = CliRunner().invoke(app, ["--results", str(tmp_path), "--out", str(out)])
    assert found.exit_code == 0, found.output
    assert "table 1 is left out" in found.output
    assert load(out).provenance["rows"].startswith("2, ")
