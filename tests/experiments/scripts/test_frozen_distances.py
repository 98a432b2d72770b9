"""What features tell before training: a readout that finds what is linear, and a file that is not measured twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner
from world_model_cases import NetworkDouble

from experiments.paths import REPOSITORY
from experiments.scripts import frozen_distances
from experiments.scripts.frozen_distances import readout
from grasp_theory.world_models import frozen


def test_the_readout_explains_what_is_linear_and_nothing_of_what_is_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frozen_distances, "FITTED", 400)
    rng = np.random.default_rng(0)
    latents = 1e-5 * rng.standard_normal((600, 20)) + 3
    targets = np.stack([latents @ rng.standard_normal(20), rng.standard_normal(600)], axis=1)
    linear, noise = readout(latents, targets)
    assert linear > 0.99
    assert noise < 0.05


def test_each_kind_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "backbone", lambda name: NetworkDouble())
    small = replace(frozen_distances.SIZES, pairs=10, greedy=1, resamples=20)
    for name, value in (
        ("SIZES", small), ("FITTED", 60), ("HELD_OUT", 20), ("EPISODES", 10), ("LENGTH", 20), ("COMPONENTS", 3)
    ):  # fmt: skip
        monkeypatch.setattr(frozen_distances, name, value)
    out = tmp_path / "found.json"
    call = ["wall_single", "--out", str(out), "--folder", str(tmp_path)]
    result = CliRunner().invoke(frozen_distances.app, call)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())["wall_single"]
    assert set(found) == {"frozen", "random", "flat"}
    assert found["frozen"]["numbers"] == 16 * 3
    assert found["frozen"]["variance_kept"] == pytest.approx(1, abs=1e-3)  # the double has three
    assert found["flat"]["rank_correlation"]["latent"]["value"] > 0.5
    monkeypatch.setattr(frozen_distances, "measured", lambda *_: pytest.fail("measured again"))
    assert CliRunner().invoke(frozen_distances.app, call).exit_code == 0


def test_the_page_tells_the_stored_figures() -> None:
    page = (REPOSITORY / "docs" / "world_models.md").read_text()
    stored = json.loads((REPOSITORY / "docs" / "frozen_distances.json").read_text())
    for task, kinds in stored.items():
        ranks = [
            f"{kinds[kind]['rank_correlation']['latent']['value']:.2f}"
            for kind in ("flat", "frozen", "random")
        ]
        assert f"| {task}: rank correlation | {' | '.join(ranks)} |" in page
