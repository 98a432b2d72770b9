"""What the text says of the ablations and of settings (Tables 2 and 5), judged by their figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grasp_theory.paper_tables import SUCCESS, TABLE_1, TABLE_2, TABLE_5, TIME, TRIALS, Cell, Table
from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.statistics.proportions import mcnemar
from paper_checks.claims.printed.comparisons import (
    H40,
    Comparison,
    ordered,
    separated,
    unseparated,
)
from paper_checks.engine.inspection import refuted
from paper_checks.engine.records import Claim, Curve, Evidence, Grade
from paper_checks.engine.run import Run


def _rate(row: str) -> Cell:
    return TABLE_2.cell(row, H40, SUCCESS)


_FULL = _rate("σ = 0.5 (ours)")


def _over(*rows: str) -> tuple[Comparison, ...]:
    """Return the comparisons of the full method with rows of Table 2."""
    return tuple(Comparison(_FULL, _rate(row)) for row in rows)


def _variants() -> tuple[str, ...]:
    """Return the rows of Table 2 that are not the full method."""
    return tuple(row for _, row in TABLE_2.rows if "(ours)" not in row)


# Table 2: the parts of the method


def check_stopgrad(run: Run) -> None:
    """The stop-gradient must matter beyond chance."""
    run.examine(
        "with the stop-gradient more tasks are solved than without",
        separated,
        _over("Flow"),
        false_variants={
            "the other way round": (Comparison(_rate("Flow"), _FULL),),
            "25 sync steps against 50 in its place": _over("50"),
        },
    )


def check_sync(run: Run) -> None:
    """The GD sync must matter beyond chance, and is set beside GD alone."""
    gd = TABLE_1.cell("GD", H40, SUCCESS)
    run.examine(
        "with the GD sync more tasks are solved than without",
        separated,
        _over("No Sync"),
        false_variants={
            "the other way round": (Comparison(_rate("No Sync"), _FULL),),
            "25 sync steps against 50 in its place": _over("50"),
        },
    )
    run.caveat(
        "Without its gradient steps on the rollout the planner solves next to nothing, far less than those "
        "steps alone (GD in Table 1): the lifted stochastic part does not plan by itself.",
        separated,
        (Comparison(gd, _rate("No Sync")),),
        false_variants={"GD against the full method": (Comparison(gd, _FULL),)},
    )
    run.caveat(
        "How many sync steps are best is not established: 50 are within chance of 25.",
        unseparated,
        _over("50"),
        false_variants={"10 in place of 50": _over("10")},
    )


def check_noise(run: Run) -> None:
    """The state noise must help; whether it does beyond chance is asked apart."""
    run.examine(
        "with noise σ = 0.5 a higher rate is printed than without noise",
        ordered,
        _over("σ = 0.0"),
        false_variants={"the other way round": (Comparison(_rate("σ = 0.0"), _FULL),)},
    )
    run.caveat(
        "That noise helps is not established by 500 trials: its lead is within chance.",
        unseparated,
        _over("σ = 0.0"),
        false_variants={"the stop-gradient in place of the noise": _over("Flow")},
    )
    p_values = mcnemar(*_over("σ = 0.0")[0].counts, TRIALS).tolist()
    lost = [float(count) for count in range(len(p_values))]
    run.curve(
        Curve(
            "What pairing could change: noise σ = 0.5 against none (Table 2)",
            "tasks solved without noise only",
            "McNemar's one-sided p-value",
            {
                "all joint tables with the printed rates": (lost, p_values),
                "level": (lost, [LEVEL] * len(lost)),
            },
            log_y=True,
            note="On the same tasks the lead is significant only if few tasks are lost by adding noise.",
        )
    )
    run.caveat(
        "Noise as such does not help: σ = 1.0 is printed below no noise at all.",
        ordered,
        (Comparison(_rate("σ = 0.0"), _rate("σ = 1.0")),),
        false_variants={"σ = 0.5 below no noise": (Comparison(_rate("σ = 0.0"), _FULL),)},
    )


def check_full_method(run: Run) -> None:
    """The full method must have the highest rate of Table 2."""
    run.examine(
        "the full method's rate exceeds every other row's in Table 2",
        ordered,
        _over(*_variants()),
        false_variants={
            "50 sync steps exceed every other row": tuple(
                Comparison(_rate("50"), _rate(row)) for row in ("σ = 0.5 (ours)", "Flow", "No Sync")
            )
        },
    )
    run.caveat(
        "Some rows are within chance of the full method, no noise at all among them: for these parts of the "
        "design a critical role is not shown.",
        unseparated,
        _over(*_variants()),
        false_variants={"only no sync, 10 steps and the flowing gradient": _over("No Sync", "10", "Flow")},
    )
    run.caveat(
        "It is the highest rate of the ablation, not of the task: CEM's is higher (Table 1, H = 40).",
        ordered,
        (Comparison(TABLE_1.cell("CEM", H40, SUCCESS), _FULL),),
        false_variants={"GD's is higher": (Comparison(TABLE_1.cell("GD", H40, SUCCESS), _FULL),)},
    )


def _faster_rows(table: Table) -> tuple[Comparison, ...]:
    """Return the full method's rate against the rate of every row that is printed faster."""
    ours = table.cell(_FULL.row, H40, TIME)
    return tuple(
        Comparison(_FULL, table.cell(time.row, H40, SUCCESS))
        for time in table.select(TIME)
        if time.value < ours.value
    )


def _gap_below(points: int) -> Evidence:
    faster = _faster_rows(TABLE_2)
    smallest = min(faster, key=lambda comparison: comparison.lead)
    return Evidence(
        Grade.REPORTED,
        smallest.lead < points,
        f"smallest loss among the {len(faster)} faster rows: {float(smallest.lead):g} points, "
        f"{smallest.text}",
        {"smallest loss (points)": float(smallest.lead)},
        smallest.code,
    )


def check_faster_rows(run: Run) -> None:
    """Rows faster than the full method must be much less accurate."""
    fast_50 = TABLE_2.with_cell(TABLE_2.cell("50", H40, TIME), printed="8.0")
    run.examine(
        "every row with a shorter time has a significantly smaller rate",
        lambda table: separated(_faster_rows(table)),
        TABLE_2,
        false_variants={"50 sync steps (58.0%) printed at 8.0 s": fast_50},
    )
    run.caveat(
        "'Much smaller' includes σ = 1.0, whose loss is less than the +10% of the introduction.",
        _gap_below,
        10,
        false_variants={"less than 5 points": 5},
    )


# Table 2's caption: what the rows 'Sync Steps' are


@dataclass(frozen=True)
class _SyncStatements:
    """What the paper says of the sync: quantity -> {place: value}; the rows' quantity is not said.

    K is the number of stochastic steps between syncs, J the number of GD steps in one sync.
    """

    said: Mapping[str, Mapping[str, int]]
    row: int = 25


_CAPTION = _SyncStatements({"K": {"caption of Table 2": 100}, "J": {}})
_WITH_ALGORITHM = _SyncStatements({"K": {"caption of Table 2": 100}, "J": {"Algorithm 1, line 7": 1}})


def _some_reading(statements: _SyncStatements) -> Evidence:
    """Judge whether reading the row '25 (ours)' as K or as J contradicts nothing else."""
    conflicts = {
        quantity: [f"{place} has {value}" for place, value in places.items() if value != statements.row]
        for quantity, places in statements.said.items()
    }
    summary = "; ".join(
        f"'{statements.row} (ours)' as {quantity}: " + (", ".join(found) if found else "no contradiction")
        for quantity, found in conflicts.items()
    )
    free = [quantity for quantity, found in conflicts.items() if not found]
    return Evidence(Grade.REPORTED, bool(free), summary, {"consistent readings": len(free)})


def check_sync_caption(run: Run) -> None:
    """The caption's sync period and the rows must have a common reading."""
    run.examine(
        "the caption ('every 100 stochastic steps') and the row '25 (ours)' of 'Sync Steps' have a common "
        "reading",
        _some_reading,
        _CAPTION,
        false_variants={
            "only the period K is ever in question": _SyncStatements({"K": _CAPTION.said["K"]}),
            "Algorithm 1's single GD step in a sync counted too": _WITH_ALGORITHM,
        },
    )
    run.caveat(
        "The one reading left (25 GD steps in each sync) contradicts Algorithm 1, whose sync takes a "
        "single GD step; Section 3.4 (J_sync steps every K_sync) allows it. Read as K_sync, 25 contradicts "
        "the caption.",
        refuted(_some_reading),
        _WITH_ALGORITHM,
        false_variants={"without Algorithm 1": _CAPTION},
    )


# Table 5: GD with noise


def _beaten(cells: Sequence[Cell]) -> tuple[Comparison, ...]:
    return tuple(Comparison(_FULL, cell) for cell in cells)


def check_none_beat(run: Run) -> None:
    """No row of Table 5 may have a higher rate than GRASP."""
    rows = TABLE_5.select(SUCCESS)
    best = max(rows, key=lambda cell: cell.value)
    higher = TABLE_5.with_cell(best, printed="59.2 ± 4.4").select(SUCCESS)
    run.examine(
        "GRASP's rate exceeds every rate of Table 5",
        ordered,
        _beaten(rows),
        false_variants={
            "one row printed as 59.2": _beaten(higher),
            "CEM's rate of Table 1 among the rows": _beaten((*rows, TABLE_1.cell("CEM", H40, SUCCESS))),
        },
    )
    run.caveat(
        "Many rows are within chance of GRASP: for them it is not shown that they are worse.",
        unseparated,
        _beaten(rows),
        false_variants={"the rows with σ = 1.0 in default mode": _beaten((rows[2], rows[5]))},
    )


def check_reported_setting(run: Run) -> None:
    """Table 1 must report each method's best setting, where other settings are known."""
    run.examine(
        "Table 1's GRASP at H = 40 has the highest rate of the settings of GRASP in Table 2",
        ordered,
        _over(*_variants()),
        false_variants={
            "σ = 1.0 reported instead": tuple(
                Comparison(_rate("σ = 1.0"), _rate(row)) for row in ("σ = 0.5 (ours)", "σ = 0.0")
            )
        },
    )
    run.caveat(
        "For GD it is not so if its noise and loss mode count as hyperparameters: Table 5 prints higher "
        "rates for it than Table 1 does at H = 40, and against its best row GRASP's lead is less than half "
        "as large.",
        _outdone,
        TABLE_1.cell("GD", H40, SUCCESS),
        false_variants={"GRASP in GD's place": _FULL},
    )


def _outdone(reported: Cell) -> Evidence:
    """Judge whether Table 5 has GD rows above a rate that more than halve GRASP's lead over it."""
    rows = TABLE_5.select(SUCCESS)
    above = [cell for cell in rows if cell.value > reported.value]
    best = max(rows, key=lambda cell: cell.value)
    lead, against_best = (float(_FULL.value - cell.value) for cell in (reported, best))
    summary = (
        f"{len(above)} of {len(rows)} rows of Table 5 are above {reported.name} ({reported.printed}); GRASP "
        f"leads by {lead:g} points there and by {against_best:g} against the best row ({best.printed})"
    )
    numbers = {
        "rows above": len(above),
        "lead (points)": lead,
        "lead against the best row (points)": against_best,
    }
    return Evidence(Grade.REPORTED, bool(above) and 2 * against_best < lead, summary, numbers, best.code)


CLAIMS = (
    Claim(
        id="text-stopgrad",
        title="The stop-gradient is an important component",
        source="Appendix B; Section 4; Table 2",
        statement="The stopgrad is an important component (Stop 59.0%, Flow 46.6%).",
        check=check_stopgrad,
        assumptions=(
            "Flow differs from Stop in the gradient alone; the caption also names the goal objective.",
        ),
    ),
    Claim(
        id="text-sync",
        title="The GD sync is a critical component",
        source="Section 3.4; Appendix B; Table 2",
        statement="It is beneficial to sync the plan periodically by full-gradient planning on the rollout.",
        check=check_sync,
    ),
    Claim(
        id="text-noise",
        title="Noise is an important component",
        source="Section 3.2; Section 4; Appendix B; Table 2",
        statement="Noise remains an important component that lets the planner explore around local minima.",
        check=check_noise,
    ),
    Claim(
        id="text-full-method",
        title="The full method achieves the highest success rate",
        source="Appendix B; Table 2",
        statement="The results highlight the critical role of each design choice; the full method is best.",
        check=check_full_method,
    ),
    Claim(
        id="table2-times",
        title="Only much less accurate variants are faster",
        source="Table 2, caption",
        statement="A median time beats that of the full method only when the accuracy is much smaller.",
        check=check_faster_rows,
        assumptions=(
            "'Much smaller' is read as significantly smaller; as a size it is examined in a caveat.",
        ),
    ),
    Claim(
        id="table2-sync",
        title="Sync every 100 stochastic steps",
        source="Table 2, caption and rows 'Sync Steps'; Section 3.4; Algorithm 1",
        statement="GD sync happens every 100 stochastic steps; ours is 25 'Sync Steps'.",
        check=check_sync_caption,
    ),
    Claim(
        id="text-none-beat",
        title="No stochastic GD baseline beats the method",
        source="Table 5, caption",
        statement="None of the stochastic GD baselines beats the performance shown in Table 2.",
        check=check_none_beat,
        assumptions=("Performance is the success rate: the two tables' times are different statistics.",),
    ),
    Claim(
        id="text-best-setting",
        title="Every method is reported at its best setting",
        source="Section 4.1",
        statement="Hyperparameters are swept for all methods and the best setting is reported per horizon.",
        check=check_reported_setting,
        assumptions=("Judged where other settings are printed: GRASP and GD on Push-T at H = 40.",),
    ),
)
