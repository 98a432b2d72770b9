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


def predictor(architecture: Architecture) -> ResidualMLP | PatchTransformer:
    """Return the predictor for a kind of latent."""
    return ResidualMLP(architecture) if architecture.latent == "flat" else PatchTransformer(architecture)
