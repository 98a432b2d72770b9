"""Every erratum has its parts, and its example runs alone and prints what the page shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "errata.md").read_text(encoding="utf-8")
ITEMS = re.findall(r"^### (\d+)\. (.*?)\n(.*?)(?=^### |^## |^Misprints|\Z)", TEXT, re.DOTALL | re.MULTILINE)
EXAMPLE = re.compile(r"```python\n(.*?)```\n+```text\n(.*?)```", re.DOTALL)


def test_there_are_about_35_in_four_degrees() -> None:
    degrees = ["Wrong", "Needs a condition", "Loose", "Presentation"]
    assert re.findall(r"^## (.*)", TEXT, re.MULTILINE) == degrees
    assert [int(number) for number, *_ in ITEMS] == list(range(1, len(ITEMS) + 1))
    assert 20 <= len(ITEMS) <= 36


@pytest.mark.parametrize(("number", "title", "body"), ITEMS, ids=[number for number, *_ in ITEMS])
def test_an_item_has_its_parts_and_a_short_example_that_prints_what_is_shown(
    number: str, title: str, body: str
) -> None:
    for part in ("**Where**", "**Stated**", "**True**", "**Why**"):
        assert part in body, f"item {number} lacks {part}"
    ((code, shown),) = EXAMPLE.findall(body)
    assert 3 <= len([line for line in code.splitlines() if line.strip()]) <= 18
    imported = re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE)
    assert set(imported) <= {"math", "numpy", "scipy"}
    run = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.rstrip() == shown.rstrip()


def test_a_changed_figure_is_noticed() -> None:
    code, shown = next(each for each in EXAMPLE.findall(TEXT) if "a, eta, T = 1.1" in each[0])
    run = subprocess.run(
        [sys.executable, "-I", "-c", code.replace("1.1", "1.11")], capture_output=True, text=True, check=True
    )
    assert run.stdout.rstrip() != shown.rstrip()
