"""What the shipped world models believe: open-loop predictions under what really happens.

For each task a held-out episode, of 64 the one whose picture changes most: in the upper row what happened, in the
lower what the shipped model predicts from the first picture and the actions alone, as its probe reads it and the task draws it.
Columns are model steps, of five environment steps each.
"""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure

from experiments.episodes import Episodes
from experiments.evaluation.observe import decoded_states
from figures.pictures import VARIANTS
from figures.progress import track
from figures.style import WIDTH, house_style
from grasp_theory.tasks import by_name
from grasp_theory.tasks.task import FRAMESKIP, stacked_frames
from grasp_theory.world_models import load

TASKS = ("wall_single", "point_maze", "push_t")
STEPS = (0, 1, 2, 4, 6, 10)
"""Model steps shown."""
CANDIDATES = 64
"""Held-out episodes, of which the one whose picture changes most is shown."""
SEED = 20


@dataclass(frozen=True)
class Prediction:
    """One task's row of the figure.

    Arguments
        task: its name.
        true: (n, H, W, 3) pictures of what happened, in [0, 1], at the steps shown.
        predicted: (n, H, W, 3) open-loop predictions from the first of them, as the probe reads and the task draws them.
        errors: named errors of the probed state, (n,) each, in the task's units.
    """

    task: str
    true: Float[np.ndarray, "n H W 3"]
    predicted: Float[np.ndarray, "n H W 3"]
    errors: dict[str, Float[np.ndarray, " n"]]


@torch.no_grad()
def predict(name: str) -> Prediction:
    """Run the shipped offline model of a task open loop on a held-out episode."""
    task, model = by_name(name), load(name)
    rng = np.random.default_rng(SEED)
    length = FRAMESKIP * (STEPS[-1] + 2)
    starts = task.sample_states(rng, CANDIDATES)
    states, actions = task.behaviour(rng, starts, length, mixture=task.mixtures["offline"])
    episodes = Episodes(task, states, actions)
    shown = episodes.model_states[:, : STEPS[-1] + 1]
    size = model.architecture.image_size
    before, after = (task.render(shown[:, step], size).astype(float) for step in (0, -1))
    which = int(np.argmax(np.abs(after - before).sum(axis=(1, 2, 3))))
    first = episodes.observations(np.array([which]), np.array([0]), size)
    latent = model.encode(torch.from_numpy(first))
    latents = [latent]
    for action in torch.from_numpy(episodes.model_actions[which, : STEPS[-1]]).float():
        latents.append(model.step(latents[-1], action[None]))
    chosen = torch.cat([latents[step] for step in STEPS])
    true_states = shown[which, list(STEPS)]
    probed = model.probe(chosen).double().numpy()
    return Prediction(
        name,
        stacked_frames(task, true_states[:, None], size)[:, 0] / 255,
        task.render(decoded_states(task, probed), size) / 255,
        task.state_errors(probed, true_states),
    )


def draw(predictions: list[Prediction]) -> Figure:
    """Draw two rows a task: what happened, and what the model predicted from the first picture."""
    rows = 2 * len(predictions)
    with house_style():
        figure, grid = plt.subplots(rows, len(STEPS), figsize=(WIDTH, rows * 1.12 + 0.2), squeeze=False)
        for k, prediction in enumerate(predictions):
            for row, label, pictures in (
                (grid[2 * k], "happened", prediction.true),
                (grid[2 * k + 1], "predicted", prediction.predicted),
            ):
                for axes, picture, step in zip(row, pictures, STEPS, strict=True):
                    axes.imshow(picture)
                    axes.set_xticks([])
                    axes.set_yticks([])
                    axes.grid(False)
                    axes.spines[:].set_visible(True)
                    if k == 0 and label == "happened":
                        axes.set_title(f"model step {step}" if step == STEPS[0] else f"{step}", loc="center")
                row[0].set_ylabel(f"{VARIANTS[prediction.task]}\n{label}" if label == "happened" else label)
    return figure


def make() -> tuple[Figure, list[Prediction]]:
    """Return the figure and its numbers."""
    numbers = [predict(name) for name in track(TASKS, "world models: tasks")]
    return draw(numbers), numbers
