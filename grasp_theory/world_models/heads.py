"""What reads a latent for people: a decoder to pictures and a probe of the task's state.

Both are trained on frozen latents and are never part of a planner's loss.  Where a recipe asks for reconstruction,
the decoder has first helped to shape the encoder.
"""

from __future__ import annotations

from math import prod

from jaxtyping import Float
from torch import Tensor, nn

from grasp_theory.world_models.architecture import Architecture


class Decoder(nn.Module):
    """A latent to the stacked frames, as their differences from the mean picture.

    Arguments
        architecture: uses the latent's shape, frames and image_size.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.frames = architecture.frames
        self.cells = architecture.image_size // 8
        self.enter = nn.Sequential(
            nn.Linear(prod(architecture.state_shape), 128), nn.GELU(), nn.Linear(128, 16 * self.cells**2)
        )
        self.upsample = nn.Sequential(
            nn.GELU(),
            nn.ConvTranspose2d(16, 32, 4, stride=2, padding=1),
            nn.GELU(),
            nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
            nn.GELU(),
            nn.ConvTranspose2d(16, 3 * self.frames, 4, stride=2, padding=1),
        )

    def forward(self, state: Float[Tensor, " N *S"]) -> Float[Tensor, "N K 3 H W"]:
        """Return pictures, newest first, in the units of normalised frames."""
        hidden = self.enter(state.flatten(1)).reshape(-1, 16, self.cells, self.cells)
        pictures: Tensor = self.upsample(hidden)
        return pictures.reshape(len(pictures), self.frames, 3, *pictures.shape[-2:])


class Probe(nn.Module):
    """A latent to standardised quantities of the task's state.

    Arguments
        architecture: uses the latent's shape and probe_dim.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(prod(architecture.state_shape), 128),
            nn.GELU(),
            nn.Linear(128, 128),
            nn.GELU(),
            nn.Linear(128, architecture.probe_dim),
        )

    def forward(self, state: Float[Tensor, " N *S"]) -> Float[Tensor, "N P"]:
        """Return the quantities, each with mean 0 and variance 1 over the training data."""
        quantities: Tensor = self.layers(state.flatten(1))
        return quantities
