"""What the README and the first pages of the guide show runs, and what they point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from torch import Tensor

from experiments.evaluation.overview import summary
from grasp_theory.world_models import available

ROOT = Path(__file__).parents[2]
PAGES = {
    page: (ROOT / page).read_text() for page in ("README.md", "docs/planning.md", "docs/linear_systems.md")
}
TEXT = PAGES["README.md"]
SNIPPETS = {page: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for page, text in PAGES.items()}
LINKS = [
    (page, target)
    for page, text in PAGES.items()
    for target in re.findall(r"\]\(([^)#]+)\)", text)
    if not target.startswith("http")
]


def test_there_are_snippets_and_links_and_not_too_much() -> None:
    assert all(SNIPPETS.values())
    assert len(LINKS) >= 20
    assert len(TEXT.splitlines()) <= 200


@pytest.fixture(scope="module")
def names() -> dict[str, dict[str, object]]:
    """What the snippets before, of the same page, have defined."""
    return {page: {} for page in PAGES}


@pytest.mark.parametrize(
    ("page", "index"), [(page, i) for page, all_ in SNIPPETS.items() for i in range(len(all_))]
)
def test_snippets_run_one_after_the_other(
    page: str, index: int, names: dict[str, dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    snippet = SNIPPETS[page][index]
    exec(compile(snippet, page, "exec"), names[page])
    shown = re.match(r"```\n(.*?)```\n", PAGES[page].split(snippet)[1].removeprefix("```\n\n"), re.DOTALL)
    if shown is not None:  # figures differ between machines, words do not
        assert _words(capsys.readouterr().out) == _words(shown[1])


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z_]\w+", text)


def test_what_the_readme_accepts_is_true(names: dict[str, dict[str, object]]) -> None:
    true, accepted = (names["README.md"][name] for name in ("true", "accepted"))
    assert isinstance(true, Tensor)
    assert isinstance(accepted, Tensor)
    assert true.float().mean() < 0.8
    assert true[accepted].float().mean() > 0.9
    assert true[accepted].sum() > 0.8 * true.sum()


@pytest.mark.parametrize(("page", "target"), LINKS)
def test_links_lead_somewhere(page: str, target: str) -> None:
    assert ((ROOT / page).parent / target).exists()


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", TEXT, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_table_of_models_is_that_of_their_cards() -> None:
    page = (ROOT / "docs/world_models.md").read_text()
    shown = re.search(r"<!-- models: [^\n]*\n(.*?)\n<!-- end of models -->", page, re.DOTALL)
    assert shown is not None
    assert shown[1] == summary(available())
