"""The tests do not depend on each other, nor on how many cores there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

SUPPORT = Path(__file__).parents[1] / "support"
AFTER_A_TIME_OUT = """
import time, warnings
import numpy as np, pytest, torch

def state():
    return torch.is_grad_enabled(), torch.get_default_dtype(), float(torch.rand(())), np.random.rand(), len(warnings.filters)

FOUND = []

def test_before():
    FOUND.append(state())

@pytest.mark.timeout(0.5)
def test_whose_time_is_up():
    torch.set_grad_enabled(False)  # as where the time is up between a block's entry and its exit
    torch.set_default_dtype(torch.float64)
    warnings.simplefilter("ignore")
    time.sleep(60)

def test_after():
    assert state() == FOUND[0]
"""


def test_a_test_whose_time_is_up_leaves_nothing_to_those_after_it(tmp_path: Path) -> None:
    (tmp_path / "test_three.py").write_text(AFTER_A_TIME_OUT)
    (tmp_path / "pytest.ini").touch()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "isolation",
        "-p",
        "no:cacheprovider",
        str(tmp_path),
    ]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SUPPORT)},
        cwd=tmp_path,
        check=False,
    )
    assert "1 failed, 2 passed" in ran.stdout, ran.stdout
    assert "test_whose_time_is_up" in ran.stdout


def test_numerical_libraries_have_one_thread() -> None:
    assert torch.get_num_threads() == 1
    code = "import os, numpy; numpy.ones((600, 600)) @ numpy.ones((600, 600)); print(len(os.listdir('/proc/self/task')))"
    if Path("/proc/self/task").exists():
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == "1"
