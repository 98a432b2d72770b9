"""The sizes that determine a world model's weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import positive_integer

HEADS = 4
"""Attention heads of the predictor of patch latents."""
BACKBONES = ("imagenet", "random")
"""Encoders that are frozen networks of features (`FrozenEncoder`)."""
LATER = frozenset({"predictor_block", "bodies"})
"""Fields that older cards lack: what such a card does not say has its default."""


@checked
@dataclass(frozen=True)
class Architecture:
    """Everything needed to build a `WorldModel` of the right shape.

    Arguments
        latent: "flat" for one vector (d,), "patch" for a grid of patch vectors (P, d).
        action_dim: m, the length of a model action (frameskip times the environment's).
        probe_dim: the number of quantities that the state probe tells.
        frames: K, the number of stacked frames that an observation has.
        image_size: the pixels of a picture's side, a multiple of 16.
        latent_dim: d, the length of the latent, or of each patch's.
        patches: patches of a side of the grid (patch latents only); P = patches².
        encoder: "own" for learned key points or patches; "colours" for the centroids of colours (`ColourEncoder`), of
            which there are 6·frames; "bodies" for slow features, learned, of the centroids of the colours that move
            (`BodyEncoder`); "imagenet" or "random" for patches of a network that ImageNet trained, or that nothing
            did (`FrozenEncoder`); "frozen" for one that the user supplies.
        encoder_width: channels of the encoder's convolutions.
        encoder_depth: hidden layers between key points or centroids and a flat latent; 0 for a linear map.
        bodies: colours that move, at most 3, with encoder="bodies".
        predictor_width: hidden width of the predictor.
        predictor_depth: residual blocks (flat) or transformer layers (patch) of the predictor.
        predictor_block: "plain" or "gated" residual blocks (flat); a gated one multiplies; "paired" for gated ones that also
            look from every pair of the centroids of an encoder of colours (`PairedMLP`), for actions of 2 numbers a step.

    Raises
        ParameterError: for a size that is not a positive integer or does not fit the others, or a name that is
            not known.
    """

    latent: Literal["flat", "patch"]
    action_dim: int
    probe_dim: int
    frames: int = 1
    image_size: int = 64
    latent_dim: int = 8
    patches: int = 4
    encoder: Literal["own", "colours", "bodies", "imagenet", "random", "frozen"] = "own"
    encoder_width: int = 32
    encoder_depth: int = 2
    bodies: int = 1
    predictor_width: int = 320
    predictor_depth: int = 2
    predictor_block: Literal["plain", "gated", "paired"] = "plain"

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name not in ("latent", "encoder", "predictor_block"):
                least = 0 if field.name == "encoder_depth" else 1
                value = positive_integer(field.name, getattr(self, field.name), minimum=least)
                object.__setattr__(self, field.name, value)
        _one_of("latent", self.latent, ("flat", "patch"))
        _one_of("encoder", self.encoder, ("own", "colours", "bodies", *BACKBONES, "frozen"))
        if self.encoder in BACKBONES and (self.latent != "patch" or self.latent_dim % self.frames):
            raise ParameterError(
                "latent_dim", f"patch latents of a multiple of {self.frames} numbers, as many for each frame",
                f"{self.latent}, {self.latent_dim}", f"latent='patch', latent_dim={16 * self.frames}",
            )  # fmt: skip
        if self.encoder == "colours" and (self.latent, self.latent_dim) != ("flat", 6 * self.frames):
            raise ParameterError(
                "latent_dim", f"a flat latent of {6 * self.frames}, 6 for each frame, with encoder='colours'",
                f"{self.latent}, {self.latent_dim}", f"latent='flat', latent_dim={6 * self.frames}",
            )  # fmt: skip
        if self.encoder == "bodies" and (self.latent != "flat" or self.bodies > 3):
            raise ParameterError(
                "bodies", "at most 3, and a flat latent, with encoder='bodies'", f"{self.bodies}, {self.latent}",
                "latent='flat', bodies=1",
            )  # fmt: skip
        _one_of("predictor_block", self.predictor_block, ("plain", "gated", "paired"))
        if self.predictor_block == "paired" and (self.encoder != "colours" or self.action_dim % 2):
            raise ParameterError(
                "predictor_block", "'paired' only with encoder='colours' and an even action_dim",
                f"encoder={self.encoder!r}, action_dim={self.action_dim}", "predictor_block='gated'",
            )  # fmt: skip
        if self.image_size % 16:
            raise ParameterError(
                "image_size", "a multiple of 16", str(self.image_size), "64, the size of the shipped models"
            )
        if self.encoder_width % 2:
            raise ParameterError("encoder_width", "an even number", str(self.encoder_width), "32")
        if self.latent == "patch" and self.predictor_width % HEADS:
            raise ParameterError(
                "predictor_width",
                f"a multiple of {HEADS}, the attention heads",
                str(self.predictor_width),
                "96",
            )
        if self.latent == "patch" and self.encoder == "own" and self.image_size // 4 % self.patches:
            raise ParameterError(
                "patches", f"a divisor of image_size / 4 = {self.image_size // 4}", str(self.patches), "4"
            )

    @property
    def label(self) -> str:
        """What names of models and commands call its latents: flat, colours, bodies, patch, frozen (ImageNet's
        patches) or random."""
        named = {"colours": "colours", "bodies": "bodies", "imagenet": "frozen", "random": "random"}
        return named.get(self.encoder, self.latent)

    @property
    def state_shape(self) -> tuple[int, ...]:
        """S, the shape of one latent state."""
        return (self.latent_dim,) if self.latent == "flat" else (self.patches**2, self.latent_dim)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Architecture:
        """Return the architecture of `to_json`'s values.

        Raises
            ParameterError: if a field is missing, unknown, or has a value that it cannot have.
        """
        names = {field.name for field in fields(cls)}
        if not names - LATER <= set(values) <= names:
            raise ParameterError(
                "architecture", f"exactly the fields {sorted(names)}", str(sorted(values)),
                "a card written by this version of grasp_theory",
            )  # fmt: skip
        return cls(**values)


def _one_of(argument: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ParameterError(argument, f"one of {choices}", repr(value), f"{argument}={choices[0]!r}")
