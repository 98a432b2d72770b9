"""What the text says of GRASP against the baselines at long horizons, judged by Table 1.

A claim fails where the printed figures contradict it.  Where they show it but the trials do not establish it,
it holds with a caveat that names the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from grasp_theory.paper_tables import SUCCESS, TIME, TRIALS
from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.statistics.proportions import equal_shares, homogeneity
from paper_checks.claims.printed.comparisons import (
    BASELINES,
    LONG,
    OURS,
    SHORT,
    Comparison,
    figure,
    lead_together,
    ordered,
    over,
    separated,
    uncontradicted,
    unseparated,
)
from paper_checks.engine.inspection import refuted
from paper_checks.engine.records import Claim, Curve, Evidence, Grade
from paper_checks.engine.run import Run

LONGER = LONG[1:]
"""Push-T at H = 50, 60, 70, 80."""


def _no_half(settings: Sequence[str]) -> Evidence:
    """Judge whether nobody solves half of the tasks, so that a median over all trials is the time limit."""
    best = max(
        (figure(name, s, SUCCESS) for s in settings for name in (*BASELINES, OURS)), key=lambda c: c.value
    )
    summary = f"the highest rate over {len(settings)} settings is {best.printed}% ({best.name})"
    return Evidence(
        Grade.REPORTED, best.value < 50, summary, {"highest rate (%)": float(best.value)}, best.code
    )


def caveat_survivors(run: Run) -> None:
    """Record what a median over each planner's own successes leaves out."""
    run.caveat(
        "Times are medians over each planner's own successes, so over different tasks, and leave out the time "
        "spent on failures. Over all trials no planner would have a median below the time limit at H >= 50.",
        _no_half,
        LONGER,
        false_variants={"H = 40": LONG[:1]},
    )


def _falls_somewhere(settings: Sequence[str]) -> Evidence:
    """Judge whether every planner's median time falls somewhere while the horizon grows."""
    shown = []
    for name in (*BASELINES, OURS):
        times = [cell for setting in settings if (cell := figure(name, setting, TIME)).has_value]
        drops = [pair for pair in pairwise(times) if pair[1].value < pair[0].value]
        if drops:
            before, after = max(drops, key=lambda drop: drop[0].value - drop[1].value)
            shown.append(f"{name} {before.printed} s at {before.setting}, then {after.printed} s")
    summary = f"{len(shown)} of {len(BASELINES) + 1} planners get faster somewhere as H grows"
    summary += ": " + "; ".join(shown) if shown else ""
    return Evidence(Grade.REPORTED, len(shown) == len(BASELINES) + 1, summary, {"planners": len(shown)})


AT_40 = "At H = 40 GRASP's rate is printed below CEM's (59.0 against 61.4): within chance, and not ahead."


def _ahead_together(run: Run, baseline: str) -> None:
    """Examine whether the lead over a baseline is beyond chance over Table 1 as a whole."""
    setting = {"CEM": LONG[0], "GD": SHORT[7], "LatCo": SHORT[4]}[baseline]
    run.examine(
        f"over the horizons of Table 1 together GRASP's lead in success over {baseline} is beyond chance",
        lead_together,
        over((baseline,), LONG, SUCCESS),
        false_variants={f"{setting} alone": over((baseline,), (setting,), SUCCESS)},
    )


def check_outperforms(run: Run) -> None:
    """GRASP must beat CEM and GD over the horizons of Table 1, in rate and in time."""
    named = ("CEM", "GD")
    for name in named:
        _ahead_together(run, name)
    run.examine(
        "at no horizon of Table 1 is CEM's or GD's success rate above GRASP's beyond chance",
        uncontradicted,
        over(named, LONG, SUCCESS),
        false_variants={"nor above GD's": over(("CEM", OURS), LONG, SUCCESS, planner="GD")},
    )
    run.examine(
        "at every horizon of Table 1 GRASP's median success time is shorter than CEM's and GD's",
        ordered,
        over(named, LONG, TIME),
        false_variants={"GD's is shorter than CEM's and GRASP's": over(("CEM", OURS), LONG, TIME, "GD")},
    )
    run.caveat(
        AT_40,
        refuted(ordered),
        over(("CEM",), LONG[:1], SUCCESS),
        false_variants={"nor is it above GD's": over(("GD",), LONG[:1], SUCCESS)},
    )
    run.caveat(
        "Each planner's median time falls somewhere as the horizon grows: the tasks behind it change.",
        _falls_somewhere,
        LONG,
        false_variants={"on WallSingle from H = 10 to 30": SHORT[6:]},
    )
    caveat_survivors(run)


def check_longer(run: Run) -> None:
    """GRASP must have more success than every baseline at the longer horizons."""
    run.examine(
        "at H >= 50 GRASP's success rate exceeds every baseline's",
        ordered,
        over(BASELINES, LONGER, SUCCESS),
        false_variants={
            "from H = 40": over(BASELINES, LONG, SUCCESS),
            "GD exceeds GRASP": over((OURS,), LONGER, SUCCESS, planner="GD"),
        },
    )
    run.examine(
        "over the horizons from 50 together the lead over GD is beyond chance",
        lead_together,
        over(("GD",), LONGER, SUCCESS),
        false_variants={"on WallSingle at H = 20": over(("GD",), SHORT[7:8], SUCCESS)},
    )
    run.caveat(
        "At single horizons the lead over GD is not everywhere beyond chance.",
        unseparated,
        over(BASELINES, LONGER, SUCCESS),
        false_variants={"against CEM and LatCo only": over(("CEM", "LatCo"), LONGER, SUCCESS)},
    )


@dataclass(frozen=True)
class _Retention:
    planner: str
    others: tuple[str, ...] = BASELINES


def _kept(planner: str) -> Fraction:
    return figure(planner, LONG[-1], SUCCESS).value / figure(planner, LONG[0], SUCCESS).value


def _keeps_most(claim: _Retention) -> Evidence:
    kept = {name: float(_kept(name)) for name in (claim.planner, *claim.others)}
    summary = "share of the success rate at H = 40 kept at H = 80: " + ", ".join(
        f"{name} {share:.1%}" for name, share in kept.items()
    )
    best = all(_kept(claim.planner) > _kept(other) for other in claim.others)
    return Evidence(Grade.REPORTED, best, summary, {f"kept by {name}": share for name, share in kept.items()})


def _same_decline(baseline: str) -> Evidence:
    """Judge whether the odds, and the share kept, of GRASP and of a baseline may fall alike from H = 40 to H = 80."""
    first, last = (over((baseline,), (s,), SUCCESS)[0].counts for s in (LONG[0], LONG[-1]))
    p, of_shares = homogeneity(first, last, TRIALS), equal_shares(first, last, TRIALS)
    lost = [
        float(figure(name, LONG[0], SUCCESS).value - figure(name, LONG[-1], SUCCESS).value)
        for name in (OURS, baseline)
    ]
    summary = (
        f"equal odds ratios of GRASP to {baseline} at H = 40 and H = 80: p = {p:.2g} (Zelen's exact test, "
        f"level {LEVEL:g}), equal shares kept: p = {of_shares:.2g} (normal approximation on the log scale, two-sided); points "
        f"lost from 40 to 80: GRASP {lost[0]:.1f}, {baseline} {lost[1]:.1f}"
    )
    return Evidence(
        Grade.REPORTED,
        min(p, of_shares) > LEVEL and lost[0] > lost[1],
        summary,
        {
            "p": p,
            "p of the shares": of_shares,
            "GRASP lost (points)": lost[0],
            f"{baseline} lost (points)": lost[1],
        },
    )


def check_solves_more(run: Run) -> None:
    """Over the horizons of Table 1 GRASP must solve more, in less time, and it must decline less."""
    for name in BASELINES:
        _ahead_together(run, name)
    run.examine(
        "at no horizon of Table 1 does a baseline solve more tasks than GRASP beyond chance",
        uncontradicted,
        over(BASELINES, LONG, SUCCESS),
        false_variants={"nor than GD": over(("CEM", OURS), LONG, SUCCESS, planner="GD")},
    )
    run.examine(
        "half of GRASP's successes come before half of any baseline's own (median success times)",
        ordered,
        over(BASELINES, LONG, TIME),
        false_variants={"half of GD's come first": over(("CEM", OURS), LONG, TIME, planner="GD")},
    )
    run.examine(
        "from H = 40 to H = 80 GRASP keeps a larger share of its success rate than each baseline",
        _keeps_most,
        _Retention(OURS),
        false_variants={"GD keeps the largest share": _Retention("GD", ("CEM", "LatCo", OURS))},
    )
    run.caveat(
        AT_40,
        refuted(ordered),
        over(("CEM",), LONG[:1], SUCCESS),
        false_variants={"nor is it above GD's": over(("GD",), LONG[:1], SUCCESS)},
    )
    run.caveat(
        "A slower decline than GD's is within chance, and in points GRASP loses more.",
        _same_decline,
        "GD",
        false_variants={"than CEM's": "CEM"},
    )


def _decline(planner: str, settings: Sequence[str]) -> tuple[Comparison, ...]:
    """Return the statement that a planner does better in the first of the settings than in the last."""
    return (Comparison(figure(planner, settings[0], SUCCESS), figure(planner, settings[-1], SUCCESS)),)


def _keeps_half(claim: tuple[str, Sequence[str]]) -> Evidence:
    """Judge whether a planner keeps at least half of its success rate from the first setting to the last."""
    planner, settings = claim
    (comparison,) = _decline(planner, settings)
    kept = comparison.worse.value / comparison.better.value
    summary = (
        f"{planner} succeeds in {comparison.better.printed}% at {settings[0]} and "
        f"{comparison.worse.printed}% at {settings[-1]}: it keeps {float(kept):.1%} (p of the decline: "
        f"{comparison.p_value:.2g})"
    )
    return Evidence(
        Grade.REPORTED, kept >= Fraction(1, 2), summary, {"share kept": float(kept)}, comparison.code
    )


def check_robust(run: Run) -> None:
    """A planner robust to the horizon must keep its success rate as the horizon grows."""
    run.examine(
        "GRASP keeps at least half of its success rate on Push-T from H = 40 to H = 80",
        _keeps_half,
        (OURS, LONG),
        false_variants={"GD does": ("GD", LONG), "CEM does": ("CEM", LONG)},
        true_variants={
            "from H = 40 to H = 50": (OURS, LONG[:2]),
            "on PointMaze from H = 10 to H = 30": (OURS, SHORT[3:6]),
        },
    )
    horizons = [float(setting.split("=")[1]) for setting in LONG]
    run.curve(
        Curve(
            "Success rate on Push-T over the horizon (Table 1)",
            "horizon H (environment steps)",
            "success rate (%)",
            {
                name: (horizons, [float(figure(name, setting, SUCCESS).value) for setting in LONG])
                for name in (*BASELINES, OURS)
            },
            note="Every planner's rate falls steeply; GRASP's falls with the others'.",
        )
    )


def check_shooting_degrades(run: Run) -> None:
    """CEM's rate must fall with the horizon; so does everyone's."""
    run.examine(
        "CEM's success rate on Push-T falls significantly from H = 40 to H = 80",
        separated,
        _decline("CEM", LONG),
        false_variants={"on PointMaze from H = 10 to 30": _decline("CEM", SHORT[3:6])},
    )
    run.caveat(
        "This does not tell shooting from other planners: GRASP's and LatCo's rates fall significantly too.",
        separated,
        (*_decline(OURS, LONG), *_decline("LatCo", LONG)),
        false_variants={"GRASP's on PointMaze": _decline(OURS, SHORT[3:6])},
    )


CLAIMS = (
    Claim(
        id="text-outperforms",
        title="Outperforms CEM and GD on long horizons in rate and time",
        source="Abstract; Section 4.4; Table 1",
        statement=(
            "GRASP outperforms CEM and GD on long-horizon experiments, in success rate and time to "
            "convergence."
        ),
        check=check_outperforms,
        assumptions=("The long-horizon experiments are those of Table 1, H = 40 to 80.",),
    ),
    Claim(
        id="text-solves-more",
        title="Solves more, faster, and more robustly than the baselines",
        source="Section 4.3; Table 1",
        statement=(
            "As the horizon grows GRASP solves more tasks, finishes a majority of its successful trials "
            "faster, and is more robust to long horizons than the baselines, as shown in Table 1."
        ),
        check=check_solves_more,
    ),
    Claim(
        id="text-longer",
        title="More success than the baselines at the longer horizons",
        source="Section 4.3; Table 1",
        statement="At the longer horizons for Push-T GRASP finds more success than the baselines.",
        check=check_longer,
        assumptions=("The longer horizons are H = 50 to 80.",),
    ),
    Claim(
        id="text-robust",
        title="Remains robust as horizons grow",
        source="Sections 1, 4.3 and 7; Table 1",
        statement="GRASP remains robust, reliable and stable as the planning horizon grows.",
        check=check_robust,
        assumptions=(
            "Robust to the horizon: at least half of the success rate is kept from H = 40 to H = 80.",
        ),
    ),
    Claim(
        id="text-shooting-degrades",
        title="Shooting degrades with longer horizons",
        source="Section 1; Table 1",
        statement="The performance of sampling-based shooting (CEM) degrades with longer planning horizons.",
        check=check_shooting_degrades,
    ),
)
