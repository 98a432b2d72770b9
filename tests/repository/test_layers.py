"""The arrows between the folders: imports only go down."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _contracts(root: Path) -> subprocess.CompletedProcess[str]:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=root, capture_output=True, text=True, check=False
    )


def test_imports_only_go_down() -> None:
    result = _contracts(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_an_upward_import_is_caught(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for package in ("linear_systems", "grasp_theory", "paper_checks", "experiments", "figures"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "linear_systems" / "__init__.py").write_text("import grasp_theory\n")
    result = _contracts(tmp_path)
    assert result.returncode != 0
    assert "linear_systems is not allowed to import grasp_theory" in result.stdout
