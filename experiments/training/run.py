"""One training run from behaviour data to a model with its card's facts; resumable at every stage."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from experiments.episodes import Episodes, collect
from experiments.training.fit import Fitted, Trainer
from experiments.training.recipe import Kind, Recipe
from experiments.training.replay import replayed_plans
from experiments.training.stages import (
    Frames,
    encode_all,
    encode_frozen,
    fit_colours,
    fit_components,
    measure_in_misses,
    measure_in_steps,
    normalise_frames,
    normalise_latents,
    train_decoder,
    train_encoder,
    train_predictor,
    train_probe,
)
from grasp_theory.tasks.task import FRAMESKIP, Task
from grasp_theory.world_models import Architecture, WorldModel, fingerprint, round_weights
from grasp_theory.world_models.encoders import BodyEncoder, ColourEncoder
from grasp_theory.world_models.frozen import FrozenEncoder

DATA_SEED = 0
"""Seed of the behaviour data of every shipped model; evaluation draws its own."""
EXTRA_SEED = 1
"""Seed of the extra behaviour data of robust models."""
ROUND_SEED = 1000
"""Difference between the seeds of the replays of two consecutive rounds."""
CONTACTS = 0.25
"""Share of contacts and saturated actions in a batch of a robust predictor."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model and what its card says of the training.

    Arguments
        model: the model, in evaluation mode.
        data: the data, in words and numbers.
        training: time, machine and the last logged metrics of each stage.
    """

    model: WorldModel
    data: dict[str, Any]
    training: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What a training run is determined by, and where and on what it runs.

    Arguments
        task: the task.
        recipe: data, losses and optimisation.
        seed: of weights and batches; the behaviour data are the same for every seed.
        folder: holds data, frames and checkpoints; a killed run goes on from them.
        device: where to train.
        image_size: pixels of a picture's side.
    """

    task: Task
    recipe: Recipe
    seed: int
    folder: Path
    device: torch.device
    image_size: int = 64

    def offline(self, encoder: nn.Module | None = None) -> Trained:
        """Train a world model from the pixels of behaviour data alone, as the paper's setting does.

        Arguments
            encoder: a frozen encoder of the user's own, (N, 3K, H, W) floats in [0, 1] to (N, *S); then the stage that
                trains one is skipped.
        """
        clock = _Clock()
        task, recipe = self.task, self.recipe
        episodes = self._collect(recipe.mixture, recipe.episodes, DATA_SEED)
        frames = self._draw(episodes, "offline")
        torch.manual_seed(self.seed)
        model = WorldModel(self._architecture(encoder), encoder)
        model.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        normalise_frames(model, frames, np.random.default_rng(self.seed))
        model.action_scale.fill_(float(episodes.actions.std()))
        trainer = self._trainer("offline", encoder, [episodes])
        if isinstance(model.encoder, ColourEncoder | BodyEncoder):
            fit_colours(model, frames, np.random.default_rng(self.seed))
        elif isinstance(model.encoder, FrozenEncoder):
            fit_components(model, frames, np.random.default_rng(self.seed))
        if recipe.trains_an_encoder and encoder is None:
            clock.stage("encoder", train_encoder(trainer, model, recipe, frames, episodes.model_actions))
        raw = self._encode(model, episodes, frames)
        normalise_latents(model, raw)
        latents, actions = model.normalise_latents(raw), self._tensor(episodes.model_actions)
        if recipe.first_predictor is not None:
            first = [(latents, actions, 1.0)]
            log = train_predictor(
                trainer, model, recipe.first_predictor, first, state_noise=0.0, name="first_predictor"
            )
            clock.stage("first_predictor", log)
            measure_in_misses(model, latents, actions)
            latents = model.normalise_latents(raw)
        behaviour = (latents, actions, 1.0)
        clock.stage(
            "predictor", train_predictor(trainer, model, recipe.predictor, [behaviour], state_noise=0.0)
        )
        targets = task.probe_targets(episodes.model_states.reshape(-1, task.state_dim))
        clock.stage("probe", train_probe(trainer, model, recipe, latents, self._tensor(targets)))
        clock.stage("decoder", train_decoder(trainer, model, recipe, latents, frames))
        if recipe.distance == "steps":
            measure_in_steps(model, latents)
        round_weights(model)  # as it will be stored
        facts = {"behaviour": _describe(episodes, recipe.mixture, DATA_SEED)}
        return Trained(model.requires_grad_(False), facts, clock.facts(self.device))

    def robust(self, model: WorldModel) -> Trained:
        """Train the predictor of an offline model further, on extra data where planners exploit it; in place.

        The extra data: contacts and saturated actions (the task's "robust" mixture), noised latents, and plans made
        with the model on training problems, replayed in the environment, in one round or more (`Replays`).  Encoder,
        decoder and probe stay.
        """
        clock = _Clock()
        recipe, wanted = self.recipe, self.recipe.replays
        behaviour = self._collect(recipe.mixture, recipe.episodes, DATA_SEED)
        contacts = self._collect("robust", recipe.episodes // 2, EXTRA_SEED)
        seen = [
            (*self._encoded(model, behaviour, "offline"), 1 - CONTACTS - wanted.share),
            (*self._encoded(model, contacts, "contacts"), CONTACTS),
        ]
        given = [behaviour, contacts]
        for number in range(wanted.rounds):
            replays = replayed_plans(
                self.task,
                model,
                seed=self.seed + number * ROUND_SEED,
                folder=self.folder / "data",
                wanted=replace(wanted, problems=min(wanted.problems, recipe.episodes // 2)),
                shortest=recipe.robust_predictor.unroll,
            )
            given.append(replays)
            seen.append((*self._encoded(model, replays, "replays"), wanted.share))
            share = wanted.share / (number + 1)
            data = [*seen[:2], *((latents, actions, share) for latents, actions, _ in seen[2:])]
            trainer = self._trainer("robust", model, given)
            model.predictor.requires_grad_(True)
            log = train_predictor(
                trainer, model, recipe.robust_predictor, data, state_noise=recipe.state_noise
            )
            model.requires_grad_(False)
            clock.stage("predictor" if number == 0 else f"predictor_{number + 1}", log)
        round_weights(model)
        facts = {
            "behaviour": _describe(behaviour, recipe.mixture, DATA_SEED),
            "contacts": _describe(contacts, "robust", EXTRA_SEED),
            "replays": {
                "episodes": sum(len(one.states) for one in given[2:]),
                "seed": self.seed,
                "what": "plans of the model on training problems, replayed in the environment",
            },
            "shares": {
                "behaviour": 1 - CONTACTS - wanted.share,
                "contacts": CONTACTS,
                "replays": wanted.share,
            },
            "state_noise": recipe.state_noise,
        }
        return Trained(model, facts, clock.facts(self.device))

    def _encoded(
        self, model: WorldModel, episodes: Episodes, name: str
    ) -> tuple[Float[Tensor, "N M *S"], Float[Tensor, "N M1 m"]]:
        """Return the normalised latents and the actions of episodes, whose frames are drawn under a name."""
        raw = self._encode(model, episodes, self._draw(episodes, name))
        return model.normalise_latents(raw), self._tensor(episodes.model_actions)

    def _encode(self, model: WorldModel, episodes: Episodes, frames: Frames) -> Float[Tensor, "N M *S"]:
        """Return the raw latents of all frames; those of a frozen network are kept in files, for they take longest."""
        if not isinstance(model.encoder, FrozenEncoder):
            return encode_all(model, frames.pixels, self.device)
        network = model.frozen_weights
        assert network is not None
        key = {
            "task": self.task.name, "data": _digest(episodes), "image_size": self.image_size,
            "network": fingerprint(network), "components": fingerprint(model.encoder),
        }  # fmt: skip
        return encode_frozen(model, frames.pixels, self.folder / "data", key).to(self.device)

    def _architecture(self, encoder: nn.Module | None) -> Architecture:
        task, recipe = self.task, self.recipe
        networks: Mapping[str, Literal["own", "colours", "bodies", "imagenet", "random"]] = {
            "colours": "colours", "bodies": "bodies", "frozen": "imagenet", "random": "random"
        }  # fmt: skip
        own = networks.get(recipe.latent, "own")
        one = task.probe_targets(np.zeros((1, task.state_dim)))
        return Architecture(
            latent="flat" if recipe.latent in ("flat", "colours", "bodies") else "patch", patches=recipe.patches,
            action_dim=FRAMESKIP * task.action_dim, probe_dim=one.shape[-1],
            frames=len(task.frame_offsets), image_size=self.image_size, latent_dim=recipe.latent_dim,
            encoder_depth=recipe.encoder_depth,
            encoder=own if encoder is None else "frozen",
            predictor_width=recipe.predictor_width, predictor_depth=recipe.predictor_depth,
            predictor_block=recipe.predictor_block,
        )  # fmt: skip

    def _collect(self, mixture: str, episodes: int, seed: int) -> Episodes:
        return collect(
            self.task, episodes=episodes, length=self.recipe.length, seed=seed, folder=self.folder / "data",
            mixture=self.task.mixtures[mixture],
        )  # fmt: skip

    def _draw(self, episodes: Episodes, name: str) -> Frames:
        path = self.folder / "data" / f"{self.task.name}_{name}_{self.image_size}_{_digest(episodes)}.npy"
        return Frames.draw(episodes, self.image_size, path)

    def _trainer(self, kind: Kind, given: nn.Module | None, data: Sequence[Episodes]) -> Trainer:
        """Return the trainer of a kind of model that starts from a given frozen encoder or offline model, if any."""
        key: dict[str, Any] = {
            "task": self.task.name, "kind": kind, "seed": self.seed, "image_size": self.image_size,
            "recipe": self.recipe.to_json(), "device": self.device.type, "contacts": CONTACTS,
            "data": [_digest(episodes) for episodes in data], "torch": torch.__version__,
        }  # fmt: skip
        if given is not None:
            key["given"] = fingerprint(given)
        text = json.dumps(key, sort_keys=True)
        # Runs of another recipe (--quick, an ablation) or other data have checkpoints of their own.
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        name = f"{self.task.name}-{kind}-{self.recipe.latent}-{self.seed}-{digest}"
        return Trainer(self.seed, self.device, self.folder / "runs" / name, text)

    def _tensor(self, values: Float[np.ndarray, " ..."]) -> Float[Tensor, " ..."]:
        return torch.from_numpy(values).float().to(self.device)


class _Clock:
    """Collects the time and the last metrics of each stage; the time before a run was resumed counts too."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), time.process_time()
        self._stages: dict[str, Any] = {}

    def stage(self, name: str, fitted: Fitted) -> None:
        self._wall -= fitted.earlier_wall_seconds
        self._cpu -= fitted.earlier_cpu_seconds
        metrics = fitted.log[-1] if fitted.log else {}
        times = {"wall_seconds": round(fitted.wall_seconds, 1), "cpu_seconds": round(fitted.cpu_seconds, 1)}
        self._stages[name] = times | metrics

    def facts(self, device: torch.device) -> dict[str, Any]:
        return {
            "stages": self._stages,
            "wall_seconds": round(time.monotonic() - self._wall, 1),
            "cpu_seconds": round(time.process_time() - self._cpu, 1),
            "machine": machine(device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }


def machine(device: torch.device) -> str:
    """Return the name of the processor or GPU that trains."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def _digest(episodes: Episodes) -> str:
    """Return a digest of states, actions and what a picture looks like: what frames and weights depend on."""
    digest = hashlib.sha256()
    for array in (episodes.states, episodes.actions, episodes.task.render(episodes.model_states[:1, 0])):
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def _describe(episodes: Episodes, mixture: str, seed: int) -> dict[str, Any]:
    count, length = episodes.actions.shape[:2]
    return {
        "episodes": count,
        "length": length,
        "mixture": dict(episodes.task.mixtures[mixture]),
        "seed": seed,
    }
