"""Small world models, with buffers that are not trivial, and cards for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from grasp_theory.world_models import ActionLayout, Architecture, Card, WorldModel
from grasp_theory.world_models.frozen import CHANNELS, STRIDE

SMALL = Architecture(
    latent="flat", action_dim=4, probe_dim=3, frames=2, image_size=16, latent_dim=3, patches=2,
    encoder_width=8, predictor_width=16, predictor_depth=1,
)  # fmt: skip
ARCHITECTURES = {
    "flat": SMALL,
    "flat, gated blocks": replace(SMALL, predictor_block="gated"),
    "flat, colours": replace(SMALL, encoder="colours", latent_dim=12),
    "flat, pairs of colours": replace(SMALL, encoder="colours", latent_dim=12, predictor_block="paired"),
    "flat, bodies": replace(SMALL, encoder="bodies", bodies=2),
    "patch": replace(SMALL, latent="patch"),
    "flat, frozen encoder": replace(SMALL, encoder="frozen"),
    "patch, frozen encoder": replace(SMALL, latent="patch", encoder="frozen"),
}


class FrozenEncoder(nn.Module):
    """What a user may bring: any module from floats (N, 3K, H, W), with a buffer besides its weights."""

    scale: Tensor

    def __init__(self, architecture: Architecture, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        pixels = 3 * architecture.frames * architecture.image_size**2
        self.layer = nn.Linear(pixels, _entries(architecture))
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.layer(pixels.flatten(1)) * self.scale
        return features


class NetworkDouble(nn.Module):
    """Random linear features of the means of patches of 16 pixels, in place of a pretrained network."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(CHANNELS, 3, generator=generator), requires_grad=False)

    def forward(self, pictures: Tensor) -> Tensor:
        return torch.einsum("cd,ndhw->nchw", self.weight, nn.functional.avg_pool2d(pictures, STRIDE))


def _entries(architecture: Architecture) -> int:
    return torch.Size(architecture.state_shape).numel()


def encoder_of(architecture: Architecture, seed: int = 0) -> FrozenEncoder | None:
    """The frozen encoder that a model of this architecture needs, if it needs one."""
    return FrozenEncoder(architecture, seed) if architecture.encoder == "frozen" else None


def world_model(architecture: Architecture = SMALL, seed: int = 0) -> WorldModel:
    """A randomly initialised model whose buffers all matter."""
    encoder = encoder_of(architecture)
    torch.manual_seed(seed)
    model = WorldModel(architecture, encoder)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if not buffer.is_floating_point():
                continue  # indices
            buffer.copy_(0.5 + torch.rand_like(buffer) if name.endswith("scale") else torch.rand_like(buffer))
    model.tell_centroids()
    return model


def frames_for(architecture: Architecture, *batch: int, seed: int = 1) -> Tensor:
    """Random pictures (*batch, K, H, W, 3)."""
    shape = (*batch, architecture.frames, architecture.image_size, architecture.image_size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def card_for(architecture: Architecture = SMALL, **changes: Any) -> Card:
    """A card that fits the architecture."""
    card = Card(
        task="wall_single",
        kind="offline",
        seed=0,
        architecture=architecture,
        actions=ActionLayout(frameskip=2, dimension=2, low=-1.8, high=1.8, unit="2 px"),
        frame_offsets=(0, 5),
        probe_names=("x (px)", "y (px)", "speed (px/s)"),
        data={
            "behaviour": {"episodes": 10, "length": 50, "mixture": {"random": 0.25, "goal": 0.75}, "seed": 7}
        },
        recipe={"encoder": {"steps": 100, "learning_rate": 1e-3}},
        training={"wall_seconds": 12.5, "cpu_seconds": 20.0, "machine": "m", "threads": 2, "torch": "2.13.0"},
        evaluation={"open_loop": {"position": {"1": {"mean": 0.5, "interval": [0.4, 0.6]}}}},
    )
    return replace(card, **changes)
