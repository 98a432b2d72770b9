"""docs/worlds.md shows the verdicts that the stored trials give now, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from experiments.__main__ import app

PAGE = (Path(__file__).parents[2] / "docs" / "worlds.md").read_text(encoding="utf-8")


def test_the_verdicts_are_those_of_the_stored_trials() -> None:
    shown = re.search(r"<!-- verdicts: as `python -m (.*)` prints them -->\n(.*)<!-- end", PAGE, re.DOTALL)
    assert shown is not None
    printed = CliRunner().invoke(app, shown[1].split()[1:])
    assert printed.exit_code == 0
    assert printed.output.strip() == shown[2].strip()


def test_the_example_runs() -> None:
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    small = (
        code[1]
        .replace("100, seed", "2, seed")
        .replace("3000 * 60", "400 * 60")
        .replace("print(", "found = (")
    )
    names: dict[str, object] = {}
    exec(small, names)
    assert "2 problems" in repr(names["found"])
