"""Table 5 examined as printed: its average times, its intervals, its rows, and the noise of its caption."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, product
from math import sqrt

import sympy as sp
from scipy import stats

from grasp_theory.paper_tables import SUCCESS, TABLE_1, TABLE_5, TIME, TRIALS, Cell, Table
from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.statistics.proportions import CONFIDENCE, INTERVALS, fisher, half_width, round_half_width
from paper_checks.claims.printed.comparisons import H40, OURS
from paper_checks.engine.inspection import refuted
from paper_checks.engine.records import Claim, Curve, Evidence, Far, Grade
from paper_checks.engine.run import Run

_DEFAULT_MODE = "Default Mode (objective.mode=default)"
_GRASP_H40 = TABLE_1.cell(OURS, H40, SUCCESS)


# What the times are


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
    slow = TABLE_5.cell("σ_a = 1.0", H40, TIME, block=_DEFAULT_MODE)
    wide = TABLE_5.cell("σ_s = 0.0", H40, TIME, block=_DEFAULT_MODE)
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


# Table 5's intervals for the success rates


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
    wide = TABLE_5.cell("σ_a = 1.0", H40, SUCCESS, block=_DEFAULT_MODE)
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


# Table 5's rows

_LEVELS = ("0.0", "0.5", "1.0", "another value")


def _noise(row: str, defaults: tuple[str, str]) -> tuple[str, str]:
    """Return (σ_a, σ_s) of a row whose label leaves out what is at its default."""
    named = dict(part.split(" = ") for part in row.split(", "))
    return named.get("σ_a", defaults[0]), named.get("σ_s", defaults[1])


@dataclass(frozen=True)
class _Rows:
    """A table, and whether rows of equal settings must be the same run or only agree within chance."""

    table: Table
    same_run: bool = False


def _conflicts(rows: _Rows, block: str, defaults: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the pairs of rows with equal settings and different figures, or the other way round."""
    table = rows.table
    figures = {
        row: tuple(table.cell(row, H40, quantity, block=block).printed for quantity in (SUCCESS, TIME))
        for in_block, row in table.rows
        if in_block == block
    }

    def differ(first: str, second: str) -> bool:
        if rows.same_run or figures[first] == figures[second]:
            return figures[first] != figures[second]
        counts = sorted(table.cell(row, H40, SUCCESS, block=block).successes() for row in (first, second))
        return 2 * fisher(counts[1], counts[0], TRIALS) <= LEVEL

    def conflict(first: str, second: str) -> bool:
        if _noise(first, defaults) == _noise(second, defaults):
            return differ(first, second)
        return figures[first] == figures[second]

    return [(first, second) for first, second in combinations(figures, 2) if conflict(first, second)]


def _labels_explain_rows(rows: _Rows) -> Evidence:
    table = rows.table
    parts, numbers = [], {}
    for block in dict.fromkeys(block for block, _ in table.rows):
        tried = {defaults: _conflicts(rows, block, defaults) for defaults in product(_LEVELS, _LEVELS)}
        fewest = min(map(len, tried.values()))
        best = [
            f"σ_a = {action}, σ_s = {state}" + "".join(f" (but {a!r} and {b!r})" for a, b in pairs)
            for (action, state), pairs in tried.items()
            if len(pairs) == fewest
        ]
        mode = block.split(" (")[0]
        parts.append(
            f"{mode}: at best {fewest} pairs of rows unexplained, with defaults " + "; or ".join(best)
        )
        numbers[f"unexplained pairs, {mode}"] = fewest
    odd = [cell for cell in table.select(TIME) if cell.value.denominator != 1]
    summary = f"of {len(_LEVELS) ** 2} defaults per mode. " + ". ".join(parts)
    summary += "".join(f". Printed to another precision: {cell.row} ({cell.printed})" for cell in odd)
    instance = (
        "from grasp_theory.paper_tables import TABLE_5\n"
        "for cell in TABLE_5.cells:\n    print(cell.block, cell.row, cell.quantity, cell.printed)"
    )
    return Evidence(Grade.REPORTED, not any(numbers.values()), summary, numbers, instance)


def _relabelled(defaults: tuple[str, str]) -> Table:
    """Return a table of Table 5's labels whose figures follow from the settings, the defaults given."""
    settings = {row: _noise(row, defaults) for _, row in TABLE_5.rows}
    ranks = {noise: rank for rank, noise in enumerate(dict.fromkeys(settings.values()))}
    return replace(
        TABLE_5,
        cells=tuple(replace(cell, printed=f"{50 + ranks[settings[cell.row]]}.0") for cell in TABLE_5.cells),
    )


def check_table_5_rows(run: Run) -> None:
    """Rows of Table 5 of equal settings must agree within chance, and rows that are one run must have one setting."""
    run.examine(
        "each mode has defaults for the noise that a label leaves out such that rows of equal settings agree within "
        "chance, and rows of equal figures have equal settings",
        _labels_explain_rows,
        _Rows(TABLE_5),
        false_variants={
            "σ_s = 0.5 misprinted as 45.0": _Rows(_misprinted("σ_s = 0.5", "45.0 ± 4.4")),
            "the figures of σ_a = 0.5 also for σ_a = 0.0": _Rows(_copied("σ_a = 0.5", "σ_a = 0.0")),
        },
        true_variants={
            "figures that follow from the settings, both defaults 0": _Rows(_relabelled(("0.0", "0.0"))),
            "the same with a default action noise of 0.5": _Rows(_relabelled(("0.5", "0.0"))),
        },
    )
    run.caveat(
        "The defaults are not said, and 0 for both is not among those that fit: rows of equal figures (σ_s = 0.0 and "
        "σ_a = 0.5) ask for a default of σ_a = 0.5, under which σ_s = 0.5 and σ_s = σ_a = 0.5 are one setting with two "
        "rates, so that they would be two runs.",
        refuted(_labels_explain_rows),
        _Rows(TABLE_5, same_run=True),
        false_variants={
            "figures that follow from the settings": _Rows(_relabelled(("0.5", "0.0")), same_run=True)
        },
    )


def _misprinted(row: str, printed: str) -> Table:
    return TABLE_5.with_cell(TABLE_5.cell(row, H40, SUCCESS, block=_DEFAULT_MODE), printed=printed)


def _copied(source: str, target: str) -> Table:
    """Return Table 5 with the figures of one row of the default mode in another as well."""
    table = TABLE_5
    for quantity in (SUCCESS, TIME):
        printed = TABLE_5.cell(source, H40, quantity, block=_DEFAULT_MODE).printed
        table = table.with_cell(TABLE_5.cell(target, H40, quantity, block=_DEFAULT_MODE), printed=printed)
    return table


# Equations (106)-(107): the noise of Table 5

_SIGMA = sp.Symbol("sigma", nonnegative=True)


def _same_noise(multiplier: sp.Expr) -> Evidence:
    """Judge whether multiplier(σ) ξ with ξ ~ N(0, I) is N(0, σ I) for every σ >= 0, as (107) has it."""
    difference = sp.simplify(multiplier**2 - _SIGMA)
    agree = (
        sp.solveset(difference, _SIGMA, sp.Interval(0, sp.oo)) if difference != 0 else sp.Interval(0, sp.oo)
    )
    half = sp.Rational(1, 2)
    summary = (
        f"s' = F(s, a) + ({multiplier}) ξ has covariance ({sp.simplify(multiplier**2)}) I against ({_SIGMA}) "
        f"I in (107); they agree for σ_s in {agree}; at σ_s = 1/2 the variances are "
        f"{(multiplier**2).subs(_SIGMA, half)} and {half}"
    )
    instance = (
        "import sympy as sp\nsigma = sp.Rational(1, 2)\n"
        f"print(({sp.sstr(multiplier)})**2, sigma)  # variance of the formula, variance in Eq. (107)"
        if multiplier.has(_SIGMA)
        else f"print({multiplier**2}, 0.5)  # variance in the caption, variance in Eq. (107) at sigma_s = 0.5"
    )
    return Evidence(Grade.SYMBOLIC, bool(difference == 0), summary, instance=instance)


def check_state_noise(run: Run) -> None:
    """The caption's state noise must be that of Equations (106) and (107)."""
    run.examine(
        "the noise of Table 5's caption, s' = F(s, a) + ξ with ξ ~ N(0, I), is that of (106)–(107), N(0, "
        "σ_s I)",
        _same_noise,
        sp.Integer(1),
        false_variants={
            "twice the caption's noise": sp.Integer(2),
            "σ_s ξ": _SIGMA,
            "noise-free": sp.Integer(0),
        },
        true_variants={"√σ_s ξ": sp.sqrt(_SIGMA)},
        equations=(106, 107),
    )
    run.caveat(
        "σ means two things: in (107) and Table 5 a variance, in (5), (11) and Table 2 a standard deviation. "
        "σ = 0.5 of Table 2 has half the variance of σ_s = 0.5 of Table 5.",
        refuted(_same_noise),
        _SIGMA,
        false_variants={"both variances": sp.sqrt(_SIGMA)},
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
    Claim(
        id="table5-rows",
        title="Table 5: rows are runs of the settings in their labels",
        source="Table 5, Appendix B",
        statement="A row that names one kind of noise varies it alone, the other staying at one default.",
        check=check_table_5_rows,
        assumptions=(
            "Rows with the same rate, interval and time are one run, so one setting; of equal settings no more is "
            "asked than that their rates do not differ beyond chance.",
        ),
    ),
    Claim(
        id="table5-noise",
        title="State noise of the stochastic GD baselines",
        source="Appendix B, Eq. (106)–(107); Table 5, caption",
        statement="s_{t+1} = F(s_t, a_t) + z with z ~ N(0, σ_s I); caption: + ξ with ξ ~ N(0, I).",
        latex=r"s_{t+1} = F(s_t, a_t) + z, \qquad z \sim \mathcal{N}(0, \sigma_s I)",
        check=check_state_noise,
        equations=(106, 107),
    ),
)
