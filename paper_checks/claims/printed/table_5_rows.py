"""Table 5 examined as printed: its rows, and the noise of its caption."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, product

import sympy as sp

from grasp_theory.paper_tables import SUCCESS, TABLE_5, TIME, TRIALS, Table
from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.statistics.proportions import fisher
from paper_checks.claims.printed.comparisons import H40
from paper_checks.claims.printed.table_5 import DEFAULT_MODE
from paper_checks.engine.inspection import refuted
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run

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
    return TABLE_5.with_cell(TABLE_5.cell(row, H40, SUCCESS, block=DEFAULT_MODE), printed=printed)


def _copied(source: str, target: str) -> Table:
    """Return Table 5 with the figures of one row of the default mode in another as well."""
    table = TABLE_5
    for quantity in (SUCCESS, TIME):
        printed = TABLE_5.cell(source, H40, quantity, block=DEFAULT_MODE).printed
        table = table.with_cell(TABLE_5.cell(target, H40, quantity, block=DEFAULT_MODE), printed=printed)
    return table


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
