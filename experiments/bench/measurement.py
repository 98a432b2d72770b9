"""Measured figures against requirements: timing, growth, peak memory, the table and the JSON."""

from __future__ import annotations

import json
import math
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import scipy
from rich.table import Table

from grasp_theory.files import write_atomically
from grasp_theory.workers import worker_pool

Result = TypeVar("Result")
REPEAT_SECONDS = 0.2
"""A short call is repeated for about this long, and the fastest repetition counts."""


@dataclass(frozen=True)
class Row:
    """One measured figure.

    Arguments
        quantity: what was measured, at which size and over which systems.
        value: the figure.
        unit: its unit; "" for a ratio, an error or an exponent.
        required: the bound that it must meet; None for information only.
        relation: how value and bound must relate.
    """

    quantity: str
    value: float
    unit: str = ""
    required: float | None = None
    relation: Literal["<=", ">="] = "<="

    @property
    def met(self) -> bool:
        """Whether the requirement, if any, is met; NaN meets none."""
        if self.required is None:
            return not math.isnan(self.value)
        return self.value <= self.required if self.relation == "<=" else self.value >= self.required


def seconds(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the shortest time of a call, repeated while that takes less than REPEAT_SECONDS in all."""
    best, spent = math.inf, 0.0
    while spent < REPEAT_SECONDS:
        start = clock()
        call()
        taken = clock() - start
        best, spent = min(best, taken), spent + taken
    return best


def growth_exponent(call: Callable[[int], object], sizes: Sequence[int]) -> float:
    """Return p of the least-squares fit of log time = p log size + const.

    The time is that of the processor, so that other work on the machine does not pass for growth.
    """
    times = [seconds(lambda size=size: call(size), time.process_time) for size in sizes]  # type: ignore[misc]
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def in_fresh_process(function: Callable[..., Result], *arguments: object) -> tuple[Result, float]:
    """Return what a module-level function gives in a new process, and that process's peak memory in bytes."""
    with worker_pool(1) as pool:
        result = pool.submit(function, *arguments).result()
        return result, pool.submit(_peak_bytes).result()


def _peak_bytes() -> float:
    """Return this process's peak; Linux's ru_maxrss would count the parent's size before the exec as well."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return 1024.0 * float(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) if sys.platform == "darwin" else 1024.0 * peak


def table(title: str, rows: Sequence[Row]) -> Table:
    """Return the rows as a table."""
    result = Table(title=title)
    for heading in ("quantity", "measured", "required", ""):
        result.add_column(heading, justify="left" if heading == "quantity" else "right")
    for row in rows:
        required = "" if row.required is None else f"{row.relation} {_figure(row.required, row.unit)}"
        mark = "" if row.required is None else "[green]met[/]" if row.met else "[red]missed[/]"
        result.add_row(row.quantity, _figure(row.value, row.unit), required, mark)
    return result


def write_json(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows, and where they were measured, to `path`."""
    data = {
        "environment": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "threads": os.environ.get("OMP_NUM_THREADS", "default"),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        "rows": [asdict(row) | {"met": row.met} for row in rows],
    }
    write_atomically(path, json.dumps(data, indent=2) + "\n")


def _figure(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}".rstrip()
