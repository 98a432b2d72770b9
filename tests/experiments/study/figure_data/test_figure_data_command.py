"""`figure-data` on the command line: skips, goes on, measures anew what is out of date."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from experiments.study.figure_data import figure_data, read
from experiments.study.figure_data import figure_data_command as command
from grasp_theory.command_line import add, new_app

app = new_app()
add(app, figure_data, "")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is measured, in order; the measurement itself is nothing."""
    calls: list[str] = []

    def part(name: str):
        def nothing(sizes):
            calls.append(name)
            return {"nothing": np.zeros(1)}, {"share": {"value": 1.0, "count": sizes.problems}}

        return nothing

    monkeypatch.setattr(command, "FIGURES", {1: {"a": part("a"), "b": part("b")}, 3: {"c": part("c")}})
    return calls


def _run(out: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["--out", str(out), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_second_run_leaves_out_what_is_there(measured: list[str], tmp_path: Path) -> None:
    _run(tmp_path, "--quick", "--only", "3")
    assert measured == ["c"]
    assert "figure 3: there already" in _run(tmp_path, "--quick")
    assert measured == ["c", "a", "b"]
    assert set(read(tmp_path, 1).numbers) == {"a", "b"}
    _run(tmp_path, "--quick", "--only", "3", "--overwrite")
    assert measured == ["c", "a", "b", "c"]


def test_full_mode_replaces_quick_data_and_not_the_other_way(measured: list[str], tmp_path: Path) -> None:
    _run(tmp_path, "--quick", "--only", "3")
    _run(tmp_path, "--only", "3")
    assert read(tmp_path, 3).numbers["c"]["share"]["count"] == command.FULL.problems
    _run(tmp_path, "--quick", "--only", "3")
    assert measured == ["c", "c"]


def test_other_models_or_settings_make_data_out_of_date(
    measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(tmp_path, "--only", "3")
    inputs = command.inputs()
    monkeypatch.setattr(command, "inputs", lambda: inputs | {"models": {"other": "weights"}})
    _run(tmp_path, "--only", "3")
    assert measured == ["c", "c"]


def test_a_killed_figure_leaves_the_others_whole(measured: list[str], tmp_path: Path) -> None:
    _run(tmp_path, "--only", "3")
    # What a write that was killed leaves behind.
    (tmp_path / "figures" / "figure_1.npz.1.partial").write_bytes(b"half")
    (tmp_path / "figures" / "figure_1.npz").write_bytes(b"half")
    _run(tmp_path, "--only", "1")
    assert measured == ["c", "a", "b"]
    assert read(tmp_path, 1).provenance["seed"] == 0


def test_an_unknown_figure_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--only", "2", "--out", str(tmp_path)])
    assert result.exit_code == 2
