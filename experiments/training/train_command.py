"""`python -m experiments train`: from nothing to a model file and its card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import torch
import typer

from experiments.devices import Device, device_of
from experiments.evaluation import evaluate
from experiments.training.recipe import Kind, Latent, Recipe, recipe_for
from experiments.training.run import Run, Trained
from grasp_theory.command_line import expect_folder
from grasp_theory.tasks import by_name
from grasp_theory.tasks.task import FRAMESKIP, Task
from grasp_theory.world_models import ActionLayout, Card, WorldModel, load_file, save
from grasp_theory.world_models.checkpoint import best_latent
from linear_systems.errors import ParameterError

WORK = Path("training")
"""Where data, frames and checkpoints of a training lie unless told otherwise."""


def train(
    task: Annotated[
        str, typer.Argument(help="wall_single, point_maze, push_t, or one of the first two with _long.")
    ],
    kind: Annotated[
        Kind, typer.Option(help="offline: behaviour data alone; robust: extra data.")
    ] = "offline",
    latent: Annotated[
        Latent | None,
        typer.Option(
            help="flat, colours (push_t), bodies (the others), patch, frozen (ImageNet) or random; by default those to plan with."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of weights and batches.")] = 0,
    device: Device = "cpu",
    folder: Annotated[
        Path, typer.Option(help="Data, frames and checkpoints; a killed run resumes here.")
    ] = WORK,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the model's two files; training/models, training/quick with --quick."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a model of the same name in OUT.")] = False,
    quick: Annotated[bool, typer.Option(help="A tiny model in seconds: to try the command.")] = False,
) -> None:
    """Train a world model from pixels and write it with its card.  Robust models start from the offline one in OUT."""
    models = out or WORK / ("quick" if quick else "models")
    expect_folder(models)
    best = cast("Latent", best_latent(task))
    trained = train_model(
        by_name(task), kind=kind, latent=latent or best, seed=seed, device=device_of(device),
        folder=folder, out=models, overwrite=overwrite, quick=quick,
    )  # fmt: skip
    typer.echo(f"written: {trained}.safetensors and {trained.name}.json")


def train_model(
    task: Task,
    *,
    kind: Kind,
    latent: Latent,
    seed: int,
    device: torch.device,
    folder: Path,
    out: Path,
    overwrite: bool = False,
    quick: bool = False,
) -> Path:
    """Train, evaluate and store one model; return the common path of its files.

    Raises
        ParameterError: if the files are there already and `overwrite` is not given, or a robust model lacks its
            offline one.
    """
    path = out / f"{task.name}-{kind}-{latent}-{seed}"
    # The card is written last: weights without one are what a killed run of this command left.
    if not overwrite and path.with_suffix(".json").exists():
        raise ParameterError(
            "out", f"no {path.name} there yet", "its files", "--overwrite, or another folder"
        )
    recipe = recipe_for(task.name, latent, quick=quick)
    offline = out / f"{task.name}-offline-{latent}-{seed}"
    given = None if kind == "offline" else _offline(offline, recipe, device)
    expect_folder(folder)
    run = Run(task, recipe, seed, folder, device)
    trained = run.offline() if given is None else run.robust(given)
    model = trained.model.cpu()
    card = model_card(task, kind, seed, recipe, trained, evaluate(task, model, quick=quick))
    out.mkdir(parents=True, exist_ok=True)
    save(model, card, path, overwrite=overwrite or not path.with_suffix(".json").exists())
    return path


def model_card(
    task: Task, kind: Kind, seed: int, recipe: Recipe, trained: Trained, evaluation: Mapping[str, Any]
) -> Card:
    """Return the card of a trained model."""
    return Card(
        task=task.name,
        kind=kind,
        seed=seed,
        architecture=trained.model.architecture,
        actions=ActionLayout(FRAMESKIP, task.action_dim, task.action_low, task.action_high, task.action_unit),
        frame_offsets=task.frame_offsets,
        probe_names=task.probe_names,
        data=trained.data,
        recipe=recipe.to_json(),
        training=trained.training,
        evaluation=evaluation,
        dtype="float16",
    )


def _offline(path: Path, recipe: Recipe, device: torch.device) -> WorldModel:
    if not path.with_suffix(".safetensors").exists():
        raise ParameterError(
            "kind", "the offline model that a robust one starts from", f"no {path.name} in {path.parent}",
            "train the offline model of the same seed first",
        )  # fmt: skip
    model = load_file(path, device=device)
    if model.card is None or not recipe.is_told_by(model.card.recipe):
        raise ParameterError(
            "kind", f"an offline model {path.name} of the same recipe", "one of another (--quick, or an older version)",
            "train the offline model anew, or in another folder",
        )  # fmt: skip
    return model
