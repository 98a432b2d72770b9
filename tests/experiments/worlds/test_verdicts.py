"""The rules of the verdicts on rows whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments.worlds.counts import condense, save
from experiments.worlds.protocol import CLAIMS
from experiments.worlds.verdicts import PARALLEL, judged, parallel, report, solved
from grasp_theory.statistics.pooled_claims import Verdict
from paper_checks.claims.ours.worlds import load

CLAIM = "sync"
WORLDS = CLAIMS[CLAIM].worlds
PAIR = CLAIMS[CLAIM].pairs[0]


def made(rates: Mapping[str, tuple[float, float]], n: int = 200) -> pl.DataFrame:
    """Return rows of a claim's pair: the first solves a share of each world's problems, the second another, inside it or around it."""
    frames = []
    for world, pair in rates.items():
        for planner, rate in zip(PAIR, pair, strict=True):
            done = np.arange(n) < round(rate * n)
            frames.append(
                pl.DataFrame(
                    {
                        "world": world, "planner": planner, "problem": np.arange(n), "solved": done, "horizon": 10,
                        "evaluations": np.full(n, 20_000), "calls": 100,
                    }
                )
            )  # fmt: skip
    return pl.concat(frames)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([(0.7, 0.5)] * 12, Verdict.REPLICATES),
        ([(0.5, 0.5)] * 12, Verdict.DOES_NOT),  # 2400 problems exclude 5 points
        ([(0.52, 0.5)] * 12, Verdict.DOES_NOT),  # a lead that is sure, and too small
        ([(0.5, 0.7)] * 12, Verdict.DOES_NOT),
        ([(0.9, 0.5)] * 11 + [(0.3, 0.7)], Verdict.MIXED),
        ([(0.5, 0.6)] * 11 + [(0.9, 0.5)], Verdict.MIXED),
    ],
)
def test_a_claim_over_all_its_worlds(rates: list[tuple[float, float]], expected: Verdict) -> None:
    found = judged(made(dict(zip(WORLDS, rates, strict=True))), CLAIM)
    assert found is not None
    assert found.verdict is expected
    assert found.pairs[0].record.trials == 2400
    first = rates[0][0] - rates[0][1]
    assert found.worlds[WORLDS[0]][1][0].record.difference == pytest.approx(first)


def test_few_problems_are_inconclusive_and_say_what_they_could_find() -> None:
    found = judged(made({w: (0.5, 0.25 if w == "wall" else 0.5) for w in WORLDS}, 4), CLAIM)
    assert found is not None
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.worlds["wall"][0] is Verdict.INCONCLUSIVE
    assert found.worlds["wall"][1][0].detectable > 0.5


def test_a_claim_with_missing_trials_has_no_verdict() -> None:
    rows = made({world: (0.7, 0.5) for world in WORLDS})
    assert judged(rows.filter(pl.col("world") != WORLDS[3]), CLAIM) is None
    assert "Not judged, for trials are missing: sync" in report(
        rows.filter(pl.col("world") != WORLDS[3]), ["sync"]
    )


def test_a_problem_counts_where_it_was_solved_in_time() -> None:
    rows = made({"wall": (0.5, 0.5)})
    full, less = (solved(rows, "wall", "GRASP", level) for level in (2000, 1999))
    assert full is not None
    assert less is not None
    assert (full.sum(), less.sum()) == (100, 0)
    assert solved(rows, "wall", "MPPI", 2000) is None


def test_parallel_time_is_counted() -> None:
    def counted(grasp: int, other: int, cem: int) -> pl.DataFrame:
        return pl.DataFrame(
            [
                {"world": world, "planner": planner, "calls": calls, "evaluations": 1000, "horizon": 10}
                for world in PARALLEL for planner, calls in (("GRASP", grasp), ("GD", other), ("CEM", cem))
            ]
        )  # fmt: skip

    assert parallel(counted(1, 2, 3)) is Verdict.REPLICATES
    assert parallel(counted(2, 3, 1)) is Verdict.MIXED
    assert parallel(counted(3, 2, 1)) is Verdict.DOES_NOT
    assert parallel(counted(1, 2, 3).filter(pl.col("planner") != "CEM")) is None


def test_the_report_names_what_it_rests_on() -> None:
    text = report(made({world: (0.7, 0.5) for world in WORLDS}), ["sync"])
    assert "| sync | replicates | GRASP > GRASP, no sync | 2400 | +20.0 |" in text
    assert "| wall | replicates | GRASP > GRASP, no sync | 200 | +20.0 |" in text


def test_what_crosses_over_to_the_checks_is_what_the_rows_say(tmp_path: Path) -> None:
    rows = made({world: (0.7, 0.5) for world in WORLDS}).with_columns(
        budget=3000,
        machine=pl.lit("m"),
        torch=pl.lit("2"),
        version=pl.lit("0"),
        commit=pl.lit("c"),
        code=pl.lit("d"),
    )
    save(condense(rows, present=False), tmp_path / "worlds.json")
    known = load(tmp_path / "worlds.json")
    assert list(known.claims) == [CLAIM]
    assert known.calls is None
    assert known.provenance["but"] == "the trials are of former code"
    found, expected = known.claims[CLAIM], judged(rows, CLAIM)
    assert expected is not None
    assert found.found == expected
    assert found.level == CLAIMS[CLAIM].level
