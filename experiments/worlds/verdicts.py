"""Rows to verdicts, by the rules of docs/study.md that were fixed before there were any rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from experiments.worlds.protocol import CLAIMS, LEVELS
from grasp_theory.statistics.paired_trials import PairedTrials, shown_p
from grasp_theory.statistics.pooled_claims import Judged, Test, Verdict, judge

PARALLEL = ("wall", "unicycle", "linear", "wall, T = 200", "unicycle, T = 200", "linear, T = 200")
"""Where calls of the step are counted."""


def solved(rows: pl.DataFrame, world: str, planner: str, level: int) -> np.ndarray | None:
    """Return (B,) whether each problem was solved with at most level · T evaluations; None without rows."""
    found = rows.filter(pl.col("world") == world, pl.col("planner") == planner).sort("problem")
    in_time = pl.col("evaluations") <= level * pl.col("horizon")
    return found.select(pl.col("solved") & in_time).to_series().to_numpy() if len(found) else None


def records(rows: pl.DataFrame, name: str) -> dict[str, tuple[PairedTrials, ...]] | None:
    """Return a claim's paired trials, in each world one record a pair; None where some of its trials are missing."""
    claim = CLAIMS[name]
    found: dict[str, tuple[PairedTrials, ...]] = {}
    for world in claim.worlds:
        made = []
        for pair in claim.pairs:
            first, second = (solved(rows, world, planner, claim.level) for planner in pair)
            if first is None or second is None or len(first) != len(second):
                return None
            made.append(PairedTrials.of(first.astype(int) - second.astype(int), np.arange(len(first))))
        found[world] = tuple(made)
    return found


def judged(rows: pl.DataFrame, name: str) -> Judged | None:
    """Return a claim judged by rows of one code and budget; None where some of its trials are missing."""
    found = records(rows, name)
    return None if found is None else judge(CLAIMS[name].pairs, found)


def calls(rows: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Return world -> planner -> calls of the step, one after the other, per T evaluations of the longest problem."""
    counted = (
        rows.filter(pl.col("world").is_in(PARALLEL))
        .group_by("world", "planner")
        .agg(
            (pl.col("calls").first() / pl.col("evaluations").max() * pl.col("horizon").first()).alias("calls")
        )
    )
    found: dict[str, dict[str, float]] = {}
    for world, planner, value in counted.iter_rows():
        found.setdefault(world, {})[planner] = value
    return found


def parallel(rows: pl.DataFrame) -> Verdict | None:
    """Return the verdict on parallel time, by counting; None where counts are missing."""
    found, needed = calls(rows), ("GRASP", "GD", "CEM")
    if any(planner not in found.get(world, {}) for world in PARALLEL for planner in needed):
        return None
    fewer = {other: all(found[w]["GRASP"] < found[w][other] for w in PARALLEL) for other in needed[1:]}
    if all(fewer.values()):
        return Verdict.REPLICATES
    return Verdict.MIXED if any(fewer.values()) else Verdict.DOES_NOT


def report(rows: pl.DataFrame, claims: Sequence[str] = tuple(CLAIMS)) -> str:
    """Return the verdicts as Markdown: claims, claims by world, and all success rates."""
    known = {name: found for name in claims if (found := judged(rows, name)) is not None}
    columns, rule = "verdict | pair | n | difference, points | interval | p | detectable |", "|" + "---|" * 8
    lines = [f"| claim | {columns}", rule]
    for name, each in known.items():
        lines += _rows(f"{name} | {each.verdict}", each.pairs)
    if (verdict := parallel(rows)) is not None:
        lines.append(f"| parallel time | {verdict} | by counting, below | | | | | |")
    if missing := [name for name in claims if name not in known]:
        lines += ["", f"Not judged, for trials are missing: {', '.join(missing)}."]
    for name, each in known.items():
        claim = CLAIMS[name]
        lines += ["", f"**{name}**: {claim.says}; at {claim.level} T", "", f"| world | {columns}", rule]
        for world, (single, tests) in each.worlds.items():
            lines += _rows(f"{world} | {single}", tests)
    return "\n".join([*lines, "", *_rates(rows), "", *_counts(rows)])


def _rows(head: str, tests: Sequence[Test]) -> list[str]:
    heads = [head, *[" | "] * (len(tests) - 1)]
    return [f"| {each} | {_words(test)} |" for each, test in zip(heads, tests, strict=True)]


def _words(test: Test) -> str:
    return (
        f"{test.better} > {test.worse} | {test.record.trials} | {100 * test.record.difference:+.1f} | "
        f"[{100 * test.low:+.1f}, {100 * test.high:+.1f}] | {shown_p(test.p_value)} | {100 * test.detectable:.1f}"
    )


def _rates(rows: pl.DataFrame) -> list[str]:
    worlds, planners = rows["world"].unique().sort().to_list(), rows["planner"].unique().sort().to_list()
    lines = [f"Solved, %, with {', '.join(map(str, LEVELS))} T evaluations:", ""]
    lines += [f"| world | {' | '.join(planners)} |", "|" + "---|" * (len(planners) + 1)]
    for world in worlds:
        found = [[solved(rows, world, planner, level) for level in LEVELS] for planner in planners]
        texts = [
            ", ".join("" if x is None else f"{100 * x.mean():.0f}" for x in each).strip(", ")
            for each in found
        ]
        lines.append(f"| {world} | {' | '.join(texts)} |")
    return lines


def _counts(rows: pl.DataFrame) -> list[str]:
    planners = ("GRASP", "GRASP.parallel", "GD", "CEM", "MPPI", "LatCo")
    lines = ["Calls of the step, one after the other, per T evaluations:", ""]
    lines += [f"| world | {' | '.join(planners)} |", "|" + "---|" * (len(planners) + 1)]
    for world, found in sorted(calls(rows).items()):
        texts = [f"{found[each]:.3g}" if each in found else "" for each in planners]
        lines.append(f"| {world} | {' | '.join(texts)} |")
    return lines
