"""Formulas convert completely, or are refused."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from linear_systems.errors import ParameterError
from paper_checks.report.mathml import mathml


@pytest.mark.parametrize(
    "latex",
    [
        r"L_S = \lambda_{\max}(H_S) \ge 2\mu^2 |\lambda|^{2(T-1)}",
        r"\begin{aligned} a &= b \\ c &\le \tfrac{1}{2} d \end{aligned}",
        r"\left\lVert \nabla_{\!s} \mathcal{L}^{\mathrm{sg}}_{\mathrm{dyn}} \right\rVert_2^2 < \infty",
        r"\begin{pmatrix} A & B \\ 0 & I \end{pmatrix} \quad x \& y",
        r"\mathbb{E}\,\xi_t \xi_t^\top = \sigma^2 I, \quad \bar{s}_t \text{ fixed}",
    ],
)
def test_a_formula_becomes_well_formed_mathml(latex: str) -> None:
    markup = mathml(latex)
    root = ElementTree.fromstring(markup)
    assert root.tag == "math"
    assert root.get("display") == "block"
    assert "\\" not in "".join(root.itertext())


def test_lines_of_an_aligned_environment_become_rows() -> None:
    assert mathml(r"\begin{aligned} a &= b \\ c &= d \end{aligned}").count("<mtr>") == 2


def test_operators_have_upright_names() -> None:
    for latex in (r"\operatorname*{arg\,min}_x L", r"\operatorname{argmin} L"):
        assert "<mo>argmin</mo>" in mathml(latex)


def test_bars_are_not_spaced_as_relations() -> None:
    for latex in (r"2|\lambda|", r"\|x\|", r"\lvert x \rvert"):
        assert mathml(latex).count('lspace="0" rspace="0"') == 2
    assert 'stretchy="true"' in mathml(r"\left| \frac{1}{2} \right|")


@pytest.mark.parametrize(
    ("latex", "told"),
    [
        (r"\nosuchcommand{x}", "nosuchcommand"),
        (r"\bigl\lVert x \bigr\rVert", "lVert"),
        (r"\frac{a}{", "NoAvailableTokens"),
        (r"\operatorname{a_1} x", "<mo />"),
        (r"a \\ b", "aligned"),
        (r"a & b", "'&'"),
        ("", "NoAvailableTokens"),
    ],
)
def test_what_would_not_be_shown_as_meant_is_refused(latex: str, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        mathml(latex)
