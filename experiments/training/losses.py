"""The encoder's loss: predict the next latents, keep them spread and uncorrelated, and let them change slowly.

Shapes: N windows, L+1 frames in each, `*S` the axes of one latent.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class EncoderLoss:
    """The terms of the encoder's loss, each a scalar tensor."""

    prediction: Tensor
    variance: Tensor
    covariance: Tensor
    slowness: Tensor


def encoder_loss(latents: Float[Tensor, "N L1 *S"], predicted: Float[Tensor, "N L *S"]) -> EncoderLoss:
    """Return the loss terms of encoded windows and of the predictions unrolled from each window's first latent.

    prediction = mean over n, t, components of (ẑ_{t} - z_{t})²;
    variance = mean over components of max(0, 1 - std);
    covariance = sum over pairs of different components of cov², divided by their number of components;
    slowness = mean (z_{t+1} - z_t)².
    The statistics are taken over the batch; for patch latents, per patch.
    """
    components = latents.flatten(0, 1)
    if components.ndim == 2:
        components = components[:, None]
    centred = components - components.mean(dim=0)
    covariance = torch.einsum("npc,npd->pcd", centred, centred) / (len(centred) - 1)
    deviations = covariance.diagonal(dim1=1, dim2=2).clamp_min(1e-8).sqrt()
    crossed = covariance.square().sum(dim=(1, 2)) - covariance.diagonal(dim1=1, dim2=2).square().sum(dim=1)
    return EncoderLoss(
        prediction=(predicted - latents[:, 1:]).square().mean(),
        variance=(1 - deviations).relu().mean(),
        covariance=(crossed / covariance.shape[-1]).mean(),
        slowness=(latents[:, 1:] - latents[:, :-1]).square().mean(),
    )


def effective_rank(latents: Float[Tensor, " N *S"]) -> float:
    """Return exp(entropy) of the normalised eigenvalues of the latents' covariance: 1 when all but one collapse."""
    flat = latents.flatten(1).double()
    eigenvalues = torch.linalg.eigvalsh(torch.cov(flat.T).reshape(flat.shape[1], -1)).clamp_min(0)
    shares = eigenvalues / eigenvalues.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return float(torch.exp(-(shares * shares.clamp_min(1e-300).log()).sum()))
