"""The encoder's loss against its definition, and its warning sign against a collapsed batch."""

import pytest
import torch

from experiments.training.losses import effective_rank, encoder_loss


def windows(count: int, length: int, *shape: int) -> torch.Tensor:
    return torch.randn(count, length, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_terms_of_flat_latents_are_those_of_their_definition():
    latents, predicted = windows(50, 4, 3), windows(50, 3, 3)
    terms = encoder_loss(latents, predicted)
    rows = latents.reshape(-1, 3)
    covariance = torch.cov(rows.T)
    off = covariance - torch.diag(covariance.diagonal())
    assert float(terms.prediction) == pytest.approx(
        float(((predicted - latents[:, 1:]) ** 2).mean()), rel=1e-12
    )
    assert float(terms.variance) == pytest.approx(float((1 - rows.std(dim=0)).clamp_min(0).mean()), rel=1e-9)
    assert float(terms.covariance) == pytest.approx(float((off**2).sum() / 3), rel=1e-9)
    assert float(terms.slowness) == pytest.approx(float((latents.diff(dim=1) ** 2).mean()), rel=1e-12)


def test_patch_statistics_are_taken_patch_by_patch():
    latents = windows(60, 2, 5, 3)
    each = [encoder_loss(latents[:, :, p], latents[:, 1:, p]) for p in range(5)]
    terms = encoder_loss(latents, latents[:, 1:])
    for name in ("variance", "covariance"):
        mean = torch.stack([getattr(one, name) for one in each]).mean()
        assert float(getattr(terms, name)) == pytest.approx(float(mean), rel=1e-9)


def test_the_hinge_sees_a_collapsed_component():
    latents = windows(100, 3, 4) * 2
    spread = encoder_loss(latents, latents[:, 1:])
    latents[..., 2] = 7.0
    collapsed = encoder_loss(latents, latents[:, 1:])
    assert float(spread.variance) == 0
    assert float(collapsed.variance) == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("directions", [1, 2, 5])
def test_effective_rank_counts_equal_directions(directions: int):
    basis = torch.linalg.qr(windows(1, 6, 6)[0])[0][:directions]
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * directions)
    latents = signs.reshape(-1, directions) @ basis
    assert effective_rank(latents) == pytest.approx(directions, rel=1e-6)


def test_effective_rank_of_a_constant_is_one():
    assert effective_rank(torch.ones(10, 4)) == pytest.approx(1, abs=1e-9)
