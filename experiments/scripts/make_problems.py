"""`python -m experiments problems`: write a problem set to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from grasp_theory.command_line import expect_writable
from grasp_theory.tasks.problems import Kind, Purpose, make_problems


def problems(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    out: Annotated[Path, typer.Option(help="The file to write, ending in .npz.")],
    kind: Annotated[Kind, typer.Option(help="random, trajectory or long.")] = "random",
    horizon: Annotated[int, typer.Option(min=1, max=1000, help="Model steps of every problem.")] = 10,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many problems.")] = 200,
    purpose: Annotated[Purpose, typer.Option(help="tuning, reporting or training.")] = "reporting",
    seed: Annotated[int, typer.Option(min=0, help="Of the set.")] = 0,
) -> None:
    """Write a problem set to a file, and say how many steps its problems need at least."""
    expect_writable(out)
    made = make_problems(task, kind, horizon=horizon, count=count, purpose=purpose, seed=seed)
    made.save(out)
    low, middle, high = np.quantile(made.shortest_steps, (0, 0.5, 1))
    typer.echo(
        f"{out}: {count} {kind} problems of {task} for {purpose}; at least {low:.1f} to {high:.1f} model steps of "
        f"{horizon}, median {middle:.1f}"
    )
