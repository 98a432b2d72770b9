"""Commands that are killed at random moments, or started twice at once, end with the results of one undisturbed run.

They take 20 minutes, so they are run on demand: KILLS=1 python -m pytest -m slow tests/experiments/test_kills.py; and
`python tests/support/kills.py --kills 300` does it at length.
"""

from __future__ import annotations

import os
import random
import shutil
import uuid
from pathlib import Path

import pytest
from kills import CASES, one_trial, undisturbed

pytestmark = pytest.mark.skipif("KILLS" not in os.environ, reason="KILLS=1 runs it, in 20 minutes")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tune on two", "figures", "verify"])
def test_a_killed_command_leaves_nothing_behind_and_goes_on(name: str, tmp_path: Path) -> None:
    whole, seconds = undisturbed(CASES[name], tmp_path / "whole")
    outcome = one_trial(CASES[name], whole, seconds, tmp_path / "killed", random.Random(name))
    assert not outcome["wrong"]
    assert outcome["kills"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CASES))
def test_two_at_once_on_one_folder(name: str, tmp_path: Path) -> None:
    """Both get through, or the second is refused in a line that says why; what is stored is as if there were one."""
    case = CASES[name]
    whole, _ = undisturbed(case, tmp_path / "whole")
    shutil.rmtree(tmp_path / "whole")
    folder = tmp_path / "shared"
    folder.mkdir()
    runs = [case.start(folder, uuid.uuid4().hex, f"output {each}.txt") for each in range(2)]
    codes = [run.wait() for run in runs]
    outputs = [(folder / f"output {each}.txt").read_text(encoding="utf-8") for each in range(2)]
    assert 0 in codes, outputs
    for code, output in zip(codes, outputs, strict=True):
        assert "Traceback" not in output
        assert code == 0 or (code == 2 and output.strip().splitlines()[-1].startswith("error: ")), output
    assert case.results(folder) == whole
