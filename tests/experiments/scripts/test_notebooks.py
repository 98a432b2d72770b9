"""Every notebook runs from top to bottom, and what is stored of it could have come from anywhere."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
NOTEBOOKS = sorted((ROOT / "experiments" / "notebooks").glob("*.ipynb"))
RUN_LIMIT, CELL_LIMIT = 240, 120
"""Seconds for a quick run and for one cell of it on a busy core: several times what they need on a free one."""
SIZE_LIMIT = 1.5 * 2**20
ABSOLUTE_PATH = re.compile(
    r"(?<![\w./:])/(?:home|root|Users|usr|opt|mnt|srv|tmp|var|work|private|workspace)/|\b[A-Za-z]:\\\\?Users"
)

LINK = re.compile(r"\]\(([^)#]+)\)")
QUOTED = re.compile(r"```.*?```|`[^`]*`|\$[^$]*\$|\]\([^)]*\)", re.DOTALL)
MEASURED = re.compile(r"\d+\.\d|\d\s?%")
"""Decimals and percentages: what a run gives, and so must stand where a cell computed it."""
PICTURE = re.compile(r'src="data:image/gif;base64,([A-Za-z0-9+/=]+)"')

for_each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def prose(notebook: dict[str, Any]) -> list[str]:
    """What the text cells say."""
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]


def measured_in(text: str) -> list[str]:
    """Which figures stand in a text, apart from code, formulas and addresses."""
    return MEASURED.findall(QUOTED.sub("", text))


def kinds(cell: dict[str, Any]) -> list[tuple[str, ...]]:
    """What a cell shows, apart from the values."""
    return [(output["output_type"], *sorted(output.get("data", ()))) for output in cell["outputs"]]


def assert_ran_cleanly(notebook: dict[str, Any]) -> None:
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell["outputs"]:
            assert output["output_type"] != "error", cell["id"]
            assert output.get("name") != "stderr", (cell["id"], output.get("text"))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.slow
@for_each
def test_it_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    # A process of its own: warnings inside the kernel's machinery are not this project's errors.
    command = [
        sys.executable,
        "-m",
        "experiments.scripts.execute_notebooks",
        str(path),
        "--output",
        str(tmp_path),
    ]
    command += ["--timeout", str(CELL_LIMIT)]
    environment = {**os.environ, "GRASP_THEORY_QUICK": "1"}
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=RUN_LIMIT, check=False
    )
    assert ran.returncode == 0, ran.stderr
    fresh, stored = load(tmp_path / path.name), load(path)
    assert_ran_cleanly(fresh)
    # A stored notebook that was edited and not run again shows something else, or nothing.
    assert [cell["source"] for cell in fresh["cells"]] == [cell["source"] for cell in stored["cells"]]
    assert [kinds(cell) for cell in code_cells(fresh)] == [kinds(cell) for cell in code_cells(stored)]


@for_each
def test_the_stored_outputs_are_of_one_clean_run(path: Path) -> None:
    notebook = load(path)
    assert_ran_cleanly(notebook)
    for cell in code_cells(notebook):
        drawn = sum("image/png" in output.get("data", ()) for output in cell["outputs"])
        source = "".join(cell["source"])
        assert drawn == source.count("plt.subplots(") + source.count(".diagram("), cell["id"]
    assert path.stat().st_size <= SIZE_LIMIT


@for_each
def test_what_is_stored_names_no_machine(path: Path) -> None:
    notebook = load(path)
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    identifiers = [cell["id"] for cell in notebook["cells"]]
    assert len(set(identifiers)) == len(identifiers)
    assert all(re.fullmatch(r"[a-z0-9-]+", identifier) for identifier in identifiers)
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("image/png", None)
        found = ABSOLUTE_PATH.search(json.dumps(cell, ensure_ascii=False))
        assert found is None, (cell["id"], found)


@for_each
def test_links_lead_to_files_that_are_there(path: Path) -> None:
    targets = [target for text in prose(load(path)) for target in LINK.findall(text) if "://" not in target]
    assert targets
    for target in targets:
        assert (path.parent / target).exists(), target


@for_each
def test_measured_figures_are_in_outputs_only(path: Path) -> None:
    for text in prose(load(path)):
        assert measured_in(text) == [], text


@pytest.mark.parametrize("text", ["it takes 3.2 s", "solved in 80% of", "about 7 % more"])
def test_a_measured_figure_in_the_text_is_noticed(text: str) -> None:
    assert measured_in(text)


@pytest.mark.parametrize(
    "text", ["five of 64×64 px", "`x = 0.1`", "$\\sigma = 0.5$", "[a](v1.2/b.md)", "Eq. (31)"]
)
def test_other_figures_may_stand_in_the_text(text: str) -> None:
    assert measured_in(text) == []


def test_the_animation_moves_and_comes_with_the_notebook() -> None:
    cells = code_cells(load(ROOT / "experiments" / "notebooks" / "comparing_planners.ipynb"))
    pages = ["".join(out.get("data", {}).get("text/html", "")) for cell in cells for out in cell["outputs"]]
    encoded = [found for page in pages for found in PICTURE.findall(page)]
    assert len(encoded) == 1
    frames = iio.imread(base64.b64decode(encoded[0]), extension=".gif")
    assert len(frames) > 10
    executed, predicted = np.array_split(frames, 2, axis=2)
    assert (executed[0] != executed[-1]).any()
    assert (predicted[0] != predicted[-1]).any()


@pytest.mark.parametrize("text", ["/home/ada/x", "saved to /tmp/x.png", '"/Users/ada/x"', r"C:\Users\ada"])
def test_absolute_paths_are_recognised(text: str) -> None:
    assert ABSOLUTE_PATH.search(json.dumps(text))


@pytest.mark.parametrize("text", ["../../docs/notation.md", "https://example.org/home/x", "a/tmp/b", "κ/κ"])
def test_relative_paths_are_not_taken_for_absolute_ones(text: str) -> None:
    assert not ABSOLUTE_PATH.search(json.dumps(text))


@pytest.mark.parametrize(
    "change",
    [
        {"execution_count": None},
        {"outputs": [{"output_type": "error", "ename": "ValueError"}]},
        {"outputs": [{"output_type": "stream", "name": "stderr", "text": "RuntimeWarning"}]},
    ],
)
def test_a_cell_that_failed_warned_or_was_skipped_is_noticed(change: dict[str, Any]) -> None:
    cell = {"cell_type": "code", "id": "x", "execution_count": 1, "outputs": []}
    assert_ran_cleanly({"cells": [cell]})
    with pytest.raises(AssertionError):
        assert_ran_cleanly({"cells": [cell | change]})
