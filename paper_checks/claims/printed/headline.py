"""The paper's headline: up to +10% success rate at less than half the compute time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from grasp_theory.paper_tables import SUCCESS, TIME
from paper_checks.claims.printed.comparisons import BASELINES, LONG, OURS, SHORT, Comparison, figure
from paper_checks.claims.printed.text_long import caveat_survivors
from paper_checks.engine.inspection import refuted
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run


@dataclass(frozen=True)
class _Headline:
    """The largest gain over a baseline among the settings where GRASP takes less than a share of its time.

    Arguments
        gain: the gain claimed, in percent, to the nearest whole number.
        time_share: the share of the baseline's time claimed.
        baseline: in each setting, the "most successful" or the "fastest" of the others.
        relative: whether the gain is relative to the baseline's rate, or in percentage points.
    """

    gain: int = 10
    time_share: Fraction = Fraction(1, 2)
    baseline: str = "most successful"
    relative: bool = False


def _gains(claim: _Headline) -> list[tuple[Fraction, Fraction, Comparison]]:
    """Return (gain, share of time, rates compared) for every setting of Tables 1, 3 and 4."""
    found = []
    for setting in (*LONG, *SHORT):
        rivals = [name for name in BASELINES if figure(name, setting, TIME).has_value]

        def merit(name: str, setting: str = setting) -> tuple[Fraction, Fraction]:
            rate, time = figure(name, setting, SUCCESS).value, -figure(name, setting, TIME).value
            return (rate, time) if claim.baseline == "most successful" else (time, rate)

        rival = max(rivals, key=merit)
        rates = Comparison(figure(OURS, setting, SUCCESS), figure(rival, setting, SUCCESS))
        gain = rates.lead * 100 / rates.worse.value if claim.relative else rates.lead
        found.append((gain, figure(OURS, setting, TIME).value / figure(rival, setting, TIME).value, rates))
    return found


def _headline(claim: _Headline) -> Evidence:
    gain, share, rates = max(
        (entry for entry in _gains(claim) if entry[1] < claim.time_share), key=lambda entry: entry[0]
    )
    unit = "% of the baseline's rate" if claim.relative else "points"
    summary = (
        f"against the {claim.baseline} baseline of each setting, the largest gain at less than "
        f"{float(claim.time_share):g} of its time is {float(gain):.1f} {unit} at {float(share):.2f} of the "
        f"time: {rates.text}, p = {rates.p_value:.2g}"
    )
    numbers = {"largest gain": float(gain), "share of the time": float(share), "p": rates.p_value}
    return Evidence(Grade.REPORTED, round(gain) == claim.gain, summary, numbers, rates.code)


def _few_settings(points: int) -> Evidence:
    """Judge whether at most one setting shows a gain that rounds to `points` or more at half the time."""
    gains = _gains(_Headline())
    found = [rates for gain, share, rates in gains if round(gain) >= points and share < Fraction(1, 2)]
    summary = (
        f"{len(found)} of {len(gains)} settings show {points} points or more (rounded) over the most "
        "successful baseline at less than half its time: "
        + ", ".join(rates.better.setting for rates in found)
    )
    return Evidence(Grade.REPORTED, len(found) <= 1, summary, {"settings": len(found), "of": len(gains)})


def check_headline(run: Run) -> None:
    """The largest gain must be 10%, at less than half the time."""
    run.examine(
        "GRASP gains up to 10 percentage points over the most successful baseline at less than half its time",
        _headline,
        _Headline(),
        false_variants={
            "up to 11 points": _Headline(gain=11),
            "at less than a third of the time": _Headline(time_share=Fraction(1, 3)),
        },
    )
    run.caveat(
        "A single setting attains it, not 'various settings'.",
        _few_settings,
        10,
        false_variants={"6 points or more": 6},
    )
    run.caveat(
        "Read as a relative gain, '+10%' is not the largest.",
        refuted(_headline),
        _Headline(relative=True),
        false_variants={"read as points": _Headline()},
    )
    run.caveat(
        "Against the fastest baseline of each setting, 10 points at half the time are not attained.",
        refuted(_headline),
        _Headline(baseline="fastest"),
        false_variants={"against the most successful": _Headline()},
    )
    caveat_survivors(run)


CLAIMS = (
    Claim(
        id="text-headline",
        title="Up to +10% success at less than half the compute time",
        source="Section 1; Tables 1, 3 and 4",
        statement="In various settings: up to +10% success rate at less than half the compute time cost.",
        check=check_headline,
        assumptions=(
            "+10% is in percentage points, to the nearest whole, over the most successful baseline of a "
            "setting.",
            "Compute time is the printed median time.",
        ),
    ),
)
