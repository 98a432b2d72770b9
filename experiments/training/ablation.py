"""`python -m experiments ablation TASK`: what each term of the encoder's loss is there for, by leaving it out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from experiments.evaluation.faithfulness import distance_ranks, greedy_success
from experiments.evaluation.open_loop import STEPS, held_out_windows, open_loop
from experiments.evaluation.sizes import FULL, QUICK, Sizes
from experiments.training.losses import effective_rank
from experiments.training.recipe import Recipe, recipe_for
from experiments.training.run import Run, machine
from experiments.training.train_command import WORK
from grasp_theory.command_line import expect_folder, expect_writable
from grasp_theory.files import atomic_file
from grasp_theory.statistics.intervals import plain
from grasp_theory.tasks import by_name
from grasp_theory.tasks.task import Task, stacked_frames
from grasp_theory.world_models import WorldModel
from linear_systems.errors import InvalidInputError

TERMS = ("variance", "covariance", "slowness", "reconstruction")
"""The weights of `Recipe` that are set to 0 one at a time; prediction has none and stays."""
SEED = 1_000_003
"""Of held-out data and problems: the seed on which recipes are chosen, not that of the cards."""
EPISODES, ENCODER_STEPS, PREDICTOR_STEPS = 500, 400, 300
"""Of a short run: about a minute on one core for each variant of WallSingle."""
SMALL = replace(FULL, episodes=60, pairs=1000, greedy=60, resamples=300)
"""Sample sizes of the measures."""


def ablation(
    task: Annotated[str, typer.Argument(help="A task with a flat recipe.")],
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of weights and batches.")] = 0,
    folder: Annotated[
        Path, typer.Option(help="Data, frames and checkpoints; what was killed resumes here.")
    ] = WORK,
    quick: Annotated[bool, typer.Option(help="Tiny models in seconds: to try the command.")] = False,
    output: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file too.")] = None,
) -> None:
    """Train short runs of a recipe with one term of its loss left out at a time, and print a table."""
    expect_folder(folder)
    expect_writable(output)
    result = ablate(by_name(task), seed=seed, folder=folder, quick=quick)
    typer.echo(table(result))
    if output is not None:
        with atomic_file(output) as file:
            file.write((json.dumps(result, indent=1) + "\n").encode())


def ablate(task: Task, *, seed: int, folder: Path, quick: bool) -> dict[str, Any]:
    """Return what short trainings with and without each term reach, as plain values; on the CPU.

    Of each: the effective rank of the encoder's outputs on held-out pictures, the rank correlation of latent distances
    with the task's, the success of the greedy rule, and the open-loop errors.  A measure is None where the latents have
    collapsed so far that it has no value.

    Raises
        ParameterError: if the task has no flat recipe.
    """
    whole, sizes = recipe_for(task.name, "flat", quick=quick), QUICK if quick else SMALL
    if not quick:
        whole = replace(
            whole,
            episodes=min(EPISODES, whole.episodes),
            encoder=replace(whole.encoder, steps=ENCODER_STEPS),
            predictor=replace(whole.predictor, steps=PREDICTOR_STEPS),
            decoder=replace(whole.decoder, steps=1),  # it judges nothing here
        )
    device = torch.device("cpu")
    rows = []
    for left_out, recipe in variants(whole):
        Console(stderr=True).print(f"{task.name} without {left_out or 'any change'}")
        trained = Run(task, recipe, seed, folder, device).offline()
        measured = measure(task, trained.model, sizes)
        rows.append({"left_out": left_out, "cpu_seconds": trained.training["cpu_seconds"], **measured})
    return {
        "task": task.name, "seed": seed, "quick": quick, "evaluation_seed": SEED, "recipe": whole.to_json(),
        "sizes": asdict(sizes), "machine": machine(device), "threads": torch.get_num_threads(), "rows": rows,
    }  # fmt: skip


def variants(whole: Recipe) -> Iterator[tuple[str | None, Recipe]]:
    """Return, by name, the whole recipe and the recipe without each of its terms."""
    yield None, whole
    for term in TERMS:
        if getattr(whole, term):
            without: dict[str, Any] = {term: 0.0}
            yield term, replace(whole, **without)


def measure(task: Task, model: WorldModel, sizes: Sizes) -> dict[str, Any]:
    """Return a row of the table, without its name."""
    windows = held_out_windows(task, sizes, SEED)
    frames = stacked_frames(task, windows.frames[:, 0], model.architecture.image_size)
    with torch.no_grad():
        rank = effective_rank(model.encode_raw(torch.from_numpy(frames)))
    row: dict[str, Any] = {"effective_rank": plain(rank)}
    try:
        row["rank_correlation"] = distance_ranks(task, model, sizes, SEED)["latent"]
        row["greedy"] = greedy_success(task, model, sizes, SEED)["latent"]
        errors: Any = open_loop(task, model, windows, sizes, SEED)[0]
        row["open_loop"] = {
            version: {
                step: {name: error["model"]["mean"] for name, error in entry["errors"].items()}
                for step, entry in steps.items()
            }
            for version, steps in errors.items()
        }
    except InvalidInputError as error:  # equal or non-finite distances: nothing is left to measure
        row["collapsed"] = str(error)
    return row


def table(result: Mapping[str, Any]) -> str:
    """Return the Markdown table of what `ablate` returned."""
    rows: Sequence[Mapping[str, Any]] = result["rows"]
    versions = next(row["open_loop"] for row in rows if "open_loop" in row)
    version = "moving" if "moving" in versions else "all"
    names = [name for name in next(iter(versions[version].values())) if name != "velocity"]
    steps = [str(step) for step in STEPS]
    errors = [f"{name} error at {' / '.join(steps)} model steps" for name in names]
    lines = [
        f"| left out | effective rank of {result['recipe']['latent_dim']} | rank correlation | greedy success | "
        + " | ".join(errors)
        + " |",
        "|---" * (4 + len(names)) + "|",
    ]
    for row in rows:
        cells = [row["left_out"] or "nothing", f"{row['effective_rank']:.1f}"]
        if "collapsed" in row:
            cells += ["collapsed"] * (2 + len(names))
        else:
            cells += [_interval(row["rank_correlation"]), _interval(row["greedy"])]
            found = row["open_loop"][version]
            cells += [" / ".join(_short(found[step][name]["value"]) for step in steps) for name in names]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.2f}"
