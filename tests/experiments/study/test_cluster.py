"""The same rows from a Ray cluster as without it, also when a node dies."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest
import torch
from polars.testing import assert_frame_equal
from study_cases import fake_rows, small_unit

from experiments.study.cluster import ClusterError, WorkerMismatchError, compute, on_ray, pack
from experiments.study.execute import execute, here, runner
from experiments.study.trials.store import Store
from experiments.study.trials.unit import Unit, code_digest, model_path, unit_key
from linear_systems.errors import ParameterError

NOT_RESULTS = ("first_seconds", "seconds", "load", "finished")
OWN = "models/mine"
# Seconds each, so that a node is in the middle of one when it is killed.
UNITS = [
    small_unit(horizon=12, purpose="tuning", first=8 * i, count=8, settings=(("iterations", 200),))
    for i in range(4)
]

with_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install --group cluster")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster on this machine whose head has one processor; tests add a second node."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # no token in the home of whoever runs the tests
        patch.setenv("RAY_worker_niceness", "0")  # workers wait for nobody else's processes
        from ray.cluster_utils import Cluster

        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        yield started
        started.shutdown()


@pytest.fixture
def own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model of one's own, below the current folder: where the workers are not."""
    (tmp_path / OWN).parent.mkdir()
    for ending in (".json", ".safetensors"):
        shutil.copy(f"{model_path(UNITS[0].model)}{ending}", f"{tmp_path / OWN}{ending}")
    monkeypatch.chdir(tmp_path)
    return OWN


def killing(cluster: Any, retries: int) -> Callable[[Sequence[Unit]], Iterator[tuple[Unit, pl.DataFrame]]]:
    """Return what computes units on two nodes and, after the first result, kills the second in the middle of a unit."""

    def run(units: Sequence[Unit]) -> Iterator[tuple[Unit, pl.DataFrame]]:
        second = cluster.add_node(num_cpus=1)
        raylet = psutil.Process(second.all_processes["raylet"][0].process.pid)
        workers: list[psutil.Process] = []
        for result in on_ray(units, address=cluster.address, retries=retries):
            yield result
            if not workers:
                wait(lambda: any(at_work(process) for process in raylet.children(recursive=True)))
                workers = [process for process in raylet.children(recursive=True) if at_work(process)]
                for process in workers:
                    process.suspend()  # what it computes is never handed in
                cluster.remove_node(second, allow_graceful=False)
                for process in workers:
                    process.kill()

    return run


def at_work(process: psutil.Process) -> bool:
    """Return whether this is a Ray worker with a unit in hand: Ray names the process after its task."""
    try:
        return "ray::compute" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def wait(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.1)
    raise TimeoutError("five minutes")


@with_ray
@pytest.mark.slow
def test_the_rows_are_the_same_when_a_node_dies(cluster: Any, tmp_path: Path, own_model: str) -> None:
    units = [*UNITS, small_unit(model=own_model)]
    alone, spread = Store(tmp_path / "alone"), Store(tmp_path / "spread")
    seen: list[Unit] = []

    def watched(missing: Sequence[Unit]) -> Iterator[tuple[Unit, pl.DataFrame]]:
        for unit, rows in killing(cluster, retries=5)(missing):
            seen.append(unit)
            yield unit, rows

    execute(units, alone, here, progress=False)
    execute(units, spread, watched, progress=False)
    assert sorted(map(str, seen)) == sorted(map(str, units))
    assert_frame_equal(spread.rows().drop(NOT_RESULTS), alone.rows().drop(NOT_RESULTS))
    assert spread.rows()["threads"].unique().to_list() == [1]


@with_ray
@pytest.mark.slow
def test_without_retries_the_dead_node_is_missed(cluster: Any, tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(
        ClusterError, match=r"GradientDescent on wall_single-random-12-tuning .* node .* is dead"
    ):
        execute(UNITS, store, killing(cluster, retries=0), progress=False)
    assert 0 < len(store.units()) < len(UNITS)


@with_ray
@pytest.mark.slow
def test_closing_frees_the_cluster(cluster: Any) -> None:
    import ray

    results = on_ray(UNITS, address=cluster.address)
    next(results)
    results.close()
    assert not ray.is_initialized()
    ray.init(cluster.address, log_to_driver=False)
    wait(lambda: ray.available_resources().get("CPU", 0) == ray.cluster_resources()["CPU"])
    ray.shutdown()


@with_ray
@pytest.mark.slow
def test_an_address_without_a_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_gcs_server_port_wait_time_s", "1")  # try once: Ray is patient
    with pytest.raises(ParameterError, match="ray status"):
        next(on_ray(UNITS, address="127.0.0.1:1"))


@with_ray
@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine whose GPU is a pretence")
def test_gpus_are_requested_and_an_error_names_its_unit(cluster: Any) -> None:
    with pytest.raises(ParameterError, match="a CPU and 1 GPU"):
        next(on_ray(UNITS, address=cluster.address, gpus=1.0))
    second = cluster.add_node(num_cpus=1, num_gpus=1)
    # There is none: that the unit fails for want of CUDA shows that it ran there, and on "cuda".
    with pytest.raises(ClusterError, match=r"GradientDescent on wall_single-random-12-tuning 0–7[\s\S]*CUDA"):
        next(on_ray(UNITS[:1], address=cluster.address, gpus=1.0))
    cluster.remove_node(second, allow_graceful=False)


def test_other_code_on_a_worker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = small_unit()
    key = unit_key(unit)
    assert compute(unit, "cpu", key)["unit"].unique().to_list() == [key]
    monkeypatch.setattr("experiments.study.trials.unit.code_digest", lambda *of: "another")
    with pytest.raises(WorkerMismatchError, match=code_digest(unit.planner, unit.task, unit.mode)):
        compute(unit, "cpu", key)


def test_what_is_sent_is_what_the_units_need(tmp_path: Path, own_model: str) -> None:
    units = [small_unit(), small_unit(model=own_model, horizon=12, purpose="tuning")]
    parcel = tmp_path / "parcel"
    pack(units, parcel)
    shipped = "grasp_theory/world_models/shipped/wall_single-offline-flat-"
    sets = "grasp_theory/tasks/problem_sets/wall_single-random"
    data = {
        f"{name}{ending}"
        for name in (f"{shipped}0", f"{shipped}1", OWN)
        for ending in (".json", ".safetensors")
    }
    data |= {f"{sets}-4-reporting.npz", f"{sets}-12-tuning.npz"}
    sent = {str(path.relative_to(parcel)) for path in parcel.rglob("*") if path.is_file()}
    assert {name for name in sent if not name.endswith(".py")} == data
    assert {
        "linear_systems/errors.py",
        "grasp_theory/planners/__init__.py",
        "experiments/study/trials/trial.py",
    } <= sent


def test_a_model_that_has_no_place_in_what_is_sent_is_refused(tmp_path: Path, own_model: str) -> None:
    for name in (str(tmp_path / own_model), f"models/../{own_model}"):
        with pytest.raises(ParameterError, match="a relative path"):
            pack([small_unit(model=name)], tmp_path / "parcel")


def test_without_ray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ParameterError, match="pip install --group cluster"):
        execute([small_unit()], Store(tmp_path), runner(ray="local"), progress=False)


@with_ray
def test_nothing_missing_starts_no_cluster_and_gpus_are_checked(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(unit_key(small_unit()), fake_rows(unit_key(small_unit())))
    assert execute([small_unit()], store, runner(ray="nowhere:1"), progress=False) == 0
    with pytest.raises(ParameterError, match="gpus"):
        on_ray([small_unit()], address="local", gpus=-1.0)
