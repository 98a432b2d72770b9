"""Running: what is missing and nothing else, whatever kills it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import psutil
import pytest
from polars.testing import assert_frame_equal
from study_cases import fake_rows, small_unit

from experiments.study.execute import execute, here, processes, runner, study_work
from experiments.study.trials.store import Store
from experiments.study.trials.unit import Unit, unit_key
from linear_systems.errors import ParameterError

ROOT = Path(__file__).parents[3]
SIX = [small_unit(first=first, mode=mode) for first in (0, 2, 4) for mode in ("batch", "single")]
NOT_RESULTS = ("first_seconds", "seconds", "load", "finished")


def test_only_what_is_missing_is_computed(tmp_path: Path) -> None:
    store, seen = Store(tmp_path), []

    def fake(units: Sequence[Unit]) -> Iterator[tuple[Unit, pl.DataFrame]]:
        for unit in units:
            seen.append(unit)
            yield unit, fake_rows(unit_key(unit))

    assert execute(SIX[:2], store, fake, progress=False) == 2
    assert execute([*SIX[:4], SIX[3]], store, fake, progress=False) == 2
    assert seen == SIX[:4]
    store.compact()
    assert execute(SIX[:4], store, fake, progress=False) == 0


def test_a_unit_that_fails_keeps_what_was_done_before(tmp_path: Path) -> None:
    def failing(units: Sequence[Unit]) -> Iterator[tuple[Unit, pl.DataFrame]]:
        yield units[0], fake_rows(unit_key(units[0]))
        raise ParameterError("model", "one that works", "one that does not", "another")

    with pytest.raises(ParameterError, match="one that works"):
        execute(SIX, Store(tmp_path), failing, progress=False)
    assert Store(tmp_path).units() == {unit_key(SIX[0])}
    Store(tmp_path).compact()  # the lock is free


def test_work_grows_with_what_is_asked_for() -> None:
    assert study_work(small_unit(count=4)) == 2 * study_work(small_unit(count=2))
    assert study_work(small_unit(horizon=8)) == 2 * study_work(small_unit(horizon=4))
    assert study_work(small_unit(budget=60)) == 2 * study_work(small_unit(budget=30))


@pytest.mark.slow
def test_processes_give_the_same_rows(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    execute(SIX, one, here, progress=False)
    execute(SIX, two, lambda units: processes(units, 2), progress=False)
    assert_frame_equal(one.rows().drop(NOT_RESULTS), two.rows().drop(NOT_RESULTS))


@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_run(tmp_path: Path) -> None:
    many = "list(replace(SIX[0], first=2 * i) for i in range(90))"
    code = RUN.replace("execute(SIX,", f"execute({many},").replace(
        ", here, progress", ", lambda u: processes(u, 2), progress"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    store = Store(tmp_path)
    while not store.units():
        assert run.poll() is None
        time.sleep(0.05)
    family = psutil.Process(run.pid).children(recursive=True)
    assert len(family) >= 2
    run.kill()
    run.wait()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive


def test_a_device_is_refused_where_it_would_be_ignored() -> None:
    with pytest.raises(ParameterError, match="device"):
        runner(workers=2, device="cuda")
    with pytest.raises(ParameterError, match="gpus"):
        runner(ray="auto", device="cuda")


RUN = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = ["tests/support", "tests/experiments/study"]
from test_execute import SIX
from experiments.study.execute import execute, here, processes
from experiments.study.trials.store import Store
execute(SIX, Store(Path(sys.argv[1])), here, progress=False)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_rows(tmp_path: Path) -> None:
    """SIGKILL as soon as there is a first result, then after every further one, until the run gets through."""
    whole, torn = Store(tmp_path / "whole"), Store(tmp_path / "torn")
    execute(SIX, whole, here, progress=False)
    kills = 0
    for _ in range(20):
        before = len(torn.units())
        run = subprocess.Popen(
            [sys.executable, "-c", RUN, str(torn.folder)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        while run.poll() is None:
            if len(torn.units()) > before:
                run.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
        if run.wait() == 0:
            break
        assert run.returncode == -signal.SIGKILL
        kills += 1
        if kills == 2:
            torn.compact()
    assert kills >= 2
    assert_frame_equal(torn.rows().drop(NOT_RESULTS), whole.rows().drop(NOT_RESULTS))
