"""Encoders: from stacked frames to a flat latent or to a grid of patch latents."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp_theory.world_models.architecture import BACKBONES, Architecture
from grasp_theory.world_models.frozen import FrozenEncoder
from linear_systems.errors import ParameterError

SHARPNESS = 8.0
"""Inverse temperature of the softmax over a picture."""
HIDDEN = 256
"""Width of the hidden layers between the key points and the latent."""
MEMORY = 0.1
"""Weight of the newest batch in the statistics that `Standardise` keeps."""
LEAST_COVER = 1e-3
"""Pixels that a colour covers at least, before its centroid is pulled to the middle."""
LEAST_COLOUR = 0.03
"""Of the farthest colour's distance from the background: what is nearer, in what other colours do not span, is none."""
VARIANCE_FLOOR = 1e-8
"""Added to a variance before dividing by its root."""


class Standardise(nn.Module):
    """Features with mean 0 and variance 1: over the batch in training, over past batches afterwards.

    Batch normalisation, but for its constant beside the variance: the position of a small object varies so little at
    first that the usual 1e-5 would drown it, and for its counter, which is no floating-point number.

    Arguments
        features: their number.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))

    def forward(self, values: Float[Tensor, "N F"]) -> Float[Tensor, "N F"]:
        """Return the standardised features."""
        if not self.training:
            return (values - self.mean) * (self.variance + VARIANCE_FLOOR).rsqrt()
        mean, variance = values.mean(dim=0), values.var(dim=0)
        with torch.no_grad():
            self.mean.lerp_(mean, MEMORY)
            self.variance.lerp_(variance, MEMORY)
        return (values - mean) * (variance + VARIANCE_FLOOR).rsqrt()


class KeypointEncoder(nn.Module):
    """Frames to a flat latent through spatial-softmax key points (Levine et al., 2016; Finn et al., 2016).

    Convolutions make heat maps; each map's softmax over the picture gives the expected position of what it
    responds to, and how that lies (`moments`).  Positions are what these tasks are about, and a small object moves
    them however few pixels it covers, so its share of a picture's variance does not matter.  Older frames enter as
    how far the points moved since.  All are standardised: a speed or an angle is a small difference between large
    positions, which a network is slow to find.

    Arguments
        architecture: uses frames, latent_dim, encoder_width and encoder_depth.
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
        features = width * (2 * architecture.frames + 7)
        self.standardise = Standardise(features)
        self.head = _head(features, architecture)

    def forward(self, frames: Float[Tensor, "N K 3 H W"]) -> Float[Tensor, "N d"]:
        """Return the latent of each stack of normalised frames."""
        # Positions need more digits than autocast's bfloat16 has: back to the type of the frames.
        maps = SHARPNESS * self.heat_maps(frames.flatten(0, 1)).to(frames.dtype)
        points, shape = moments(maps.flatten(-2).softmax(dim=-1).reshape(maps.shape))
        points = points.reshape(*frames.shape[:2], points.shape[-1])
        shape = shape.reshape(*frames.shape[:2], shape.shape[-1])
        moved = points[:, :1] - points[:, 1:]
        features = torch.cat([points[:, 0], moved.flatten(1), shape[:, 0]], dim=1)
        latent: Tensor = self.head(self.standardise(features))
        return latent


def _head(features: int, architecture: Architecture) -> nn.Sequential:
    """Return the network from features of what is seen to a flat latent."""
    hidden: list[nn.Module] = []
    for _ in range(architecture.encoder_depth):
        hidden += [nn.Linear(features, HIDDEN), nn.GELU()]
        features = HIDDEN
    return nn.Sequential(*hidden, nn.Linear(features, architecture.latent_dim))


def moments(
    weights: Float[Tensor, "N C h w"],
) -> tuple[Float[Tensor, "N points"], Float[Tensor, "N shape"]]:
    """Return the means (N, 2C) of distributions over a picture, and their 7 central moments of order 2 and 3 (N, 7C).

    Coordinates run from -1 to 1.  The second moments tell how an object lies up to half a turn, the third which way
    round it is (Hu, 1962).
    """
    height, width = weights.shape[-2:]
    y = torch.linspace(-1, 1, height, device=weights.device, dtype=weights.dtype)[:, None].expand(
        height, width
    )
    x = torch.linspace(-1, 1, width, device=weights.device, dtype=weights.dtype).expand(height, width)
    powers = torch.stack([y, x, y * y, y * x, x * x, y**3, y * y * x, y * x * x, x**3], dim=-1).flatten(0, 1)
    with torch.autocast(weights.device.type, enabled=False):
        my, mx, yy, yx, xx, yyy, yyx, yxx, xxx = (weights.flatten(-2) @ powers).unbind(dim=-1)
    central = [
        yy - my * my,
        yx - my * mx,
        xx - mx * mx,
        yyy - 3 * my * yy + 2 * my**3,
        yyx - 2 * my * yx - mx * yy + 2 * my * my * mx,
        yxx - 2 * mx * yx - my * xx + 2 * mx * mx * my,
        xxx - 3 * mx * xx + 2 * mx**3,
    ]
    return torch.cat([my, mx], dim=-1), torch.cat(central, dim=-1)


class ColourEncoder(nn.Module):
    """Frames to the centroids of what three colours cover, and how far these moved since the older frames.

    A pixel is taken for a mixture of an empty background and three pure colours, c = c₀ + Σ_k w_k (c_k − c₀), as edges
    between them are; 0 ≤ w ≤ 1 are their shares of it.  Where the bodies of a task have a colour each, the centroids of
    the shares tell their places to a small fraction of a pixel.  Nothing is learned by gradient: `fit` finds the colours.

    Arguments
        architecture: uses frames and image_size.
        colours: how many of the three are looked at: those whose centroids move most.
    """

    unmixing: Tensor
    offset: Tensor

    def __init__(self, architecture: Architecture, colours: int = 3) -> None:
        super().__init__()
        size = architecture.image_size
        self.register_buffer("unmixing", torch.eye(3)[:, :colours])
        self.register_buffer("offset", torch.zeros(colours, size, size))
        self.standardise = Standardise(2 * colours * architecture.frames)

    def forward(self, frames: Float[Tensor, "N K 3 H W"]) -> Float[Tensor, "N F"]:
        """Return the standardised centroids and motions of each stack of normalised frames."""
        with torch.autocast(frames.device.type, enabled=False):
            points = _centroids(frames.flatten(0, 1), self.unmixing, self.offset)
            points = points.reshape(*frames.shape[:2], points.shape[-1])
            moved = points[:, :1] - points[:, 1:]
            latent: Tensor = self.standardise(torch.cat([points[:, 0], moved.flatten(1)], dim=1))
        return latent

    @torch.no_grad()
    def fit(
        self,
        frames: Float[Tensor, "N K 3 H W"],
        background: Float[Tensor, "H W 3"],
        whitening: Float[Tensor, "3 3"],
        least: float = 0.0,
    ) -> None:
        """Find the colours in a sample of frames, and the statistics of their centroids.

        c₀ is the median colour, or with `least` the most frequent one.  c_k are found by successive projections (Araújo
        et al., 2001): each is the pixel farthest from c₀ in what the colours before it do not span, in whitened
        coordinates; a mixture is never farther than what it is mixed of, but for the rounding of pictures.

        Arguments
            frames: normalised, x = whitening·(c − background).
            background, whitening: of that normalisation.
            least: share of the sample's pixels that are exactly of a colour, for it to be taken for a pure one: few
                mixtures are as frequent.

        Raises
            ParameterError: if there are fewer colours than are looked at.
        """
        colours = frames[:, 0].movedim(-3, -1) @ torch.linalg.inv(whitening).T + background
        pixels = colours.flatten(0, 2)
        empty = pixels.median(dim=0).values
        if least:
            pixels = _frequent(pixels, least)
            empty = pixels[0]
        pure, wanted = _pure(pixels - empty, whitening), self.unmixing.shape[1]
        if len(pure) < wanted:
            raise ParameterError(
                "bodies", f"pictures with {wanted} colours beside their background", f"{len(pure)}",
                f"bodies={len(pure)}",
            )  # fmt: skip
        others = torch.linalg.svd(pure)[2][len(pure) :]  # directions that no colour has
        shares = torch.linalg.inv(torch.cat([pure, others]))[:, : len(pure)]
        unmixing = torch.linalg.inv(whitening).T @ shares
        offset = ((background - empty) @ shares).movedim(-1, 0)
        parts = torch.split(frames[:, 0], 256)
        places = torch.cat([_centroids(part, unmixing, offset) for part in parts])
        chosen = places.var(dim=0).reshape(2, -1).sum(dim=0).topk(wanted).indices.sort().values
        self.unmixing.copy_(unmixing[:, chosen])
        self.offset.copy_(offset[chosen])
        features = self.standardise
        features.mean.zero_()
        features.variance.fill_(1)
        raw = torch.cat([self(part) for part in torch.split(frames, 256)])
        features.mean.copy_(raw.mean(dim=0))
        features.variance.copy_(raw.var(dim=0))


def _centroids(
    frames: Float[Tensor, "N 3 H W"], unmixing: Float[Tensor, "3 C"], offset: Float[Tensor, "C H W"]
) -> Float[Tensor, "N points"]:
    """Return the centroids (N, 2C) of the shares of C colours, from -1 to 1."""
    shares = (torch.einsum("nchw,cd->ndhw", frames, unmixing) + offset).clamp(0, 1)
    points, _ = moments(shares / shares.sum(dim=(-2, -1), keepdim=True).clamp_min(LEAST_COVER))
    return points


def _frequent(pixels: Float[Tensor, "N 3"], least: float) -> Float[Tensor, "C 3"]:
    """Return the 8-bit colours that at least a share of the pixels are exactly of, the most frequent first."""
    codes = (255 * pixels).round().long() @ torch.tensor([1 << 16, 1 << 8, 1], device=pixels.device)
    counts = codes.bincount()
    kinds = counts.argsort(descending=True)[: int((counts >= least * len(pixels)).sum())]
    return torch.stack([kinds >> 16, kinds >> 8 & 255, kinds & 255], dim=1).to(pixels) / 255


def _pure(differences: Float[Tensor, "N 3"], whitening: Float[Tensor, "3 3"]) -> Float[Tensor, "C 3"]:
    """Return at most three of the colours' differences from the background that the others are mixtures of."""
    left, pure, nearest = differences @ whitening.T, list[Tensor](), 0.0
    while len(pure) < 3:
        farthest = left.square().sum(dim=1).argmax()
        length = left[farthest].norm()
        if length <= nearest:
            break
        nearest = nearest if pure else LEAST_COLOUR * float(length)
        direction = left[farthest] / length
        pure.append(differences[farthest])
        left = left - (left @ direction)[:, None] * direction
    return torch.stack(pure) if pure else differences[:0]


class BodyEncoder(nn.Module):
    """Frames to slow features of where the bodies that move are: the centroids of their colours, and a learned network.

    `look` is found, not learned (`ColourEncoder`); `head` is trained as the head of key points is.

    Arguments
        architecture: uses frames, image_size, bodies, latent_dim and encoder_depth.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.look = ColourEncoder(architecture, architecture.bodies)
        self.head = _head(2 * architecture.bodies * architecture.frames, architecture)

    def forward(self, frames: Float[Tensor, "N K 3 H W"]) -> Float[Tensor, "N d"]:
        """Return the latent of each stack of normalised frames."""
        latent: Tensor = self.head(self.look(frames))
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
    if architecture.encoder == "colours":
        return ColourEncoder(architecture)
    if architecture.encoder == "bodies":
        return BodyEncoder(architecture)
    if architecture.encoder in BACKBONES:
        return FrozenEncoder(architecture)
    return KeypointEncoder(architecture) if architecture.latent == "flat" else PatchEncoder(architecture)
