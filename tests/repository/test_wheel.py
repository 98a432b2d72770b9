"""The wheel builds, installs in an empty environment, and works without the checkout."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_wheel_holds_the_three_packages_and_their_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {
        "linear_systems",
        "grasp_theory",
        "paper_checks",
    }
    assert {"paper_checks/report/verdicts.json", "paper_checks/claims/ours/counts.json"} <= set(names)
    assert any(name.startswith("paper_checks/report/templates/") for name in names)
    assert any(name.startswith("linear_systems/examples/data/") and name.endswith(".json") for name in names)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_wheel_installs_in_an_empty_environment_and_checks_a_claim(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel]
    subprocess.run([str(word) for word in install], check=True, capture_output=True)
    run = subprocess.run(
        [
            str(python),
            "-m",
            "paper_checks",
            "--quick",
            "--claim",
            "setting",
            "--output",
            str(tmp_path / "report"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "holds" in run.stdout
    assert (tmp_path / "report" / "index.html").exists()
