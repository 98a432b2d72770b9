"""Runs the check of a claim and turns what it recorded into a verdict.

A check never states its verdict.  It examines statements through `Run.examine`, each together with
variants that the same inspection must reject (negative controls) or accept (positive controls), and the
verdict follows from what was found.  With `Settings(sabotage=True)` every statement is replaced by its
first false variant, so that a test can see each examination fail.
"""

from __future__ import annotations

import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from paper_checks.engine.records import (
    Caveat,
    Claim,
    Control,
    Curve,
    Evidence,
    Examination,
    Far,
    Result,
    Sharpness,
    Verdict,
)

FALSE_ALARM_TOTAL = 1e-6
"""Upper bound on the probability that a whole run rejects anything true by bad luck."""
STATISTICAL_TEST_LIMIT = 400
"""How many statistical tests one whole run may hold; each is made at FALSE_ALARM_TOTAL / this."""

Variant = TypeVar("Variant")


@dataclass(frozen=True)
class Settings:
    """How to run: `quick` draws fewer instances, `seed` makes it repeatable, `sabotage` is for the tests."""

    quick: bool = False
    seed: int = 0
    sabotage: bool = False


class Run:
    """What a check records into: examinations, caveats, sharpness, curves."""

    def __init__(
        self, claim: Claim, settings: Settings, announce: Callable[[str], None] | None = None
    ) -> None:
        self._claim = claim
        self._settings = settings
        self._announce = announce or (lambda _: None)
        self.examinations: list[Examination] = []
        self.caveats: list[Caveat] = []
        self.curves: list[Curve] = []
        self.sharpness_found: list[Sharpness] = []
        self.statistical_tests = 0

    @property
    def quick(self) -> bool:
        """Whether the reader asked for the short run."""
        return self._settings.quick

    def size(self, full: int, quick: int) -> int:
        """Return `full` or, in a quick run, `quick`."""
        return quick if self._settings.quick else full

    def rng(self, name: str) -> np.random.Generator:
        """Return the generator called `name`: the same for the same seed, claim and name, in any order."""
        return np.random.default_rng([self._settings.seed, zlib.crc32(f"{self._claim.id}/{name}".encode())])

    def level(self, tests: int = 1) -> float:
        """Reserve `tests` statistical tests and return the level at which each must be made."""
        self.statistical_tests += tests
        return FALSE_ALARM_TOTAL / STATISTICAL_TEST_LIMIT

    def examine(
        self,
        title: str,
        inspect: Callable[[Variant], Evidence],
        claim: Variant,
        *,
        false_variants: Mapping[str, Variant | Far[Variant]],
        true_variants: Mapping[str, Variant] | None = None,
        equations: Iterable[int] = (),
    ) -> Evidence:
        """Inspect a statement of the claim, and variants of it whose truth is known.

        Arguments
            title: the statement.
            inspect: decides a variant; the very same function judges the claim and its controls.
            claim: the variant that the paper states.
            false_variants: description -> variant that must be rejected.  At least one; near misses, where the
                statement has a number (see `Far`).
            true_variants: description -> variant that must be accepted; needed where the claim itself fails,
                to show that the inspection can pass.
            equations: the numbered equations that this statement covers.
        """
        examination = self._examination(title, inspect, claim, false_variants, true_variants or {}, equations)
        self.examinations.append(examination)
        return examination.evidence

    def caveat(
        self,
        text: str,
        inspect: Callable[[Variant], Evidence],
        claim: Variant,
        *,
        false_variants: Mapping[str, Variant | Far[Variant]],
        true_variants: Mapping[str, Variant] | None = None,
    ) -> Evidence:
        """Establish that a claim, though true, is loose or misleading; dropped if the evidence does not stand.

        The arguments are those of `examine`, about the caveat's own statement.
        """
        examination = self._examination(text, inspect, claim, false_variants, true_variants or {}, ())
        self.caveats.append(Caveat(text, examination))
        return examination.evidence

    def sharpness(self, found: Sharpness) -> None:
        """Record how close a search came to attaining a bound."""
        self.sharpness_found.append(found)

    def curve(self, curve: Curve) -> None:
        """Record a plot for the report."""
        self.curves.append(curve)

    def _examination(
        self,
        title: str,
        inspect: Callable[[Variant], Evidence],
        claim: Variant,
        false_variants: Mapping[str, Variant | Far[Variant]],
        true_variants: Mapping[str, Variant],
        equations: Iterable[int],
    ) -> Examination:
        if not false_variants:
            raise ValueError(f"{title!r} has no negative control; give at least one false variant")
        self._announce(title)
        if self._settings.sabotage:
            description, given = next(iter(false_variants.items()))
            variant = given.variant if isinstance(given, Far) else given
            return Examination(f"{title} [sabotaged: {description}]", inspect(variant), (), tuple(equations))
        evidence = inspect(claim)
        controls = []
        for description, given in false_variants.items():
            variant, why = (given.variant, given.why) if isinstance(given, Far) else (given, "")
            controls.append(Control(description, False, inspect(variant), _distance(claim, variant), why))
        controls += [Control(d, True, inspect(v)) for d, v in true_variants.items()]
        return Examination(title, evidence, tuple(controls), tuple(equations))


def _distance(claim: object, variant: object) -> float | None:
    """Return |variant/claim − 1| of two measured numbers; whole numbers count or name kinds, and have no distance."""
    if isinstance(claim, float) and isinstance(variant, float):
        return abs(variant / claim - 1.0) if claim else abs(variant)
    return None


def run_claim(
    claim: Claim, settings: Settings | None = None, announce: Callable[[str], None] | None = None
) -> Result:
    """Check one claim and return its result; an exception in the check makes it broken, never silent."""
    settings = settings or Settings()
    if claim.check is None:
        unchecked = Verdict.INCONCLUSIVE if claim.ours else Verdict.NOT_CHECKABLE
        return Result(claim, unchecked if claim.missing else Verdict.DEFINITION)
    run = Run(claim, settings, announce)
    started = time.perf_counter()
    problem = ""
    try:
        claim.check(run)
    except Exception:  # a check that raises is broken, and the other claims go on
        problem = traceback.format_exc()
    problem = problem or _problem(claim, run)
    verdict = Verdict.BROKEN if problem else _replication(run) if claim.ours else _verdict(run)
    return Result(
        claim=claim,
        verdict=verdict,
        examinations=tuple(run.examinations),
        caveats=tuple(run.caveats),
        sharpness=tuple(run.sharpness_found),
        curves=tuple(run.curves),
        statistical_tests=run.statistical_tests,
        seconds=time.perf_counter() - started,
        problem=problem,
    )


def _verdict(run: Run) -> Verdict:
    if not all(examination.evidence.passed for examination in run.examinations):
        return Verdict.FAILS
    if any(caveat.examination.evidence.passed for caveat in run.caveats):
        return Verdict.CAVEAT
    return Verdict.HOLDS


def _replication(run: Run) -> Verdict:
    """Return what our models show: mixed where single tests, or a caveat, say otherwise than the whole."""
    evidence = [examination.evidence for examination in run.examinations]
    if all(each.passed for each in evidence):
        otherwise = any(caveat.examination.evidence.passed for caveat in run.caveats)
        return Verdict.MIXED if otherwise else Verdict.REPLICATES
    shown = any(outcome for each in evidence for outcome in each.outcomes.values())
    return Verdict.MIXED if shown else Verdict.DOES_NOT_REPLICATE


def _problem(claim: Claim, run: Run) -> str:
    """Return why the check cannot be trusted, or an empty text."""
    if not run.examinations:
        return "the check examined nothing"
    titles = [*(each.title for each in run.examinations), *(each.text for each in run.caveats)]
    if repeated := [title for title in dict.fromkeys(titles) if titles.count(title) > 1]:
        return f"two findings are called {repeated[0]!r}: on record they would be one"
    for examination in (*run.examinations, *(caveat.examination for caveat in run.caveats)):
        for control in examination.controls:
            if not control.caught:
                kind = "true" if control.expected else "false"
                return (
                    f"{examination.title!r}: the {kind} variant {control.description!r} was "
                    f"{'rejected' if control.expected else 'accepted'} ({control.evidence.summary})"
                )
    for examination in run.examinations:
        sabotaged = not examination.controls
        shown_to_pass = examination.evidence.passed or any(c.expected for c in examination.controls)
        if not sabotaged and not shown_to_pass:
            return f"{examination.title!r} failed, and no true variant shows that its inspection can pass"
    covered = {number for examination in run.examinations for number in examination.equations}
    if covered != set(claim.equations):
        missing, extra = set(claim.equations) - covered, covered - set(claim.equations)
        return f"equations declared but not examined: {sorted(missing)}; examined but not declared: {sorted(extra)}"
    return ""
