"""What the text says of GRASP at short horizons, judged by Tables 3 and 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from grasp_theory.paper_tables import SUCCESS, TIME, TRIALS
from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.statistics.proportions import fisher, holm
from paper_checks.claims.printed.comparisons import (
    BASELINES,
    LONG,
    OURS,
    SHORT,
    Comparison,
    figure,
    lead_together,
    none_significant,
    ordered,
    over,
    uncontradicted,
)
from paper_checks.engine.inspection import refuted
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run


def _above_ours(rivals: Sequence[str], ours: str = OURS) -> tuple[Comparison, ...]:
    """Return, for every short setting, the statements that a rival has more success."""
    return tuple(Comparison(c.worse, c.better) for c in over(rivals, SHORT, SUCCESS, ours))


def check_comparable(run: Run) -> None:
    """No baseline may be significantly more successful in a short setting."""
    run.examine(
        "in no short setting is a baseline's success rate significantly above GRASP's",
        none_significant,
        _above_ours(BASELINES),
        false_variants={"LatCo's in GRASP's place": _above_ours(("CEM", "GD"), ours="LatCo")},
        true_variants={"GD the only baseline": _above_ours(("GD",))},
    )
    run.caveat(
        "The deficits against CEM stand on its 500 trials: its printed rates would also fit 50, and then "
        "none of them would be significant.",
        _cem_with,
        50,
        false_variants={"500 trials, as printed": TRIALS},
    )


def _cem_with(trials: int) -> Evidence:
    """Judge whether CEM, had its rates come from `trials` trials, is nowhere significantly above GRASP."""
    p_values = [
        fisher(pair.better.successes(trials), pair.worse.successes(), trials, TRIALS)
        for pair in _above_ours(("CEM",))
    ]
    smallest = min(holm(p_values))
    summary = (
        f"with {trials} trials for CEM and {TRIALS} for GRASP the smallest of {len(p_values)} p-values, "
        f"after Holm's correction over them, is {smallest:.2g} (Fisher's exact test, one-sided, level "
        f"{LEVEL:g})"
    )
    return Evidence(Grade.REPORTED, smallest > LEVEL, summary, {"smallest adjusted p": smallest})


def _mostly_comparable(ours: str) -> Evidence:
    """Judge whether in most short settings neither CEM nor GD is significantly more successful."""
    family = none_significant(_above_ours(("CEM", "GD"), ours))
    # Each setting can hold two deficits; counting them as settings is on the safe side.
    passed = 2 * int(family.numbers["significant deficits"]) < len(SHORT)
    return replace(family, passed=passed, summary=f"{len(SHORT)} settings; " + family.summary)


def _nowhere_best(settings: Sequence[str]) -> Evidence:
    """Judge whether GRASP beats all baselines in both rate and time in none of the settings."""
    best = [
        setting
        for setting in settings
        if all(c.lead > 0 for q in (SUCCESS, TIME) for c in over(BASELINES, (setting,), q))
    ]
    summary = f"strictly best in rate and time in {len(best)} of {len(settings)} settings"
    summary += ": " + ", ".join(best) if best else ""
    return Evidence(Grade.REPORTED, not best, summary, {"settings": len(best)})


def _slower_than_gd(factor: int) -> Evidence:
    ratios = {s: figure(OURS, s, TIME).value / figure("GD", s, TIME).value for s in SHORT}
    slow = [setting for setting, ratio in ratios.items() if ratio >= factor]
    summary = (
        f"GRASP takes at least {factor} times GD's time in {len(slow)} of {len(SHORT)} settings, at most "
        f"{float(max(ratios.values())):.1f} times"
    )
    return Evidence(Grade.REPORTED, 2 * len(slow) > len(SHORT), summary, {"settings": len(slow)})


def check_limitations(run: Run) -> None:
    """Typically comparable with CEM and GD at short horizons, and not strictly better."""
    run.examine(
        "in most short settings neither CEM nor GD is significantly more successful than GRASP",
        _mostly_comparable,
        OURS,
        false_variants={"LatCo in GRASP's place": "LatCo"},
    )
    run.examine(
        "in no short setting does GRASP beat every baseline in both rate and time",
        _nowhere_best,
        SHORT,
        false_variants={"in no long setting": LONG},
    )
    run.caveat(
        "Completion times comparable to GD's are the exception: in most short settings GRASP takes at least "
        "twice as long.",
        _slower_than_gd,
        2,
        false_variants={"at least four times": 4},
    )


@dataclass(frozen=True)
class _Rank:
    place: int
    settings: tuple[str, ...] = SHORT


def _fast_enough(claim: _Rank) -> Evidence:
    """Judge whether GRASP is among the `place` fastest of the four everywhere, ties in its favour."""
    places = {}
    for setting in claim.settings:
        ours = figure(OURS, setting, TIME).value
        places[setting] = 1 + sum(figure(name, setting, TIME).value < ours for name in BASELINES)
    slow = [setting for setting, place in places.items() if place > claim.place]
    summary = (
        f"place {claim.place} or better in {len(places) - len(slow)} of {len(places)} settings; places: "
        + ", ".join(f"{setting} {place}" for setting, place in places.items())
    )
    worst = figure(OURS, slow[0], TIME).code if slow else ""
    return Evidence(Grade.REPORTED, not slow, summary, {"settings below": len(slow)}, worst)


def _rarely_faster(baseline: str) -> Evidence:
    comparisons = over((baseline,), SHORT, TIME)
    faster = sum(comparison.lead > 0 for comparison in comparisons)
    slower = sum(comparison.lead < 0 for comparison in comparisons)
    summary = (
        f"GRASP is faster than {baseline} in {faster} and slower in {slower} of {len(comparisons)} settings"
    )
    return Evidence(
        Grade.REPORTED, 2 * faster < len(comparisons), summary, {"faster": faster, "slower": slower}
    )


def check_low_time(run: Run) -> None:
    """GRASP must be one of the two fastest in every short setting."""
    run.examine(
        "in every short setting GRASP is among the two fastest of four planners",
        _fast_enough,
        _Rank(2),
        false_variants={"the fastest": _Rank(1)},
        true_variants={"never the slowest": _Rank(3), "at H = 30": _Rank(2, SHORT[2::3])},
    )
    run.caveat(
        "'Often significantly faster than sampling-based approaches': it is faster than CEM in a minority.",
        _rarely_faster,
        "CEM",
        false_variants={"than LatCo": "LatCo"},
    )


def _where_slower(baseline: str, settings: Sequence[str] = SHORT) -> tuple[Comparison, ...]:
    """Return the statements that GRASP has more success wherever it is slower than a baseline."""
    slower = [s for s in settings if figure(OURS, s, TIME).value > figure(baseline, s, TIME).value]
    return over((baseline,), slower, SUCCESS)


def check_sacrifice(run: Run) -> None:
    """Where GRASP is slower than GD it must succeed more often."""
    run.examine(
        "over the short settings in which GRASP is slower than GD together, it has more success beyond chance",
        lead_together,
        _where_slower("GD"),
        false_variants={"on WallSingle at H = 20": _where_slower("GD", ("WallSingle H=20",))},
    )
    run.examine(
        "in none of them has it less success beyond chance",
        uncontradicted,
        _where_slower("GD"),
        false_variants={"where it is slower than CEM": _where_slower("CEM")},
    )
    run.caveat(
        "On WallSingle at H = 20 it is slower and its rate is printed below GD's (91.8 against 92.8): within chance.",
        refuted(ordered),
        _where_slower("GD"),
        false_variants={"on Push-T and PointMaze": _where_slower("GD", SHORT[:6])},
    )


CLAIMS = (
    Claim(
        id="text-comparable",
        title="Matches strong baselines in short-term planning",
        source="Section 4.4; captions of Tables 3 and 4; Table 3",
        statement=(
            "Comparable success rates across all environments and short horizons; consistently matches."
        ),
        check=check_comparable,
        assumptions=("Comparable: no baseline is significantly more successful.",),
    ),
    Claim(
        id="text-limitations",
        title="Short horizons: typically comparable, not strictly better",
        source="Section 6; Tables 3 and 4",
        statement=(
            "At short horizons rates and times are typically comparable to CEM and GD, not strictly better."
        ),
        check=check_limitations,
        assumptions=("Typically: in most of the nine short settings.",),
    ),
    Claim(
        id="text-low-time",
        title="Consistently low completion time, among the fastest",
        source="Section 4.4; captions of Tables 3 and 4; Table 4",
        statement=(
            "Among the fastest methods across all environments and horizons, with consistently low times."
        ),
        check=check_low_time,
        assumptions=("Among the fastest: first or second of the four planners, ties in its favour.",),
    ),
    Claim(
        id="text-sacrifice",
        title="Sacrifices some speed for a higher success rate",
        source="Section 4.4; Tables 3 and 4",
        statement=(
            "Competitive with gradient-based optimisation, sacrificing some speed for a higher success rate."
        ),
        check=check_sacrifice,
    ),
)
