"""Coordinates of latents, in what a predictor misses and in model steps; and encoders that find colours."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from world_model_cases import NetworkDouble

from experiments.episodes import collect
from experiments.training.recipe import RECIPES, Stage, recipe_for
from experiments.training.run import Run
from experiments.training.stages import (
    Frames,
    encode_all,
    fit_colours,
    measure_in_misses,
    measure_in_steps,
    normalise_frames,
)
from grasp_theory.tasks import by_name
from grasp_theory.tasks.raster import Colour, blank, draw_discs
from grasp_theory.world_models import Architecture, WorldModel, frozen
from grasp_theory.world_models.encoders import BodyEncoder
from grasp_theory.world_models.frozen import FrozenEncoder
from linear_systems.errors import ParameterError

CPU = torch.device("cpu")


@pytest.fixture
def case():
    """A model in float64 with latents and actions that it cannot foretell: it misses far in one direction."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = (
        WorldModel(Architecture("flat", 2, 3, latent_dim=3, predictor_width=8)).double().requires_grad_(False)
    )
    spread = torch.tensor([[3.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.5, 0.5]], dtype=torch.float64)
    latents = torch.randn(50, 12, 3, generator=generator, dtype=torch.float64) @ spread
    return model, latents, torch.randn(50, 11, 2, generator=generator, dtype=torch.float64)


def moments(vectors: torch.Tensor) -> torch.Tensor:
    """Return the second moments of vectors, relative to their mean square."""
    flat = vectors.flatten(0, 1)
    moment = flat.T @ flat / len(flat)
    return moment / moment.diagonal().mean()


def test_in_what_a_predictor_misses_it_misses_alike_in_every_direction(case):
    model, latents, actions = case

    def missed(z: torch.Tensor) -> torch.Tensor:
        return model.step(z[:, :-1], actions) - z[:, 1:]

    assert not torch.allclose(moments(missed(latents)), torch.eye(3, dtype=torch.float64), atol=0.5)
    told = model.probe(model.step(latents[:, :-1], actions))
    measure_in_misses(model, latents, actions)
    changed = latents @ model.latent_map
    torch.testing.assert_close(moments(missed(changed)), torch.eye(3, dtype=torch.float64), atol=1e-9, rtol=0)
    centred = changed - changed.mean(dim=(0, 1))
    assert float(centred.square().mean()) == pytest.approx(1.0)
    # Only the coordinates are others: what the model foretells is the same.
    torch.testing.assert_close(model.probe(model.step(changed[:, :-1], actions)), told)


def test_in_steps_a_typical_step_is_as_long_in_every_direction(case):
    model, latents, _ = case
    measure_in_steps(model, latents)
    changed = latents @ model.latent_map
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(moments(changed.diff(dim=1)), eye, atol=1e-9, rtol=0)
    assert not torch.allclose(moments(latents.diff(dim=1)), eye, atol=0.5)


def test_a_recipe_may_ask_for_a_first_predictor(tmp_path):
    recipe = replace(
        recipe_for("wall_single", "flat", quick=True), predictor_block="gated", episodes=4,
        encoder=Stage(2, 8, 1e-3), first_predictor=Stage(3, 8, 1e-3), predictor=Stage(3, 8, 1e-3),
    )  # fmt: skip
    run = Run(by_name("wall_single"), recipe, 0, tmp_path, CPU)
    trained, again = run.offline(), run.offline()
    assert list(trained.training["stages"]) == ["encoder", "first_predictor", "predictor", "probe", "decoder"]
    for name, value in trained.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


def test_the_latents_of_an_encoder_of_colours_tell_where_bodies_are_and_how_far_they_moved():
    """Three discs that differ in size and colour, to a sixth of a pixel; the picture's rounding is in it."""
    rng, size, radii = np.random.default_rng(0), 32, (5.0, 3.0, 2.0)
    colours: list[Colour] = [(100, 110, 120), (200, 90, 60), (60, 100, 220)]
    low, high = np.array([[6, 6], [6, 24], [24, 19]]), np.array([[26, 9], [14, 26], [26, 26]])
    now = rng.uniform(low, high, (400, 3, 2))
    centres = np.stack([now, now + rng.uniform(-1, 1, now.shape)], axis=1)  # (N, K, bodies, 2)
    pictures = blank(800, size, (255, 255, 255))
    for k, radius in enumerate(radii):
        draw_discs(pictures, centres[:, :, k].reshape(-1, 2), radius, colours[k])
    frames = Frames(pictures.reshape(400, 1, 2, size, size, 3))
    model = WorldModel(
        Architecture("flat", 2, 2, frames=2, image_size=size, latent_dim=12, encoder="colours")
    )
    normalise_frames(model, frames, np.random.default_rng(1))
    fit_colours(model, frames, np.random.default_rng(2))
    latents = encode_all(model, frames.pixels, CPU)[:, 0].double().numpy()
    np.testing.assert_allclose(latents.mean(axis=0), 0, atol=0.2)
    np.testing.assert_allclose(latents.std(axis=0), 1, atol=0.1)
    for name, wanted, among, error in (
        ("places", now, latents[:, :6], 0.15),
        ("motions", centres[:, 0] - centres[:, 1], latents[:, 6:], 0.15),
    ):
        flat, known = wanted.reshape(400, 6), np.column_stack([among, np.ones(400)])
        left = known @ np.linalg.lstsq(known, flat, rcond=None)[0] - flat
        assert np.sqrt((left**2).mean(axis=0)).max() < error, name


def discs_on_two_floors(size: int = 32) -> tuple[Frames, np.ndarray]:
    """One disc that moves over a floor of two colours with a blurred edge, and where it is."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(5, size - 5, (400, 2))
    pictures = blank(400, size, (255, 255, 255))
    pictures[:, :, : size // 3 - 1] = (45, 45, 45)
    pictures[:, :, size // 3 - 1] = (110, 110, 110)
    draw_discs(pictures, centres, 3.0, (220, 20, 30))
    return Frames(pictures.reshape(400, 1, 1, size, size, 3)), centres


def test_an_encoder_of_bodies_looks_at_the_colour_that_moves():
    """To a twentieth of a pixel, whatever it moves over."""
    frames, centres = discs_on_two_floors()
    model = WorldModel(Architecture("flat", 2, 2, image_size=32, latent_dim=3, encoder="bodies"))
    normalise_frames(model, frames, np.random.default_rng(1))
    fit_colours(model, frames, np.random.default_rng(2))
    assert isinstance(model.encoder, BodyEncoder)
    looks = encode_all(model, frames.pixels, CPU, model.encoder.look)[:, 0].double().numpy()
    assert looks.shape == (400, 2)
    known = np.column_stack([looks, np.ones(400)])
    left = known @ np.linalg.lstsq(known, centres, rcond=None)[0] - centres
    assert np.sqrt((left**2).mean(axis=0)).max() < 0.05
    assert model.encode(torch.from_numpy(frames.pixels[:5, 0])).shape == (5, 3)


def test_more_bodies_than_colours_are_refused():
    frames, _ = discs_on_two_floors()
    model = WorldModel(Architecture("flat", 2, 2, image_size=32, latent_dim=3, encoder="bodies", bodies=3))
    normalise_frames(model, frames, np.random.default_rng(1))
    with pytest.raises(ParameterError, match="bodies=2"):
        fit_colours(model, frames, np.random.default_rng(2))


def test_frozen_features_are_encoded_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = NetworkDouble()
    monkeypatch.setattr(frozen, "backbone", lambda name: network)
    task = by_name("point_maze")
    recipe = replace(
        RECIPES["point_maze", "frozen"], episodes=30, length=30, predictor_width=16,
        predictor=Stage(20, 16, 1e-3, 2), probe=Stage(20, 16, 1e-3), decoder=Stage(5, 8, 1e-3),
    )  # fmt: skip
    run = Run(task, recipe, 0, tmp_path, torch.device("cpu"))
    trained = run.offline()
    model = trained.model
    assert model.architecture.label == "frozen"
    assert set(trained.training["stages"]) == {"predictor", "probe", "decoder"}
    files = sorted((tmp_path / "data").glob("features_*.npz"))
    assert len(files) == 2  # 25 episodes a file
    frames = np.load(next((tmp_path / "data").glob("*_offline_64_*.npy")))
    kept = np.concatenate([np.load(file)["latents"] for file in files])
    latents = model.encode_raw(torch.from_numpy(frames[29]))
    np.testing.assert_allclose(kept[29], latents.numpy(), atol=2e-3)
    # What is kept is not encoded again.
    monkeypatch.setattr(FrozenEncoder, "project", lambda *_: pytest.fail("encoded again"))
    again = run.offline().model
    assert torch.equal(again.predictor.enter.weight, model.predictor.enter.weight)


@pytest.mark.parametrize("damage", [b"", b"half", None])
def test_damaged_frames_are_named(tmp_path, damage):
    task = by_name("wall_single")
    episodes = collect(task, episodes=2, length=20, seed=0, folder=tmp_path, mixture=task.mixtures["offline"])
    path = tmp_path / "frames.npy"
    Frames.draw(episodes, 16, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(ParameterError, match=r"frames\.npy.*made again"):
        Frames.draw(episodes, 16, path)
