"""The instances of Appendix A.2: their code rebuilds them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from grasp_theory.smoothing import Loss, gradient_gain
from paper_checks.claims.smoothing.instances import (
    Instance,
    absolute,
    ball,
    drawn_waves,
    gaussian,
    periodic,
    quartic,
    step,
    wave,
)

INSTANCES = {
    "gaussian": gaussian(3, 0.7),
    "wave": wave(np.array([1.0, -2.0])),
    "step": step(4, 0.3),
    "absolute": absolute(2, 0.1),
    "quartic": quartic(5, 1.3),
    "ball": ball(2, 3.0),
    "periodic": periodic(np.sin(np.arange(8.0)), 5.0),
}


def rebuilt(code: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(code, names)
    return names


@pytest.mark.parametrize("instance", INSTANCES.values(), ids=INSTANCES.keys())
def test_the_code_rebuilds_the_loss(instance: Instance) -> None:
    names = rebuilt(instance.code(sigma=0.5, p=math.inf))
    assert (names["sigma"], names["p"]) == (0.5, math.inf)
    loss = names["loss"]
    assert isinstance(loss, type(instance.loss))
    found, expected = (gradient_gain(item, 0.5, math.inf) for item in (loss, instance.loss))
    assert found == expected or instance.loss.log_norm(math.inf).value == math.inf


def test_drawn_nonnegative_waves_are_nonnegative_between_grid_points() -> None:
    for instance in drawn_waves(np.random.default_rng(0), 8, nonnegative=True):
        loss: Loss = instance.loss
        assert loss._refined(16).min() >= -1e-12
