"""A world model learned from pixels: encoder, predictor, and the heads that people look through.

Shapes: `...` are leading batch axes, K stacked frames (newest first), H × W pixels, m the action dimension,
`*S` the axes of one latent state ((d,) or (P, d)), Q the number of probed quantities.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from grasp_theory.dynamics import broadcast
from grasp_theory.world_models.architecture import Architecture
from grasp_theory.world_models.card import Card
from grasp_theory.world_models.encoders import VARIANCE_FLOOR, ColourEncoder, own_encoder
from grasp_theory.world_models.frozen import FrozenEncoder
from grasp_theory.world_models.heads import Decoder, Probe
from grasp_theory.world_models.predictors import PairedMLP, predictor
from linear_systems.annotations import shown
from linear_systems.checked import checked
from linear_systems.errors import DTypeError, ParameterError, ShapeError


@checked
class WorldModel(nn.Module):
    """F on latents of pixels: s = encode(frames), s' = s + predictor(s, a).

    It is a `Dynamics`: pass it to a `PlanningProblem` as it is.  Latents are scaled so that a component's
    variance over the training data is 1 on average, so a noise σ or a distance is in units of that.  Their coordinates are
    such that a typical model step moves them equally far in every direction: distances count steps.

    Arguments
        architecture: the sizes.
        encoder: for `architecture.encoder == "frozen"`, a module (N, 3K, H, W) floats in [0, 1] to (N, *S),
            or to any shape with as many entries.  It is put in evaluation mode and its weights are frozen,
            on the device and in the type that they have; they are not part of the model's own, and `to`
            leaves them where they are.

    Raises
        ParameterError: if a frozen encoder is asked for and not given, or given and not asked for.
    """

    background: Tensor
    whitening: Tensor
    unwhitening: Tensor
    latent_mean: Tensor
    latent_scale: Tensor
    latent_map: Tensor
    action_scale: Tensor
    probe_mean: Tensor
    probe_scale: Tensor
    card: Card | None = None
    """What is known of a model that was loaded from a file."""

    def __init__(self, architecture: Architecture, encoder: nn.Module | None = None) -> None:
        super().__init__()
        if (encoder is not None) != (architecture.encoder == "frozen"):
            raise ParameterError(
                "encoder", "a module exactly when architecture.encoder is 'frozen'",
                f"{'a module' if encoder is not None else 'None'} with architecture.encoder={architecture.encoder!r}",
                "pass the frozen encoder that the model was trained with, or an architecture with encoder='own'",
            )  # fmt: skip
        self.architecture = architecture
        size = architecture.image_size
        # A tuple hides the frozen encoder from `parameters` and `state_dict`: it belongs to the user.
        self._frozen = () if encoder is None else (encoder.eval().requires_grad_(False),)
        self.encoder = own_encoder(architecture) if encoder is None else None
        self.predictor = predictor(architecture)
        self.decoder = Decoder(architecture)
        self.probe_head = Probe(architecture)
        self.register_buffer("background", torch.zeros(size, size, 3))
        self.register_buffer("whitening", torch.eye(3))
        self.register_buffer("unwhitening", torch.eye(3))
        self.register_buffer("latent_mean", torch.zeros(architecture.state_shape))
        self.register_buffer("latent_scale", torch.ones(()))
        self.register_buffer("latent_map", torch.eye(architecture.latent_dim))
        self.register_buffer("action_scale", torch.ones(()))
        self.register_buffer("probe_mean", torch.zeros(architecture.probe_dim))
        self.register_buffer("probe_scale", torch.ones(architecture.probe_dim))
        self.eval()  # batch statistics are for training an encoder only

    @checked
    def encode(self, frames: Tensor) -> Float[Tensor, "*batch_and_state"]:
        """Return the latents (..., *S) of stacked frames (..., K, H, W, 3), newest first, in uint8.

        Arguments
            frames: (..., K, H, W, 3) uint8, K stacked frames, the newest first.

        Raises
            ShapeError, DTypeError: if the frames are not uint8 of the model's size and number.
        """
        wanted = self.frame_shape
        if frames.dtype != torch.uint8:
            raise DTypeError(
                "frames", "uint8 pixels", str(frames.dtype), "pass pictures as the environments make them"
            )
        if frames.shape[-4:] != wanted:
            raise ShapeError(
                "frames", f"trailing axes {wanted}: stacked frames, newest first",
                f"shape {tuple(frames.shape)}", "stack the frames that the model's card names, even if it is one",
            )  # fmt: skip
        batch = frames.shape[:-4]
        latents = self.encode_raw(frames.reshape(-1, *wanted))
        return self.normalise_latents(latents).reshape(*batch, *self.architecture.state_shape)

    def encode_raw(self, frames: UInt8[Tensor, "N K H W 3"]) -> Float[Tensor, " N *S"]:
        """Return the encoder's own output, before the latents are centred and scaled.

        Arguments
            frames: (N, K, H, W, 3) uint8, K stacked frames, the newest first.

        Raises
            DTypeError: if it is no tensor.
        """
        latents: Tensor
        if not isinstance(frames, Tensor):
            raise _no_tensor("frames", "uint8 pixels (N, K, H, W, 3)", frames)
        if self.frozen_encoder is not None:
            weight = next(self.frozen_encoder.parameters(), self.background)
            pixels = frames.movedim(-1, -3)
            latents = self.frozen_encoder(pixels.flatten(1, 2).to(weight) / 255)
            return latents.reshape(len(frames), *self.architecture.state_shape).to(self.background)
        assert self.encoder is not None
        latents = self.encoder(frames if isinstance(self.encoder, FrozenEncoder) else self.normalise(frames))
        return latents

    def normalise_latents(self, raw: Float[Tensor, "*batch_and_state"]) -> Float[Tensor, "*batch_and_state"]:
        """Return the encoder's outputs (..., *S) in the coordinates that everything else works in.

        Arguments
            raw: (..., *S), as `encode_raw` gives them.

        Raises
            DTypeError: if it is no tensor.
        """
        if not isinstance(raw, Tensor):
            raise _no_tensor("raw", f"encoder outputs (..., {_axes(self.architecture.state_shape)})", raw)
        with torch.autocast(raw.device.type, enabled=False):
            return ((raw - self.latent_mean) / self.latent_scale) @ self.latent_map

    @torch.no_grad()
    def change_coordinates(self, transform: Float[Tensor, "d d"]) -> None:
        """Measure latents in other coordinates, z' = z·transform; in place.

        The first and last linear layers of predictor, decoder and probe absorb the map, so that predictions, pictures
        and probed quantities stay what they were; distances between latents change.

        Arguments
            transform: invertible, acting on the last axis of the latents.

        Raises
            DTypeError, ShapeError: if it is no tensor (d, d).
        """
        if not isinstance(transform, Tensor):
            raise _no_tensor("transform", f"a matrix of {self.architecture.latent_dim} rows", transform)
        if transform.shape != (self.architecture.latent_dim,) * 2:
            raise ShapeError(
                "transform", f"shape {(self.architecture.latent_dim,) * 2}", f"shape {tuple(transform.shape)}",
                "one row and one column for each component of a latent",
            )  # fmt: skip
        new = transform.double()
        back = torch.linalg.inv(new)
        d = self.architecture.latent_dim

        def write(parameter: Tensor, values: Tensor) -> None:
            parameter.copy_(values.to(parameter.dtype))

        write(self.latent_map, self.latent_map.double() @ new)
        enter, leave = self.predictor.enter, cast(nn.Linear, self.predictor.leave[-1])
        write(enter.weight[:, :d], enter.weight[:, :d].double() @ back.T)
        write(leave.weight, new.T @ leave.weight.double())
        write(leave.bias, leave.bias.double() @ new)
        for first in cast(Iterable[nn.Linear], (self.decoder.enter[0], self.probe_head.layers[0])):
            columns = first.weight.double().reshape(len(first.weight), -1, d)
            write(first.weight, (columns @ back.T).flatten(1))
        self.tell_centroids()

    @torch.no_grad()
    def tell_centroids(self) -> None:
        """Tell a predictor that looks from centroids how to read them off latents in the present coordinates; in place."""
        if not isinstance(self.predictor, PairedMLP):
            return
        assert isinstance(self.encoder, ColourEncoder)  # the architecture sees to it
        features = self.encoder.standardise
        spread = (features.variance.double() + VARIANCE_FLOOR).sqrt()
        read = torch.linalg.inv(self.latent_map.double()) * self.latent_scale.double()
        self.predictor.centroids.copy_(read * spread)
        self.predictor.origin.copy_(self.latent_mean.double() * spread + features.mean.double())

    def normalise(self, pictures: UInt8[Tensor, "*batch H W 3"]) -> Float[Tensor, "*batch 3 H W"]:
        """Return the difference from the mean picture, its colours whitened: the encoder's input.

        Whitening makes objects of every colour count, however few pixels they cover.

        Arguments
            pictures: (..., H, W, 3) uint8.

        Raises
            DTypeError: if it is no tensor.
        """
        if not isinstance(pictures, Tensor):
            raise _no_tensor("pictures", "uint8 pixels (..., H, W, 3)", pictures)
        difference = pictures.to(self.background.dtype) / 255 - self.background
        with torch.autocast(difference.device.type, enabled=False):
            return (difference @ self.whitening.T).movedim(-1, -3)

    @checked
    def step(self, state: Tensor, action: Tensor) -> Float[Tensor, " ..."]:
        """Return the next latents for latents (..., *S) and actions (..., m) in the environment's units.

        Arguments
            state: latents (..., *S).
            action: (..., m), in the environment's units.

        Raises
            DTypeError: if one of them is no tensor of floating-point numbers.
            ShapeError: if the trailing axes are not the model's.
        """
        shape = self.architecture.state_shape
        if not action.is_floating_point():
            raise DTypeError("action", "floating-point numbers", f"{action.dtype}", "convert it: .float()")
        if action.ndim == 0:
            raise ShapeError("action", "actions (..., m)", "shape ()", "give one row an action")
        if action.shape[-1] != self.architecture.action_dim:
            raise ShapeError(
                "action", f"a last axis of {self.architecture.action_dim}", f"shape {tuple(action.shape)}",
                "stack as many environment actions as one model step takes",
            )  # fmt: skip
        batch = broadcast("action", self._batch(state), action.shape[:-1])
        states = state.expand(*batch, *shape).reshape(-1, *shape)
        actions = action.expand(*batch, action.shape[-1]).reshape(-1, action.shape[-1])
        change: Tensor = self.predictor(states, actions / self.action_scale)
        return (states + change).reshape(*batch, *shape)

    def forward(self, state: Tensor, action: Tensor) -> Float[Tensor, " ..."]:
        """Return `step(state, action)`.

        Arguments
            state: latents (..., *S).
            action: (..., m), in the task's units.
        """
        return self.step(state, action)

    @checked
    def decode(self, state: Tensor) -> Float[Tensor, "*batch H W 3"]:
        """Return pictures in [0, 1] of latents (..., *S): the newest frame, as the decoder sees it.

        Arguments
            state: latents (..., *S).
        """
        states = state.reshape(self._batch(state).numel(), *self.architecture.state_shape)
        newest = self.decoder(states)[:, 0].movedim(-3, -1)
        pictures: Tensor = (newest @ self.unwhitening.T + self.background).clamp(0, 1)
        return pictures.reshape(*self._batch(state), *self.frame_shape[1:])

    @checked
    def probe(self, state: Tensor) -> Float[Tensor, "*batch Q"]:
        """Return the probed quantities of latents (..., *S), in the task's units.

        Arguments
            state: latents (..., *S).
        """
        states = state.reshape(self._batch(state).numel(), *self.architecture.state_shape)
        quantities: Tensor = self.probe_head(states) * self.probe_scale + self.probe_mean
        return quantities.reshape(*self._batch(state), self.architecture.probe_dim)

    def distance(self, state: Tensor, goal: Tensor) -> Float[Tensor, "*batch"]:
        """Return the root mean squared difference of latents (..., *S): what planners minimise.

        Arguments
            state: latents (..., *S).
            goal: latents (..., *S) that broadcast against them.

        Raises
            DTypeError: if one of them is no tensor of floating-point numbers.
            ShapeError: if their trailing axes are not the model's.
        """
        if not isinstance(state, Tensor) or not state.is_floating_point():
            raise _no_tensor("state", f"latents (..., {_axes(self.architecture.state_shape)})", state)
        if not isinstance(goal, Tensor) or not goal.is_floating_point():
            raise _no_tensor("goal", f"latents (..., {_axes(self.architecture.state_shape)})", goal)
        if any(
            each.shape[-len(self.architecture.state_shape) :] != self.architecture.state_shape
            for each in (state, goal)
        ):
            raise ShapeError(
                "state, goal", f"trailing axes {self.architecture.state_shape}, those of a latent",
                f"shapes {tuple(state.shape)} and {tuple(goal.shape)}", "pass latents as encode and step return them",
            )  # fmt: skip
        axes = tuple(range(-len(self.architecture.state_shape), 0))
        return (state - goal).square().mean(dim=axes).sqrt()

    @property
    def frame_shape(self) -> tuple[int, int, int, int]:
        """(K, H, W, 3), the shape of one observation."""
        size = self.architecture.image_size
        return (self.architecture.frames, size, size, 3)

    @property
    def frozen_encoder(self) -> nn.Module | None:
        """The user's own encoder, if the model has one."""
        return self._frozen[0] if self._frozen else None

    @property
    def frozen_weights(self) -> nn.Module | None:
        """What the model needs and does not store: the user's encoder, or the network of a `FrozenEncoder`.

        Raises
            MissingPackageError: if that network's packages are not installed.
        """
        return self.encoder.weights if isinstance(self.encoder, FrozenEncoder) else self.frozen_encoder

    def _batch(self, state: Tensor) -> torch.Size:
        """Return the leading axes of latents (..., *S)."""
        shape = self.architecture.state_shape
        if not state.is_floating_point():
            raise _no_tensor("state", f"latents (..., {_axes(shape)})", state)
        if state.shape[-len(shape) :] != shape:
            raise ShapeError(
                "state", f"trailing axes {shape}, those of a latent", f"shape {tuple(state.shape)}",
                "pass latents as encode and step return them",
            )  # fmt: skip
        return state.shape[: -len(shape)]


def _axes(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _no_tensor(argument: str, expected: str, found: object) -> DTypeError:
    """Return the error for what is no tensor, or one of another type."""
    if isinstance(found, Tensor):
        return DTypeError(argument, f"{expected} in floating point", f"{found.dtype}", "convert it: .float()")
    hint = (
        "convert it: torch.from_numpy(...)"
        if isinstance(found, np.ndarray)
        else "convert it: torch.as_tensor(...)"
    )
    return DTypeError(argument, f"a tensor of {expected}", shown(found), hint)
