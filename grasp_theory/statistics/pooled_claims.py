"""Claims about several pairs of planners in several worlds: pooled tests, tests world by world, and one verdict.

The rules, fixed before there were trials, are those of docs/study.md ("Analytic worlds: the protocol", Verdicts).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.statistics.paired_trials import PairedTrials, holm, pooled

NEEDED = 0.05
"""The smallest difference that a claim needs."""


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
        verdict: over all its worlds.
        pairs: pooled over the worlds.
        worlds: the verdict and the tests of each world.
    """

    verdict: Verdict
    pairs: tuple[Test, ...]
    worlds: Mapping[str, tuple[Verdict, tuple[Test, ...]]]


def judge(pairs: Sequence[tuple[str, str]], records: Mapping[str, Sequence[PairedTrials]]) -> Judged:
    """Return a claim judged.

    Arguments
        pairs: (better, worse) planners.
        records: by world, the paired trials of each pair, the better one first.
    """
    together = _tested(pairs, [pooled(each) for each in zip(*records.values(), strict=True)])
    flat = _tested(list(pairs) * len(records), [record for each in records.values() for record in each])
    size = len(pairs)
    by_world = {world: flat[i * size : (i + 1) * size] for i, world in enumerate(records)}
    worlds = {world: (_verdict(tests), tests) for world, tests in by_world.items()}
    return Judged(_overall(together, flat), together, worlds)


def _tested(names: Sequence[tuple[str, str]], records: Sequence[PairedTrials]) -> tuple[Test, ...]:
    """Return the tests of one family."""
    level = LEVEL / len(records)
    adjusted = holm([each.p_value for each in records])
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
