"""When a claim of the paper replicates on our models: rules that were fixed before there were any results.

A family is what a claim compares: GRASP (or the full method of an ablation) with each of k other rows, on the same
problems with the same models, pooled over the horizons and tasks that the claim speaks of.  Its differences of success
rates have simultaneous 95% intervals (level 0.05/k each) and exact p-values with Holm's correction over the k.

*More*: the claim says that the reference is better than every other row.  It replicates if every difference is
positive with p <= 0.05, does not if some difference is negative with p <= 0.05, and is inconclusive otherwise.

*Most*: the claim says that something happens on most of n independent problems, for each of k shares.  It replicates if
every share's Wilson interval (level 0.05/k) is above 1/2, does not if one is below, and is inconclusive otherwise.

*No less*: the claim says that no other row is better by more than a margin.  It replicates if every interval is above
−margin, does not if some interval is below −margin, and is inconclusive otherwise.

As in the paper, success is success in the model; of the plan that a planner returns, where the paper counts any that the
model believed.  That the environment agrees, and the count of beliefs at any of 30 points of the budget, is asked apart, in
caveats, and so is whether some model has another direction than all together (exact sign tests of each model's trials,
Holm's correction, level 0.05).

A claim that does not replicate as a whole, of which single comparisons do, is called mixed; so is one that replicates
with such a caveat.  That word came after the results; it takes back no rule.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Protocol

from scipy.optimize import brentq
from scipy.stats import binom

from grasp_theory.statistics.intervals import LEVEL, wilson
from grasp_theory.statistics.paired_trials import POWER, SMALLEST, PairedTrials, holm, pooled, said_p, shown_p
from paper_checks.claims.ours.counts import Pair, Share
from paper_checks.engine.records import Evidence, Grade, Number


class Outcome(StrEnum):
    """What our trials say of a claim."""

    REPLICATES = "replicates"
    DOES_NOT = "does not replicate"
    INCONCLUSIVE = "inconclusive"


class Decided(Protocol):
    """What a rule was applied to."""

    @property
    def outcome(self) -> Outcome:
        """What the rule says."""

    @property
    def text(self) -> str:
        """The outcome with every figure it rests on."""

    @property
    def decided(self) -> Mapping[str, bool]:
        """What every single test that says anything says: True for the claim, False against it."""

    @property
    def numbers(self) -> Mapping[str, Number]:
        """The figures by name."""

    @property
    def instance(self) -> str:
        """Python code that shows what speaks most against the claim."""


@dataclass(frozen=True)
class Family:
    """Comparisons judged together.

    Arguments
        records: by what the reference is compared with, the paired trials, the reference first.
        margin: None for *more*; the margin of *no less*, as a difference of rates.
    """

    records: Mapping[str, PairedTrials]
    margin: float | None = None

    @property
    def level(self) -> float:
        """The level of each of the simultaneous intervals."""
        return LEVEL / len(self.records)

    @cached_property
    def p_values(self) -> Mapping[str, float]:
        """Exact two-sided p-values of no difference, after Holm's correction."""
        adjusted = holm([record.p_value for record in self.records.values()])
        return dict(zip(self.records, adjusted, strict=True))

    @property
    def decided(self) -> Mapping[str, bool]:
        """The comparisons that say anything: True for the claim, False against it."""
        if self.margin is None:
            return {
                name: self.records[name].difference > 0 for name, p in self.p_values.items() if p <= LEVEL
            }
        ends = {name: record.interval(self.level) for name, record in self.records.items()}
        return {
            name: low > -self.margin for name, (low, high) in ends.items() if not low <= -self.margin <= high
        }

    @property
    def outcome(self) -> Outcome:
        """What the rule says."""
        return _outcome(self.decided, len(self.records))

    @property
    def text(self) -> str:
        """The outcome with every difference, its interval, p-value, n and smallest detectable difference."""
        rule = (
            f"every difference is positive with p <= {LEVEL:g}"
            if self.margin is None
            else f"every interval is above −{100 * self.margin:g} points"
        )
        shown = "; ".join(self._line(name) for name in self.records)
        return (
            f"{self.outcome}: {decisions(self.decided, len(self.records))} (it replicates if {rule}, at family-wise level "
            f"{LEVEL:g}; differences in points with simultaneous intervals, in brackets what 80% power would detect): {shown}"
        )

    @property
    def numbers(self) -> Mapping[str, Number]:
        """The differences and p-values by name."""
        return {
            "comparisons": len(self.records),
            "trials": min(record.trials for record in self.records.values()),
            **{f"points over {name}": 100 * record.difference for name, record in self.records.items()},
            **{f"p, {name}": told_p(p) for name, p in self.p_values.items()},
        }

    @property
    def instance(self) -> str:
        """Python code that shows the comparison that speaks most against the claim."""
        record = min(self.records.values(), key=lambda record: record.difference)
        return (
            f"from grasp_theory.statistics.paired_trials import PairedTrials\nrecord = {record!r}\n"
            f"print(record.difference, record.p_value, record.interval({self.level!r}))"
        )

    def _line(self, name: str) -> str:
        record = self.records[name]
        low, high = (100 * end for end in record.interval(self.level))
        detectable = record.detectable(self.level)
        power = f"{100 * detectable:.1f}" if math.isfinite(detectable) else "nothing"
        return (
            f"over {name} {100 * record.difference:+.1f} [{low:+.1f}, {high:+.1f}], only one solved "
            f"{record.first_only} : {record.second_only} of n = {record.trials}, {said_p(self.p_values[name])} [{power}]"
        )


def gathered(pairs: Sequence[Pair], margin: float | None = None, *, by_task: bool = False) -> Family | None:
    """Return the family of some pairs, pooled for each other row (and each task if `by_task`); None if there are none."""
    groups: dict[str, list[PairedTrials]] = {}
    for pair in pairs:
        groups.setdefault(f"{pair.other} on {pair.task}" if by_task else pair.other, []).append(pair.record)
    return Family({name: pooled(records) for name, records in groups.items()}, margin) if groups else None


@dataclass(frozen=True)
class Majorities:
    """Shares of which each is said to be more than half.

    Arguments
        shares: by what is counted.
    """

    shares: Mapping[str, Share]

    @property
    def decided(self) -> Mapping[str, bool]:
        """The shares that say anything: True for more than one half, False for less."""
        ends = {name: self._interval(share) for name, share in self.shares.items()}
        return {name: low > 1 / 2 for name, (low, high) in ends.items() if not low <= 1 / 2 <= high}

    @property
    def outcome(self) -> Outcome:
        """What the rule says."""
        return _outcome(self.decided, len(self.shares))

    @property
    def text(self) -> str:
        """The outcome with every share and its interval."""
        shown = []
        for name, share in self.shares.items():
            low, high = self._interval(share)
            shown.append(f"{name}: {share.happened} of {share.n} [{low:.0%}, {high:.0%}]")
        return (
            f"{self.outcome}: {decisions(self.decided, len(self.shares))} (it replicates if every interval is above one half; "
            f"{len(self.shares)} simultaneous Wilson intervals, family-wise level {LEVEL:g}; {self._power}): {'; '.join(shown)}"
        )

    def needed(self, n: int) -> int:
        """Return in how many of n problems something must happen to be called most; n + 1: it never is."""
        return bisect_left(range(n + 1), True, key=lambda k: self._interval(Share(k, n))[0] > 1 / 2)

    @property
    def _power(self) -> str:
        """Which share the smallest sample finds above one half, in words."""
        n = min(share.n for share in self.shares.values())
        needed = self.needed(n)
        if needed > n:
            return f"n = {n} finds no share with that level, whatever its power"
        found = brentq(lambda share: binom.sf(needed - 1, n, share) - POWER, 1 / 2, 1.0)
        return f"n = {n} finds a share of {found:.0%} with power {POWER:g}"

    @property
    def numbers(self) -> Mapping[str, Number]:
        """The shares by name."""
        return {name: share.happened / share.n for name, share in self.shares.items()}

    @property
    def instance(self) -> str:
        """Python code that shows the smallest share."""
        share = min(self.shares.values(), key=lambda share: share.happened / share.n)
        return (
            f"from scipy.stats import binomtest\nprint(binomtest({share.happened}, {share.n}).proportion_ci("
            f"{1 - LEVEL / len(self.shares)!r}, method='wilson'))"
        )

    def _interval(self, share: Share) -> tuple[float, float]:
        found = wilson(share.happened / share.n, share.n, LEVEL / len(self.shares))
        return found.low, found.high


def _outcome(decided: Mapping[str, bool], tests: int) -> Outcome:
    """Return replicates if all of the tests are for the claim, does not if one is against it."""
    if not all(decided.values()):
        return Outcome.DOES_NOT
    return Outcome.REPLICATES if len(decided) == tests else Outcome.INCONCLUSIVE


def decisions(decided: Mapping[str, bool], tests: int) -> str:
    """Return how many of the tests say anything, and what: the finding in short.

    Arguments
        decided: by name, the tests that say anything: True for the claim, False against it.
        tests: how many there are.
    """
    support = sum(decided.values())
    return f"of {tests} comparisons {support} for it, {len(decided) - support} against it, {tests - len(decided)} undecided"


def told_p(value: float) -> Number:
    """Return a p-value as a figure, or in words where float64 has no number for it.

    Arguments
        value: the p-value.
    """
    return value if value >= SMALLEST else shown_p(value)


def judged(decided: Decided) -> Evidence:
    """Judge whether a claim replicates; what single tests decide goes on record."""
    return Evidence(
        Grade.STATISTICAL, decided.outcome is Outcome.REPLICATES, decided.text, decided.numbers, decided.instance,
        outcomes=decided.decided,
    )  # fmt: skip


PROBLEMS = 200
"""Problems of the made-up trials that the rules are tried on."""


def false_families(family: Family) -> Mapping[str, Family]:
    """Return variants of a family for which its claim is false, whatever was found."""
    variants = {
        "one problem of 200 short of the least lead that replicates": _synthetic(
            family, _least_lead(family) - 1
        )
    }
    if family.margin is None:
        names = {name: record.balanced() for name, record in family.records.items()}
        variants["planners' names exchanged on every other problem"] = replace(family, records=names)
    return variants


def true_families(family: Family) -> Mapping[str, Family]:
    """Return variants of a family for which its claim is true, whatever was found."""
    return {"the least lead of 200 problems that replicates": _synthetic(family, _least_lead(family))}


def _least_lead(family: Family) -> int:
    """Return the least lead, the same over every other row, with which the claim replicates on 200 problems."""
    leads = range(-PROBLEMS, PROBLEMS + 1)
    # What replicates with a lead does so with a larger one.
    return leads[
        bisect_left(leads, True, key=lambda lead: _synthetic(family, lead).outcome is Outcome.REPLICATES)
    ]


def _synthetic(family: Family, lead: int) -> Family:
    """Return the family with every record replaced by 200 problems, `lead` of them solved by one row only."""
    counts = {0: PROBLEMS - abs(lead), (1 if lead > 0 else -1): abs(lead)}
    problems = tuple((total, 1, count) for total, count in counts.items() if count)
    record = PairedTrials(problems, max(lead, 0), max(-lead, 0))
    return replace(family, records=dict.fromkeys(family.records, record))
