"""The predictor that looks from pairs of centroids: what it sees does not depend on where bodies lie and how they are turned."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from world_model_cases import ARCHITECTURES, world_model

from grasp_theory.world_models.encoders import VARIANCE_FLOOR, ColourEncoder
from grasp_theory.world_models.predictors import PairedMLP
from linear_systems.errors import ParameterError

ARCHITECTURE = ARCHITECTURES["flat, pairs of colours"]
D, M = ARCHITECTURE.latent_dim, ARCHITECTURE.action_dim


def _scene(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Places (5, 3, 2), their motions, and actions (5, M / 2, 2), as vectors (x, y)."""
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randn(5, n, 2, generator=generator, dtype=torch.float64) for n in (3, 3, M // 2)]
    return draw[0], draw[1], draw[2]


def _latents(places: Tensor, motions: Tensor) -> Tensor:
    """The raw latents of an encoder of colours: y of three centroids, x of them, and the same of their motions."""
    return torch.cat([part.flip(-1).transpose(-1, -2).flatten(1) for part in (places, motions)], dim=1)


def _turn(vectors: Tensor, angle: float) -> Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return vectors @ torch.tensor([[c, s], [-s, c]], dtype=vectors.dtype)


def _seeing_only_pairs() -> PairedMLP:
    """A predictor that does not look at latent and action as they are, and predicts in frames only."""
    torch.manual_seed(3)
    network = PairedMLP(ARCHITECTURE).double().requires_grad_(False)
    network.enter.weight[:, : D + M] = 0
    leave = network.leave[0]
    width, told = ARCHITECTURE.predictor_width, leave.in_features - ARCHITECTURE.predictor_width
    leave.weight[:, :width] = 0
    leave.bias.zero_()
    # Vectors (x, y) go to x and y of one centroid or motion alike, as an equivariant map does.
    mix = torch.randn(D // 2, told // 2, dtype=torch.float64)
    # Axes: motion or not, (y, x), centroid, vector, (x, y).
    rows = torch.zeros(2, 2, 3, told // 2, 2, dtype=torch.float64)
    rows[:, 0, :, :, 1] = rows[:, 1, :, :, 0] = mix.view(2, 3, -1)
    leave.weight[:, width:] = rows.reshape(D, told)
    return network


def test_a_turned_scene_changes_as_the_scene_does_turned() -> None:
    network = _seeing_only_pairs()
    places, motions, actions = _scene(0)
    change = network(_latents(places, motions), actions.flatten(1))
    elsewhere = _turn(places, 0.7) + torch.tensor([0.3, -1.1], dtype=torch.float64)
    turned = network(_latents(elsewhere, _turn(motions, 0.7)), _turn(actions, 0.7).flatten(1))
    moved = change.view(5, 2, 2, 3).transpose(-1, -2).flip(-1)  # motion or not, centroid, (x, y)
    torch.testing.assert_close(_turn(moved, 0.7), turned.view(5, 2, 2, 3).transpose(-1, -2).flip(-1))
    assert change.abs().min() > 1e-4
    # A near miss: the scene turned, its actions not.
    other = network(_latents(elsewhere, _turn(motions, 0.7)), actions.flatten(1))
    assert not torch.allclose(_turn(moved, 0.7), other.view(5, 2, 2, 3).transpose(-1, -2).flip(-1))


def test_centroids_are_read_off_latents_in_whatever_coordinates() -> None:
    model = world_model(ARCHITECTURE).double()
    assert isinstance(model.predictor, PairedMLP)
    raw = torch.randn(4, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert isinstance(model.encoder, ColourEncoder)
    features = model.encoder.standardise
    wanted = raw * (features.variance + VARIANCE_FLOOR).sqrt() + features.mean
    model.change_coordinates(
        torch.eye(D) + 0.3 * torch.randn(D, D, generator=torch.Generator().manual_seed(2))
    )
    read = model.normalise_latents(raw) @ model.predictor.centroids + model.predictor.origin
    torch.testing.assert_close(read, wanted, rtol=1e-6, atol=1e-6)


def test_centroids_in_one_place_are_no_nan() -> None:
    network = PairedMLP(ARCHITECTURE)
    state = torch.zeros(2, D, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(state, torch.zeros(2, M)).sum(), state)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(("field", "value"), [("encoder", "own"), ("action_dim", 5)])
def test_pairs_need_centroids_and_actions_in_the_plane(field: str, value: object) -> None:
    with pytest.raises(ParameterError, match="predictor_block"):
        type(ARCHITECTURE)(**{**ARCHITECTURE.to_json(), field: value})
