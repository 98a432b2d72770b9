"""`python -m experiments bench roofline`: what a planner should take on a GPU, before it is measured there.

An operation takes the longest of three: starting it, its arithmetic, and its traffic between memory and the chip,

    t = max(latency, FLOP / peak, bytes / bandwidth),

and a computation the sum over its operations, which run one after another.  Operations and their sizes are counted on the
CPU; they are the same everywhere.  The bound is optimistic where an operation reaches neither the peak nor the bandwidth,
and pessimistic where a compiler fuses several into one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from experiments.bench.operations import Operations, operations
from experiments.bench.planners import JOINT_STEP, bare_evaluation, iterations, problem
from grasp_theory import GRASP, GradientDescent, PlanningProblem

EAGER_LATENCY, GRAPH_LATENCY = 8e-6, 2e-6
"""Seconds to start an operation: from Python, where the host is what takes the time, and replayed from a CUDA graph.

Typical of PyTorch 2 on current hosts, and assumptions here: the first thing to measure where there is a GPU.
"""


@dataclass(frozen=True)
class GPU:
    """What a data sheet says.

    Arguments
        peak: float32 FLOP per second, without tensor cores.
        bandwidth: bytes per second between memory and the chip.
    """

    peak: float
    bandwidth: float


GPUS = {
    "T4": GPU(8.1e12, 0.32e12),
    "RTX 4090": GPU(82.6e12, 1.01e12),
    "A100": GPU(19.5e12, 2.04e12),
    "H100": GPU(67e12, 3.35e12),
    "H200": GPU(67e12, 4.8e12),
}
"""NVIDIA's data sheets: A100 80 GB, H100 and H200 as SXM modules."""


@dataclass(frozen=True)
class Prediction:
    """Seconds of a computation, each operation started from Python or from a CUDA graph, and what bounds it.

    Arguments
        eager, graph: seconds.
        started: the share of `graph` spent in operations that take no longer than it takes to start them.
    """

    eager: float
    graph: float
    started: float


def predict(counted: Operations, gpu: GPU) -> Prediction:
    """Return what the counted operations take on a GPU."""
    work = [max(flop / gpu.peak, traffic / gpu.bandwidth) for flop, traffic in counted.each]
    graph = sum(max(each, GRAPH_LATENCY) for each in work)
    started = sum(GRAPH_LATENCY for each in work if each <= GRAPH_LATENCY)
    return Prediction(
        sum(max(each, EAGER_LATENCY) for each in work), graph, started / graph if graph else 0.0
    )


def computations(batch: int, horizon: int) -> dict[str, Operations]:
    """Return the operations of a bare evaluation, and of an iteration of each planner with its share of the syncs."""
    given = problem(batch, horizon, torch.device("cpu"))
    counted = {"bare evaluation": operations(bare_evaluation(given))}
    joint = iterations(JOINT_STEP, given)
    joint()
    counted["GRASP, joint step"] = operations(joint)
    for name, planner in (("GRASP.parallel, sync", GRASP.parallel()), ("GRASP, sync", GRASP())):
        counted[name] = _sync(planner, given, counted["GRASP, joint step"])
    counted["GD, iteration"] = operations(iterations(GradientDescent(), given))
    return counted


def _sync(planner: GRASP, given: PlanningProblem, joint: Operations) -> Operations:
    """Return the operations of an iteration that ends in a sync, less the joint step's."""
    step = iterations(replace(planner, sync_every=1, check_every=None), given)
    step()
    both = operations(step)
    return Operations(both.count - joint.count, both.reads - joint.reads, both.each[joint.count :])


def bench_roofline(
    gpu: Annotated[str, typer.Option(help=f"One of {', '.join(GPUS)}.")] = "H100",
    batch: Annotated[int, typer.Option(min=1, help="Problems B.")] = 1,
    horizon: Annotated[int, typer.Option(min=1, help="Horizon T, model steps.")] = 64,
) -> None:
    """Predict the planners' times on a GPU from counted operations, FLOP and bytes."""
    if gpu not in GPUS:
        raise typer.BadParameter(f"one of {', '.join(GPUS)}", param_hint="--gpu")
    table = Table(
        title=f"predicted, not measured: {gpu}, B = {batch}, T = {horizon}, shipped WallSingle model"
    )
    for heading in ("", "operations", "GFLOP", "MB", "ms from Python", "ms from a graph", "of it latency"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, counted in computations(batch, horizon).items():
        flop, traffic = (sum(each) for each in zip(*counted.each, strict=True))
        time = predict(counted, GPUS[gpu])
        table.add_row(
            name, str(counted.count), f"{flop / 1e9:.3g}", f"{traffic / 1e6:.3g}", f"{1e3 * time.eager:.3g}",
            f"{1e3 * time.graph:.3g}", f"{time.started:.0%}",
        )  # fmt: skip
    Console(width=120).print(table)
