"""How fast a model's open-loop prediction leaves the truth: errors of the decoded state over held-out episodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from experiments.episodes import Episodes, frame_states
from experiments.evaluation.observe import HasBlock, encode, probe
from experiments.evaluation.one_step import one_step
from experiments.evaluation.sizes import Sizes, stream
from grasp_theory.statistics.bootstrap import Bootstrap
from grasp_theory.statistics.intervals import Estimate, Json, plain
from grasp_theory.tasks.task import FRAMESKIP, Task
from grasp_theory.world_models import WorldModel

HORIZON = 20
"""Model steps of a window."""
STEPS = (0, 1, 4, 10, 20)
"""The steps that tables report; 0 is the probe alone, on encoded pictures."""
STRIDE = 5
"""Model steps from the start of one window to the next of its episode."""


@dataclass(frozen=True, eq=False)
class Windows:
    """N windows of `HORIZON` model steps of held-out episodes of the task's behaviour.

    Arguments
        episode: (N,) the episode of each window; windows of one episode overlap.
        frames: (N, 2, K, S) the states behind the stacked frames at model steps 0 and 1 of each window.
        states: (N, L+1, S) the true states at every environment step of it.
        actions: (N, H, m) its model actions.
    """

    episode: Int[np.ndarray, " N"]
    frames: Float[np.ndarray, "N 2 K S"]
    states: Float[np.ndarray, "N L+1 S"]
    actions: Float[np.ndarray, "N H m"]


def held_out_windows(task: Task, sizes: Sizes, seed: int) -> Windows:
    """Return windows of episodes of the offline mixture of policies that no training has seen."""
    rng = stream(task, seed, "episodes")
    starts = task.sample_states(rng, sizes.episodes)
    episodes = Episodes(task, *task.behaviour(rng, starts, sizes.length, mixture=task.mixtures["offline"]))
    last = episodes.model_states.shape[1] - 1 - HORIZON
    grid = np.meshgrid(np.arange(sizes.episodes), np.arange(0, last + 1, STRIDE), indexing="ij")
    episode, start = grid[0].ravel(), grid[1].ravel()
    model_steps = start[:, None] + np.arange(HORIZON)
    steps = episodes.first + FRAMESKIP * start[:, None] + np.arange(FRAMESKIP * HORIZON + 1)
    return Windows(
        episode,
        frame_states(episodes, np.stack([episode, episode], 1), start[:, None] + np.arange(2)),
        episodes.states[episode[:, None], steps],
        episodes.model_actions[episode[:, None], model_steps],
    )


@torch.no_grad()
def open_loop(task: Task, model: WorldModel, windows: Windows, sizes: Sizes, seed: int) -> tuple[Json, Json]:
    """Return the errors at `STEPS`, and their curves over all steps 0..`HORIZON`.

    The error at step h compares probe(F(...F(encode(o_0), a_0)..., a_{h-1})) with the true state at step h by
    `Task.state_errors`; at h = 0 it is the probe's own.  `identity` is the error of the prediction that the true
    state stays as it was at step 0 (with a perfect probe): the scale on which to read the model's.  For a task with
    a block the version `moving` has the windows in which the block moves between step 0 and step h.  Intervals are
    95% bootstraps over episodes.

    Returns
        errors: {version: {h: {windows, episodes, errors: {name: {model, identity: {mean, median}}}}}}; a version
            lacks the steps for which it has no window.
        curves: {version: {name: {model: {mean, low, high}, identity}}}, lists over h, None without windows.
    """
    latents = encode(model, task, windows.frames[:, 0])
    actions = torch.from_numpy(windows.actions).to(latents)
    first = task.probe_targets(windows.states[:, 0])
    predicted, staying = [], []
    for h in range(HORIZON + 1):
        if h:
            latents = model.step(latents, actions[:, h - 1])
        true = windows.states[:, FRAMESKIP * h]
        predicted.append(task.state_errors(probe(model, latents), true))
        staying.append(task.state_errors(first, true))
    errors: dict[str, Json] = {}
    curves: dict[str, Json] = {}
    for version, chosen in _versions(task, windows).items():
        rng = stream(task, seed, f"open_loop/{version}")
        errors[version], curves[version] = _summary(
            windows.episode, chosen, predicted, staying, rng, sizes.resamples
        )
    return errors, curves


def behaviour_steps(
    task: Task, model: WorldModel, windows: Windows, sizes: Sizes, seed: int
) -> dict[str, Json]:
    """Return `one_step` of the windows' first steps."""
    before, after = (encode(model, task, windows.frames[:, k]) for k in (0, 1))
    bootstrap = Bootstrap(windows.episode, stream(task, seed, "one step/behaviour"), sizes.resamples)
    actions = torch.from_numpy(windows.actions[:, 0]).to(before)
    return one_step(task, model, before, actions, after, windows.states[:, FRAMESKIP], bootstrap)


def _versions(task: Task, windows: Windows) -> dict[str, list[Bool[np.ndarray, " N"]]]:
    """Return which windows count at each step, for each version."""
    everything = [np.ones(len(windows.episode), dtype=bool)] * (HORIZON + 1)
    if not isinstance(task, HasBlock):
        return {"all": everything}
    moving = [task.block_moved(windows.states[:, : FRAMESKIP * h + 1]) for h in range(HORIZON + 1)]
    return {"all": everything, "moving": moving}


def _summary(
    episode: Int[np.ndarray, " N"],
    chosen: list[Bool[np.ndarray, " N"]],
    predicted: list[dict[str, Float[np.ndarray, " N"]]],
    staying: list[dict[str, Float[np.ndarray, " N"]]],
    rng: np.random.Generator,
    resamples: int,
) -> tuple[Json, Json]:
    names = list(predicted[0])
    steps: dict[str, Json] = {}
    means: dict[str, list[Estimate | None]] = {name: [] for name in names}
    identity: dict[str, list[Json]] = {name: [] for name in names}
    for h, keep in enumerate(chosen):
        if not keep.any():
            for name in names:
                means[name].append(None)
                identity[name].append(None)
            continue
        bootstrap = Bootstrap(episode[keep], rng, resamples)
        table: dict[str, Json] = {}
        for name in names:
            values, stays = predicted[h][name][keep], staying[h][name][keep]
            means[name].append(bootstrap.mean(values))
            identity[name].append(plain(float(stays.mean())))
            if h in STEPS:
                table[name] = {"model": _centre(bootstrap, values), "identity": _centre(bootstrap, stays)}
        if h in STEPS:
            steps[str(h)] = {"windows": int(keep.sum()), "episodes": bootstrap.clusters, "errors": table}
    return steps, {name: {"model": _lists(means[name]), "identity": identity[name]} for name in names}


def _centre(bootstrap: Bootstrap, values: Float[np.ndarray, " N"]) -> dict[str, Json]:
    return {"mean": bootstrap.mean(values).to_json(), "median": bootstrap.median(values).to_json()}


def _lists(estimates: list[Estimate | None]) -> Json:
    return {
        label: [None if estimate is None else plain(getattr(estimate, part)) for estimate in estimates]
        for label, part in (("mean", "value"), ("low", "low"), ("high", "high"))
    }
