"""The stages of training: the encoder from pixels, then predictor, decoder and probe on its frozen latents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from experiments.episodes import Episodes
from experiments.pieces import Arrays, piece
from experiments.training.fit import Fitted, Trainer
from experiments.training.losses import effective_rank, encoder_loss
from experiments.training.recipe import Recipe, Stage
from grasp_theory.files import atomic_path, reserve
from grasp_theory.world_models.encoders import BodyEncoder, ColourEncoder
from grasp_theory.world_models.frozen import FrozenEncoder
from grasp_theory.world_models.model import WorldModel
from linear_systems.errors import ParameterError

CHUNK = 2048
"""Frames drawn or encoded at once."""
PURE = 1e-4
"""Share of the pixels that are exactly of a colour for an encoder of bodies to take it for a pure one."""
COMPONENTS = 2048
"""Pictures from which the principal components of frozen features are found."""
SHARD = 25
"""Episodes whose frozen features lie in one file."""
READER = 256
"""Width of the network that reads centroids back from the features of an encoder of bodies, in training."""
COLOUR_FLOOR = 1e-3
"""Smallest eigenvalue of the colours' covariance that counts, relative to the largest."""
STEP_FLOOR = 1e-3
"""Smallest eigenvalue of the covariance of a model step that counts, relative to the largest."""
MISS_FLOOR = 1e-2
"""Smallest eigenvalue of the covariance of the predictor's errors that counts, relative to the largest."""
MISSES = 2000
"""Largest number of episodes from which the predictor's errors are measured."""
COLLAPSED_RANK = 0.1
"""Effective rank of a batch of latents, relative to their dimension, below which the encoder is called collapsed."""
COLLAPSED_SPREAD = 0.05
"""Mean standard deviation of the latents' components below which the encoder is called collapsed too: shrinking does not
change the rank."""

console = Console(stderr=True)


@dataclass(frozen=True, eq=False)
class Frames:
    """The stacked frames at every model step of every episode, drawn once into a memory-mapped file.

    Arguments
        pixels: (N, M, K, H, W, 3) uint8.
    """

    pixels: UInt8[np.ndarray, "N M K H W 3"]

    @classmethod
    def draw(cls, episodes: Episodes, size: int, path: Path) -> Frames:
        """Return the frames of episodes, drawn into `path` unless they are there already."""
        count, steps = episodes.model_states.shape[:2]
        shape = (count, steps, len(episodes.task.frame_offsets), size, size, 3)
        if not path.exists():
            with atomic_path(path) as partial:
                pixels = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
                reserve(partial)
                rows = max(1, CHUNK // steps)
                for start in track(range(0, count, rows), description="drawing frames", transient=True):
                    which = np.arange(start, min(start + rows, count))
                    grid = np.meshgrid(which, np.arange(steps), indexing="ij")
                    pixels[which] = episodes.observations(grid[0], grid[1], size)
                pixels.flush()
        try:
            # Copy on write: torch warns of arrays that it cannot write to.
            stored = np.load(path, mmap_mode="c", allow_pickle=False)
            found = f"{stored.dtype} of shape {stored.shape}"
        except (ValueError, EOFError) as error:
            stored, found = None, f"{type(error).__name__}: {error}"[:200]
        if stored is None or stored.shape != shape or stored.dtype != np.uint8:
            raise ParameterError(
                "folder", f"{path} to hold uint8 of shape {shape}", found, "delete the file: it is made again"
            )
        return cls(stored)


def normalise_frames(model: WorldModel, frames: Frames, rng: np.random.Generator) -> None:
    """Set the model's mean picture and the whitening of the colours about it, from a sample of the frames.

    The whitening is C^(-1/2) of the 3×3 covariance C of the colours' differences from the mean picture, whose
    eigenvalues are raised to at least `COLOUR_FLOOR` of the largest: colours that never vary stay small.
    """
    episodes, steps = frames.pixels.shape[:2]
    sample = frames.pixels[rng.integers(episodes, size=CHUNK), rng.integers(steps, size=CHUNK), 0]
    pixels = torch.from_numpy(sample).float() / 255
    model.background.copy_(pixels.mean(dim=0))
    difference = (pixels - pixels.mean(dim=0)).reshape(-1, 3).double()
    eigenvalues, vectors = torch.linalg.eigh(difference.T @ difference / len(difference))
    scales = eigenvalues.clamp_min(COLOUR_FLOOR * float(eigenvalues[-1])).sqrt()
    model.whitening.copy_(vectors @ torch.diag(1 / scales) @ vectors.T)
    model.unwhitening.copy_(vectors @ torch.diag(scales) @ vectors.T)


def train_encoder(
    trainer: Trainer, model: WorldModel, recipe: Recipe, frames: Frames, actions: Float[np.ndarray, "N M1 m"]
) -> Fitted:
    """Train encoder and predictor together on windows of pixels, or of centroids; warn on collapse.

    What an encoder of bodies looks at is found once for all frames, and only its head is trained, in float32: centroids
    have more digits than bfloat16.
    """
    assert model.encoder is not None
    stage, device = recipe.encoder, trainer.device
    view: _Pixels | _Looks
    if isinstance(model.encoder, BodyEncoder):
        view = _Looks(model, encode_all(model, frames.pixels, device, model.encoder.look))
    else:
        view = _Pixels(model, frames.pixels)
    modules = nn.ModuleDict({"encoder": view.encoder, "predictor": model.predictor})
    if recipe.reconstruction:
        modules["decoder"] = view.decoder
    warned = False

    def loss(rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        nonlocal warned
        episodes, starts = _windows(rng, frames.pixels.shape[:2], stage.batch, stage.unroll)
        steps = starts[:, None] + np.arange(stage.unroll + 1)
        seen = view.windows(episodes, steps, device)
        given = torch.from_numpy(actions[episodes[:, None], steps[:, :-1]]).float().to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=isinstance(view, _Pixels)):
            latents = view.encode(seen)
            terms = encoder_loss(latents, _unroll(model, latents[:, 0], given))
            missed = view.missed(latents[:, 0], seen[:, 0]) if recipe.reconstruction else terms.prediction * 0
        total = (
            terms.prediction
            + recipe.variance * terms.variance
            + recipe.covariance * terms.covariance
            + recipe.slowness * terms.slowness
            + recipe.reconstruction * missed
        )
        with torch.no_grad():
            flat = latents[:, 0].flatten(1).cpu()
            rank, spread = effective_rank(flat), float(flat.std(dim=0).mean())
        if not warned and (rank < max(1.5, COLLAPSED_RANK * flat.shape[1]) or spread < COLLAPSED_SPREAD):
            warned = True
            console.print(
                f"[yellow]the encoder is collapsing: effective rank {rank:.2f} of {flat.shape[1]}, "
                f"mean standard deviation {spread:.2g} of its latents[/]"
            )
        metrics = {name: float(term.detach()) for name, term in vars(terms).items()}
        return total, metrics | {"missed": float(missed.detach()), "rank": rank, "spread": spread}

    modules.train()
    outcome = trainer.fit("encoder", modules, stage, loss)
    modules.eval()
    return outcome


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Windows of pixels, for the encoders that learn from them."""

    model: WorldModel
    pixels: UInt8[np.ndarray, "N M K H W 3"]

    @property
    def encoder(self) -> nn.Module:
        assert self.model.encoder is not None
        return self.model.encoder

    @property
    def decoder(self) -> nn.Module:
        return self.model.decoder

    def windows(self, episodes: np.ndarray, steps: np.ndarray, device: torch.device) -> Tensor:
        return torch.from_numpy(self.pixels[episodes[:, None], steps]).to(device)

    def encode(self, seen: UInt8[Tensor, "N L1 K H W 3"]) -> Float[Tensor, "N L1 *S"]:
        return _encode_windows(self.model, seen)

    def missed(self, latents: Float[Tensor, " N *S"], seen: UInt8[Tensor, "N K H W 3"]) -> Float[Tensor, ""]:
        return _missed(self.model, latents, seen)


class _Looks:
    """Windows of standardised centroids and motions, for the head of an encoder of bodies."""

    def __init__(self, model: WorldModel, looks: Float[Tensor, "N M F"]) -> None:
        assert isinstance(model.encoder, BodyEncoder)
        self.looks, self.encoder = looks, model.encoder.head
        width = model.architecture.latent_dim
        self.decoder = nn.Sequential(
            nn.Linear(width, READER), nn.GELU(), nn.Linear(READER, looks.shape[-1])
        ).to(looks.device)

    def windows(self, episodes: np.ndarray, steps: np.ndarray, device: torch.device) -> Tensor:
        return self.looks[episodes[:, None], steps].to(device)

    def encode(self, seen: Float[Tensor, "N L1 F"]) -> Float[Tensor, "N L1 d"]:
        latents: Tensor = self.encoder(seen)
        return latents

    def missed(self, latents: Float[Tensor, "N d"], seen: Float[Tensor, "N F"]) -> Float[Tensor, ""]:
        error: Tensor = self.decoder(latents) - seen
        return error.square().mean() / seen.square().mean()


def fit_colours(model: WorldModel, frames: Frames, rng: np.random.Generator) -> None:
    """Find the colours of an encoder of colours or bodies in a sample of the frames."""
    bodies = isinstance(model.encoder, BodyEncoder)
    colours = model.encoder.look if isinstance(model.encoder, BodyEncoder) else model.encoder
    assert isinstance(colours, ColourEncoder)
    episodes, steps = frames.pixels.shape[:2]
    sample = frames.pixels[rng.integers(episodes, size=CHUNK), rng.integers(steps, size=CHUNK)]
    pictures = model.normalise(torch.from_numpy(sample).to(model.background.device))
    colours.fit(pictures, model.background, model.whitening, PURE if bodies else 0.0)


def fit_components(model: WorldModel, frames: Frames, rng: np.random.Generator) -> float:
    """Find the principal components of frozen features in a sample of the frames; return the variance they keep."""
    assert isinstance(model.encoder, FrozenEncoder)
    episodes, steps = frames.pixels.shape[:2]
    sample = frames.pixels[rng.integers(episodes, size=COMPONENTS), rng.integers(steps, size=COMPONENTS), 0]
    return model.encoder.fit(torch.from_numpy(sample))


@torch.no_grad()
def encode_frozen(
    model: WorldModel, frames: UInt8[np.ndarray, "N M K H W 3"], folder: Path, key: Mapping[str, object]
) -> Float[Tensor, "N M P d"]:
    """Return the raw latents of all frames through a frozen network, kept in float16, `SHARD` episodes a file.

    A picture that appears several times, as an older frame is the newest of a step before, is encoded once.
    """
    parts = []
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    for start in track(range(0, len(frames), SHARD), description="encoding", transient=True):
        shard = frames[start : start + SHARD]

        def make(shard: np.ndarray = shard) -> Arrays:
            flat = np.ascontiguousarray(shard).reshape(-1, int(np.prod(shard.shape[3:])))
            _, first, place = np.unique(
                flat.view(np.dtype((np.void, flat.shape[1]))).ravel(), return_index=True, return_inverse=True
            )
            assert isinstance(model.encoder, FrozenEncoder)
            each = model.encoder.project(torch.from_numpy(flat[first].reshape(-1, *shard.shape[3:]))).cpu()
            latents = each[place].reshape(*shard.shape[:3], *each.shape[1:]).movedim(2, 3).flatten(3)
            return {"latents": latents.half().numpy()}

        path = folder / f"features_{digest}_{start // SHARD:04d}.npz"
        parts.append(torch.from_numpy(piece(path, {**key, "start": start}, make)["latents"]))
    return torch.cat(parts).float()


@torch.no_grad()
def encode_all(
    model: WorldModel,
    frames: UInt8[np.ndarray, "N M K H W 3"],
    device: torch.device,
    part: nn.Module | None = None,
) -> Float[Tensor, "N M *S"]:
    """Return the raw latents of all frames, or what a part of the encoder makes of them."""
    steps = frames.shape[1]
    rows = max(1, CHUNK // steps)
    latents = []
    for start in track(range(0, len(frames), rows), description="encoding", transient=True):
        pixels = torch.from_numpy(frames[start : start + rows]).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=False):
            if part is None:
                latents.append(_encode_windows(model, pixels))
            else:
                made = part(model.normalise(pixels.flatten(0, 1)))
                latents.append(made.reshape(*pixels.shape[:2], *made.shape[1:]))
    return torch.cat(latents)


def normalise_latents(model: WorldModel, latents: Float[Tensor, "N M *S"]) -> None:
    """Centre the model's latents and scale them to variance 1 on average over components."""
    flat = latents.flatten(0, 1)
    model.latent_mean.copy_(flat.mean(dim=0))
    model.latent_scale.copy_((flat - flat.mean(dim=0)).square().mean().sqrt())
    model.tell_centroids()


def measure_in_steps(model: WorldModel, latents: Float[Tensor, "N M *S"]) -> None:
    """Change the model's coordinates so that distances between latents count typical model steps.

    With C the mean of Δz Δzᵀ over the model steps of the data, the new latents are z·C^(-1/2), scaled back to variance 1
    on average; eigenvalues of C are raised to at least `STEP_FLOOR` of the largest.  A variance says how far apart states
    can be, C how far apart they get in a step: features that move fast count less, those that move slowly more.

    Arguments
        latents: of the training data, normalised.
    """
    _whiten(model, latents.diff(dim=1).flatten(0, -2), latents, STEP_FLOOR)


@torch.no_grad()
def measure_in_misses(
    model: WorldModel, latents: Float[Tensor, "N M *S"], actions: Float[Tensor, "N M1 m"]
) -> None:
    """Change the model's coordinates so that its predictor's errors are equally large in every direction.

    As `measure_in_steps`, with C the covariance of the predictor's errors over one model step, from `MISSES` episodes:
    directions that are predicted precisely weigh more in a loss than noisy ones, as in the likelihood of errors of
    covariance C.

    Arguments
        latents: of the training data, normalised.
        actions: between them.
    """
    before, after = latents[:MISSES, :-1].flatten(0, 1), latents[:MISSES, 1:].flatten(0, 1)
    missed = model.step(before, actions[:MISSES].flatten(0, 1)) - after
    _whiten(model, missed.flatten(0, -2), latents, MISS_FLOOR)


def _whiten(
    model: WorldModel, vectors: Float[Tensor, "K d"], latents: Float[Tensor, "N M *S"], floor: float
) -> None:
    """Change coordinates by C^(-1/2) of these vectors, its eigenvalues raised to a share of the largest."""
    double = vectors.double()
    eigenvalues, basis = torch.linalg.eigh(double.T @ double / len(double))
    scales = eigenvalues.clamp_min(floor * float(eigenvalues[-1])).rsqrt()
    transform = basis @ torch.diag(scales) @ basis.T
    flat = latents.flatten(0, 1).double() @ transform
    model.change_coordinates(transform / (flat - flat.mean(dim=0)).square().mean().sqrt())


def train_predictor(
    trainer: Trainer,
    model: WorldModel,
    stage: Stage,
    data: Sequence[tuple[Float[Tensor, "N M *S"], Float[Tensor, "N M1 m"], float]],
    *,
    state_noise: float,
    name: str = "predictor",
) -> Fitted:
    """Train the predictor open loop on data sets of latents (normalised), actions, and their share of a batch.

    With `state_noise`, half of the windows start from a noised latent and must return to the true ones.
    """

    def loss(rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        windows, given = [], []
        for latents, actions, share in data:
            count = round(share * stage.batch)
            episodes, starts = _windows(rng, latents.shape[:2], count, stage.unroll)
            steps = starts[:, None] + np.arange(stage.unroll + 1)
            windows.append(latents[episodes[:, None], steps])
            given.append(actions[episodes[:, None], steps[:, :-1]])
        window, action = torch.cat(windows), torch.cat(given)
        start = window[:, 0]
        if state_noise:
            noise = torch.from_numpy(rng.standard_normal(start.shape)).to(start) * state_noise
            chosen = torch.from_numpy(rng.random(len(start)) < 0.5).to(start)
            start = start + noise * chosen.reshape(-1, *[1] * (start.ndim - 1))
        with torch.autocast(trainer.device.type, torch.bfloat16):
            predicted = _unroll(model, start, action)
        errors = (predicted - window[:, 1:]).square().flatten(2).mean(dim=2)
        # The square root weighs a window by its distance and not its square, so that a few large errors at contacts do not
        # dominate the mean.
        value = (errors + 1e-6).sqrt().mean()
        first, last = (float(errors.detach()[:, step].mean().sqrt()) for step in (0, -1))
        return value, {"first": first, "last": last}

    return trainer.fit(name, model.predictor, stage, loss)


def train_decoder(
    trainer: Trainer, model: WorldModel, recipe: Recipe, latents: Float[Tensor, "N M *S"], frames: Frames
) -> Fitted:
    """Train the decoder to draw the stacked frames from frozen latents (normalised)."""
    stage = recipe.decoder

    def loss(rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        episodes, steps = _windows(rng, latents.shape[:2], stage.batch, 0)
        pixels = torch.from_numpy(frames.pixels[episodes, steps]).to(trainer.device)
        with torch.autocast(trainer.device.type, torch.bfloat16):
            value = _missed(model, latents[episodes, steps], pixels)
        return value, {"explained": 1 - float(value.detach())}

    return trainer.fit("decoder", model.decoder, stage, loss)


def train_probe(
    trainer: Trainer,
    model: WorldModel,
    recipe: Recipe,
    latents: Float[Tensor, "N M *S"],
    targets: Float[Tensor, "frames Q"],
) -> Fitted:
    """Train the probe to tell the task's state, one row of targets a frame, from frozen latents (normalised)."""
    stage = recipe.probe
    model.probe_mean.copy_(targets.mean(dim=0))
    model.probe_scale.copy_(targets.std(dim=0))
    standardised = ((targets - model.probe_mean) / model.probe_scale).reshape(*latents.shape[:2], -1)

    def loss(rng: np.random.Generator) -> tuple[Tensor, Mapping[str, float]]:
        episodes, steps = _windows(rng, latents.shape[:2], stage.batch, 0)
        told = model.probe_head(latents[episodes, steps])
        value = (told - standardised[episodes, steps]).square().mean()
        return value, {"explained": 1 - float(value.detach())}

    return trainer.fit("probe", model.probe_head, stage, loss)


def _missed(
    model: WorldModel, latents: Float[Tensor, " N *S"], pixels: UInt8[Tensor, "N K H W 3"]
) -> Float[Tensor, ""]:
    """Return the share of the pictures' variance (about the mean picture) that the decoder misses."""
    wanted = model.normalise(pixels)
    error: Tensor = model.decoder(latents).float() - wanted
    return error.square().mean() / wanted.square().mean()


def _encode_windows(model: WorldModel, pixels: UInt8[Tensor, "N L1 K H W 3"]) -> Float[Tensor, "N L1 *S"]:
    """Return the raw latents of windows of stacked frames, in float32 whatever autocast says."""
    latents = model.encode_raw(pixels.flatten(0, 1)).float()
    return latents.reshape(*pixels.shape[:2], *latents.shape[1:])


def _windows(
    rng: np.random.Generator, shape: tuple[int, ...], count: int, unroll: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return random (episodes, first steps) of windows of unroll + 1 frames."""
    return rng.integers(shape[0], size=count), rng.integers(shape[1] - unroll, size=count)


def _unroll(
    model: WorldModel, start: Float[Tensor, " N *S"], actions: Float[Tensor, "N L m"]
) -> Float[Tensor, "N L *S"]:
    """Return the predictor's latents 1..L from the first latent and the actions, in float32 whatever autocast says."""
    states = [start]
    scaled = actions / model.action_scale
    for step in range(actions.shape[1]):
        states.append(states[-1] + model.predictor(states[-1], scaled[:, step]).float())
    return torch.stack(states[1:], dim=1)
