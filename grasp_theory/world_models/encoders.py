"""Encoders: from stacked frames to a flat latent or to a grid of patch latents."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp_theory.world_models.architecture import Architecture


class KeypointEncoder(nn.Module):
    """Frames to a flat latent through spatial-softmax key points (Levine et al., 2016; Finn et al., 2016).

    Convolutions make heat maps; each map's softmax over the picture gives the expected position of what it
    responds to.  Positions are what these tasks are about, and a small object moves them however few pixels
    it covers, so its share of a picture's variance does not matter.

    Arguments
        architecture: uses frames, latent_dim and encoder_width.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.encoder_width
        self.heat_maps = nn.Sequential(
            nn.Conv2d(3, width // 2, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv2d(width // 2, width, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.head = nn.Sequential(
            nn.Linear(2 * width * architecture.frames, 256),
            nn.GELU(),
            nn.Linear(256, 256),
            nn.GELU(),
            nn.Linear(256, architecture.latent_dim),
        )

    def forward(self, frames: Float[Tensor, "N K 3 H W"]) -> Float[Tensor, "N d"]:
        """Return the latent of each stack of normalised frames."""
        # Positions need more digits than autocast's bfloat16 has: back to the type of the frames.
        maps = self.heat_maps(frames.flatten(0, 1)).to(frames.dtype)
        height, width = maps.shape[-2:]
        weights = maps.flatten(-2).softmax(dim=-1).unflatten(-1, (height, width))
        down = torch.linspace(-1, 1, height, device=maps.device, dtype=maps.dtype)
        across = torch.linspace(-1, 1, width, device=maps.device, dtype=maps.dtype)
        rows = (weights.sum(dim=-1) * down).sum(dim=-1)
        columns = (weights.sum(dim=-2) * across).sum(dim=-1)
        points = torch.cat([rows, columns], dim=-1)
        latent: Tensor = self.head(points.reshape(*frames.shape[:2], points.shape[-1]).flatten(1))
        return latent


class PatchEncoder(nn.Module):
    """Frames to a grid of patch latents: one vector for each patch, as DINO-WM's pretrained encoder gives.

    Arguments
        architecture: uses frames, image_size, patches, latent_dim and encoder_width.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.encoder_width
        self.features = nn.Sequential(
            nn.Conv2d(3 * architecture.frames, width, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
        )
        cells = architecture.image_size // 4 // architecture.patches
        self.embed = nn.Conv2d(width, 4 * width, cells, stride=cells)
        self.head = nn.Sequential(nn.GELU(), nn.Conv2d(4 * width, architecture.latent_dim, 1))

    def forward(self, frames: Float[Tensor, "N K 3 H W"]) -> Float[Tensor, "N P d"]:
        """Return the patch latents of each stack of normalised frames, row by row of the grid."""
        grid: Tensor = self.head(self.embed(self.features(frames.flatten(1, 2))))
        return grid.to(frames.dtype).flatten(2).transpose(1, 2)


def own_encoder(architecture: Architecture) -> nn.Module:
    """Return the encoder defined here for a kind of latent."""
    return KeypointEncoder(architecture) if architecture.latent == "flat" else PatchEncoder(architecture)
