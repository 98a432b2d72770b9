"""A whole training in seconds, from behaviour data to a model that is better than trivial ones."""

import signal
import subprocess
import sys
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from experiments import episodes as data
from experiments.episodes import collect, frame_states
from experiments.evaluation.sizes import trials
from experiments.training import replay
from experiments.training import run as running
from experiments.training.fit import Trainer
from experiments.training.recipe import RECIPES, Replays, Stage, recipe_for
from experiments.training.replay import replayed_plans
from experiments.training.run import Run
from experiments.training.stages import Frames, encode_all, train_encoder
from grasp_theory.tasks import by_name
from grasp_theory.tasks.problems import make_problems
from grasp_theory.world_models import Architecture, WorldModel
from linear_systems.errors import ParameterError

TASK = by_name("wall_single")
RECIPE = recipe_for("wall_single", "flat", quick=True)
CPU = torch.device("cpu")
PATIENCE = 600.0
"""Seconds that a machine with other work may take for the first steps of a stage."""


def architecture(latent_dim: int, *, frames: int = 1, probe_dim: int = 2) -> Architecture:
    return Architecture(
        "flat", action_dim=10, probe_dim=probe_dim, frames=frames, latent_dim=latent_dim, predictor_width=16
    )


@torch.no_grad()
def held_out(model, folder: Path):
    """Return normalised latents (N, M, d), model actions and true positions of episodes that training never saw."""
    episodes = collect(
        TASK, episodes=20, length=100, seed=123, folder=folder / "held_out", mixture=TASK.mixtures["offline"]
    )
    frames = Frames.draw(episodes, 64, folder / "held_out" / "frames.npy")
    latents = model.normalise_latents(encode_all(model, frames.pixels, CPU))
    return latents, torch.from_numpy(episodes.model_actions).float(), episodes.model_states


def test_the_predictor_beats_staying_put_and_the_best_linear_map(offline, folder):
    model = offline.model
    latents, actions, _ = held_out(model, folder)
    before, after = latents[:, :-1].flatten(0, 1), latents[:, 1:].flatten(0, 1)
    inputs = torch.cat([before, actions.flatten(0, 1), torch.ones(len(before), 1)], dim=1)
    # Fitted to the held-out pairs themselves: the best that any linear map could do there.
    linear = inputs @ torch.linalg.lstsq(inputs, after).solution
    error = (model.step(before, actions.flatten(0, 1)) - after).norm(dim=1).mean()
    assert error < 0.7 * (before - after).norm(dim=1).mean()
    assert error < 0.9 * (linear - after).norm(dim=1).mean()


def test_the_probe_tells_the_position(offline, folder):
    latents, _, states = held_out(offline.model, folder)
    told = offline.model.probe(latents).double().numpy()
    error = np.linalg.norm(told - states, axis=-1).mean()
    spread = np.linalg.norm(states - states.mean(axis=(0, 1)), axis=-1).mean()
    assert error < 0.25 * spread


def test_facts_for_the_card(offline):
    assert set(offline.training["stages"]) == {"encoder", "predictor", "probe", "decoder"}
    assert offline.training["cpu_seconds"] >= offline.training["stages"]["encoder"]["cpu_seconds"]
    assert offline.data["behaviour"]["mixture"] == TASK.mixtures["offline"]


def test_same_seed_same_weights_and_a_finished_run_costs_nothing(offline, folder, tmp_path):
    again = Run(TASK, RECIPE, 0, folder, CPU).offline().model
    short = replace(
        RECIPE, encoder=replace(RECIPE.encoder, steps=3), predictor=replace(RECIPE.predictor, steps=3)
    )
    fresh = [Run(TASK, short, 0, tmp_path / name, CPU).offline().model for name in "ab"]
    for name, value in offline.model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
        assert torch.equal(fresh[0].state_dict()[name], fresh[1].state_dict()[name]), name


def test_a_robust_model_keeps_the_encoder_and_changes_the_predictor(offline, folder):
    before = offline.model.state_dict()
    robust = Run(TASK, RECIPE, 0, folder, CPU).robust(deepcopy(offline.model))
    after = robust.model.state_dict()
    for name, value in before.items():
        assert torch.equal(value, after[name]) != name.startswith("predictor."), name
    assert set(robust.data) - {"shares", "state_noise"} == {"behaviour", "contacts", "replays"}
    assert robust.data["replays"]["episodes"] == RECIPE.episodes


def test_a_robust_predictor_is_not_resumed_on_another_offline_model(tmp_path):
    offline = WorldModel(architecture(RECIPE.latent_dim))
    recipe = replace(RECIPE, episodes=4, robust_predictor=Stage(1, 8, 1e-3, 2))
    run = Run(TASK, recipe, 0, tmp_path, CPU)
    run.robust(deepcopy(offline))
    assert len(list((tmp_path / "runs").iterdir())) == 1
    run.robust(deepcopy(offline))
    assert len(list((tmp_path / "runs").iterdir())) == 1
    with torch.no_grad():
        offline.latent_mean += 1
    run.robust(offline)
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_every_round_plans_with_the_model_as_it_is_by_then_and_trains_on_all_replays(tmp_path, monkeypatch):
    planned, trained = [], []
    plans, train = running.replayed_plans, running.train_predictor

    def replays(task, model, **given):
        made = plans(task, model, **given, iterations=1)
        planned.append((model.predictor.enter.weight.clone(), made))
        return made

    def training(trainer, model, stage, data, **given):
        trained.append(data)
        return train(trainer, model, stage, data, **given)

    monkeypatch.setattr(running, "replayed_plans", replays)
    monkeypatch.setattr(running, "train_predictor", training)
    rounds = Replays(rounds=2, problems=2, horizon=7, share=0.5)
    recipe = replace(RECIPE, episodes=4, robust_predictor=Stage(1, 8, 1e-2, 2), replays=rounds)
    offline = WorldModel(architecture(RECIPE.latent_dim))
    facts = Run(TASK, recipe, 0, tmp_path, CPU).robust(deepcopy(offline))
    weights, made = zip(*planned, strict=True)
    assert torch.equal(weights[0], offline.predictor.enter.weight)
    assert not torch.equal(weights[1], weights[0])
    assert not np.array_equal(made[0].states, made[1].states)  # of other problems, too
    assert all(one.model_actions.shape[:2] == (4, 7) for one in made)
    assert [[share for *_, share in data] for data in trained] == [
        [0.25, 0.25, 0.5],
        [0.25, 0.25, 0.25, 0.25],
    ]
    for latents, one in zip((latents for latents, *_ in trained[1][2:]), made, strict=True):
        assert latents.shape[:2] == one.model_states.shape[:2]
    assert facts.data["replays"]["episodes"] == 8
    assert set(facts.training["stages"]) == {"predictor", "predictor_2"}


def test_the_weights_are_rounded_to_what_is_stored(offline):
    for name, weight in offline.model.named_parameters():
        assert torch.equal(weight, weight.half().float()), name


def test_replayed_plans_happened_in_the_environment_and_are_reproducible(tmp_path):
    task = by_name("point_maze")  # with frames of the past: plans begin after them
    torch.manual_seed(0)
    model = WorldModel(architecture(8, frames=2, probe_dim=4))
    episodes, again = (
        replayed_plans(task, model, seed=3, wanted=Replays(problems=2), folder=tmp_path / name, iterations=2)
        for name in "ab"
    )
    assert np.array_equal(episodes.states, again.states, equal_nan=True)
    first, horizon = episodes.first, trials(task).horizon
    assert episodes.actions[:, first:].shape == (4, 5 * horizon, 2)
    assert np.abs(episodes.actions[:, first:]).max() <= task.action_high
    simulated = task.simulate(episodes.states[:, first], episodes.actions[:, first:])
    np.testing.assert_allclose(simulated, episodes.states[:, first:], rtol=0, atol=1e-9)
    grid = np.meshgrid(np.arange(4), np.arange(horizon + 1), indexing="ij")
    assert np.isfinite(frame_states(episodes, *grid)).all()
    assert np.isfinite(episodes.model_actions).all()
    other = replayed_plans(
        task, model, seed=4, wanted=Replays(problems=2), folder=tmp_path / "a", iterations=2
    )
    assert not np.array_equal(episodes.states, other.states, equal_nan=True)


def test_held_plans_are_replayed_on_problems_of_the_kind_that_is_asked_for(tmp_path):
    torch.manual_seed(0)
    model = WorldModel(architecture(8))
    wanted = Replays(problems=3, planners="held", kind="long", horizon=6)
    episodes = replayed_plans(TASK, model, seed=3, wanted=wanted, folder=tmp_path, iterations=20)
    assert episodes.actions.shape == (3, 30, 2)
    groups = episodes.actions.reshape(3, 6, 5, 2)
    np.testing.assert_allclose(groups, groups[:, :, :1].repeat(5, axis=2), rtol=0, atol=1e-6)
    given = make_problems(TASK.name, "long", horizon=6, count=3, purpose="training", seed=6)
    np.testing.assert_array_equal(episodes.states[:, episodes.first], given.starts)


def test_replays_are_long_enough_for_a_window(tmp_path):
    """Push-T is evaluated at a horizon that is shorter than the windows that robust predictors are trained on."""
    task, unroll = by_name("push_t"), RECIPES["push_t", "flat"].robust_predictor.unroll
    assert trials(task).horizon < unroll
    torch.manual_seed(0)
    model = WorldModel(architecture(8, frames=2, probe_dim=8))
    given = {"seed": 3, "wanted": Replays(problems=2), "folder": tmp_path, "iterations": 1}
    assert replayed_plans(task, model, shortest=unroll, **given).model_actions.shape[1] == unroll
    assert replayed_plans(task, model, **given).model_actions.shape[1] == trials(task).horizon


def test_stored_replays_are_not_made_again_but_for_another_model(tmp_path, monkeypatch):
    made = []
    problem = replay.as_given
    monkeypatch.setattr(replay, "as_given", lambda *given: made.append(1) or problem(*given))
    model = WorldModel(architecture(8))

    def episodes():
        return replayed_plans(TASK, model, seed=3, wanted=Replays(problems=2), folder=tmp_path, iterations=1)

    first, again = episodes(), episodes()
    assert len(made) == 2
    assert np.array_equal(first.states, again.states, equal_nan=True)
    min(tmp_path.iterdir()).unlink()  # killed between the two planners
    assert np.array_equal(episodes().states, first.states, equal_nan=True)
    assert len(made) == 3
    with torch.no_grad():
        model.latent_mean += 1
    episodes()
    assert len(made) == 5


def test_a_collapsing_encoder_is_called_one(capsys):
    model = WorldModel(architecture(8))
    blank = Frames(np.zeros((4, 6, 1, 64, 64, 3), dtype=np.uint8))
    recipe = replace(RECIPE, encoder=replace(RECIPE.encoder, steps=2, batch=4))
    train_encoder(Trainer(0, CPU, None, "key"), model, recipe, blank, np.zeros((4, 5, 10)))
    assert capsys.readouterr().err.count("collapsing") == 1


def frozen(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(192, RECIPE.latent_dim))


@pytest.mark.slow
def test_a_frozen_encoder_of_the_user_is_used_as_it_is(folder):
    mine = frozen(1)
    weights = mine[2].weight.clone()
    trained = Run(TASK, RECIPE, 5, folder, CPU).offline(encoder=mine)
    assert "encoder" not in trained.training["stages"]
    assert torch.equal(mine[2].weight, weights)
    other = Run(TASK, RECIPE, 5, folder, CPU).offline(encoder=frozen(2))
    assert not torch.equal(other.model.predictor.enter.weight, trained.model.predictor.enter.weight)
    latents, actions, _ = held_out(trained.model, folder)
    error = (trained.model.step(latents[:, :-1], actions) - latents[:, 1:]).norm(dim=-1).mean()
    assert error < (latents[:, :-1] - latents[:, 1:]).norm(dim=-1).mean()


@pytest.mark.parametrize("name", ["wall_single", "point_maze", "push_t"])
def test_patch_latents_train_too(tmp_path, monkeypatch, name):
    monkeypatch.setattr(data, "SHARD", 5)
    recipe = replace(
        recipe_for(name, "patch", quick=True),
        episodes=5, encoder=Stage(2, 8, 1e-3, 2), predictor=Stage(3, 8, 1e-3, 2), decoder=Stage(2, 8, 1e-3),
    )  # fmt: skip
    trained = Run(by_name(name), recipe, 0, tmp_path, CPU).offline()
    assert trained.model.architecture.state_shape == (16, recipe.latent_dim)
    assert np.isfinite(trained.training["stages"]["predictor"]["last"])


def test_centroids_of_colours_need_no_encoder_s_stage(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SHARD", 5)
    recipe = replace(
        recipe_for("push_t", "colours", quick=True),
        episodes=5, first_predictor=Stage(3, 8, 1e-3, 2), predictor=Stage(3, 8, 1e-3, 2),
        decoder=Stage(2, 8, 1e-3), probe=Stage(2, 8, 1e-3),
    )  # fmt: skip
    trained = Run(by_name("push_t"), recipe, 0, tmp_path, CPU).offline()
    assert trained.model.architecture.encoder == "colours"
    assert set(trained.training["stages"]) == {"first_predictor", "predictor", "probe", "decoder"}
    assert np.isfinite(trained.training["stages"]["predictor"]["last"])


def test_an_encoder_of_bodies_trains_its_head(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SHARD", 5)
    recipe = replace(
        recipe_for("point_maze", "bodies", quick=True),
        episodes=10, length=40, encoder=Stage(3, 8, 1e-3, 2), predictor=Stage(3, 8, 1e-3, 2),
        decoder=Stage(2, 8, 1e-3), probe=Stage(2, 8, 1e-3),
    )  # fmt: skip
    trained = Run(by_name("point_maze"), recipe, 0, tmp_path, CPU).offline()
    assert trained.model.architecture.label == "bodies"
    assert set(trained.training["stages"]) == {"encoder", "predictor", "probe", "decoder"}
    assert 0 < trained.training["stages"]["encoder"]["missed"] < 2  # of what it looks at, which it is to tell


@pytest.mark.slow
def test_a_training_killed_at_any_moment_goes_on(tmp_path):
    code = (
        "import torch; from pathlib import Path; from grasp_theory.tasks import by_name;"
        "from experiments.training import fit; fit.SAVE_EVERY = 0.0;"
        "from experiments.training.recipe import recipe_for; from experiments.training.run import Run;"
        "torch.set_num_threads(1); import sys;"
        "run = Run(by_name('wall_single'), recipe_for('wall_single', 'flat', quick=True), 0, Path(sys.argv[1]),"
        " torch.device('cpu')); model = run.offline().model;"
        "torch.save(model.state_dict(), sys.argv[1] + '/done.pt')"
    )
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (killed, whole):
        folder.mkdir()
    command = [sys.executable, "-c", code]
    for stage in ("encoder", "predictor"):
        process = subprocess.Popen(
            [*command, str(killed)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        begun = time.monotonic()
        while not list(killed.glob(f"runs/*/{stage}.pt")):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() - begun < PATIENCE, f"no checkpoint of the {stage}"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (killed / "done.pt").exists()
    for folder in (killed, whole):
        subprocess.run([*command, str(folder)], check=True, capture_output=True)
    one, other = (torch.load(folder / "done.pt", weights_only=True) for folder in (killed, whole))
    for name, value in other.items():
        assert torch.equal(one[name], value), name


def test_a_task_without_a_recipe_is_named():
    with pytest.raises(ParameterError, match="wall_single"):
        recipe_for("breakout", "flat")
    with pytest.raises(ParameterError, match=r"push_t \(colours\).*wall_single \(colours\)"):
        recipe_for("wall_single", "colours")
