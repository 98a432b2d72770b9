"""How a world model is trained: every number in one place, with the presets of the shipped models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, Literal

from grasp_theory.tasks.problems import Kind as ProblemKind
from linear_systems.errors import ParameterError

Kind = Literal["offline", "robust"]
Latent = Literal["flat", "colours", "bodies", "patch", "frozen", "random"]


@dataclass(frozen=True)
class Stage:
    """One optimisation: AdamW with a linear warm-up of 5% of the steps and a cosine decay to zero.

    Arguments
        steps: optimiser steps.
        batch: windows (or single latents) in one batch.
        learning_rate: peak learning rate.
        unroll: L, model steps of a window.
    """

    steps: int
    batch: int
    learning_rate: float
    unroll: int = 1


@dataclass(frozen=True)
class Replays:
    """Plans that a robust model's planners make on training problems, replayed in the environment.

    In every round the current model plans, and is then trained on the replays of all rounds so far: what planners
    find to exploit after one round differs from what they found before it (Ross et al., 2011).

    Arguments
        rounds: how often; each trains for the steps of `Recipe.robust_predictor`.
        problems: for each planner, in each round; no more than half the behaviour episodes.
        horizon: model steps of a plan; None for the horizon of the model's evaluation.
        share: of a training batch; a quarter are contacts, and the rest is behaviour.
        planners: "gradient", GRASP and gradient descent, or "held", MPPI with one action held for each model step.
        kind: of the problems; None for that of the model's evaluation.
    """

    rounds: int = 1
    problems: int = 400
    horizon: int | None = None
    share: float = 0.25
    planners: Literal["gradient", "held"] = "gradient"
    kind: ProblemKind | None = None


@dataclass(frozen=True)
class Recipe:
    """Data, losses and optimisation of one world model.

    Arguments
        episodes, length: behaviour episodes, and environment steps of each.
        mixture: the name of their mixture of policies in `Task.mixtures`.
        latent, latent_dim: kind and size of the latent.  For "bodies", features of the centroids of the colours that move
            (`BodyEncoder`).  For "colours", centroids of colours (`ColourEncoder`), and for "frozen" and
            "random", patches of a frozen network, ImageNet's or untrained (`FrozenEncoder`), the encoder's weights and stage
            do not count.
        encoder_depth, patches, predictor_width, predictor_depth, predictor_block: see `Architecture`.
        variance, covariance: weights that keep the latents from collapsing: a hinge on each component's standard
            deviation and the squared off-diagonal covariances (Bardes et al., 2022).
        slowness: weight of the mean squared change of a latent in one model step.  With the two
            above it asks for the slowest uncorrelated features, whose distances follow how long the behaviour
            takes from one state to another.
        reconstruction: weight of the share of a picture's variance that the decoder misses, in the encoder's loss; for
            "bodies", of the variance of the centroids and motions that a network misses.
        first_predictor: a stage before the predictor's own, after which latents are measured in what it misses
            (`experiments.training.stages.measure_in_misses`); None for neither.
        encoder, predictor, decoder, probe: the stages.
        robust_predictor: the stage that makes an offline model robust.
        state_noise: standard deviation of the noise on the latents that a robust predictor starts from.
        replays: the replayed plans that a robust predictor learns from.
        distance: what a distance between latents counts: typical model steps (`measure_in_steps`), or what the features
            themselves say.
    """

    episodes: int
    length: int
    mixture: str = "offline"
    latent: Latent = "flat"
    latent_dim: int = 8
    encoder_depth: int = 2
    patches: int = 4
    predictor_width: int = 320
    predictor_depth: int = 2
    predictor_block: Literal["plain", "gated", "paired"] = "plain"
    variance: float = 1.0
    covariance: float = 1.0
    slowness: float = 0.0
    reconstruction: float = 0.0
    encoder: Stage = field(default_factory=lambda: Stage(2000, 48, 1.5e-3, 2))
    first_predictor: Stage | None = None
    predictor: Stage = field(default_factory=lambda: Stage(2500, 512, 1e-3, 8))
    decoder: Stage = field(default_factory=lambda: Stage(800, 96, 2e-3))
    probe: Stage = field(default_factory=lambda: Stage(2000, 1024, 2e-3))
    robust_predictor: Stage = field(default_factory=lambda: Stage(1200, 512, 5e-4, 8))
    state_noise: float = 0.1
    replays: Replays = field(default_factory=Replays)
    distance: Literal["steps", "features"] = "steps"

    @property
    def trains_an_encoder(self) -> bool:
        """Whether the encoder of its latents is trained by gradient."""
        return self.latent in ("flat", "bodies", "patch")

    def to_json(self) -> Mapping[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)

    def is_told_by(self, values: Mapping[str, Any]) -> bool:
        """Return whether an offline model has this recipe, from the values of `to_json` on its card.

        Fields that only robust models depend on are ignored, and a field that an older card lacks has its default.
        """
        defaults = {one.name: one.default for one in fields(self) if one.default is not MISSING}
        told, own = {**defaults, **values}, dict(self.to_json())
        if told.get("features") == "learned":
            del told["features"]  # a field of older cards, when centroids of colours were flat latents too
        for name in ("robust_predictor", "state_noise", "replays"):
            told.pop(name, None)
            own.pop(name)
        return told == own


RECIPES: dict[tuple[str, Latent], Recipe] = {
    ("wall_single", "flat"): Recipe(
        episodes=2000,
        length=250,
        slowness=4.0,
        encoder=Stage(1500, 64, 1e-3, 4),
    ),
    ("point_maze", "flat"): Recipe(episodes=2000, length=255, slowness=0.2, reconstruction=1.0),
    ("push_t", "flat"): Recipe(
        episodes=8000,
        length=100,
        latent_dim=40,
        encoder_depth=0,
        predictor_block="gated",
        slowness=0.1,
        encoder=Stage(3500, 48, 1.5e-3, 2),
        first_predictor=Stage(1500, 512, 1e-3, 2),
        predictor=Stage(5000, 512, 1e-3, 8),
        decoder=Stage(1500, 96, 2e-3),
        probe=Stage(5000, 1024, 2e-3),
    ),
    ("push_t", "colours"): Recipe(
        episodes=8000,
        length=100,
        mixture="diverse",
        latent="colours",
        latent_dim=12,
        predictor_block="paired",
        first_predictor=Stage(1000, 512, 1e-3, 2),
        predictor=Stage(8000, 512, 1e-3, 8),
        decoder=Stage(1000, 96, 2e-3),
        probe=Stage(5000, 1024, 2e-3),
        robust_predictor=Stage(1500, 512, 3e-4, 8),
        state_noise=0.0,
        replays=Replays(rounds=2, horizon=10, share=0.4),
    ),
    ("wall_single_long", "flat"): Recipe(
        episodes=2000,
        length=400,
        slowness=8.0,
        encoder=Stage(1500, 64, 1e-3, 4),
        robust_predictor=Stage(1000, 512, 5e-4, 12),
        replays=Replays(rounds=2, problems=100, horizon=24, share=0.5),
    ),
    ("point_maze_long", "flat"): Recipe(
        episodes=2000,
        length=255,
        slowness=0.2,
        reconstruction=1.0,
        robust_predictor=Stage(1500, 512, 5e-4, 16),
        state_noise=0.02,
        replays=Replays(rounds=4, problems=400, horizon=40, share=0.5, planners="held", kind="long"),
    ),
    ("wall_single", "patch"): Recipe(
        episodes=2000,
        length=250,
        latent="patch",
        predictor_width=64,
        slowness=0.5,
        reconstruction=1.0,
        encoder=Stage(1200, 48, 1e-3, 2),
        predictor=Stage(1000, 96, 1e-3, 5),
    ),
    ("point_maze", "patch"): Recipe(
        episodes=2000,
        length=255,
        latent="patch",
        predictor_width=64,
        slowness=0.2,
        reconstruction=1.0,
        encoder=Stage(1500, 48, 1e-3, 2),
        predictor=Stage(1000, 96, 1e-3, 5),
    ),
    ("push_t", "patch"): Recipe(
        episodes=8000,
        length=100,
        latent="patch",
        predictor_width=96,
        slowness=0.1,
        reconstruction=1.0,
        encoder=Stage(3000, 48, 1e-3, 2),
        predictor=Stage(2000, 96, 1e-3, 5),
        decoder=Stage(2500, 96, 2e-3),
        probe=Stage(5000, 1024, 2e-3),
    ),
}
RECIPES |= {
    (task, "bodies"): Recipe(
        episodes=3000,
        length=length,
        mixture=mixture,
        latent="bodies",
        slowness=slowness,
        reconstruction=1.0,
        encoder=Stage(3000, 256, 3e-3, unroll),
        predictor=Stage(8000, 512, 1e-3, 8),
        probe=Stage(5000, 1024, 2e-3),
        robust_predictor=Stage(1500, 512, 5e-4, 8 if replays.horizon is None else 16),
        state_noise=0.02,
        replays=replays,
    )
    for task, length, mixture, slowness, unroll, replays in (
        ("wall_single", 250, "diverse", 4.0, 4, Replays(rounds=2, share=0.4)),
        ("wall_single_long", 400, "diverse", 16.0, 4, Replays(2, 400, 24, 0.5, "held", "long")),
        ("point_maze", 255, "diverse", 8.0, 2, Replays(rounds=2, share=0.4)),
        ("point_maze_long", 255, "robust", 8.0, 2, Replays(2, 400, 40, 0.5, "held", "long")),
    )
}
RECIPES |= {
    (task, latent): Recipe(
        episodes=episodes,
        length=length,
        latent=latent,
        latent_dim=dim,
        predictor_width=128,
        predictor=Stage(steps, 48, 1e-3, 4),
        decoder=Stage(300, 64, 2e-3),
        probe=Stage(1500, 256, 2e-3),
        distance="features",
    )
    for task, episodes, length, dim, steps in (
        ("point_maze", 1000, 255, 64, 8000),
        ("push_t", 1000, 100, 64, 8000),
        ("wall_single", 250, 250, 32, 1500),
    )
    for latent in ("frozen", "random")
}
"""By task and latent: the recipes of the shipped models, and others."""


def recipe_for(task: str, latent: Latent, *, quick: bool = False) -> Recipe:
    """Return the recipe of a task's shipped model, or with `quick` a tiny one that runs in seconds.

    Raises
        ParameterError: if there is none for the task and latent.
    """
    if (task, latent) not in RECIPES:
        names = ", ".join(f"{name} ({kind})" for name, kind in RECIPES)
        raise ParameterError("task", f"one with a recipe: {names}", f"{task} ({latent})", "one of these")
    recipe = RECIPES[task, latent]
    if not quick:
        return recipe
    return replace(
        recipe,
        episodes=40,
        length=100,
        latent_dim=4 if recipe.trains_an_encoder else recipe.latent_dim,
        predictor_width=96,
        encoder=Stage(100, 32, 4e-3, 2),
        first_predictor=recipe.first_predictor and Stage(50, 64, 2e-3, 2),
        predictor=Stage(600, 64, 2e-3, 2),
        robust_predictor=replace(recipe.robust_predictor, steps=50, batch=128),
        replays=Replays(),
        decoder=replace(recipe.decoder, steps=20, batch=64),
        probe=replace(recipe.probe, steps=150, batch=256),
    )
