"""Small world models with the interfaces of stable-worldmodel's LeWM and PreJEPA and of DINO-WM.

Shapes, argument and entry names, the pairing of frames with actions and the growing window are those of the
projects; the encoders and predictors are tiny.  Each rolls itself out frame by frame, as its project does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

IMAGE = (3, 4, 4)
PIXELS = 48
DOUBLE = torch.float64


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(batch: int, frames: int, seed: int) -> Tensor:
    return torch.rand(batch, frames, *IMAGE, generator=seeded(seed), dtype=DOUBLE)


def _matrix(rows: int, columns: int, seed: int) -> Tensor:
    return torch.randn(rows, columns, generator=seeded(seed), dtype=DOUBLE) / rows**0.5


class Embedding(nn.Module):
    """(N, k, inputs) -> (N, k, emb_dim): refuses other numbers of axes, as a Conv1d over time does."""

    def __init__(self, inputs: int, emb_dim: int, seed: int) -> None:
        super().__init__()
        self.emb_dim = emb_dim
        self.weight = nn.Parameter(_matrix(inputs, emb_dim, seed))

    def forward(self, x: Tensor) -> Tensor:
        _batch, _frames, inputs = x.shape
        assert inputs == len(self.weight)
        return x @ self.weight


class CausalMean(nn.Module):
    """(N, L, d) tokens, `per_frame` to a frame: each sees itself and a weighted past, with its position.

    It depends on the length of the window and on the order of its frames, and not on later frames.
    """

    def __init__(self, num_frames: int, per_frame: int, dim: int, conditioning: int, seed: int) -> None:
        super().__init__()
        self.num_frames, self.per_frame = num_frames, per_frame
        self.position = nn.Parameter(0.3 * _matrix(num_frames * per_frame, dim, seed))
        self.mix = nn.Parameter(_matrix(dim, dim, seed + 1))
        self.condition = nn.Parameter(_matrix(max(conditioning, 1), dim, seed + 2))

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        _batch, tokens, _dim = x.shape
        assert tokens % self.per_frame == 0
        assert tokens <= self.num_frames * self.per_frame  # else the positions run out
        inner = x + self.position[:tokens]
        if c is not None:
            assert c.shape[1] == tokens
            inner = inner + c @ self.condition
        frames = inner.unflatten(1, (-1, self.per_frame))
        past = frames.mean(2).cumsum(1) / torch.arange(1, frames.shape[1] + 1).to(x)[:, None]
        return x + torch.tanh((frames + 0.5 * past.unsqueeze(2)).flatten(1, 2) @ self.mix)


class LeWMDouble(nn.Module):
    """stable_worldmodel.wm.lewm.LeWM."""

    def __init__(self, num_frames: int = 3, dim: int = 4, action_dim: int = 2, embedded: int = 5) -> None:
        super().__init__()
        self.encoder = Embedding(PIXELS, dim, 10)
        self.action_encoder = Embedding(action_dim, embedded, 11)
        self.predictor = CausalMean(num_frames, 1, dim, embedded, 12)

    def encode(self, info: dict[str, Tensor]) -> dict[str, Tensor]:
        info["emb"] = self.encoder(info["pixels"].flatten(2))
        if "action" in info:
            info["act_emb"] = self.action_encoder(info["action"])
        return info

    def predict(self, emb: Tensor, act_emb: Tensor) -> Tensor:
        return self.predictor(emb, act_emb)

    def latents(self, info: dict[str, Tensor], actions: Tensor) -> Tensor:
        """The rollout (B, n+T, d) of actions (B, T, m) after frames (B, n, ...) and their action_history."""
        frames = list(self.encode({"pixels": info["pixels"]})["emb"].unbind(1))
        embedded = self.action_encoder(_with_history(info, actions))
        for _ in range(actions.shape[1]):
            first, end = max(0, len(frames) - self.predictor.num_frames), len(frames)
            frames.append(self.predict(torch.stack(frames[first:], 1), embedded[:, first:end])[:, -1])
        return torch.stack(frames, 1)


class PreJEPADouble(nn.Module):
    """stable_worldmodel.wm.prejepa.PreJEPA, with proprioception before or after the action."""

    PATCHES = 3

    def __init__(self, order: tuple[str, ...] = ("action", "proprio"), history_size: int = 3) -> None:
        super().__init__()
        sizes = {"action": (2, 4), "proprio": (5, 2)}
        self.backbone = Embedding(PIXELS, self.PATCHES * 6, 20)
        self.extra_encoders = nn.ModuleDict({name: Embedding(*sizes[name], 21) for name in order})
        self.history_size = history_size
        self.predictor = CausalMean(history_size, self.PATCHES, 6 + 4 + 2, 0, 22)

    def encode(
        self,
        info: dict[str, Tensor],
        pixels_key: str = "pixels",
        emb_keys: list[str] | None = None,
        prefix: str | None = None,
        target: str = "emb",
    ) -> dict[str, Tensor]:
        assert target not in info
        patches = self.backbone(info[pixels_key].flatten(2)).unflatten(2, (self.PATCHES, 6)).detach()
        parts = [patches]
        for key in self.extra_encoders if emb_keys is None else emb_keys:
            extra = self.extra_encoders[key](info[f"{prefix or ''}{key}"])
            parts.append(extra.unsqueeze(2).expand(-1, -1, self.PATCHES, -1))
        info[target] = torch.cat(parts, 3)
        return info

    def predict(self, embedding: Tensor) -> Tensor:
        return self.predictor(embedding.flatten(1, 2)).unflatten(1, (embedding.shape[1], self.PATCHES))

    def latents(self, info: dict[str, Tensor], actions: Tensor) -> Tensor:
        """The rollout (B, n+T, P, d), actions included, of actions (B, T, m)."""
        count = info["pixels"].shape[1]
        executed = _with_history(info, actions)
        names = [name for name in self.extra_encoders if name != "action"]
        known = {name: info[name] for name in ("pixels", *names)}
        z = self.encode({**known, "action": executed[:, :count]})["emb"]
        start = 6 + sum(self.extra_encoders[k].emb_dim for k in self._before_action())
        for t in range(actions.shape[1]):
            following = self.predict(z[:, -self.history_size :])[:, -1:]
            if t + 1 < actions.shape[1]:
                new = self.extra_encoders["action"](actions[:, t + 1 : t + 2]).unsqueeze(2)
                end = start + new.shape[-1]
                new = new.expand(-1, -1, self.PATCHES, -1)
                following = torch.cat([following[..., :start], new, following[..., end:]], 3)
            z = torch.cat([z, following], 1)
        return z

    def without_action(self, z: Tensor) -> Tensor:
        start = 6 + sum(self.extra_encoders[k].emb_dim for k in self._before_action())
        return torch.cat([z[..., :start], z[..., start + self.extra_encoders["action"].emb_dim :]], -1)

    def _before_action(self) -> list[str]:
        names = list(self.extra_encoders)
        return names[: names.index("action")]


class DINOWMDouble(nn.Module):
    """models.visual_world_model.VWorldModel of DINO-WM."""

    PATCHES = 3

    def __init__(self, concat_dim: int, action_repeat: int = 1, proprio_repeat: int = 1) -> None:
        super().__init__()
        visual, proprio, action = (6, 2, 4) if concat_dim else (6, 6, 6)
        self.num_hist, self.concat_dim = 3, concat_dim
        self.num_action_repeat, self.num_proprio_repeat = action_repeat, proprio_repeat
        self.action_dim, self.proprio_dim = action * action_repeat, proprio * proprio_repeat
        self.encoder = Embedding(PIXELS, self.PATCHES * visual, 30)
        self.proprio_encoder = Embedding(5, proprio, 31)
        self.action_encoder = Embedding(2, action, 32)
        tokens = self.PATCHES if concat_dim else self.PATCHES + 2
        width = visual + self.action_dim + self.proprio_dim if concat_dim else visual
        self.predictor = CausalMean(3, tokens, width, 0, 33)

    def encode_obs(self, obs: dict[str, Tensor]) -> dict[str, Tensor]:
        visual = self.encoder(obs["visual"].flatten(2)).unflatten(2, (self.PATCHES, -1))
        return {"visual": visual, "proprio": self.proprio_encoder(obs["proprio"])}

    def encode_act(self, act: Tensor) -> Tensor:
        return self.action_encoder(act)

    def encode(self, obs: dict[str, Tensor], act: Tensor) -> Tensor:
        parts, action = self.encode_obs(obs), self.encode_act(act)
        if self.concat_dim == 0:
            return torch.cat([parts["visual"], parts["proprio"].unsqueeze(2), action.unsqueeze(2)], 2)
        tiled = [
            vector.unsqueeze(2).expand(-1, -1, self.PATCHES, -1).repeat(1, 1, 1, repeats)
            for vector, repeats in (
                (parts["proprio"], self.num_proprio_repeat),
                (action, self.num_action_repeat),
            )
        ]
        return torch.cat([parts["visual"], *tiled], 3)

    def predict(self, z: Tensor) -> Tensor:
        return self.predictor(z.flatten(1, 2)).unflatten(1, z.shape[1:3])

    def rollout(self, obs: dict[str, Tensor], act: Tensor) -> Tensor:
        """z (b, n+t+1, ...) for n frames and actions (b, n+t, m), as the project's method of this name."""
        count = obs["visual"].shape[1]
        z = self.encode(obs, act[:, :count])
        for t in range(count, act.shape[1] + 1):
            following = self.predict(z[:, -self.num_hist :])[:, -1:].clone()
            if t < act.shape[1]:
                action = self.encode_act(act[:, t : t + 1])
                if self.concat_dim == 0:
                    following[:, :, -1] = action
                else:
                    following[..., -self.action_dim :] = action.unsqueeze(2).repeat(
                        1, 1, self.PATCHES, self.num_action_repeat
                    )
            z = torch.cat([z, following], 1)
        return z

    def without_action(self, z: Tensor) -> Tensor:
        return z[:, :, :-1] if self.concat_dim == 0 else z[..., : -self.action_dim]


def _with_history(info: dict[str, Tensor], actions: Tensor) -> Tensor:
    history = info.get("action_history", actions[:, :0])
    assert history.shape[1] == info["pixels"].shape[1] - 1
    return torch.cat([history, actions], 1)
