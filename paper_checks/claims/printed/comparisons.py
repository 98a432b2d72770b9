"""Claims that one printed figure beats another, judged as printed and by exact tests.

Three things can be said of a claimed order.  The figures contradict it (`ordered` fails); they show it, but
the trials do not establish it (`ordered` and `unseparated` pass: not supported); or the trials establish it
(`separated` passes: supported).  Tests are Fisher's, one-sided, with Holm's correction over the family of
comparisons that the claim makes.  They take the two planners' trials as independent: the paper gives no
outcomes per task, so what pairing could change is reported as a range over all joint tables.  Median times
come without the spread that a test would need, so times are compared as printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeVar

from grasp_theory.paper_tables import SUCCESS, TABLE_1, TABLE_3, TABLE_4, TRIALS, Cell, Quantity
from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.statistics.proportions import barnard, fisher, holm, pairing, stratified
from paper_checks.engine.records import Evidence, Grade, Number

OURS = "GRASP (Ours)"
BASELINES = ("CEM", "LatCo", "GD")
LONG = TABLE_1.settings
"""Push-T at H = 40, 50, 60, 70, 80."""
H40 = LONG[0]
"""The setting of Tables 2 and 5."""
SHORT = TABLE_3.settings
"""Push-T, PointMaze and WallSingle at H = 10, 20, 30 each."""

Variant = TypeVar("Variant")


@dataclass(frozen=True)
class Comparison:
    """The statement that one printed figure beats another of the same quantity.

    Arguments
        better: the figure said to be better (more success, or less time).
        worse: the figure said to be worse.
    """

    better: Cell
    worse: Cell

    @property
    def lead(self) -> Fraction:
        """By how much the statement is true as printed, in points or seconds; negative if it is false."""
        difference = self.better.value - self.worse.value
        return difference if self.better.quantity is SUCCESS else -difference

    @property
    def counts(self) -> tuple[int, int]:
        """The successes of the two planners in `TRIALS` trials."""
        return self.better.successes(), self.worse.successes()

    @property
    def p_value(self) -> float:
        """Fisher's exact one-sided p-value for the statement about success rates."""
        return fisher(*self.counts, TRIALS)

    @property
    def text(self) -> str:
        """The statement with its figures."""
        return f"{self.better.name} ({self.better.printed}) against {self.worse.name} ({self.worse.printed})"

    @property
    def code(self) -> str:
        """Python code that shows the comparison."""
        tables = ", ".join(sorted({f"TABLE_{cell.table}" for cell in (self.better, self.worse)}))
        lines = [
            f"from grasp_theory.paper_tables import {self.better.quantity.name}, {tables}",
            f"better = {self.better.expression}",
            f"worse = {self.worse.expression}",
            "print(better.printed, worse.printed)",
        ]
        if self.better.quantity is SUCCESS:
            lines.insert(0, "from grasp_theory.statistics.proportions import fisher")
            lines.append(f"print(fisher(better.successes(), worse.successes(), {TRIALS}))")
        return "\n".join(lines)


def figure(planner: str, setting: str, quantity: Quantity) -> Cell:
    """Return a planner's rate (Tables 1 and 3) or median time (Tables 1 and 4) in a setting."""
    short = TABLE_3 if quantity is SUCCESS else TABLE_4
    return (TABLE_1 if setting in LONG else short).cell(planner, setting, quantity)


def over(
    others: Sequence[str], settings: Sequence[str], quantity: Quantity, planner: str = OURS
) -> tuple[Comparison, ...]:
    """Return the statements that a planner beats the others in each setting where both have a figure."""
    pairs = [
        (figure(planner, setting, quantity), figure(other, setting, quantity))
        for setting in settings
        for other in others
    ]
    return tuple(Comparison(*pair) for pair in pairs if all(cell.has_value for cell in pair))


def ordered(comparisons: Sequence[Comparison]) -> Evidence:
    """Judge whether every comparison is strictly true as printed."""
    wrong = [comparison for comparison in comparisons if comparison.lead <= 0]
    smallest = min(comparisons, key=lambda comparison: comparison.lead)
    summary = (
        f"{len(comparisons) - len(wrong)} of {len(comparisons)} comparisons are strictly true as printed"
    )
    if wrong:
        summary += "; not " + "; ".join(_reversed(comparison) for comparison in wrong)
    return Evidence(
        Grade.REPORTED,
        not wrong,
        summary,
        {"comparisons": len(comparisons), "contradicted": len(wrong), "smallest lead": float(smallest.lead)},
        smallest.code,
    )


def uncontradicted(comparisons: Sequence[Comparison]) -> Evidence:
    """Judge whether no comparison of success rates is contradicted beyond chance (Fisher, Holm at `LEVEL`)."""
    opposite = [Comparison(comparison.worse, comparison.better) for comparison in comparisons]
    evidence = none_significant(opposite)
    behind = [comparison for comparison in comparisons if comparison.lead < 0]
    summary = evidence.summary.replace("deficits", "opposite orders", 1)
    summary += "; printed in the opposite order: " + ("; ".join(map(_reversed, behind)) or "none")
    return replace(evidence, summary=summary)


def lead_together(comparisons: Sequence[Comparison]) -> Evidence:
    """Judge whether the comparisons of success rates, taken together, are beyond chance (exact stratified test)."""
    p = stratified([comparison.counts for comparison in comparisons], TRIALS)
    names = [
        sorted({cell.row for cell in cells})
        for cells in zip(*((c.better, c.worse) for c in comparisons), strict=True)
    ]
    summary = (
        f"{', '.join(names[0])} over {', '.join(names[1])} in {len(comparisons)} settings together: p = {p:.2g} (exact "
        f"stratified test, one-sided, level {LEVEL:g})"
    )
    return Evidence(Grade.REPORTED, p <= LEVEL, summary, {"p": p})


def separated(comparisons: Sequence[Comparison]) -> Evidence:
    """Judge whether every comparison is established by the trials (Fisher, Holm at `LEVEL`)."""
    open_cases = _open(comparisons)
    weakest = max(comparisons, key=lambda comparison: comparison.p_value)
    largest = max(holm([comparison.p_value for comparison in comparisons]))
    summary = (
        f"{len(comparisons) - len(open_cases)} of {len(comparisons)} differences are significant (Fisher's "
        f"exact test, one-sided, Holm over the {len(comparisons)}, level {LEVEL:g}, n = {TRIALS} each); "
        f"weakest: {weakest.text}, p = {weakest.p_value:.2g}"
    )
    return Evidence(
        Grade.REPORTED,
        not open_cases,
        summary,
        {"comparisons": len(comparisons), "not significant": len(open_cases), "largest adjusted p": largest},
        weakest.code,
    )


def unseparated(comparisons: Sequence[Comparison]) -> Evidence:
    """Judge whether some claimed leads are within chance; say which, and what pairing could change."""
    leads = [comparison for comparison in comparisons if comparison.lead > 0]
    open_cases = [comparison for comparison in _open(comparisons) if comparison.lead > 0]
    numbers: dict[str, Number] = {"leads": len(leads), "within chance": len(open_cases)}
    if not open_cases:
        return Evidence(
            Grade.REPORTED, False, f"all {len(leads)} leads are significant at {LEVEL:g}", numbers
        )
    closest = min(open_cases, key=lambda comparison: comparison.p_value)
    summary = (
        f"{len(open_cases)} of {len(leads)} leads are not significant (Fisher's exact test, one-sided, Holm "
        f"over the {len(comparisons)}, level {LEVEL:g}, n = {TRIALS} each; in brackets the range of "
        "McNemar's uncorrected p were the tasks the same, and how many the second planner alone may have "
        "solved): " + "; ".join(map(_chance, open_cases))
    )
    numbers["smallest p among them"] = closest.p_value
    numbers["its p by Barnard's test"] = barnard(*closest.counts, TRIALS)
    return Evidence(Grade.REPORTED, True, summary, numbers, closest.code)


def none_significant(comparisons: Sequence[Comparison]) -> Evidence:
    """Judge whether no comparison is significant: nobody is established to be better (Holm at `LEVEL`)."""
    found = [comparison for comparison in comparisons if comparison not in _open(comparisons)]
    summary = (
        f"{len(found)} of {len(comparisons)} deficits are significant (Fisher's exact test, one-sided, Holm "
        f"over the {len(comparisons)}, level {LEVEL:g}, n = {TRIALS} each)"
    )
    if found:
        summary += ": " + "; ".join(
            f"{comparison.text}, p = {comparison.p_value:.2g}" for comparison in found
        )
    worst = min(comparisons, key=lambda comparison: comparison.p_value)
    return Evidence(
        Grade.REPORTED,
        not found,
        summary,
        {"comparisons": len(comparisons), "significant deficits": len(found), "smallest p": worst.p_value},
        worst.code,
    )


def _open(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons that are not significant at `LEVEL` after Holm's correction."""
    adjusted = holm([comparison.p_value for comparison in comparisons])
    return [comparison for comparison, p in zip(comparisons, adjusted, strict=True) if p > LEVEL]


def _reversed(comparison: Comparison) -> str:
    if comparison.better.quantity is not SUCCESS:
        return comparison.text
    opposite = Comparison(comparison.worse, comparison.better)
    return f"{comparison.text}; the opposite order has p = {opposite.p_value:.2g}"


def _chance(comparison: Comparison) -> str:
    paired = pairing(*comparison.counts, TRIALS, LEVEL)
    if paired.most_lost < 0:
        condition = f"never below {LEVEL:g}"
    elif paired.most_lost == paired.most_possible:
        condition = f"always below {LEVEL:g}"
    else:
        condition = f"below {LEVEL:g} iff at most {paired.most_lost} of {paired.most_possible} tasks lost"
    return (
        f"{comparison.text}: p = {comparison.p_value:.2g} (paired: {paired.lowest:.2g} to "
        f"{paired.highest:.2g}, {condition})"
    )
