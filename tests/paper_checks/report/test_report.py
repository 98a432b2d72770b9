"""The report: complete data, and a page that is valid, self-contained and accessible."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sample_claims

from linear_systems.errors import ParameterError
from paper_checks.engine.records import Verdict
from paper_checks.report.environment import ROOT, environment
from paper_checks.report.errata import parsed
from paper_checks.report.page import _figure, _ranges, _tone, _typeset, render
from paper_checks.report.serialise import SCHEMA_VERSION, Json, _plain

VOID = {"meta", "link", "input", "br", "hr", "img"}
LOADING = {"src", "srcset", "poster", "data", "action", "formaction", "background", "xlink:href", "ping"}
"""Attributes by which a page asks for something."""


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    parent: Element | None
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str = "") -> list[Element]:
        own = [child for child in self.children if not tag or child.tag == tag]
        return own + [found for child in self.children for found in child.all(tag)]

    def everything(self) -> str:
        return self.text + " ".join(child.everything() for child in self.children)


class Tree(HTMLParser):
    """Builds the tree and refuses end tags that do not close the innermost open element."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.innermost = Element("", {}, None)
        self.feed(page)
        self.close()
        assert self.innermost is self.root, f"<{self.innermost.tag}> is never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute"
        element = Element(tag, dict(attrs), self.innermost)
        self.innermost.children.append(element)
        if tag not in VOID:
            self.innermost = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.innermost.children.append(Element(tag, dict(attrs), self.innermost))

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.innermost.tag, f"</{tag}> closes <{self.innermost.tag}>"
        assert self.innermost.parent is not None
        self.innermost = self.innermost.parent

    def handle_data(self, data: str) -> None:
        self.innermost.text += data


@pytest.fixture(scope="module")
def tree(page: Path) -> Element:
    return Tree(page.read_text(encoding="utf-8")).root


def claim_element(tree: Element, claim_id: str) -> Element:
    return next(article for article in tree.all("article") if f"claim-{claim_id}" in ids(article))


def ids(element: Element) -> list[str]:
    return [str(found.attributes["id"]) for found in element.all() if "id" in found.attributes]


def test_the_data_survive_json_and_render_to_the_same_page(report: Json, page: Path) -> None:
    again = json.loads(json.dumps(report, allow_nan=False))
    assert again == report
    assert render(again, page.parent) == page.read_text(encoding="utf-8")


def test_the_data_hold_what_a_reader_needs_to_repeat_the_run(report: Json) -> None:
    assert report["schema_version"] == SCHEMA_VERSION
    assert report["run"] == {
        "started": "2026-01-02T03:04:05+00:00", "seconds": 61.0, "seed": 1, "quick": True, "jobs": 1,
        "claims_in_registry": 7, "statistical_tests": 2, "statistical_test_limit": 400,
        "false_alarm_total": 1e-6,
    }  # fmt: skip
    assert {"python", "platform", "machine", "cores", "libraries", "git"} == set(report["environment"])
    assert {claim["id"]: claim["verdict"] for claim in report["claims"]} == sample_claims.EXPECTED
    assert next(claim for claim in report["claims"] if claim["id"] == "loose")["recorded"] == Verdict.HOLDS
    assert report["claims"][0]["check"] == {
        "file": "tests/support/sample_claims.py",
        "line": sample_claims.check_holds.__code__.co_firstlineno,
    }


def test_equations_carry_what_their_own_examinations_found(report: Json) -> None:
    items = {item["label"]: item for item in report["items"]}
    assert items["Eq. (1)"]["claims"] == [{"id": "squares", "verdict": "holds", "stood": True}]
    assert items["Eq. (5)"]["claims"] == [{"id": "wrong", "verdict": "fails", "stood": False}]
    assert items["Theorem 1"]["claims"] == [{"id": "squares", "verdict": "holds", "stood": None}]
    assert items["Eq. (8)"]["status"] == "definition"


def test_the_environment_names_our_libraries() -> None:
    found = environment()
    libraries = found["libraries"]
    assert isinstance(libraries, dict)
    assert {"grasp-theory", "numpy", "scipy", "torch"} <= set(libraries)
    assert "pytest" not in libraries


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (float("inf"), "inf"),
        (np.nan, "nan"),
        ("a", "a"),
    ],
)
def test_figures_become_plain(value: object, plain: object) -> None:
    found = _plain(value)  # type: ignore[arg-type]
    assert found == plain
    assert type(found) is type(plain)


def test_another_schema_version_is_refused(report: Json, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="schema_version"):
        render({**report, "schema_version": 0}, tmp_path)


def test_the_page_is_well_formed_and_its_ids_are_unique(tree: Element) -> None:
    found = ids(tree)
    assert len(found) == len(set(found))
    (html,) = [child for child in tree.children if child.tag == "html"]
    assert html.attributes["lang"] == "en"
    assert tree.all("title")[0].text


def test_the_page_loads_nothing_and_runs_only_its_own_filters(tree: Element, page: Path) -> None:
    (script,) = tree.all("script")
    assert script.attributes == {}
    for asking in ("http", "fetch(", "XMLHttpRequest", "import", "innerHTML", "eval(", "src"):
        assert asking not in script.text
    for element in tree.all():
        for name, value in element.attributes.items():
            assert not name.startswith("on"), f"<{element.tag} {name}>"
            assert name not in LOADING, f"<{element.tag} {name}={value}>"
            if name == "href" and element.tag != "a":
                assert value == "data:,"
    styles = " ".join(style.text for style in tree.all("style"))
    assert "url(" not in styles
    assert "@import" not in styles
    assert "http" not in re.sub(r"<[^>]*>", "", styles)


def test_every_link_leads_somewhere(tree: Element, page: Path) -> None:
    anchors = set(ids(tree))
    for link in tree.all("a"):
        target = str(link.attributes["href"])
        if target.startswith("#verdict="):
            (chosen,) = [e for e in tree.all("input") if f"#verdict={e.attributes.get('value')}" == target]
            assert chosen.attributes["name"] == "verdict"
        elif target.startswith("#"):
            assert target[1:] in anchors
        else:
            assert (page.parent / target).resolve().is_file()
            assert not os.path.isabs(target)


def test_headings_descend_one_level_at_a_time(tree: Element) -> None:
    levels = [int(e.tag[1]) for e in in_order(tree) if re.fullmatch(r"h[1-6]", e.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def in_order(element: Element) -> list[Element]:
    return [found for child in element.children for found in (child, *in_order(child))]


def test_tables_plots_and_inputs_say_what_they_are(tree: Element) -> None:
    for table in tree.all("table"):
        assert table.all("caption")[0].text
        assert all(header.attributes.get("scope") in {"col", "row"} for header in table.all("th"))
    plots = [svg for svg in tree.all("svg") if svg.attributes.get("role") == "img"]
    assert len(plots) == 2
    for svg in plots:
        title, description = svg.all("title")[0], svg.all("desc")[0]
        assert svg.attributes["aria-labelledby"] == f"{title.attributes['id']} {description.attributes['id']}"
        assert title.text
        assert description.text
        assert svg.all("text")
    for entry in tree.all("input"):
        assert entry.parent is not None
        assert entry.parent.tag == "label"


def test_a_claim_shows_everything_about_it(tree: Element) -> None:
    squares = claim_element(tree, "squares")
    text = squares.everything()
    for part in (
        "The claim called squares", "Section squares", "holds", "x² ≤ 1 for every x", "x ≥ 0", "(1)–(3)",
        "defines x", "the square is bounded", "numerical", "symbolic", "half", "rejected", "np.float64(1.0)",
        "none is better", "tests/support/sample_claims.py", "constant", "The second is straight on",
    ):  # fmt: skip
        assert part in text
    assert squares.all("math")
    assert squares.attributes["data-evidence"] == "symbolic numerical"
    assert squares.attributes["data-about"] == "theorem-1"
    assert "the authors' checkpoints" in claim_element(tree, "unseen").everything()


def test_text_from_claims_is_escaped(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;" in content
    assert "a &amp; b" in content


def test_errata_are_those_of_the_docs(tree: Element) -> None:
    (section,) = [s for s in tree.all("section") if s.attributes.get("id") == "errata"]
    text = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
    degrees = re.findall(r"^## (.*)$", text, re.MULTILINE)
    titles = re.findall(r"^### \d+\. (.*)$", text, re.MULTILINE)
    assert [heading.everything().strip() for heading in section.all("h3")] == degrees
    assert len(section.all("h4")) == len(titles) > 20
    starts = [int(str(each.attributes["start"])) for each in section.all("ol")]
    assert starts[0] == 1
    assert starts == sorted(set(starts))
    code = [figure.all("code")[0].text for figure in section.all("figure")]
    without_blank_lines = re.sub(r"\n\n+", "\n", text)
    assert code == re.findall(r"```\w+\n(.*?)```", without_blank_lines, re.DOTALL)


def test_an_erratum_without_a_part_is_refused() -> None:
    item = "## Wrong\n\n### 1. x\n**Where**: a. **Stated**: b. **True**: c. **Why**: d.\n\n"
    item += "```python\nprint(1)\n```\n```text\n1\n```\n"
    ((degree, (erratum,)),) = parsed(item)
    assert (degree, erratum.title, erratum.parts["True"]) == ("Wrong", "x", "c.")
    with pytest.raises(ParameterError, match="give each part once"):
        parsed(item.replace("**True**: c.", ""))
    with pytest.raises(ParameterError, match="an example in each of 2 items"):
        parsed(item + "### 2. y\n**Where**: a. **Stated**: b. **True**: c. **Why**: d.\n")


def test_what_our_models_show_is_told_apart(report: Json, tmp_path: Path) -> None:
    item = {
        "kind": "Figure",
        "number": 1,
        "status": "checked",
        "claims": [{"verdict": "mixed", "stood": None}],
    }
    assert _tone(item) == "mixed"
    item["claims"] = [*item["claims"], {"verdict": "holds", "stood": None}]  # type: ignore[misc]
    assert _tone(item) == "holds"
    shown = json.loads(json.dumps(report))
    shown["claims"][0].update(verdict="does not replicate")
    assert 'class="badge tone does-not-replicate"' in render(shown, tmp_path)


def test_the_index_has_every_numbered_item(tree: Element, report: Json) -> None:
    rows = [row for row in tree.all("tr") if str(row.attributes.get("id", "")).startswith("item-")]
    assert len(rows) == len(report["items"]) == 130
    texts = {row.all("th")[0].text: " ".join(row.everything().split()) for row in rows}
    assert "holds" in texts["Eq. (1)"]
    assert "fails" in texts["Eq. (5)"]
    assert "not accounted for" in texts["Eq. (107)"]
    assert "defines y" in texts["Eq. (8)"]


def test_deviations_problems_and_broken_checks_are_on_the_page(
    report: Json, tree: Element, tmp_path: Path
) -> None:
    text = tree.everything()
    assert "holds → holds with caveat" in text
    assert "too many tests" in text
    broken = json.loads(json.dumps(report))
    broken["claims"][0].update(verdict="broken check", problem="Traceback: <it> broke")
    assert "Traceback: &lt;it&gt; broke" in render(broken, tmp_path)


def test_a_partial_run_says_so(report: Json, tmp_path: Path) -> None:
    part = json.loads(json.dumps(report))
    part["claims"] = part["claims"][:1]
    shown = Tree(render(part, tmp_path)).root
    assert "1 of 7 claims checked (a partial run)" in " ".join(shown.everything().split())
    assert {str(each.attributes["id"]) for each in shown.all("section") if "id" in each.attributes} == {
        "claims",
        "run",
    }
    assert "open" in shown.all("details")[0].attributes
    assert "partial" not in render(report, tmp_path)


def test_source_links_are_relative_to_the_page(report: Json) -> None:
    assert 'href="../tests/support/sample_claims.py"' in render(report, ROOT / "report")


@pytest.mark.parametrize(
    ("value", "markup"),
    [
        (1.0, "1"),
        (1 / 3, '<span title="0.3333333333333333">1/3</span>'),
        (75264, '<span title="75264">75,264</span>'),
        ("s_0 off by 0.30000000000000004", "s<sub>0</sub> off by 0.3"),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_a_rounded_figure_keeps_its_digits_in_its_title(value: float | int | str, markup: str) -> None:
    assert _figure(value) == markup


def test_no_text_shows_a_float_as_it_is(tree: Element) -> None:
    shown = [e.text for e in tree.all() if e.tag not in {"pre", "code", "script", "style"}]
    assert [text for text in shown if re.search(r"\d\.\d{9}|\d[eE][+-]\d", text)] == []


def test_what_is_printed_of_a_folded_claim_says_why(tree: Element) -> None:
    (why,) = [e for e in claim_element(tree, "loose").all("ul") if e.attributes.get("class") == "reasons"]
    assert "the bound is a hundred times too large" in why.everything()


def test_what_is_missing_stands_once(tree: Element) -> None:
    claim = claim_element(tree, "unseen")
    assert claim.everything().count("the authors' checkpoints") == 1
    (why,) = [e for e in claim.all("ul") if e.attributes.get("class") == "reasons alone"]
    assert why.everything().strip() == "Missing here: the authors' checkpoints"


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([4], "(4)"), ([1, 2], "(1)–(2)"), ([1, 2, 3, 7, 9, 10], "(1)–(3), (7), (9)–(10)")],
)
def test_equation_numbers_are_joined(numbers: list[int], text: str) -> None:
    assert _ranges(numbers) == text


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("L_S ≥ 2μ²|λ|^{2(T−1)}", "L<sub>S</sub> ≥ 2μ²|λ|<sup>2(T−1)</sup>"),
        ("λ_max(s_{t+1}) at 10^-9", "λ<sub>max</sub>(s<sub>t+1</sub>) at 10<sup>-9</sup>"),
        ("W_∞, L_σ and A^T s_0", "W<sub>∞</sub>, L<sub>σ</sub> and A<sup>T</sup> s<sub>0</sub>"),
        (
            "max_{|z|=1} ρ, max_k ‖J^k‖, argmax_x",
            "max<sub>|z|=1</sub> ρ, max<sub>k</sub> ‖J<sup>k</sup>‖, argmax_x",
        ),
        ("∇_{s_1} L_F, ‖x‖_2", "∇<sub>s<sub>1</sub></sub> L<sub>F</sub>, ‖x‖<sub>2</sub>"),
        ("m + 2η_sμ", "m + 2η<sub>s</sub>μ"),
        ("two_pendulums_on_a_cart, step_size", "two_pendulums_on_a_cart, step_size"),
        ("a < b & c^2", "a &lt; b &amp; c<sup>2</sup>"),
    ],
)
def test_plain_text_mathematics_is_typeset_and_names_are_not(text: str, markup: str) -> None:
    assert _typeset(text) == markup
