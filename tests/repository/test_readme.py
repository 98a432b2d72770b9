"""What the README shows runs, and what it points to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiments.evaluation.overview import summary
from grasp_theory.world_models import available

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
LINKS = [target for target in re.findall(r"\]\(([^)#]+)\)", TEXT) if not target.startswith("http")]


def test_there_are_snippets_and_links() -> None:
    assert len(SNIPPETS) >= 2
    assert len(LINKS) >= 4


@pytest.fixture(scope="module")
def names() -> dict[str, object]:
    """What the snippets before have defined."""
    return {}


@pytest.mark.parametrize("index", range(len(SNIPPETS)))
def test_snippets_run_one_after_the_other(index: int, names: dict[str, object]) -> None:
    exec(compile(SNIPPETS[index], "README.md", "exec"), names)


@pytest.mark.parametrize("target", LINKS)
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", TEXT, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_table_of_models_is_that_of_their_cards() -> None:
    page = (ROOT / "docs/world_models.md").read_text()
    shown = re.search(r"<!-- models: [^\n]*\n(.*?)\n<!-- end of models -->", page, re.DOTALL)
    assert shown is not None
    assert shown[1] == summary(available())
