"""`python -m experiments bench planners`: operations, time and memory of the planners against the model's own.

The unit of every ratio is one bare evaluation: one forward and one action-gradient backward pass of the model
on the B·T inputs of an iteration, which no planner that uses gradients can do without.  What is compared is
timed in turns and the median over the rounds counts.  On the CPU one thread works and its processor time is
taken, so that other work on the machine hardly weighs; on a GPU it is the time until the work is done.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Float
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor, nn

from experiments.bench.measurement import Row, in_fresh_process, table, write_json
from experiments.bench.operations import operations
from experiments.devices import Device, device_of
from grasp_theory import GRASP, GradientDescent, Planner, PlanningProblem
from grasp_theory.command_line import expect_writable
from grasp_theory.planners.loop.rows import Rows
from grasp_theory.planners.loop.search import Incumbents
from grasp_theory.world_models import load

STATE_SHAPE, ACTIONS = (8,), 10
"""Of the shipped WallSingle model."""
BATCH, HORIZON = 64, 30
OVERHEAD_OF_MANY, OVERHEAD_OF_ONE = 1.10, 1.6
GROWTH_ON_GPU = 1.3
"""Most that a GRASP iteration may grow from T = 10 to T = 80 at B = 1."""
AIM_ON_CPU = 2.0
"""The same on a CPU, for information only: one time step already keeps a core busy, so the bare evaluation alone grows by
more than `GROWTH`."""
GROWTH_OVER_BARE = 1.1
"""Largest ratio of GRASP's growth to that of the bare evaluation."""
MOST_OPERATIONS = 55
"""Most operations of a joint step on the shipped model, whose bare evaluation has 30."""
GROWTH_OF_OPERATIONS = 1.5
"""Most that the operations of a whole plan may grow from T = 10 to T = 80."""
SYNC_OVER_BARE = 3.0
"""What a step of a sync should cost at B = 1, T = 64; on a CPU for information only: its Jacobian alone is a forward and d
backward passes, (1 + d) / 2 = 4.5 times a bare evaluation's arithmetic, and one core does them one after another."""
SYNC_HORIZON = 64
NO_SLOWER = 1.05
"""Most that planning may take longer than with the gradient sync, for the same evaluations."""
GIGABYTE = 1e9
MEMORY_BUDGET = 2 * GIGABYTE
LOG_WIDTH = 150
"""Columns used where the output is not a terminal."""
PERIOD = 64
"""Iterations timed in a round: GRASP draws its noise for so many at a time."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured: rounds, horizons at B = 1, batches of the looped version, inputs B·T of memory."""

    rounds: int
    period: int
    horizons: tuple[int, ...]
    looped: tuple[tuple[int, int], ...]
    memory: tuple[int, ...]
    budget: float


FULL = Sizes(
    5, PERIOD, (10, 20, 40, 80), ((1, 30), (8, 30), (64, 30)), (30_000, 60_000, 120_000), MEMORY_BUDGET
)
QUICK = Sizes(3, 8, (10, 80), ((1, 10),), (3_000, 15_000), 0.8 * GIGABYTE)


def bench_planners(
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file too.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Smaller sizes: seconds instead of minutes, without requirements.")
    ] = False,
    device: Device = "cpu",
) -> None:
    """Measure the planners' overhead over the model, their growth in T, and their memory.

    Exit status: 0 if every requirement is met, 1 if not.  Quick figures are noisy and have none.
    """
    where = device_of(device)
    expect_writable(json)
    probe = Console()
    console = probe if probe.is_terminal else Console(width=LOG_WIDTH)
    rows: list[Row] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
    with bar as progress:
        task = progress.add_task("starting", total=len(MEASUREMENTS))
        for measure in MEASUREMENTS:
            progress.update(task, description=measure.__name__.strip("_").replace("_", " "))
            rows.extend(measure(QUICK if quick else FULL, where))
            progress.advance(task)
    torch.set_num_threads(threads)
    if quick:
        rows = [Row(row.quantity, row.value, row.unit) for row in rows]
    console.print(table(f"planners on {_machine(where)}", rows))
    if json is not None:
        write_json(json, rows)
    raise typer.Exit(0 if all(row.met for row in rows) else 1)


def _machine(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "one CPU core"


# What is timed


def bench_model() -> nn.Module:
    """Return the model that is timed: the shipped WallSingle model, on states of STATE_SHAPE and ACTIONS numbers."""
    return load("wall_single")


def problem(batch: int, horizon: int, device: torch.device) -> PlanningProblem:
    """Return problems with random starts and goals: their plans are timed, not used."""
    generator = torch.Generator().manual_seed(0)
    model = bench_model().requires_grad_(False).to(device)
    start, goal = torch.randn(2, batch, *STATE_SHAPE, generator=generator).to(device)
    return PlanningProblem(model, start, goal, horizon, ACTIONS, seeds=torch.arange(batch))


def bare_evaluation(given: PlanningProblem) -> Callable[[], Tensor]:
    """Return the physical limit: a forward and an action-gradient backward pass on B·T inputs."""
    step, count = given.parallel_step(), given.batch * given.horizon
    states = torch.randn(count, *STATE_SHAPE, device=given.goal.device)
    actions = torch.zeros(count, ACTIONS, device=given.goal.device)
    towards = torch.ones_like(states)

    def evaluate() -> Tensor:
        leaf = actions.detach().requires_grad_()
        with torch.enable_grad():
            prediction = step(states, leaf)
        (gradient,) = torch.autograd.grad(prediction, leaf, towards)
        return gradient

    return evaluate


def evaluations_in_turn(given: PlanningProblem) -> Callable[[], None]:
    """Return T bare evaluations on B inputs, one after another: the limit of a gradient through a rollout."""
    evaluate = bare_evaluation(replace(given, horizon=1))

    def in_turn() -> None:
        for _ in range(given.horizon):
            evaluate()

    return in_turn


def iterations(planner: Planner, given: PlanningProblem) -> Callable[[], None]:
    """Return a function that does the planner's next iteration."""
    assert given.seeds is not None
    rows = Rows(given, 1, given.seeds)
    search, incumbents = planner._search(rows), Incumbents(rows, stop_when_reached=True)
    done = iter(range(10**9))
    return lambda: search.step(next(done), incumbents)


class LoopedGRASP:
    """GRASP's joint step by SGD with a loop over problems and time: the same, the slow way."""

    def __init__(self, given: PlanningProblem, planner: GRASP) -> None:
        self.given, self.planner = given, planner
        fraction = torch.linspace(0, 1, given.horizon + 1, device=given.goal.device)
        self.actions = [list(row.unbind()) for row in given.start()]
        self.states = [
            [torch.lerp(start, goal, float(weight)) for weight in fraction]
            for start, goal in zip(given.initial_state, given.goal, strict=True)
        ]

    def step(self) -> None:
        """Do one joint step of Eq. (11)-(12) with SGD."""
        planner, predict = self.planner, self.given.parallel_step()
        for states, actions, goal in zip(self.states, self.actions, self.given.goal, strict=True):
            moved = list(states)
            for t in range(len(actions)):
                action = actions[t].detach().requires_grad_()
                with torch.enable_grad():
                    prediction = predict(states[t], action)
                    loss = (prediction - states[t + 1]).square().sum()
                    loss = loss + planner.goal_weight * (prediction - goal).square().sum()
                (gradient,) = torch.autograd.grad(loss, action)
                if t + 1 < len(actions):
                    descent = 2 * (prediction.detach() - states[t + 1])
                    moved[t + 1] = states[t + 1] + planner.state_lr * descent
                    if planner.state_noise:
                        moved[t + 1] = moved[t + 1] + planner.state_noise * torch.randn_like(goal)
                actions[t] = actions[t] - planner.action_lr * gradient
            states[:] = moved


JOINT_STEP = GRASP(sync_every=None, check_every=None, cycle_decay=1.0)
"""Our default without syncs. Its noise does not decay, because no sync restarts the decay."""
JOINT_STEP_SGD = replace(JOINT_STEP, optimizer="sgd", action_lr=0.01)


# Measurements


def in_turns(
    calls: Mapping[str, Callable[[], object]], rounds: int, period: int, device: torch.device
) -> dict[str, Float[np.ndarray, " rounds"]]:
    """Return the seconds a call takes, the mean of a turn of `period` consecutive calls in each round.

    Consecutive, as a planner's iterations are: where single calls alternate, the memory that one of them gives
    back to the system is asked for again, page by page, at the expense of the next.
    """
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    taken = {name: np.zeros(rounds) for name in calls}
    for r in range(rounds):
        for name, call in calls.items():
            call()
            _wait(device)
            start = clock()
            for _ in range(period):
                call()
            _wait(device)
            taken[name][r] = (clock() - start) / period
    return taken


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _median(values: Float[np.ndarray, " rounds"]) -> float:
    return float(np.median(values))


def _operations(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    """Counts, the same on every machine: of a joint step, and of a whole plan for each iteration."""
    search = iterations(JOINT_STEP, problem(1, HORIZON, device))
    search()  # the first iteration draws noise and makes moments
    joint = operations(search)
    yield Row("operations of a GRASP iteration without sync", joint.count, "", MOST_OPERATIONS)
    yield Row("reads by the host in a GRASP iteration without sync", joint.reads, "", 0)
    first, last = min(sizes.horizons), max(sizes.horizons)
    for name, planner in (
        ("GRASP", GRASP()),
        ("GRASP.parallel", GRASP.parallel()),
        ("GD", GradientDescent(iterations=10)),
    ):
        counts = {}
        for horizon in (first, last):
            given = problem(1, horizon, device)
            done = operations(lambda given=given, planner=planner: planner.plan(given))  # type: ignore[misc]
            counts[horizon] = done.count / planner.iterations
            yield Row(f"operations of a plan by {name}, an iteration, T = {horizon}", counts[horizon])
        required = GROWTH_OF_OPERATIONS if name == "GRASP.parallel" else None
        yield Row(
            f"  the same by {name}, T = {last} / T = {first}", counts[last] / counts[first], "", required
        )


def _syncs(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    """Both syncs: a step, a sync, and an evaluation's worth of planning with syncs."""
    for batch, horizon in ((1, SYNC_HORIZON), (BATCH, HORIZON)):
        given = problem(batch, horizon, device)
        steps = {"shooting": GRASP().shooting_steps, "gradient": GRASP().sync_steps}
        calls: dict[str, Callable[[], object]] = {"bare": bare_evaluation(given)}
        spent = {}
        for method, planner in (("shooting", GRASP.parallel()), ("gradient", GRASP())):
            # Every iteration is followed by a sync, whose own time is what is left.
            calls[method] = iterations(replace(planner, sync_every=1, check_every=None), given)
            search = planner._search(Rows(given, 1, torch.arange(batch)))
            period = range(planner.sync_every or 1)
            spent[method] = sum(search.cost(k) for k in period) / horizon / len(period)
        calls["joint"] = iterations(JOINT_STEP, given)
        taken = in_turns(calls, sizes.rounds, max(1, sizes.period // 16), device)
        at, bare = f"B = {batch}, T = {horizon}", taken["bare"]
        whole = {}
        for method, count in steps.items():
            sync = taken[method] - taken["joint"]
            aim = f" (aim: {SYNC_OVER_BARE:g})" if (method, batch) == ("shooting", 1) else ""
            yield Row(f"step of a {method} sync / bare, {at}{aim}", _median(sync / count / bare))
            yield Row(f"a {method} sync of {count} steps / bare, {at}", _median(sync / bare))
            each = taken["joint"] + sync / (GRASP().sync_every or 1)
            whole[method] = each / spent[method]
            yield Row(f"GRASP iteration with its share of a {method} sync / bare, {at}", _median(each / bare))
        title = f"GRASP for the same evaluations, shooting / gradient sync, {at}"
        yield Row(title, _median(whole["shooting"] / whole["gradient"]), "", NO_SLOWER)


def _overhead(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    for batch, required in ((BATCH, OVERHEAD_OF_MANY), (1, OVERHEAD_OF_ONE)):
        given = problem(batch, HORIZON, device)
        calls = {
            "bare": bare_evaluation(given),
            "in turn": evaluations_in_turn(given),
            "GRASP": iterations(JOINT_STEP, given),
            "GD": iterations(GradientDescent(), given),
        }
        taken = in_turns(calls, sizes.rounds, sizes.period, device)
        bare, at = taken["bare"], f"B = {batch}, T = {HORIZON}"
        yield Row(f"bare evaluation, {at}", 1e3 * _median(bare), "ms")
        yield Row(f"GRASP iteration without sync / bare, {at}", _median(taken["GRASP"] / bare), "", required)
        yield Row(f"T bare evaluations on B inputs in turn / bare, {at}", _median(taken["in turn"] / bare))
        yield Row(f"GD iteration / bare, {at}", _median(taken["GD"] / bare))


def _growth(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    calls: dict[str, Callable[[], object]] = {}
    for horizon in sizes.horizons:
        given = problem(1, horizon, device)
        calls[f"bare {horizon}"] = bare_evaluation(given)
        calls[f"GRASP {horizon}"] = iterations(JOINT_STEP, given)
        calls[f"GD {horizon}"] = iterations(GradientDescent(), given)
    taken = in_turns(calls, sizes.rounds, sizes.period, device)
    for name in ("bare", "GRASP", "GD"):
        for horizon in sizes.horizons:
            yield Row(
                f"{name} iteration, B = 1, T = {horizon}", 1e3 * _median(taken[f"{name} {horizon}"]), "ms"
            )
    first, last = sizes.horizons[0], sizes.horizons[-1]
    growth = {name: taken[f"{name} {last}"] / taken[f"{name} {first}"] for name in ("bare", "GRASP", "GD")}
    of = f"iteration, B = 1, T = {last} / T = {first}"
    yield Row(f"bare {of}", _median(growth["bare"]))
    if device.type == "cpu":
        yield Row(f"GRASP {of} (aim: {AIM_ON_CPU:g})", _median(growth["GRASP"]))
    else:
        yield Row(f"GRASP {of}", _median(growth["GRASP"]), "", GROWTH_ON_GPU)
    yield Row(f"GRASP {of}, over bare", _median(growth["GRASP"] / growth["bare"]), "", GROWTH_OVER_BARE)
    yield Row(f"GD {of}", _median(growth["GD"]))


def _against_loops(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    for batch, horizon in sizes.looped:
        given = problem(batch, horizon, device)
        looped = LoopedGRASP(given, JOINT_STEP_SGD)
        # A looped step takes as long as hundreds of ours: a few of them are enough.
        calls = {"ours": iterations(JOINT_STEP_SGD, given), "looped": looped.step}
        taken = in_turns(calls, min(3, sizes.rounds), 2, device)
        ratio = _median(taken["looped"] / taken["ours"])
        yield Row(f"GRASP iteration looped over problems and time / ours, B = {batch}, T = {horizon}", ratio)


# Memory


def _after_iterations(inputs: int, device: str) -> float:
    """Do GRASP iterations on B·T = inputs, T = 30; return the peak on a GPU, 0 on the CPU."""
    where = torch.device(device)
    torch.set_num_threads(1)
    step = iterations(JOINT_STEP, problem(max(1, round(inputs / HORIZON)), HORIZON, where))
    for _ in range(3):
        step()
    return float(torch.cuda.max_memory_allocated(where)) if where.type == "cuda" else 0.0


def _peak(inputs: int, device: torch.device) -> float:
    on_gpu, of_process = in_fresh_process(_after_iterations, inputs, str(device))
    return on_gpu if device.type == "cuda" else of_process


def _memory(sizes: Sizes, device: torch.device) -> Iterator[Row]:
    of = "memory" if device.type == "cuda" else "memory of the process"
    peaks = {inputs: _peak(inputs, device) for inputs in sizes.memory}
    for inputs, peak in peaks.items():
        yield Row(f"GRASP, peak {of}, B·T = {inputs:,}", peak / GIGABYTE, "GB")
    slope, base = np.polyfit(list(peaks), list(peaks.values()), 1)
    yield Row("  (for each input)", float(slope) / 1e3, "kB")
    yield Row("  (for none)", float(base) / GIGABYTE, "GB")
    largest = HORIZON * math.floor((sizes.budget - base) / slope / HORIZON)
    title = f"largest B·T in {sizes.budget / GIGABYTE:g} GB"
    yield Row(f"{title}, by the fit", largest)
    yield Row(
        f"{title}: peak {of} when run at it, over the budget", _peak(largest, device) / sizes.budget, "", 1.02
    )


MEASUREMENTS: tuple[Callable[[Sizes, torch.device], Iterator[Row]], ...] = (
    _memory,  # first: see in_fresh_process
    _operations,
    _syncs,
    _overhead,
    _growth,
    _against_loops,
)
