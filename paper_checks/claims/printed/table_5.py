"""Table 5 examined as printed: its average times and its intervals."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from scipy import stats

from grasp_theory.paper_tables import SUCCESS, TABLE_1, TABLE_5, TIME, TRIALS, Cell, Table
from grasp_theory.statistics.proportions import CONFIDENCE, INTERVALS, half_width, round_half_width
from paper_checks.claims.printed.comparisons import H40, OURS
from paper_checks.engine.records import Claim, Curve, Evidence, Far, Grade
from paper_checks.engine.run import Run

DEFAULT_MODE = "Default Mode (objective.mode=default)"
_GRASP_H40 = TABLE_1.cell(OURS, H40, SUCCESS)


def _limit_bounds(table: Table) -> tuple[float, float]:
    """Return the time limits (s) for which the means and intervals of Table 5 are possible.

    With failures counted at the limit τ and success rate p, the mean m is at least (1 - p) τ.  Times in
    [0, τ] have variance at most m (τ - m), and the variance is recovered from the half-width z s / √n,
    s² (n - 1)/n being the variance of the n times.  Printed figures are taken to their rounding.
    """
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    rounding = 0.5  # half of the last digit of the half-widths and of the means
    lowest, highest = 0.0, float("inf")
    for rate in table.select(SUCCESS):
        time = table.cell(rate.row, rate.setting, TIME, block=rate.block)
        mean, failures = float(time.value), 1 - float(rate.value) / 100
        deviation = (float(time.half_width) - rounding) * sqrt(TRIALS - 1) / z
        highest = min(highest, (mean + rounding) / failures)
        # m + s²/m decreases in m below s and increases above, so the smallest over the rounding of m.
        nearest = min(max(deviation, mean - rounding), mean + rounding)
        lowest = max(lowest, nearest + deviation**2 / nearest)
    return lowest, highest


def _one_limit(table: Table) -> Evidence:
    lowest, highest = _limit_bounds(table)
    summary = (
        f"mean and 95% interval of all {len(table.rows)} rows require a time limit of at least {lowest:.0f} "
        f"s (variance) and at most {highest:.0f} s (failures run to the limit)"
    )
    numbers = {"lower bound on the limit (s)": lowest, "upper bound on the limit (s)": highest}
    return Evidence(Grade.REPORTED, lowest <= highest, summary, numbers)


def _waiting_share(limit: float) -> Evidence:
    shares = [
        (1 - float(rate.value) / 100)
        * limit
        / float(TABLE_5.cell(rate.row, H40, TIME, block=rate.block).value)
        for rate in TABLE_5.select(SUCCESS)
    ]
    summary = f"failed trials, waiting {limit:.0f} s each, make at least {min(shares):.0%} of each average"
    return Evidence(Grade.REPORTED, min(shares) > 0.5, summary, {"smallest share": min(shares)})


def _grasp_average(limit: float) -> Evidence:
    least = (1 - float(_GRASP_H40.value) / 100) * limit
    printed = float(TABLE_1.cell(OURS, H40, TIME).value)
    summary = (
        f"GRASP's own average over all trials would be at least {least:.1f} s; Table 2 prints {printed:g} s"
    )
    numbers = {"least average (s)": least, "printed median (s)": printed}
    return Evidence(Grade.REPORTED, least > printed, summary, numbers)


def check_table_5_times(run: Run) -> None:
    """Table 5's averages and intervals must be possible, and are compared with what they hide."""
    slow = TABLE_5.cell("σ_a = 1.0", H40, TIME, block=DEFAULT_MODE)
    wide = TABLE_5.cell("σ_s = 0.0", H40, TIME, block=DEFAULT_MODE)
    run.examine(
        "the average times of Table 5 and their 95% intervals are possible with one time limit, failures "
        "at the limit",
        _one_limit,
        TABLE_5,
        false_variants={
            "the average of σ_a = 1.0 misprinted as 864": TABLE_5.with_cell(slow, printed="864 ± 73"),
            "an interval of ± 90 for 864": TABLE_5.with_cell(wide, printed="864 ± 90"),
        },
    )
    limit = _limit_bounds(TABLE_5)[0]
    run.caveat(
        "Table 5's time column measures the time limit: most of every average is failed trials waiting for "
        "it.",
        _waiting_share,
        limit,
        false_variants={"a limit of 600 s": Far(600.0, "a share of all trials, not a threshold")},
    )
    run.caveat(
        "Table 5's average over all trials cannot be compared with Table 2's median over successes, as its "
        "caption invites: on the same terms GRASP's own figure would be far larger.",
        _grasp_average,
        limit,
        false_variants={"a limit of 20 s": Far(20.0, "the two agree only where hardly a trial is cut off")},
    )
    points = {
        block.split(" (")[0]: (
            [100 - float(rate.value) for rate in TABLE_5.select(SUCCESS, block=block)],
            [float(time.value) for time in TABLE_5.select(TIME, block=block)],
        )
        for block in dict.fromkeys(block for block, _ in TABLE_5.rows)
    }
    failures = sorted(x for xs, _ in points.values() for x in xs)
    waiting = [share / 100 * limit for share in failures]
    run.curve(
        Curve(
            "Average time against failures (Table 5)",
            "failed trials (%)",
            "average time (s)",
            {**points, f"failures at {limit:.0f} s, nothing else": (failures, waiting)},
            note="The averages lie just above the line: they restate the success rates.",
        )
    )


@dataclass(frozen=True)
class _Formula:
    table: Table
    interval: str
    rounding: str
    trials: int = TRIALS


def _reproduced(formula: _Formula) -> list[Cell]:
    """Return the cells whose printed half-width the formula gives."""
    return [
        cell
        for cell in formula.table.select(SUCCESS)
        if round_half_width(
            half_width(formula.interval, round(cell.value * formula.trials / 100), formula.trials),
            formula.rounding,
        )
        == float(cell.half_width)
    ]


def _one_formula(formula: _Formula) -> Evidence:
    cells, found = formula.table.select(SUCCESS), _reproduced(formula)
    summary = (
        f"the 95% {formula.interval} interval at n = {formula.trials}, rounded {formula.rounding}, gives "
        f"{len(found)} of {len(cells)} printed half-widths"
    )
    missed = next((cell for cell in cells if cell not in found), None)
    return Evidence(
        Grade.REPORTED,
        missed is None,
        summary,
        {"reproduced": len(found), "of": len(cells)},
        missed.code if missed else "",
    )


def _no_formula_to_nearest(table: Table) -> Evidence:
    cells = table.select(SUCCESS)
    found = {name: len(_reproduced(_Formula(table, name, "nearest"))) for name in INTERVALS}
    fitting = [
        n
        for n in range(1, 2 * TRIALS)
        if len(_reproduced(_Formula(table, "Wald", "nearest", n))) == len(cells)
    ]
    on_grid = [n for n in fitting if all(cell.fits(n) for cell in cells)]
    summary = (
        f"rounded to the nearest 0.1 at n = {TRIALS} the formulas give "
        + ", ".join(f"{name} {count}" for name, count in found.items())
        + f" of {len(cells)}; Wald's all fit for {len(fitting)} other n, {fitting[:1] + fitting[-1:]}, and "
        f"{len(on_grid)} of these allow the rates"
    )
    return Evidence(Grade.REPORTED, max(found.values()) < len(cells) and not on_grid, summary, found)


def _wald_to_nearest() -> Table:
    table = TABLE_5
    for cell in TABLE_5.select(SUCCESS):
        points = round_half_width(half_width("Wald", cell.successes(), TRIALS), "nearest")
        table = table.with_cell(cell, printed=f"{float(cell.value)} ± {points}")
    return table


def check_table_5_intervals(run: Run) -> None:
    """Table 5's half-widths must come from a 95% interval at n = 500."""
    wide = TABLE_5.cell("σ_a = 1.0", H40, SUCCESS, block=DEFAULT_MODE)
    run.examine(
        "the half-widths of the success rates are those of a 95% interval for 500 trials",
        _one_formula,
        _Formula(TABLE_5, "Wald", "up"),
        false_variants={
            "one half-width misprinted: ± 4.4 for 33.4": _Formula(
                TABLE_5.with_cell(wide, printed="33.4 ± 4.4"), "Wald", "up"
            ),
            "Wald at n = 250": _Formula(TABLE_5, "Wald", "up", 250),
            "Clopper-Pearson, rounded up": _Formula(TABLE_5, "Clopper-Pearson", "up"),
            "Wald with 90% of the trials": _Formula(TABLE_5, "Wald", "up", 450),
        },
    )
    run.caveat(
        "The half-widths match only if rounded up: rounded to nearest no usual interval gives them at "
        "n = 500, and the rates exclude every n at which Wald's would.",
        _no_formula_to_nearest,
        TABLE_5,
        false_variants={"Wald's half-widths rounded to nearest": _wald_to_nearest()},
    )


CLAIMS = (
    Claim(
        id="table5-times",
        title="Table 5: average times with 95% intervals",
        source="Table 5",
        statement="Reported time is the average over all experiments, with 95% confidence intervals.",
        check=check_table_5_times,
        assumptions=(
            "A failed trial runs to the time limit.",
            "The interval is mean ± 1.96 standard errors over 500 trials.",
        ),
    ),
    Claim(
        id="table5-intervals",
        title="Table 5: 95% intervals of the success rates",
        source="Table 5",
        statement="Reported intervals are 95% confidence intervals.",
        check=check_table_5_intervals,
    ),
)
