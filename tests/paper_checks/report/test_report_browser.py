"""The page in a real browser: silent, offline, filterable, and never wider than the window."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paper_checks.engine.records import Verdict
from paper_checks.report.errata import errata
from paper_checks.report.page import render
from paper_checks.report.serialise import Json

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (the group dev has it)"
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH: apt-get install chromium")

VISIBLE = "articles => articles.filter(a => a.checkVisibility()).map(a => a.querySelector('.id').textContent)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # The sandbox needs privileges that containers lack; the page under test is our own.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Any, page: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, java_script_enabled=True)
    tab = context.new_page()
    tab.heard, tab.asked = [], []
    tab.on("console", lambda message: tab.heard.append(message.text))
    tab.on("pageerror", lambda error: tab.heard.append(str(error)))
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.goto(page.as_uri())
    yield tab
    context.close()


def visible(tab: Any) -> list[str]:
    return list(tab.locator("article.claim").evaluate_all(VISIBLE))


ALL = ["squares", "loose", "wrong", "sampled", "one-thread", "unseen", "notation"]


def test_it_opens_in_silence_and_asks_for_nothing(tab: Any, page: Path) -> None:
    tab.wait_for_load_state("networkidle")
    assert tab.heard == []
    assert tab.asked == [page.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_overflows(width: int, scheme: str, tab: Any) -> None:
    tab.set_viewport_size({"width": width, "height": 900})
    tab.emulate_media(color_scheme=scheme)
    for opened in (False, True):
        tab.evaluate(f"document.querySelectorAll('details').forEach(d => d.open = {str(opened).lower()})")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        # What scrolls inside its own box may be wide; everything else must end inside the window.
        outside = tab.evaluate(
            """width => [...document.querySelectorAll('body *')]
                .filter(e => e.checkVisibility() && !e.closest('.hidden, .skip') && !e.parentElement.closest('.formula'))
                .filter(e => [e.getBoundingClientRect()].some(b => b.right > width + 0.5 || b.left < -0.5))
                .map(e => e.outerHTML.slice(0, 100))""",
            width,
        )
        assert outside == []


def test_all_words_of_a_search_must_be_in_a_claim(tab: Any) -> None:
    assert visible(tab) == ALL
    search = tab.get_by_role("searchbox", name="Search")
    search.fill("X² bound")
    assert visible(tab) == ["squares", "loose"]
    assert tab.get_by_role("status").inner_text() == "2 of 7 claims shown"
    search.fill("no claim has this")
    assert visible(tab) == []
    search.press("Escape")
    assert visible(tab) == ALL
    assert search.input_value() == ""


def test_chips_of_one_kind_add_and_of_two_kinds_narrow(tab: Any) -> None:
    tab.get_by_role("checkbox", name="holds with caveat").check()
    tab.get_by_role("checkbox", name="fails").check()
    assert visible(tab) == ["loose", "wrong"]
    tab.get_by_role("checkbox", name="Theorem 1").check()
    assert visible(tab) == []
    tab.get_by_role("checkbox", name="holds with caveat").uncheck()
    tab.get_by_role("checkbox", name="fails").uncheck()
    assert visible(tab) == ["squares"]
    tab.get_by_role("button", name="Show all").click()
    assert visible(tab) == ALL
    tab.get_by_role("checkbox", name="numerical").check()
    assert visible(tab) == ["squares", "loose", "wrong"]


def test_the_address_keeps_the_filters(tab: Any, page: Path) -> None:
    tab.get_by_role("searchbox").fill("x² ≤ 1")
    tab.get_by_role("checkbox", name="fails").check()
    assert "verdict=fails" in tab.url
    assert visible(tab) == ["wrong"]
    address = tab.url
    tab.goto("about:blank")
    tab.goto(address)
    assert visible(tab) == ["wrong"]
    assert tab.get_by_role("searchbox").input_value() == "x² ≤ 1"
    assert tab.get_by_role("checkbox", name="fails").is_checked()
    tab.get_by_role("button", name="Show all").click()
    tab.wait_for_function("location.hash === '#claims'")
    assert tab.heard == []


def test_a_count_at_a_glance_leads_to_its_claims(tab: Any) -> None:
    tab.get_by_role("link", name="fails").first.click()
    assert visible(tab) == ["wrong"]
    assert tab.locator("#claims").bounding_box()["y"] < 100


def test_an_address_that_names_nothing_hides_nothing(tab: Any, page: Path) -> None:
    tab.goto("about:blank")
    tab.goto(f"{page.as_uri()}#verdict=nonsense&about=<b>&__proto__=x&q=")
    assert visible(tab) == ALL
    assert tab.heard == []


def test_filters_work_from_the_keyboard(tab: Any) -> None:
    tab.keyboard.press("/")
    tab.keyboard.type("sampled")
    assert visible(tab) == ["sampled"]
    tab.keyboard.press("Escape")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    assert visible(tab) == ["squares"]  # the first chip is Theorem 1
    assert tab.get_by_role("checkbox", name="Theorem 1").is_checked()


def test_without_script_everything_is_shown(browser: Any, page: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(page.as_uri())
    assert tab.locator("article.claim:visible").count() == len(ALL)
    assert not tab.locator(".filters").is_visible()
    context.close()


def test_a_link_opens_its_claim_even_where_a_filter_hides_it(tab: Any) -> None:
    tab.get_by_role("checkbox", name="Theorem 1").check()
    tab.locator("#item-eq-5 a").click()
    assert visible(tab) == ["squares", "wrong"]
    assert tab.locator("#claim-wrong").is_visible()


def test_the_glance_fits_one_screen_even_with_every_verdict(tab: Any, report: Json, tmp_path: Path) -> None:
    claims = [{**report["claims"][3], "id": f"claim-{i}", "verdict": str(v)} for i, v in enumerate(Verdict)]
    items = [{**item, "claims": []} for item in report["items"]]
    path = tmp_path / "index.html"
    confirmed = {**report, "claims": claims, "items": items, "problems": [], "deviations": []}
    path.write_text(render(confirmed, tmp_path), encoding="utf-8")
    tab.goto(path.as_uri())
    assert tab.locator(".tally > li").count() == len(Verdict)
    assert tab.locator("#glance").bounding_box()["y"] > 0
    assert tab.evaluate("document.querySelector('#glance').getBoundingClientRect().bottom") <= 900


def test_one_click_selects_an_instance(tab: Any) -> None:
    tab.locator("#errata summary").first.click()
    tab.locator("#errata pre code").first.click()
    selected = tab.evaluate("getSelection().toString()")
    # Chromium leaves empty lines out of the text of a selection.
    assert lines(selected) == lines(errata()[0][1][0].example)


def lines(text: str) -> list[str]:
    """The lines that are not empty."""
    return [line for line in text.splitlines() if line.strip()]


def test_mathml_is_laid_out(tab: Any) -> None:
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    box = tab.locator("#claims math").first.bounding_box()
    assert box["width"] > 30
    assert box["height"] > 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_contrasts_with_its_background(scheme: str, tab: Any) -> None:
    """WCAG 2 asks for 4.5 between text and background."""
    tab.emulate_media(color_scheme=scheme)
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    faint = tab.evaluate(CONTRAST)
    assert faint == []


CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const paint = colours => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = rgb => {
    const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest('.skip, .hidden')) continue;
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.unshift(getComputedStyle(e).backgroundColor);
    const behind = paint(layers);
    const style = getComputedStyle(element);
    const front = paint([...layers, element.closest('svg') ? style.fill : style.color]);
    const [a, b] = [luminance(front), luminance(behind)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push([element.outerHTML.slice(0, 90), (a + 0.05) / (b + 0.05)]);
  }
  return faint;
}"""


def test_print_folds_what_is_folded_and_says_why(tab: Any) -> None:
    tab.locator("summary", has_text="The claim called squares").click()
    tab.emulate_media(media="print")
    assert tab.locator("#claim-squares .examination").first.is_visible()
    assert not tab.locator("#claim-loose .examination").first.is_visible()
    assert tab.get_by_text("the bound is a hundred times too large").last.is_visible()
    assert not tab.locator(".filters").is_visible()
    assert not tab.locator("#errata pre").first.is_visible()


def test_the_print_view_is_short(tab: Any) -> None:
    pages = re.findall(rb"/Type\s*/Page\b", tab.pdf(format="A4"))
    assert 5 < len(pages) <= 20  # of 7 claims and all errata
