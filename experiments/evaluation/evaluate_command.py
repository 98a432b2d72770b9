"""`python -m experiments evaluate TASK`: measure a shipped world model, or one in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from experiments.devices import Device, device_of
from experiments.evaluation.measures import evaluate
from experiments.evaluation.printout import tables
from experiments.evaluation.sizes import SEED
from grasp_theory.command_line import expect_writable
from grasp_theory.files import atomic_file
from grasp_theory.tasks import TASKS, by_name
from grasp_theory.world_models import load, load_file
from linear_systems.errors import ParameterError

LOG_WIDTH = 140
"""Columns of the tables where there is no terminal."""


def evaluate_command(
    task: Annotated[str, typer.Argument(help=f"One of {', '.join(TASKS)}.")],
    kind: Annotated[str, typer.Option(help="Data of the training: offline or robust.")] = "offline",
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    latent: Annotated[
        str | None,
        typer.Option(help="flat, colours, patch, frozen or random; by default those to plan with."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A model of your own in place of a shipped one: path.safetensors.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Smaller samples: seconds, with wide intervals.")
    ] = False,
    evaluation_seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Seed of held-out episodes and problems.")
    ] = SEED,
    output: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file too.")] = None,
    device: Device = "cpu",
) -> None:
    """Measure how good a world model is: open-loop errors, distances, exploitability, state gradient."""
    expect_writable(output)
    chosen, where = by_name(task), device_of(device)
    loaded = (
        load(task, kind=kind, seed=seed, latent=latent, device=where)
        if model is None
        else load_file(model, device=where)
    )
    card = loaded.card
    if card is not None and card.task != chosen.name:
        raise ParameterError(
            "model",
            f"a model of {chosen.name}",
            f"one of {card.task}",
            "the task that the model was trained on",
        )
    result = evaluate(chosen, loaded, seed=evaluation_seed, quick=quick, progress=True)
    probe = Console()
    console = probe if probe.is_terminal else Console(width=LOG_WIDTH)
    for table in tables(result):
        console.print(table)
    if output is not None:
        with atomic_file(output) as file:
            file.write((json.dumps(result, indent=2) + "\n").encode())
        typer.echo(f"written to {output}")
