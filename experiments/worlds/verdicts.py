"""Rows to verdicts, by the rules of docs/study.md that were fixed before there were any rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl

from experiments.worlds.protocol import CLAIMS, LEVELS, Claim
from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.statistics.paired_trials import PairedTrials, holm, pooled

NEEDED = 0.05
"""The smallest difference that a claim needs."""
PARALLEL = ("wall", "unicycle", "linear", "wall, T = 200", "unicycle, T = 200", "linear, T = 200")
"""Where calls of the step are counted."""


class Verdict(StrEnum):
    """What the trials say of a claim."""

    REPLICATES = "replicates"
    DOES_NOT = "does not"
    MIXED = "mixed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Test:
    """A > B on some problems.

    Arguments
        better, worse: A and B.
        record: the paired trials.
        p_value: exact and two-sided, after Holm's correction over the family.
        low, high: interval of the difference, of confidence 1 − LEVEL / k.
        detectable: the smallest difference found with 80% power at level LEVEL / k.
    """

    better: str
    worse: str
    record: PairedTrials
    p_value: float
    low: float
    high: float
    detectable: float

    @property
    def stands(self) -> int:
        """1 for the claim, −1 against it, 0 open."""
        sure = self.p_value <= LEVEL
        if self.high < NEEDED or (sure and self.record.difference < 0):
            return -1
        return int(sure and self.record.difference > 0)


@dataclass(frozen=True)
class Judged:
    """A claim, judged.

    Arguments
        name: of the claim.
        verdict: over all its worlds.
        pairs: pooled over the worlds.
        worlds: the verdict and the tests of each world.
    """

    name: str
    verdict: Verdict
    pairs: tuple[Test, ...]
    worlds: dict[str, tuple[Verdict, tuple[Test, ...]]]


def solved(rows: pl.DataFrame, world: str, planner: str, level: int) -> np.ndarray | None:
    """Return (B,) whether each problem was solved with at most level · T evaluations; None without rows."""
    found = rows.filter(pl.col("world") == world, pl.col("planner") == planner).sort("problem")
    in_time = pl.col("evaluations") <= level * pl.col("horizon")
    return found.select(pl.col("solved") & in_time).to_series().to_numpy() if len(found) else None


def judge(rows: pl.DataFrame, name: str) -> Judged | None:
    """Return a claim judged by rows of one code and budget; None where some of its trials are missing."""
    claim = CLAIMS[name]
    records: dict[str, list[PairedTrials]] = {}
    for world in claim.worlds:
        records[world] = []
        for pair in claim.pairs:
            first, second = (solved(rows, world, planner, claim.level) for planner in pair)
            if first is None or second is None or len(first) != len(second):
                return None
            records[world].append(
                PairedTrials.of(first.astype(int) - second.astype(int), np.arange(len(first)))
            )
    pairs = _tested(claim, [pooled(each) for each in zip(*records.values(), strict=True)])
    flat = _tested(claim, [record for world in claim.worlds for record in records[world]])
    size = len(claim.pairs)
    by_world = {world: flat[i * size : (i + 1) * size] for i, world in enumerate(claim.worlds)}
    worlds = {world: (_verdict(tests), tests) for world, tests in by_world.items()}
    return Judged(name, _overall(pairs, flat), pairs, worlds)


def _tested(claim: Claim, records: Sequence[PairedTrials]) -> tuple[Test, ...]:
    """Return the tests of one family."""
    level = LEVEL / len(records)
    adjusted = holm([each.p_value for each in records])
    names = claim.pairs * (len(records) // len(claim.pairs))
    return tuple(
        Test(*names[i], each, adjusted[i], *each.interval(level), each.detectable(level))
        for i, each in enumerate(records)
    )


def _verdict(tests: Iterable[Test]) -> Verdict:
    stands = [test.stands for test in tests]
    if all(each == 1 for each in stands):
        return Verdict.REPLICATES
    if -1 in stands:
        return Verdict.MIXED if 1 in stands else Verdict.DOES_NOT
    return Verdict.INCONCLUSIVE


def _overall(pairs: Sequence[Test], single: Sequence[Test]) -> Verdict:
    verdict = _verdict(pairs)
    opposed = any(test.record.difference < 0 and test.p_value <= LEVEL for test in single)
    found = any(test.stands == 1 for test in single)
    if (verdict is Verdict.REPLICATES and opposed) or (verdict is Verdict.DOES_NOT and found):
        return Verdict.MIXED
    return verdict


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
    judged = [found for name in claims if (found := judge(rows, name)) is not None]
    columns, rule = "verdict | pair | n | difference, points | interval | p | detectable |", "|" + "---|" * 8
    lines = [f"| claim | {columns}", rule]
    for each in judged:
        lines += _rows(f"{each.name} | {each.verdict}", each.pairs)
    if (verdict := parallel(rows)) is not None:
        lines.append(f"| parallel time | {verdict} | by counting, below | | | | | |")
    if missing := [name for name in claims if name not in {each.name for each in judged}]:
        lines += ["", f"Not judged, for trials are missing: {', '.join(missing)}."]
    for each in judged:
        claim = CLAIMS[each.name]
        lines += ["", f"**{each.name}**: {claim.says}; at {claim.level} T", "", f"| world | {columns}", rule]
        for world, (single, tests) in each.worlds.items():
            lines += _rows(f"{world} | {single}", tests)
    return "\n".join([*lines, "", *_rates(rows), "", *_counts(rows)])


def _rows(head: str, tests: Sequence[Test]) -> list[str]:
    heads = [head, *[" | "] * (len(tests) - 1)]
    return [f"| {each} | {_words(test)} |" for each, test in zip(heads, tests, strict=True)]


def _words(test: Test) -> str:
    return (
        f"{test.better} > {test.worse} | {test.record.trials} | {100 * test.record.difference:+.1f} | "
        f"[{100 * test.low:+.1f}, {100 * test.high:+.1f}] | {test.p_value:.2g} | {100 * test.detectable:.1f}"
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
