"""What features of a frozen network tell before anything is trained: the state, and how far it is from a goal.

    python -m experiments.scripts.frozen_distances point_maze --out frozen_distances.json

For ImageNet's features and a random network's: the share of variance that the principal components keep, a linear readout
of the true state from the latents, the rank correlation of their distance, and the greedy rule that follows it in the true
environment.  The shipped flat model stands beside them.  What is in the file already is kept.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Float

from experiments.episodes import Episodes, collect
from experiments.evaluation.faithfulness import distance_ranks, greedy_success
from experiments.evaluation.sizes import FULL, SEED, stream
from experiments.pieces import begun
from experiments.threads import one_thread
from grasp_theory.command_line import add, new_app
from grasp_theory.files import write_atomically
from grasp_theory.statistics.intervals import Json
from grasp_theory.tasks import by_name
from grasp_theory.tasks.task import FRAMESKIP, Task
from grasp_theory.world_models import Architecture, WorldModel, load
from grasp_theory.world_models.frozen import FrozenEncoder

SIZES = replace(FULL, pairs=1000, greedy=20)
COMPONENTS = 32
"""For each frame."""
EPISODES, LENGTH, FITTED, HELD_OUT = 250, 100, 2000, 500
"""Behaviour, and states of the readout: fitted on the first four fifths of the episodes, measured on the others."""
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
"""Weights of the readout's penalty, relative to the latents' mean square; the best on the fitted states' last tenth."""


def frozen_distances(
    tasks: Annotated[list[str], typer.Argument(help="The tasks.")],
    out: Annotated[Path, typer.Option(help="The JSON file; what it has already is kept.")],
    folder: Annotated[Path, typer.Option(help="Holds the behaviour data.")] = Path("training"),
) -> None:
    """Measure what features of frozen networks tell, on some tasks."""
    found = begun(out)
    for name in tasks:
        task = by_name(name)
        episodes = collect(
            task,
            episodes=EPISODES,
            length=LENGTH,
            seed=0,
            folder=folder / "data",
            mixture=task.mixtures["offline"],
        )
        for label in ("frozen", "random", "flat"):
            entry = found.setdefault(name, {}).setdefault(label, {})
            if not entry:
                with one_thread():
                    entry |= measured(task, episodes, label)
                write_atomically(out, json.dumps(found, indent=2) + "\n")
                typer.echo(f"{name}, {label}: {json.dumps(entry)}")


def measured(task: Task, episodes: Episodes, label: str) -> dict[str, Json]:
    """Return what one kind of latents tells of a task."""
    rng = stream(task, SEED, "frozen distances")
    kept: Json = None
    model = load(task.name, latent="flat") if label == "flat" else None
    which, steps = (rng.integers(0, limit, FITTED + HELD_OUT) for limit in episodes.model_states.shape[:2])
    which[:FITTED] %= len(episodes.states) * 4 // 5
    which[FITTED:] = len(episodes.states) * 4 // 5 + which[FITTED:] % (len(episodes.states) // 5)
    frames = torch.from_numpy(episodes.observations(which, steps, 64))
    if model is None:
        model = untrained(task, label)
        assert isinstance(model.encoder, FrozenEncoder)
        kept = model.encoder.fit(frames[:FITTED, 0])
    with torch.no_grad():
        latents = model.encode(frames)
    if label != "flat":
        model.latent_mean.copy_(latents[:FITTED].mean(dim=0))
        latents = latents - model.latent_mean
    targets = task.probe_targets(episodes.model_states[which, steps])
    return {
        "numbers": latents[0].numel(),
        "variance_kept": kept,
        "readout_r2": dict(
            zip(task.probe_names, readout(latents.flatten(1).double().numpy(), targets), strict=True)
        ),
        "rank_correlation": distance_ranks(task, model, SIZES, SEED),
        "greedy": greedy_success(task, model, SIZES, SEED),
    }


def untrained(task: Task, label: str) -> WorldModel:
    """Return a world model with a frozen network and no training at all."""
    quantities = task.probe_targets(np.zeros((1, task.state_dim))).shape[1]
    frames = len(task.frame_offsets)
    return WorldModel(
        Architecture(
            "patch", FRAMESKIP * task.action_dim, quantities, frames=frames, latent_dim=COMPONENTS * frames,
            encoder="imagenet" if label == "frozen" else "random", predictor_width=16, predictor_depth=1,
        )
    )  # fmt: skip


def readout(latents: Float[np.ndarray, "N D"], targets: Float[np.ndarray, "N Q"]) -> list[float]:
    """Return R² of ridge regression on the held-out rows, for each quantity."""
    inputs = (latents - latents[:FITTED].mean(axis=0)) / np.sqrt(latents[:FITTED].var(axis=0).mean())
    centred = targets - targets[:FITTED].mean(axis=0)

    def solved(rows: int, ridge: float) -> Float[np.ndarray, "D Q"]:
        known = inputs[:rows]
        penalty = ridge * rows * np.eye(known.shape[1])
        weights: Float[np.ndarray, "D Q"] = np.linalg.solve(
            known.T @ known + penalty, known.T @ centred[:rows]
        )
        return weights

    def missed(weights: Float[np.ndarray, "D Q"], rows: slice) -> Float[np.ndarray, " Q"]:
        share: Float[np.ndarray, " Q"] = (centred[rows] - inputs[rows] @ weights).var(axis=0) / centred[
            rows
        ].var(axis=0)
        return share

    tried, last = FITTED * 9 // 10, slice(FITTED * 9 // 10, FITTED)
    ridge = min(RIDGES, key=lambda one: float(missed(solved(tried, one), last).mean()))
    return [round(float(1 - share), 4) for share in missed(solved(FITTED, ridge), slice(FITTED, None))]


app = new_app()
add(app, frozen_distances, "what was measured stays in the file; the same command goes on with the rest.")


if __name__ == "__main__":
    app()
