"""`python -m experiments train`: a model file and its card from nothing, and clear refusals."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from experiments.__main__ import app
from experiments.training import train_command as command
from experiments.training.recipe import recipe_for
from grasp_theory.world_models import CheckpointError, load_file


def train(*words: object):
    return CliRunner().invoke(app, ["train", *map(str, words)], env={"COLUMNS": "400", "TERM": "dumb"})


def refusal(*words: object) -> str:
    """Return what the command says when it refuses its arguments."""
    result = train(*words)
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


@pytest.mark.slow
def test_offline_and_robust_models_with_their_cards(folder, tmp_path):
    out, name = tmp_path / "models", "wall_single-{}-flat-0"
    common = ("wall_single", "--quick", "--folder", folder, "--out", out)
    for kind in ("offline", "robust"):
        result = train(*common, "--kind", kind)
        assert result.exit_code == 0, result.output
    assert sorted(file.name for file in out.iterdir()) == sorted(
        name.format(kind) + end for kind in ("offline", "robust") for end in (".json", ".safetensors")
    )
    cards = [load_file(out / name.format(kind)).card for kind in ("offline", "robust")]
    for card, kind in zip(cards, ("offline", "robust"), strict=True):
        assert (card.task, card.kind, card.seed) == ("wall_single", kind, 0)
        assert card.recipe == recipe_for("wall_single", "flat", quick=True).to_json()
        assert card.frame_offsets == (0,)
        assert (card.actions.frameskip, card.actions.dimension) == (5, 2)
        assert card.training["wall_seconds"] > 0
        assert card.evaluation["task"] == "wall_single"
        assert card.evaluation["quick"] is True
        assert card.dtype == "float16"
        assert {"open_loop", "rank_correlation", "greedy", "exploitability"} <= set(card.evaluation)
    assert set(cards[0].data) == {"behaviour"}
    assert {"behaviour", "contacts", "replays"} <= set(cards[1].data)
    assert cards[0].sha256 != cards[1].sha256

    full = [word for word in common if word != "--quick"]
    assert "the same recipe" in refusal(*full, "--kind", "robust", "--overwrite")

    weights = (out / (name.format("offline") + ".safetensors")).read_bytes()
    assert "--overwrite" in refusal(*common)
    assert (out / (name.format("offline") + ".safetensors")).read_bytes() == weights
    # Without its card it is what a killed training left, which goes on.
    (out / (name.format("offline") + ".json")).unlink()
    assert train(*common).exit_code == 0
    assert (out / (name.format("offline") + ".safetensors")).read_bytes() == weights
    # A finished training is read from its checkpoints: the same weights again, and no pair half replaced.
    assert train(*common, "--overwrite").exit_code == 0
    assert (out / (name.format("offline") + ".safetensors")).read_bytes() == weights
    (out / (name.format("robust") + ".json")).write_bytes(
        (out / (name.format("offline") + ".json")).read_bytes()
    )
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_file(out / name.format("robust"))


def test_a_model_that_is_there_is_not_trained_over(tmp_path):
    """A card makes a model; weights without one are what a killed training left."""
    card, weights = (tmp_path / f"wall_single-offline-flat-0{end}" for end in (".json", ".safetensors"))
    for file in (card, weights):
        file.write_bytes(b"mine")
        said = refusal("wall_single", "--quick", "--folder", tmp_path / "work", "--out", tmp_path)
        assert "--overwrite" in said
        assert file.read_bytes() == b"mine"
        assert not (tmp_path / "work").exists()


def test_quick_and_full_models_have_folders_of_their_own(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        command, "train_model", lambda *_, out, **__: asked.append(out) or out / "wall_single-offline-flat-0"
    )
    for words in ((), ("--quick",), ("--quick", "--out", tmp_path)):
        assert train("wall_single", *words).exit_code == 0
    assert asked == [Path("training/models"), Path("training/quick"), tmp_path]


def test_a_robust_model_needs_its_offline_one(tmp_path):
    said = refusal("wall_single", "--kind", "robust", "--quick", "--folder", tmp_path, "--out", tmp_path)
    assert "train the offline model" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("breakout",), "wall_single"),
        (("wall_single", "--kind", "online"), "offline"),
        (("wall_single", "--latent", "round"), "patch"),
        (("wall_single", "--device", "abacus"), "abacus"),
        (("wall_single_long", "--latent", "patch"), "wall_single (patch)"),
    ],
)
def test_wrong_arguments_are_named_with_what_is_possible(tmp_path, words, expected):
    said = refusal(*words, "--folder", tmp_path / "work", "--out", tmp_path / "out")
    assert expected in said
    assert not (tmp_path / "work").exists()
