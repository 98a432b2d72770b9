"""Workers end with their parent, also where it is killed and they are in the middle of a long call."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# One worker sleeps, one is in C with the interpreter locked, so that no thread of its own can end it.
WORKERS = """
import os, time
from grasp_theory.workers import worker_pool

def begin(name, locked):
    open(name, "w").write(str(os.getpid()))
    if locked:
        3 ** (10**9)
    time.sleep(300)

if __name__ == "__main__":
    with worker_pool(2) as pool:
        for name in ("asleep", "locked"):
            pool.submit(begin, name, name == "locked")
        time.sleep(300)
"""
CLAIMS = """
import os, time
from paper_checks.engine.records import Claim
from paper_checks.engine.run import Settings
from paper_checks.engine.runner import run_claims

def check(*arguments):
    open("asleep", "w").write(str(os.getpid()))
    time.sleep(300)

CLAIMS = (Claim("slow", "a title", "a source", "a statement", check),)
if __name__ == "__main__":
    run_claims(["slow"], Settings(), jobs=1, registry="script:CLAIMS")
"""

# The worker loads the main module again before it does anything else, and never gets through with that.
LOADING = """
import os, time
from grasp_theory.workers import worker_pool

if __name__ != "__main__":
    open("loading", "w").write(str(os.getpid()))
    time.sleep(300)
if __name__ == "__main__":
    with worker_pool(1) as pool:
        time.sleep(300)
"""


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def _begin(folder: Path, script: str, names: list[str]) -> tuple[subprocess.Popen[bytes], list[int]]:
    (folder / "script.py").write_text(script)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    parent = subprocess.Popen(
        [sys.executable, "script.py"], cwd=folder, env=environment, start_new_session=True
    )
    while not all((folder / name).exists() and (folder / name).read_text() for name in names):
        assert parent.poll() is None
        time.sleep(0.05)
    return parent, [int((folder / name).read_text()) for name in names]


def _all_end(processes: list[int], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while any(map(_alive, processes)):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize(
    ("script", "names"), [(WORKERS, ["asleep", "locked"]), (CLAIMS, ["asleep"]), (LOADING, ["loading"])]
)
def test_no_worker_outlives_its_parent(
    tmp_path: Path, script: str, names: list[str], how: signal.Signals
) -> None:
    parent, workers = _begin(tmp_path, script, names)
    try:
        parent.send_signal(how)
        assert _all_end(workers, 5)
        parent.wait(10)
    finally:
        for process in filter(_alive, [parent.pid, *workers]):
            os.kill(process, signal.SIGKILL)


def test_every_process_is_started_by_these_means() -> None:
    """Whatever starts processes takes `worker_pool`, or ends them with `end_with_parent`."""
    for package in ("grasp_theory", "linear_systems", "paper_checks", "experiments", "figures"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            if path.name != "workers.py" and re.search(
                r"ProcessPoolExecutor|get_context|multiprocessing\.P|TiedContext", text
            ):
                assert "end_with_parent()" in text, path


INTERRUPTED = """
import os, signal, subprocess, time
from grasp_theory.workers import interrupts_wait

try:
    with interrupts_wait():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
        child = subprocess.call("kill -INT $$; exit 7", shell=True)
        print("to the end", child)
except KeyboardInterrupt:
    print("and then", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def test_interrupts_wait_and_children_do_not_hear_them() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert ran.stdout.splitlines() == ["to the end 7", "and then True"], ran.stderr
