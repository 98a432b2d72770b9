"""Roughness of losses whose shape is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.study.figure_data.landscapes import (
    REACH,
    along_lines,
    directions,
    local_minima,
    surface,
    total_variation,
)

SIDE = np.linspace(-1, 1, 201)


@pytest.mark.parametrize(
    ("line", "minima", "variation"),
    [
        (SIDE, 0, 1.0),
        (SIDE**2, 1, 2.0),
        (np.cos(6 * np.pi * SIDE), 6, 12.0),
        (SIDE**2 + 1e-4 * np.cos(40 * SIDE), 1, 2.0),  # ripples of 0.02% of the range do not count
    ],
)
def test_minima_and_variation_of_known_lines(line: np.ndarray, minima: int, variation: float) -> None:
    values = line[None, None]
    assert local_minima(values).tolist() == [[minima]]
    # The grid misses the extrema by at most half a spacing; the ripples add their own variation.
    assert total_variation(values)[0, 0] == pytest.approx(variation, rel=1e-2)


def test_directions_are_orthonormal_in_pairs_and_the_same_each_time() -> None:
    ways = directions(6, torch.zeros(5, 4, dtype=torch.float64), "test").flatten(1)
    assert torch.equal(ways, directions(6, torch.zeros(5, 4, dtype=torch.float64), "test").flatten(1))
    gram = ways.view(3, 2, -1) @ ways.view(3, 2, -1).transpose(1, 2)
    torch.testing.assert_close(gram, torch.eye(2, dtype=torch.float64).expand(3, 2, 2))


def _bowl(actions: Tensor, which: Tensor) -> Tensor:
    """‖a − i‖² for problem i."""
    return (actions - which.to(actions)[:, None, None]).square().sum((1, 2))


def test_lines_and_surfaces_of_a_bowl_are_parabolas_of_the_stated_reach() -> None:
    plans = torch.stack([torch.full((5, 4), float(i), dtype=torch.float64) for i in range(3)])
    values = along_lines(_bowl, plans, bound=2.0, lines=4, points=11)
    # At the plan the loss is 0, and a step of length r along any unit direction costs r².
    far = (REACH * 2.0) ** 2 * 20
    expected = np.linspace(-1, 1, 11) ** 2 * far
    np.testing.assert_allclose(values, np.broadcast_to(expected, (3, 4, 11)), rtol=1e-5, atol=1e-9 * far)
    square = surface(_bowl, plans, bound=2.0, points=7)
    x = np.linspace(-1, 1, 7)
    np.testing.assert_allclose(square, far * (x[:, None] ** 2 + x**2), rtol=1e-5, atol=1e-9 * far)
