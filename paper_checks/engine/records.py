"""What a check of the paper produces: claims, evidence with grades, controls, sharpness, verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

import numpy as np

from linear_systems.errors import DTypeError, NonFiniteError, ParameterError, ShapeError

Number = float | int | str | bool
"""What a measured quantity may be: figures, or a short text where a figure has a name."""


class Grade(StrEnum):
    """How strong a piece of evidence is, strongest first."""

    SYMBOLIC = "symbolic"
    """A sympy identity, or a proof in symbols for every size."""
    CERTIFIED = "certified"
    """Exact rational or ball arithmetic on a concrete instance: no rounding doubt."""
    NUMERICAL = "numerical"
    """float64, with a tolerance derived from an error bound."""
    STATISTICAL = "statistical"
    """A test whose level and power are stated."""
    ARGUED = "argued"
    """An argument written out in the summary, of which the program checks no more than single steps."""
    REPORTED = "reported"
    """Figures taken from the paper."""


class Verdict(StrEnum):
    """What the evidence says about a claim."""

    HOLDS = "holds"
    CAVEAT = "holds with caveat"
    FAILS = "fails"
    NOT_CHECKABLE = "not checkable here"
    DEFINITION = "definition"
    BROKEN = "broken check"
    """Not a statement about the paper: a control was not caught, or the check raised."""
    REPLICATES = "replicates"
    """What our own models show, from here on: it says nothing about the paper's, and is no erratum."""
    MIXED = "mixed"
    DOES_NOT_REPLICATE = "does not replicate"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Evidence:
    """The outcome of one inspection of one variant of a claim.

    Arguments
        grade: how strong this evidence is.
        passed: whether the inspected statement stood.
        summary: what was inspected, on how many instances, and with which tolerance, level or power.
        numbers: the measured figures a reader wants, by name (worst margin, counts, exponents).
        instance: Python code that rebuilds the worst or the refuting instance; empty if there is none.
        outside: how many drawn instances violated an assumption, and so were reported and not counted.
        outcomes: what each of several tests said, by name, where one inspection makes several; goes on record.
    """

    grade: Grade
    passed: bool
    summary: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    instance: str = ""
    outside: int = 0
    outcomes: Mapping[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.numbers.items():
            if not isinstance(value, float | int | str | np.number | np.bool_):
                raise DTypeError(
                    f"number {name!r}",
                    "a figure or a short text",
                    f"a {type(value).__name__}",
                    "give one value a name",
                )


NEAR = 0.05
"""How far a false variant may be from the claim, relatively, without saying why no nearer one is tried."""

_Variant = TypeVar("_Variant")


@dataclass(frozen=True)
class Far(Generic[_Variant]):
    """A false variant that is further than `NEAR` from the claim.

    Arguments
        variant: the variant.
        why: why no nearer one is tried, in a few words.
    """

    variant: _Variant
    why: str


@dataclass(frozen=True)
class Control:
    """A variant of the claim whose truth is known, put through the same inspection.

    Arguments
        description: how the variant differs from the claim.
        expected: False for a deliberately false variant, True for a true one.
        evidence: what the inspection said of it.
        distance: how far it is from the claim, relatively, where both are numbers; None: it differs in kind.
        why: why it is no nearer, where it is further than `NEAR`.
    """

    description: str
    expected: bool
    evidence: Evidence
    distance: float | None = None
    why: str = ""

    @property
    def caught(self) -> bool:
        """Whether the inspection told the variant's truth."""
        return self.evidence.passed == self.expected


@dataclass(frozen=True)
class Examination:
    """One inspected statement of a claim with its controls and the equations that it covers."""

    title: str
    evidence: Evidence
    controls: tuple[Control, ...]
    equations: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sharpness:
    """How close a search came to attaining a bound.

    Arguments
        title: the bound.
        ratio: the largest actual/bound found for an upper bound, bound/actual for a lower one; 1 is sharp.
        search: which search found it (method, budget).
        instance: Python code of the instance that attains the ratio.
        better_bound: a better bound and why it holds, or empty.
    """

    title: str
    ratio: float
    search: str
    instance: str
    better_bound: str = ""


@dataclass(frozen=True)
class Curve:
    """A plot of the report, as data.

    Arguments
        title, x_label, y_label: texts with units.
        series: name -> (x values, y values) of equal length, finite.
        log_x, log_y: axis scales.
        note: what the reader should see in it.
    """

    title: str
    x_label: str
    y_label: str
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    log_x: bool = False
    log_y: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if not self.series:
            raise ParameterError(
                "series", "at least one series", f"none in {self.title!r}", "give the curve data"
            )
        for name, (xs, ys) in self.series.items():
            if len(xs) != len(ys) or len(xs) == 0:
                raise ShapeError(
                    f"series {name!r}", "x and y values of one positive length", f"{len(xs)} and {len(ys)}",
                    f"look at how {self.title!r} is built",
                )  # fmt: skip
            for axis, values, log in (("x", xs, self.log_x), ("y", ys, self.log_y)):
                if not all(math.isfinite(value) and (value > 0 or not log) for value in values):
                    raise NonFiniteError(
                        f"{axis} of series {name!r}", f"finite{' positive' if log else ''} values",
                        "a value that cannot be drawn", "leave such points out and say so in the note",
                    )  # fmt: skip


@dataclass(frozen=True)
class Caveat:
    """Something true about a claim that a reader of the paper would not expect, established by evidence."""

    text: str
    examination: Examination


@dataclass(frozen=True)
class Claim:
    """One claim of the paper and the function that checks it.

    Arguments
        id: short name for the command line, such as "thm6".
        title: one line.
        source: where the paper says it ("Appendix A.1, Theorem 3").
        statement: the claim in words and plain-text mathematics.
        latex: the claim's formula in LaTeX for the report; empty if it has none.
        assumptions: what the paper assumes, one entry each.
        equations: the numbered equations that the examinations of this claim must cover between them.
        definitions: numbered equations that only define or denote, with the reason why nothing is claimed.
        check: examines the claim, recording into the run.  None: definitions only, or not checkable.
        missing: for a claim that is not checkable here, what is missing.
        tables, figures, others: numbers of tables and figures, and names of algorithms, that it accounts for.
        ours: judged by what our own models show, on the scale of replication; without a check it is inconclusive.
    """

    id: str
    title: str
    source: str
    statement: str
    check: Callable[[Any], None] | None = None
    latex: str = ""
    assumptions: tuple[str, ...] = ()
    equations: tuple[int, ...] = ()
    definitions: Mapping[int, str] = field(default_factory=dict)
    missing: str = ""
    tables: tuple[int, ...] = ()
    figures: tuple[int, ...] = ()
    others: tuple[str, ...] = ()
    ours: bool = False


@dataclass(frozen=True)
class Result:
    """Everything a run established about one claim."""

    claim: Claim
    verdict: Verdict
    examinations: tuple[Examination, ...] = ()
    caveats: tuple[Caveat, ...] = ()
    sharpness: tuple[Sharpness, ...] = ()
    curves: tuple[Curve, ...] = ()
    statistical_tests: int = 0
    seconds: float = 0.0
    problem: str = ""
    """Why the check is broken (uncaught control, exception, uncovered equation); empty if it is not."""

    @property
    def grades(self) -> tuple[Grade, ...]:
        """The distinct grades of the evidence, strongest first."""
        found = {examination.evidence.grade for examination in self.examinations}
        return tuple(grade for grade in Grade if grade in found)
