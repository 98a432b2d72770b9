"""World models of other projects as window models: stable-worldmodel's LeWM and PreJEPA, and DINO-WM.

Each adapter encodes observations to frames (B, n, *F) without gradients, and predicts the next frame.  Frames
leave the actions out: the adapter embeds the actions that a planner tries and puts them where the model expects
them.  The models are used as they are, in the mode (train or eval) and on the device they are in: observations are
moved there, and floating-point ones are cast to the model's dtype if it has only one.

Shapes: B environments, n or k frames, N windows, P patches, d and e embedding sizes, m the action dimension.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp_theory.adapters.history import WindowModel
from grasp_theory.boundary import as_tensor
from linear_systems.checked import checked
from linear_systems.errors import ParameterError, ShapeError

Observations = Mapping[str, Any]
"""Observations by name, each with axes (B, n, ...)."""


@runtime_checkable
class GoalEncodingModel(WindowModel, Protocol):
    """A window model that encodes the `info_dict` of stable-worldmodel."""

    def encode(self, info: Observations) -> Tensor:
        """Return the frames (B, n, *F) of the observations.

        Arguments
            info: observations by name, each (B, n, ...), as stable-worldmodel gives them.
        """

    def encode_goal(self, info: Observations) -> Tensor:
        """Return the goal frames (B, *F).

        Arguments
            info: observations by name, those of the goal among them, as stable-worldmodel gives them.
        """


@checked
@dataclass(frozen=True, eq=False)
class LeWMModel:
    """LeWM of stable-worldmodel (and PLDM, which has its interface): flat latents of `pixels`.

    Arguments
        model: has `encode(info)`, which adds "emb" (B, n, d) for "pixels" (B, n, C, h, w),
            `action_encoder(actions (N, k, m))` and `predict(emb (N, k, d), act_emb)`, whose last output is
            the next latent.  Its longest window is `predictor.num_frames`, or 3 where that is missing.

    Raises
        ParameterError: the model lacks one of these.
    """

    model: Any

    def __post_init__(self) -> None:
        _check_has(self.model, ("encode", "action_encoder", "predict", "predictor"))

    @property
    def window(self) -> int:
        """K, the longest window."""
        return int(getattr(self.model.predictor, "num_frames", 3))

    def encode(self, info: Any) -> Float[Tensor, "B n d"]:
        """Return the latents of info["pixels"].

        Raises
            ParameterError, DTypeError, ShapeError: an observation is missing, is no array or lacks an axis.
        """
        return self._encode(info, "pixels")

    def encode_goal(self, info: Any) -> Float[Tensor, "B d"]:
        """Return the latent of the last frame of info["goal"], (B, n, C, h, w); raises as `encode`."""
        return self._encode(info, "goal")[:, -1]

    def predict(
        self, frames: Float[Tensor, "N k d"], actions: Float[Tensor, "N k m"]
    ) -> Float[Tensor, "N d"]:
        """Return the next latents.

        Arguments
            frames: latents (N, k, d), the newest last.
            actions: (N, k, m), taken at each of them.
        """
        following: Tensor = self.model.predict(frames, self.model.action_encoder(actions))
        return following[:, -1]

    def _encode(self, info: Any, name: str) -> Tensor:
        pixels = _read(info, [name], self.model)[name]
        with torch.no_grad():
            latents: Tensor = self.model.encode({"pixels": pixels})["emb"]
        return latents


@checked
@dataclass(frozen=True, eq=False)
class PreJEPAModel:
    """PreJEPA of stable-worldmodel: patch latents, with embeddings of other sources repeated on every patch.

    Arguments
        model: has `history_size`; `extra_encoders`, an ordered mapping with a key "action" and, on each
            encoder, `emb_dim`; `encode(info, pixels_key=, prefix=, emb_keys=, target=)`, which adds
            info[target] (B, n, P, d); and `predict(embedding (N, k, P, d))`, whose last output is the next.

    Raises
        ParameterError: the model lacks one of these, or has no action encoder.
    """

    model: Any

    def __post_init__(self) -> None:
        _check_has(self.model, ("history_size", "extra_encoders", "encode", "predict"))
        if "action" not in self.model.extra_encoders:
            raise ParameterError(
                "model", 'an encoder "action" among extra_encoders', f"{list(self.model.extra_encoders)}",
                "plan with a model that takes actions",
            )  # fmt: skip

    @property
    def window(self) -> int:
        """K, the longest window."""
        return int(self.model.history_size)

    def encode(self, info: Any) -> Float[Tensor, "B n P d"]:
        """Return the frames of info["pixels"] and of the other sources but the actions.

        Raises
            ParameterError, DTypeError, ShapeError: an observation is missing, is no array, lacks an axis, or has
                another number of frames than the pixels.
        """
        return self._encode(info, "pixels", "")

    def encode_goal(self, info: Any) -> Float[Tensor, "B P d"]:
        """Return the last frame of info["goal"] and of the other sources' info["goal_<source>"]; raises as `encode`."""
        return self._encode(info, "goal", "goal_")[:, -1]

    def predict(
        self, frames: Float[Tensor, "N k P d"], actions: Float[Tensor, "N k m"]
    ) -> Float[Tensor, "N P d"]:
        """Return the next frames.

        Arguments
            frames: (N, k, P, d), the newest last.
            actions: (N, k, m), taken at each of them.
        """
        embedded: Tensor = self.model.extra_encoders["action"](actions)
        # The action's place: after the pixels and the sources encoded before it.
        after = 0
        for source in reversed(list(self.model.extra_encoders)):
            if source == "action":
                break
            after += int(self.model.extra_encoders[source].emb_dim)
        start = frames.shape[-1] - after
        repeated = embedded.unsqueeze(2).expand(-1, -1, frames.shape[2], -1)
        whole = torch.cat([frames[..., :start], repeated, frames[..., start:]], dim=-1)
        following: Tensor = self.model.predict(whole)[:, -1]
        return torch.cat([following[..., :start], following[..., start + embedded.shape[-1] :]], dim=-1)

    def _encode(self, info: Any, pixels: str, prefix: str) -> Tensor:
        sources = [source for source in self.model.extra_encoders if source != "action"]
        read = _read(info, [pixels, *(prefix + source for source in sources)], self.model)
        with torch.no_grad():
            encoded = self.model.encode(
                read, pixels_key=pixels, prefix=prefix, emb_keys=sources, target="frames"
            )
        frames: Tensor = encoded["frames"]
        return frames


@checked
@dataclass(frozen=True, eq=False)
class DINOWMModel:
    """DINO-WM's world model: patch latents and proprioception, with actions as a token or on every patch.

    A frame is the model's z without its action part: (P, e + proprio) where the model concatenates features
    (`concat_dim` 1), (P + 1, e) where it concatenates tokens (`concat_dim` 0).  ‖frame − goal‖² then weighs
    the proprioception as it is repeated there; DINO-WM's own objective averages each part over its entries
    and weighs the proprioception by its α.

    Arguments
        model: has `num_hist` = K, `concat_dim`, `num_action_repeat`, `num_proprio_repeat`,
            `encode_obs({"visual": (B, n, C, h, w), "proprio": (B, n, p)})`, which returns "visual"
            (B, n, P, e) and "proprio" (B, n, q), `encode_act(actions (N, k, m))` and
            `predict(z (N, k, P', d))`, whose last output is the next z.

    Raises
        ParameterError: the model lacks one of these, or `concat_dim` is neither 0 nor 1.
    """

    model: Any

    def __post_init__(self) -> None:
        repeats = ("num_action_repeat", "num_proprio_repeat")
        _check_has(self.model, ("num_hist", "concat_dim", *repeats, "encode_obs", "encode_act", "predict"))
        if self.model.concat_dim not in (0, 1):
            raise ParameterError(
                "model", "concat_dim 0 or 1", repr(self.model.concat_dim), "check the model's configuration"
            )

    @property
    def window(self) -> int:
        """K, the longest window."""
        return int(self.model.num_hist)

    def encode(self, observations: Any) -> Float[Tensor, "B n patches d"]:
        """Return the frames of observations "visual" and "proprio"; a goal is the last frame of its own.

        Raises
            ParameterError, DTypeError, ShapeError: an observation is missing, is no array, lacks an axis, or the two
                have different numbers of frames.
        """
        read = _read(observations, ["visual", "proprio"], self.model)
        with torch.no_grad():
            encoded = self.model.encode_obs(read)
        return self._join(encoded["visual"], encoded["proprio"], self.model.num_proprio_repeat)

    def predict(
        self, frames: Float[Tensor, "N k patches d"], actions: Float[Tensor, "N k m"]
    ) -> Float[Tensor, "N patches d"]:
        """Return the next frames.

        Arguments
            frames: (N, k, patches, d), the newest last.
            actions: (N, k, m), taken at each of them.
        """
        z = self._join(frames, self.model.encode_act(actions), self.model.num_action_repeat)
        following: Tensor = self.model.predict(z)[:, -1]
        return following[:, : frames.shape[2], : frames.shape[3]]

    def _join(self, patches: Tensor, vector: Tensor, repeats: int) -> Tensor:
        """Append a vector (N, k, q) to patches (N, k, P, d), as a token or on every patch, repeated."""
        token = vector.unsqueeze(2)
        if self.model.concat_dim == 0:
            return torch.cat([patches, token], dim=2)
        return torch.cat([patches, token.repeat(1, 1, patches.shape[2], repeats)], dim=3)


def _check_has(model: object, names: Iterable[str]) -> None:
    missing = [name for name in names if not hasattr(model, name)]
    if missing:
        raise ParameterError(
            "model", f"a model with {', '.join(names)}", f"{type(model).__name__} without {', '.join(missing)}",
            "adapt it to WindowModel",
        )  # fmt: skip


def _read(info: Any, names: list[str], model: object) -> dict[str, Tensor]:
    """Return entries (B, n, ...) with the same B and n, where the model is and in its dtype."""
    if not isinstance(info, Mapping):
        raise ParameterError(
            "info", "a mapping from names to observations", type(info).__name__, "pass a dict"
        )
    device, dtype = _place(model)
    read: dict[str, Tensor] = {}
    for name in names:
        if name not in info:
            raise ParameterError(
                "info", f"an entry {name!r}", f"entries {sorted(map(str, info))}", f"pass {name} (B, n, ...)"
            )
        value = as_tensor(f"info[{name!r}]", info[name])
        axes = read[names[0]].shape[:2] if read else value.shape[:2]
        if value.ndim < 3 or value.shape[:2] != axes or 0 in axes:
            expected = f"the {tuple(axes)} of {names[0]!r}" if read else "B, n >= 1"
            raise ShapeError(
                f"info[{name!r}]", f"shape (B, n, ...), {expected}", f"shape {tuple(value.shape)}",
                "give all sources the same frames (history_keys of the policy)",
            )  # fmt: skip
        read[name] = value.to(device, dtype if value.is_floating_point() else None)
    return read


def _place(model: object) -> tuple[torch.device | None, torch.dtype | None]:
    """Return the device of a module's first weights, and the dtype of them all; None where there is no such thing."""
    if not isinstance(model, nn.Module):
        return None, None
    held = [each for each in chain(model.parameters(), model.buffers()) if each.is_floating_point()]
    dtypes = {each.dtype for each in held}
    return held[0].device if held else None, dtypes.pop() if len(dtypes) == 1 else None
