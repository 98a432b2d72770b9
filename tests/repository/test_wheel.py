"""The wheel builds, installs in an empty environment, and works without the checkout."""

from __future__ import annotations

import re
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
    data = {"report/verdicts.json", "report/errata.md", "claims/ours/counts.json"}
    assert {f"paper_checks/{name}" for name in data} <= set(names)
    assert any(name.startswith("paper_checks/report/templates/") for name in names)
    assert any(name.startswith("linear_systems/examples/data/") and name.endswith(".json") for name in names)


TASKS = """
import gymnasium

import grasp_theory.tasks

environment = gymnasium.make("grasp_theory/PushT-v0")
environment.reset(seed=0)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_wheel_is_of_use_alone(wheel: Path, tmp_path: Path) -> None:
    """In an empty environment, away from the checkout: a claim first; then, with the extra, the README's example."""
    venv.create(tmp_path / "env", with_pip=True)

    def python(*words: str) -> str:
        command = [str(tmp_path / "env" / "bin" / "python"), *words]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def install(what: str) -> None:
        python("-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt"), what)

    install(str(wheel))
    shown = python(
        "-m", "paper_checks", "--quick", "--claim", "setting", "--output", str(tmp_path / "report")
    )
    assert "holds" in shown
    assert (tmp_path / "report" / "claim-setting.html").exists()

    install(f"{wheel}[tasks]")
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (example,) = (each for each in snippets if "world_models import" in each)
    python("-c", example)
    python("-c", TASKS)
