"""Renders the report as one self-contained page: no network; its one script filters the claims."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from linear_systems.errors import ParameterError
from paper_checks.engine.records import Grade, Verdict
from paper_checks.report.environment import ROOT
from paper_checks.report.errata import errata
from paper_checks.report.mathml import mathml
from paper_checks.report.numerals import in_prose, readable
from paper_checks.report.plot import plot
from paper_checks.report.serialise import SCHEMA_VERSION, Json

PAPER = "Parallel Stochastic Gradient-Based Planning for World Models"

OPERATORS = "".join(rf"|(?<=\b{name})" for name in ("max", "min", "sup", "inf", "lim"))
INDEX = re.compile(
    rf"(?:(?<![A-Za-z0-9_][A-Za-z])(?<=[^\W\d_]|[∇∂‖|)\]⟩]){OPERATORS})_(?:\{{([^{{}}]*)\}}|([A-Za-z0-9]+|[α-ω]+|∞))"
)
EXPONENT = re.compile(r"(?<=\S)\^(?:\{([^{}]*)\}|([−-]?\d+|[A-Za-zα-ω∞⊤*†]))")
"""An index on a single letter or an operator, and an exponent on anything: in braces, or one word, number or sign."""

OURS = (Verdict.REPLICATES, Verdict.MIXED, Verdict.DOES_NOT_REPLICATE, Verdict.INCONCLUSIVE)
"""The verdicts on what our own models show."""

VERDICT_MEANING = {
    Verdict.HOLDS: ("✓", "Every examination passed, and every deliberately false variant was rejected."),
    Verdict.CAVEAT: ("△", "True as stated, but misleading or loose; each caveat is established by evidence."),
    Verdict.FAILS: (
        "✕",
        "Contradicted by a proof, an exact counterexample or the paper's own figures beyond chance; the inspection "
        "accepts a corrected statement.",
    ),
    Verdict.NOT_CHECKABLE: ("○", "Something that a check would need is missing here; it is named."),
    Verdict.DEFINITION: ("≔", "Defines, denotes or depicts; there is nothing to be true or false."),
    Verdict.BROKEN: ("‼", "Says nothing about the paper: a control was not caught, or the check raised."),
    Verdict.REPLICATES: ("⊕", "Our own models show it too."),
    Verdict.MIXED: ("⊙", "Some of what our own models show is like it and some is not; no erratum."),
    Verdict.DOES_NOT_REPLICATE: ("⊖", "Our own models do not show it; the paper's may, so it is no erratum."),
    Verdict.INCONCLUSIVE: ("⊘", "Our own trials were too few to tell; what they could have found is said."),
}
"""The mark (never colour alone) and the meaning of each verdict."""

GRADE_MEANING = {
    Grade.SYMBOLIC: "an identity or proof in symbols",
    Grade.CERTIFIED: "exact rational or ball arithmetic on a concrete instance",
    Grade.NUMERICAL: "float64 with a tolerance derived from an error bound",
    Grade.STATISTICAL: "a test whose level and power are stated",
    Grade.ARGUED: "an argument written out, of which the program checks no more than single steps",
    Grade.REPORTED: "figures taken from the paper",
}


def render(report: Json, folder: Path) -> str:
    """Return the page for a report as `report.json` holds it.

    Arguments
        report: what `serialise.report_data` returns, or the content of a `report.json`.
        folder: where the page will lie; links to source files are relative to it.

    Raises
        ParameterError: the report has another schema version, or holds LaTeX that cannot be typeset.
    """
    if report["schema_version"] != SCHEMA_VERSION:
        raise ParameterError(
            "schema_version", str(SCHEMA_VERSION), repr(report["schema_version"]), "run the checks again"
        )
    environment = Environment(
        loader=PackageLoader("paper_checks.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        slug=_slug, figure=_figure, readable=readable, ranges=_ranges, plot=plot, mathml=lambda latex: Markup(mathml(latex)),
        seconds=_seconds, typeset=_typeset,
    )  # fmt: skip
    root = Path(os.path.relpath(ROOT, folder.resolve())).as_posix()
    page = environment.get_template("page.html.j2").render(
        report=report,
        paper=PAPER,
        verdicts={str(verdict): meaning for verdict, meaning in VERDICT_MEANING.items()},
        grades={str(grade): meaning for grade, meaning in GRADE_MEANING.items()},
        counts=Counter(claim["verdict"] for claim in report["claims"]),
        items=[
            item
            for item in report["items"]
            if any(item["label"] in each["about"] for each in report["claims"])
        ],
        partial=len(report["claims"]) < report["run"]["claims_in_registry"],
        errata=errata(),
        tones={item["label"]: _tone(item) for item in report["items"]},
        shown={claim["id"] for claim in report["claims"]},
        root=root,
    )
    return re.sub(r"\n\s*\n+", "\n", page) + "\n"


def _figure(value: float | int | str | bool) -> Markup:
    """Return a figure for reading, with all its digits in its title."""
    if isinstance(value, str):
        return _typeset(value)
    shown, exact = readable(value), str(value).removesuffix(".0")
    return Markup('<span title="{}">{}</span>').format(exact, shown) if shown != exact else escape(shown)


def _tone(item: Json) -> str:
    """Return how an item of the paper fares: a verdict, "not run" or "not accounted for"."""
    if item["status"] != "checked":
        return str(item["status"])
    found = {claim["verdict"] for claim in item["claims"]}
    if not found:
        return "not run"
    if Verdict.BROKEN in found:
        return Verdict.BROKEN
    if any(claim["stood"] is False for claim in item["claims"]):
        return Verdict.FAILS
    if item["kind"] != "Equation" and Verdict.FAILS in found:
        return Verdict.FAILS
    if found <= set(OURS):
        return next(str(verdict) for verdict in reversed(OURS) if verdict in found)
    return Verdict.CAVEAT if Verdict.CAVEAT in found else Verdict.HOLDS


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _typeset(text: str) -> Markup:
    """Return plain-text mathematics ("L_S ≥ 2μ²|λ|^{2(T−1)}") with its indices and exponents as such.

    A single letter and an operator carry an index: `step_size` and other names of code stay as they are.  Floats are rounded.
    """
    return Markup(_marked(str(escape(in_prose(text)))))


def _marked(text: str) -> str:
    """Mark up indices and exponents, and those inside them."""
    lowered = INDEX.sub(lambda m: f"<sub>{_marked(m[1] or m[2])}</sub>", text)
    return EXPONENT.sub(lambda m: f"<sup>{m[1] or m[2]}</sup>", lowered)


def _seconds(value: float) -> str:
    if value < 60.0:
        return f"{value:.1f} s"
    return f"{int(value) // 60} min {int(value) % 60} s"


def _ranges(numbers: Sequence[int]) -> str:
    """Return equation numbers with runs joined: "(16)–(18), (21)"."""
    if not numbers:
        return ""
    breaks = [i + 1 for i, (before, after) in enumerate(pairwise(numbers)) if after != before + 1]
    runs = [numbers[i:j] for i, j in pairwise([0, *breaks, len(numbers)])]
    return ", ".join(f"({run[0]})" if len(run) == 1 else f"({run[0]})–({run[-1]})" for run in runs)
