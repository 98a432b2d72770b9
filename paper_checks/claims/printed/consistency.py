"""Tables 1–5 examined as printed: granularity, bold marks, agreement, what the medians are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from grasp_theory.paper_tables import (
    SUCCESS,
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLES,
    TIME,
    TRIALS,
    Cell,
    Table,
)
from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.statistics.proportions import lattice_probability
from paper_checks.claims.printed.comparisons import H40, OURS, Comparison, unseparated
from paper_checks.engine.inspection import refuted
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run

_GRASP_H40 = TABLE_1.cell(OURS, H40, SUCCESS)


# Granularity


def _whole_counts(variant: tuple[Sequence[Table], int]) -> Evidence:
    tables, trials = variant
    cells = [cell for table in tables for cell in table.select(SUCCESS)]
    broken = [cell for cell in cells if (cell.value * trials / 100).denominator != 1]
    summary = f"{len(cells) - len(broken)} of {len(cells)} success rates are whole numbers of {trials} trials"
    if broken:
        summary += f"; not {broken[0].printed} in {broken[0].name}"
    numbers = {"rates": len(cells), "not whole": len(broken)}
    return Evidence(Grade.REPORTED, not broken, summary, numbers, broken[0].code if broken else "")


def _coarser_grid(variant: tuple[Table, str]) -> Evidence:
    """Judge whether a row lies on a coarser grid than its trials explain by chance, among all rows tried."""
    table, row = variant
    counts = [cell.successes() for cell in table.select(SUCCESS, row=row)]
    informative = [count for count in counts if 0 < count < TRIALS]
    step = next(s for s in range(TRIALS, 0, -1) if TRIALS % s == 0 and all(c % s == 0 for c in counts))
    rows = len(TABLE_1.rows) + len(TABLE_3.rows)
    chance = rows * lattice_probability(step, TRIALS) ** len(informative) if step > 1 else 1.0
    summary = (
        f"all {len(counts)} rates of {row} are whole numbers of {TRIALS // step} trials; {len(informative)} "
        f"of them are neither 0 nor 100%, and {TRIALS} trials give such counts with probability at most "
        f"{chance:.2g} (largest over the success probabilities, times the {rows} rows looked at)"
    )
    numbers = {"coarsest number of trials": TRIALS // step, "probability bound": chance}
    return Evidence(Grade.REPORTED, chance <= LEVEL, summary, numbers)


def _one_number_of_trials(cells: Sequence[Cell]) -> Evidence:
    fitting = [n for n in range(1, TRIALS + 1) if all(cell.fits(n) for cell in cells)]
    summary = f"numbers of trials up to {TRIALS} of which all {len(cells)} rates are whole: {fitting}"
    return Evidence(Grade.REPORTED, fitting == [TRIALS], summary, {"numbers that fit": len(fitting)})


def check_granularity(run: Run) -> None:
    """Every printed rate must be a whole number of successes."""
    tables = (TABLE_1, TABLE_2, TABLE_3, TABLE_5)
    run.examine(
        "every success rate of Tables 1, 2, 3 and 5 is a whole number of 500 trials",
        _whole_counts,
        (tables, TRIALS),
        false_variants={
            "one rate misprinted: 59.1 for 59.0": ((TABLE_1.with_cell(_GRASP_H40, printed="59.1"),), TRIALS),
            "400 trials": (tables, 400),
            "250 trials": (tables, 250),
        },
    )
    run.examine(
        "the rates of Table 5, which states no number of trials, allow 500 and none below",
        _one_number_of_trials,
        TABLE_5.select(SUCCESS),
        false_variants={
            "Table 2's rates": TABLE_2.select(SUCCESS),
            "the first two rows of Table 5": TABLE_5.select(SUCCESS)[:2],
        },
    )
    run.caveat(
        "CEM's nine short-horizon rates (Table 3) are all multiples of 2%, as 50 trials would give.",
        _coarser_grid,
        (TABLE_3, "CEM"),
        false_variants={"GRASP's row of Table 3": (TABLE_3, OURS), "CEM's row of Table 1": (TABLE_1, "CEM")},
    )


# Bold marks


def _columns(tables: Iterable[Table]) -> list[tuple[Cell, ...]]:
    """Return the groups in which the paper marks the best figure: columns, and the blocks of Table 2."""
    groups = [
        table.select(quantity, setting=setting, block=block)
        for table in tables
        for block in dict.fromkeys(block for block, _ in table.rows)
        for setting in table.settings
        for quantity in (SUCCESS, TIME)
    ]
    return [tuple(cell for cell in group if cell.has_value) for group in groups if any(c.bold for c in group)]


def _best(group: Sequence[Cell]) -> Fraction:
    choose = max if group[0].quantity is SUCCESS else min
    return choose(cell.value for cell in group)


def _marks(tables: tuple[Table, ...]) -> Evidence:
    groups = _columns(tables)
    wrong = [cell for group in groups for cell in group if cell.bold != (cell.value == _best(group))]
    ties = sum(sum(cell.bold for cell in group) > 1 for group in groups)
    summary = (
        f"{sum(len(group) for group in groups)} figures in {len(groups)} marked columns: bold is the best, "
        f"ties included, in all but {len(wrong)}"
    )
    if wrong:
        summary += f" (such as {wrong[0].name}: {wrong[0].printed})"
    numbers = {"columns": len(groups), "tied columns": ties, "wrong marks": len(wrong)}
    return Evidence(Grade.REPORTED, not wrong, summary, numbers, wrong[0].code if wrong else "")


def _bold_leads(tables: Iterable[Table]) -> tuple[Comparison, ...]:
    """Return the comparison of the marked rate with the best unmarked one, per column."""
    leads = []
    for group in _columns(tables):
        if group[0].quantity is SUCCESS:
            best = next(cell for cell in group if cell.bold)
            runner_up = max((cell for cell in group if not cell.bold), key=lambda cell: cell.value)
            leads.append(Comparison(best, runner_up))
    return tuple(leads)


def check_bold(run: Run) -> None:
    """Bold must mark the best figures and nothing else."""
    tables = (TABLE_1, TABLE_2, TABLE_3, TABLE_4)
    moved = TABLE_1.with_cell(_GRASP_H40, bold=True)
    tied = TABLE_3.cell("LatCo", "PointMaze H=10", SUCCESS)
    run.examine(
        "in every marked column bold is exactly the best figures (highest rate, shortest time)",
        _marks,
        tables,
        false_variants={
            "GRASP's 59.0 at H = 40 also in bold": (moved,),
            "one of three tied bests left unmarked": (TABLE_3.with_cell(tied, bold=False),),
            "Table 4's LatCo marked at H = 30": (
                TABLE_4.with_cell(TABLE_4.cell("LatCo", "Push-T H=30", TIME), bold=True),
            ),
        },
    )
    run.caveat(
        "Bold marks do not mean a difference: many marked rates are within chance of the runner-up.",
        unseparated,
        _bold_leads(tables),
        false_variants={
            "the column H = 60 of Table 1 alone": _bold_leads(
                (TABLE_1.keep(lambda cell: cell.setting == "Push-T H=60"),)
            )
        },
    )


# The same experiment in two places


def _agreement(tables: tuple[Table, Table]) -> Evidence:
    first, second = tables
    wrong = [
        cell
        for quantity in (SUCCESS, TIME)
        for cell in second.select(quantity)
        if "(ours)" in cell.row and cell.value != first.cell(OURS, H40, quantity).value
    ]
    wrong += [
        rate
        for rate in first.select(SUCCESS)
        if (rate.value > 0) != first.cell(rate.row, rate.setting, TIME).has_value
    ]
    summary = (
        "GRASP at H = 40 in Table 1 against the rows marked '(ours)' of Table 2, and a median over successes "
        f"exactly where there is a success: {len(wrong)} disagreements"
    )
    return Evidence(Grade.REPORTED, not wrong, summary, {"disagreements": len(wrong)})


def check_agreement(run: Run) -> None:
    """Figures of one experiment printed twice must be equal."""
    ours = TABLE_2.cell("σ = 0.5 (ours)", H40, SUCCESS)
    dash = TABLE_1.cell("LatCo", "Push-T H=70", TIME)
    run.examine(
        "Tables 1 and 2 agree where they report the same experiment, and Table 1 prints a time iff one "
        "exists",
        _agreement,
        (TABLE_1, TABLE_2),
        false_variants={
            "one '(ours)' row prints 58.8": (TABLE_1, TABLE_2.with_cell(ours, printed="58.8")),
            "LatCo has a time at H = 70 without a success": (
                TABLE_1.with_cell(dash, printed="1800.0"),
                TABLE_2,
            ),
        },
    )


# What the times are


@dataclass(frozen=True)
class _Median:
    """A table of median times with the success rates of the same runs, and the time limit in seconds."""

    times: Table
    rates: Table
    limit: Fraction


def _median_over_all(variant: _Median) -> Evidence:
    """Judge whether medians are over all trials, a failure counted at the limit."""
    half = Fraction(50)
    cells = [cell for cell in variant.times.select(TIME) if cell.has_value]
    wrong = []
    for cell in cells:
        rate = variant.rates.cell(cell.row, cell.setting, SUCCESS).value
        if (rate < half) != (cell.value == variant.limit):
            wrong.append(cell)
    summary = (
        f"{len(cells) - len(wrong)} of {len(cells)} medians are at {float(variant.limit):g} s exactly where "
        "fewer than half of the trials succeed"
    )
    if wrong:
        summary += f"; not {wrong[0].printed} s in {wrong[0].name}"
    return Evidence(Grade.REPORTED, not wrong, summary, {"medians": len(cells), "inconsistent": len(wrong)})


def check_table_4(run: Run) -> None:
    """Table 4's medians must fit one definition."""
    latco = TABLE_4.cell("LatCo", "Push-T H=30", TIME)
    table_4 = _Median(TABLE_4, TABLE_3, latco.value)
    table_1 = _Median(TABLE_1, TABLE_1, latco.value)
    run.examine(
        "the medians of Table 4 are over all 500 trials, failures counted at a limit of 1800 s",
        _median_over_all,
        table_4,
        false_variants={
            "LatCo's 1800.0 misprinted as 180.0": replace(
                table_4, times=TABLE_4.with_cell(latco, printed="180.0")
            ),
            "the medians of Table 1": table_1,
        },
    )
    run.caveat(
        "Tables 1 and 2 give another statistic (median over successes only), so times cannot be read across "
        "from Table 4.",
        refuted(_median_over_all),
        table_1,
        false_variants={"Table 4's own medians": table_4},
    )


CLAIMS = (
    Claim(
        id="tables-granularity",
        title="Success rates are counts over 500 trials",
        source="Tables 1–5 and their captions",
        statement="500 trials per setting (stated for Tables 1, 3 and 4).",
        check=check_granularity,
        tables=tuple(table.number for table in TABLES),
    ),
    Claim(
        id="tables-bold",
        title="Bold marks the best figures",
        source="Tables 1–4",
        statement="In each column (each block of Table 2) the best figures are set in bold, ties included.",
        check=check_bold,
        assumptions=("The time column of Table 2 and the whole of Table 5 carry no marks and are left out.",),
    ),
    Claim(
        id="tables-agreement",
        title="Tables 1 and 2 agree on GRASP at H = 40",
        source="Tables 1 and 2",
        statement="The rows marked '(ours)' of Table 2 are GRASP's column H = 40 of Table 1.",
        check=check_agreement,
    ),
    Claim(
        id="table4-median",
        title="Table 4: median completion times",
        source="Table 4",
        statement="Median completion times over 500 trials per setting.",
        check=check_table_4,
    ),
)
