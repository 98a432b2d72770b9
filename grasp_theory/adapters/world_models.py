"""World models of other projects as window models: stable-worldmodel's LeWM and PreJEPA, and DINO-WM.

Each adapter encodes observations to frames (B, n, *F) without gradients, and predicts the next frame.  Frames
leave the actions out: the adapter embeds the actions that a planner tries and puts them where the model expects
them.  The models are used as they are, in the mode (train or eval) and on the device they are in.

Shapes: B environments, n or k frames, N windows, P patches, d and e embedding sizes, m the action dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.adapters.history import WindowModel
from linear_systems.errors import ParameterError

Observations = Mapping[str, Any]
"""Observations by name, each with axes (B, n, ...)."""


@runtime_checkable
class GoalEncodingModel(WindowModel, Protocol):
    """A window model that encodes the `info_dict` of stable-worldmodel."""

    def encode(self, info: Observations) -> Tensor:
        """Return the frames (B, n, *F) of the observations."""

    def encode_goal(self, info: Observations) -> Tensor:
        """Return the goal frames (B, *F)."""


@dataclass(frozen=True, eq=False)
class LeWMModel:
    """LeWM of stable-worldmodel (and PLDM, which has its interface): flat latents of `pixels`.

    Arguments
        model: has `encode(info)`, which adds "emb" (B, n, d) for "pixels" (B, n, C, h, w),
            `action_encoder(actions (N, k, m))` and `predict(emb (N, k, d), act_emb)`, whose last output is
            the next latent.  Its longest window is `predictor.num_frames`, or 3 where that is missing.
    """

    model: Any

    @property
    def window(self) -> int:
        """K, the longest window."""
        return int(getattr(self.model.predictor, "num_frames", 3))

    def encode(self, info: Observations) -> Float[Tensor, "B n d"]:
        """Return the latents of info["pixels"]."""
        return self._encode(_entry(info, "pixels"))

    def encode_goal(self, info: Observations) -> Float[Tensor, "B d"]:
        """Return the latent of the last frame of info["goal"], (B, n, C, h, w)."""
        return self._encode(_entry(info, "goal"))[:, -1]

    def predict(
        self, frames: Float[Tensor, "N k d"], actions: Float[Tensor, "N k m"]
    ) -> Float[Tensor, "N d"]:
        """Return the next latents."""
        following: Tensor = self.model.predict(frames, self.model.action_encoder(actions))
        return following[:, -1]

    def _encode(self, pixels: Tensor) -> Tensor:
        with torch.no_grad():
            latents: Tensor = self.model.encode({"pixels": pixels})["emb"]
        return latents


@dataclass(frozen=True, eq=False)
class PreJEPAModel:
    """PreJEPA of stable-worldmodel: patch latents, with embeddings of other sources repeated on every patch.

    Arguments
        model: has `history_size`; `extra_encoders`, an ordered mapping with a key "action" and, on each
            encoder, `emb_dim`; `encode(info, pixels_key=, prefix=, emb_keys=, target=)`, which adds
            info[target] (B, n, P, d); and `predict(embedding (N, k, P, d))`, whose last output is the next.

    Raises
        ParameterError: the model has no action encoder.
    """

    model: Any

    def __post_init__(self) -> None:
        if "action" not in self.model.extra_encoders:
            raise ParameterError(
                "model", 'an encoder "action" among extra_encoders', f"{list(self.model.extra_encoders)}",
                "plan with a model that takes actions",
            )  # fmt: skip

    @property
    def window(self) -> int:
        """K, the longest window."""
        return int(self.model.history_size)

    def encode(self, info: Observations) -> Float[Tensor, "B n P d"]:
        """Return the frames of info["pixels"] and of the other sources but the actions."""
        return self._encode(info, "pixels", "")

    def encode_goal(self, info: Observations) -> Float[Tensor, "B P d"]:
        """Return the last frame of info["goal"] and of the other sources' info["goal_<source>"]."""
        return self._encode(info, "goal", "goal_")[:, -1]

    def predict(
        self, frames: Float[Tensor, "N k P d"], actions: Float[Tensor, "N k m"]
    ) -> Float[Tensor, "N P d"]:
        """Return the next frames."""
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

    def _encode(self, info: Observations, pixels: str, prefix: str) -> Tensor:
        sources = [source for source in self.model.extra_encoders if source != "action"]
        names = [pixels, *(prefix + source for source in sources)]
        read = {name: _entry(info, name) for name in names}
        with torch.no_grad():
            encoded = self.model.encode(
                read, pixels_key=pixels, prefix=prefix, emb_keys=sources, target="frames"
            )
        frames: Tensor = encoded["frames"]
        return frames


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
        ParameterError: `concat_dim` is neither 0 nor 1.
    """

    model: Any

    def __post_init__(self) -> None:
        if self.model.concat_dim not in (0, 1):
            raise ParameterError(
                "model", "concat_dim 0 or 1", repr(self.model.concat_dim), "check the model's configuration"
            )

    @property
    def window(self) -> int:
        """K, the longest window."""
        return int(self.model.num_hist)

    def encode(self, observations: Observations) -> Float[Tensor, "B n patches d"]:
        """Return the frames of observations "visual" and "proprio"; a goal is the last frame of its own."""
        read = {name: _entry(observations, name) for name in ("visual", "proprio")}
        with torch.no_grad():
            encoded = self.model.encode_obs(read)
        return self._join(encoded["visual"], encoded["proprio"], self.model.num_proprio_repeat)

    def predict(
        self, frames: Float[Tensor, "N k patches d"], actions: Float[Tensor, "N k m"]
    ) -> Float[Tensor, "N patches d"]:
        """Return the next frames."""
        z = self._join(frames, self.model.encode_act(actions), self.model.num_action_repeat)
        following: Tensor = self.model.predict(z)[:, -1]
        return following[:, : frames.shape[2], : frames.shape[3]]

    def _join(self, patches: Tensor, vector: Tensor, repeats: int) -> Tensor:
        """Append a vector (N, k, q) to patches (N, k, P, d), as a token or on every patch, repeated."""
        token = vector.unsqueeze(2)
        if self.model.concat_dim == 0:
            return torch.cat([patches, token], dim=2)
        return torch.cat([patches, token.repeat(1, 1, patches.shape[2], repeats)], dim=3)


def _entry(info: Observations, name: str) -> Tensor:
    if name not in info:
        raise ParameterError(
            "info", f"an entry {name!r}", f"entries {sorted(map(str, info))}", f"pass {name} (B, n, ...)"
        )
    return torch.as_tensor(info[name])
