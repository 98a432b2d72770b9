"""Predictors: from a latent and an action to the change of the latent."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp_theory.world_models.architecture import HEADS, Architecture


class GatedBlock(nn.Module):
    """v * gelu(g), both linear in the normalised input, and back to its width (Shazeer, 2020).

    Contacts depend on products of latent components (such as where the pusher is in the frame of a turning block), which a
    layer that multiplies learns sooner than one that does not.

    Arguments
        width: of input and output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.enter = nn.Linear(width, 2 * width)
        self.leave = nn.Linear(width, width)

    def forward(self, hidden: Float[Tensor, "N W"]) -> Float[Tensor, "N W"]:
        """Return the change of the hidden features."""
        values, gates = self.enter(self.norm(hidden)).chunk(2, dim=-1)
        change: Tensor = self.leave(values * nn.functional.gelu(gates))
        return change


def plain_block(width: int) -> nn.Module:
    """Return the block of a plain multilayer perceptron, from a width to the same."""
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))


class ResidualMLP(nn.Module):
    """A residual multilayer perceptron on a flat latent and an action.

    Arguments
        architecture: uses latent_dim, action_dim, predictor_width, predictor_depth and predictor_block.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.predictor_width
        self.enter = nn.Linear(architecture.latent_dim + architecture.action_dim, width)
        block = GatedBlock if architecture.predictor_block == "gated" else plain_block
        self.blocks = nn.ModuleList(block(width) for _ in range(architecture.predictor_depth))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, architecture.latent_dim))

    def forward(self, state: Float[Tensor, "N d"], action: Float[Tensor, "N m"]) -> Float[Tensor, "N d"]:
        """Return the change of each latent."""
        hidden = self.enter(torch.cat([state, action], dim=-1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        change: Tensor = self.leave(hidden)
        return change


NEAR, FAST = 3.0, 10.0
"""What bring differences of centroids and their motions, in halves of a picture's side, to the size of other inputs."""
PAIRS = 3
"""Pairs of three centroids."""
TURNED = 6
"""Vectors that a `PairedMLP` predicts in each of its frames."""


class PairedMLP(nn.Module):
    """A gated multilayer perceptron that also sees everything from every pair of centroids, and predicts there too.

    Contacts look the same wherever a body lies and however it is turned.  For each pair (i, j) of the centroids p of an
    encoder of colours, let R be the rotation that turns (p_j − p_i)/‖p_j − p_i‖ to the first axis.  The network is given
    R(p_k − p_i) and R applied to motions and actions, beside latent and action as they are, and predicts some vectors v that are
    turned back, Rᵀv, before a linear map makes the change of the latent of them.  Which pairs matter, it finds by training.

    Arguments
        architecture: uses frames, latent_dim, action_dim, predictor_width and predictor_depth.
    """

    centroids: Tensor
    origin: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width, d, m = architecture.predictor_width, architecture.latent_dim, architecture.action_dim
        self.frames, self.moves = architecture.frames, m // 2
        seen = 3 * self.frames + self.moves
        self.register_buffer("centroids", torch.eye(d))
        self.register_buffer("origin", torch.zeros(d))
        self.enter = nn.Linear(d + m + PAIRS * (2 * seen + 1), width)
        self.blocks = nn.ModuleList(GatedBlock(width) for _ in range(architecture.predictor_depth))
        self.norm = nn.LayerNorm(width)
        self.vectors = nn.Linear(width, 2 * TURNED * PAIRS)
        self.leave = nn.Sequential(nn.Linear(width + 2 * TURNED * PAIRS, d))

    def forward(self, state: Float[Tensor, "N d"], action: Float[Tensor, "N m"]) -> Float[Tensor, "N d"]:
        """Return the change of each latent."""
        with torch.autocast(state.device.type, enabled=False):
            read = (
                (state @ self.centroids + self.origin)
                .reshape(len(state), self.frames, 2, 3)
                .transpose(-1, -2)
                .flip(-1)
            )
            place, motion = read[:, 0], read[:, 1:].flatten(1, 2)
            a, b, c = place.unbind(dim=1)
            origin = torch.stack([a, a, b], dim=1)
            apart = torch.stack([b, c, c], dim=1) - origin
            distance = (apart.square().sum(dim=-1, keepdim=True) + 1e-4).sqrt()
            axis = apart / distance
            given = torch.cat([FAST * motion, action.to(place).reshape(len(state), self.moves, 2)], dim=1)
            near = NEAR * (place[:, None] - origin[:, :, None])
            seen = torch.cat([near, given[:, None].expand(-1, PAIRS, -1, -1)], dim=2)
            looks = [_turned(axis, seen).flatten(1), NEAR * distance[..., 0]]
        hidden = self.enter(torch.cat([state, action, *looks], dim=-1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        hidden = self.norm(hidden)
        with torch.autocast(state.device.type, enabled=False):
            told = self.vectors(hidden.to(axis)).reshape(len(state), PAIRS, TURNED, 2)
            back = _turned(axis * axis.new_tensor([1.0, -1.0]), told).flatten(1)
        change: Tensor = self.leave(torch.cat([hidden.to(axis), back], dim=-1))
        return change


def _turned(axis: Float[Tensor, "N P 2"], vectors: Float[Tensor, "N P V 2"]) -> Float[Tensor, "N P V 2"]:
    """Return vectors in frames whose first axes are given."""
    (c, s), (x, y) = axis[:, :, None].unbind(dim=-1), vectors.unbind(dim=-1)
    return torch.stack([c * x + s * y, c * y - s * x], dim=-1)


class PatchTransformer(nn.Module):
    """A small vision transformer on patch latents; the action is one more token (in the spirit of DINO-WM).

    Arguments
        architecture: uses latent_dim, patches, action_dim, predictor_width and predictor_depth.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.predictor_width
        self.enter = nn.Linear(architecture.latent_dim, width)
        self.action = nn.Linear(architecture.action_dim, width)
        self.position = nn.Parameter(0.02 * torch.randn(architecture.patches**2, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, nhead=HEADS, dim_feedforward=2 * width, dropout=0.0, activation="gelu",
                batch_first=True, norm_first=True,
            )
            for _ in range(architecture.predictor_depth)
        )  # fmt: skip
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, architecture.latent_dim))

    def forward(self, state: Float[Tensor, "N P d"], action: Float[Tensor, "N m"]) -> Float[Tensor, "N P d"]:
        """Return the change of each patch's latent."""
        tokens = torch.cat([self.enter(state) + self.position, self.action(action)[:, None]], dim=1)
        for layer in self.layers:
            tokens = layer(tokens)
        change: Tensor = self.leave(tokens[:, :-1])
        return change


def predictor(architecture: Architecture) -> ResidualMLP | PairedMLP | PatchTransformer:
    """Return the predictor for a kind of latent."""
    if architecture.latent == "patch":
        return PatchTransformer(architecture)
    return PairedMLP(architecture) if architecture.predictor_block == "paired" else ResidualMLP(architecture)
