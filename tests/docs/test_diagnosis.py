"""docs/diagnosis.md: its Python runs, one block after the other, and prints what the page shows."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "diagnosis.md"
NUMBER = r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]\d+)?"


def test_the_example_prints_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shown = re.search(r"<!-- printed -->\n```text\n(.*?)```\n<!-- end", text, re.DOTALL)
    assert shown is not None
    assert len(blocks) == 2
    names: dict[str, object] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks[0], PAGE.name, "exec"), names)
    # Words to the letter, figures to a twentieth: the last digits differ between machines, and with them the lines' ends.
    said, page = (re.sub(NUMBER, "#", each).split() for each in (printed.getvalue(), shown[1]))
    assert said == page
    found, expected = (
        [float(x) for x in re.findall(NUMBER, each)] for each in (printed.getvalue(), shown[1])
    )
    assert found == pytest.approx(expected, rel=0.05)
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks[1], PAGE.name, "exec"), names)
    assert (tmp_path / "diagnosis.html").exists()
