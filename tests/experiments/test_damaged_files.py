"""Files that something damaged: each reading gives a typed error or what was there, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from damage import damaged, other_json
from polars.testing import assert_frame_equal
from study_cases import fake_rows
from world_model_cases import card_for, world_model

from experiments.paths import RESULTS
from experiments.study.targets import Target, Tuned
from experiments.study.trials.settings import make_planner
from experiments.study.trials.store import Store, StoreError
from experiments.study.tune import tune
from grasp_theory.world_models import CheckpointError, load_file, read_card, save
from linear_systems.errors import InvalidInputError

ROUNDS = int(os.environ.get("DAMAGE_ROUNDS", "150"))
SEED = int(os.environ.get("DAMAGE_SEED", "0"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small"
    save(world_model(), card_for(), path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("damage", [damaged, other_json])
def test_a_damaged_card_is_told(
    checkpoint: Path, tmp_path: Path, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    rng, card = random.Random(SEED), checkpoint.with_suffix(".json").read_bytes()
    whole = read_card(checkpoint)
    (tmp_path / "small.safetensors").write_bytes(checkpoint.with_suffix(".safetensors").read_bytes())
    for _ in range(ROUNDS):
        (tmp_path / "small.json").write_bytes(damage(card, rng))
        try:
            load_file(tmp_path / "small")
        except InvalidInputError:
            continue
        # What is read is a card that another model might have, with this one's weights.
        assert read_card(tmp_path / "small").sha256 == whole.sha256


@pytest.mark.slow
@pytest.mark.parametrize("fitting", [False, True])
def test_damaged_weights_are_told(checkpoint: Path, tmp_path: Path, fitting: bool) -> None:
    """With the digest that fits the damaged file too: the file is then another model's, or none."""
    rng, weights = random.Random(SEED), checkpoint.with_suffix(".safetensors").read_bytes()
    values = json.loads(checkpoint.with_suffix(".json").read_bytes())
    for _ in range(ROUNDS):
        content = damaged(weights, rng)
        (tmp_path / "small.safetensors").write_bytes(content)
        sha256 = hashlib.sha256(content if fitting else weights).hexdigest()
        (tmp_path / "small.json").write_text(json.dumps({**values, "sha256": sha256}))
        try:
            model = load_file(tmp_path / "small")
        except InvalidInputError:
            continue
        assert fitting
        assert all(bool(torch.isfinite(each).all()) for each in model.state_dict().values())


def test_weights_that_are_not_finite_are_refused_whatever_their_digest(
    checkpoint: Path, tmp_path: Path
) -> None:
    import safetensors.torch

    tensors = safetensors.torch.load(checkpoint.with_suffix(".safetensors").read_bytes())
    next(iter(tensors.values())).fill_(torch.nan)
    content = safetensors.torch.save(tensors)
    values = json.loads(checkpoint.with_suffix(".json").read_bytes())
    values["sha256"] = hashlib.sha256(content).hexdigest()
    (tmp_path / "small.safetensors").write_bytes(content)
    (tmp_path / "small.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="finite"):
        load_file(tmp_path / "small")


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_what_is_no_file_is_refused_at_once(checkpoint: Path, tmp_path: Path, suffix: str) -> None:
    for end in (".safetensors", ".json"):
        if end != suffix:
            (tmp_path / f"small{end}").write_bytes(checkpoint.with_suffix(end).read_bytes())
    os.mkfifo(tmp_path / f"small{suffix}")
    with pytest.raises(CheckpointError, match="a file that can be read"):
        within(5, lambda: load_file(tmp_path / "small"))


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return or raise what a call does; a call that waits for ever fails."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append((call(), None))
        except BaseException as error:
            answers.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert answers, "it waits"
    value, error = answers[0]
    if error is not None:
        raise error
    return value


def fill(folder: Path, unit: str) -> Path:
    Store(folder).write(unit, fake_rows(unit, 40))
    return folder / "parts" / f"{unit}.parquet"


@pytest.mark.slow
@pytest.mark.parametrize("compacted", [False, True])
def test_damaged_rows_are_never_taken_for_others(tmp_path: Path, compacted: bool) -> None:
    part = fill(tmp_path, "a")
    if compacted:
        Store(tmp_path).compact()
        part = Store(tmp_path).archive
    whole, content, rng = Store(tmp_path).rows(), part.read_bytes(), random.Random(SEED)
    for _ in range(ROUNDS * 3):
        part.write_bytes(damaged(content, rng))
        try:
            found = Store(tmp_path).rows()
            Store(tmp_path).units()
        except StoreError:
            continue
        assert_frame_equal(found, whole)


def test_one_bit_of_a_part_gives_no_other_rows(tmp_path: Path) -> None:
    """In a file that is numbers for the most part, so that most bits matter."""
    rng, count = random.Random(SEED), 4000
    losses = pl.Series([rng.random() for _ in range(count)])
    Store(tmp_path).write(
        "a", fake_rows("a", count).with_columns(loss=losses, true_distance=losses.reverse())
    )
    part = tmp_path / "parts" / "a.parquet"
    whole, content, noticed = Store(tmp_path).rows(), bytearray(part.read_bytes()), 0
    places = range(0, len(content), max(1, len(content) // 150))
    for at in places:
        content[at] ^= 4
        part.write_bytes(bytes(content))
        try:
            assert_frame_equal(Store(tmp_path).rows(), whole)  # a bit that nothing is read from
        except StoreError:
            noticed += 1
        content[at] ^= 4
    assert noticed > len(places) / 2


def test_rows_that_were_written_without_a_checksum_are_still_read(tmp_path: Path) -> None:
    rows = fake_rows("a", 3)
    (tmp_path / "parts").mkdir()
    rows.write_parquet(tmp_path / "parts" / "a.parquet")
    assert len(Store(tmp_path).rows()) == 3


@pytest.mark.slow
@pytest.mark.parametrize("damage", [damaged, other_json])
def test_damaged_settings_are_told(tmp_path: Path, damage: Callable[[bytes, random.Random], bytes]) -> None:
    content, rng = (RESULTS / "tuned.json").read_bytes(), random.Random(SEED)
    for _ in range(ROUNDS):
        (tmp_path / "tuned.json").write_bytes(damage(content, rng))
        try:
            tuned = Tuned.load(tmp_path)
            for name, entry in tuned.entries.items():
                make_planner(name.split()[0], tuple(sorted(entry["settings"].items())))
        except InvalidInputError:
            continue


@pytest.mark.slow
def test_a_damaged_study_is_told(tmp_path: Path) -> None:
    target, rng = Target("wall_single", "random", 4, "GradientDescent"), random.Random(SEED)

    def compute(units: Any) -> Any:
        for unit in units:
            from experiments.study.trials.unit import unit_key

            rows = fake_rows(unit_key(unit), unit.count)
            yield unit, rows.with_columns(agreed=pl.lit(True), final_model=pl.lit(True))

    def run(folder: Path) -> Any:
        return tune(target, Store(folder), compute, trials=2, problems=4, progress=False)

    run(tmp_path)
    database = tmp_path / "tuning.db"
    content = database.read_bytes()
    for _ in range(max(10, ROUNDS // 5)):
        for other in tmp_path.glob("tuning.db-*"):
            other.unlink()
        database.write_bytes(damaged(content, rng))
        try:
            run(tmp_path)
        except InvalidInputError:
            continue
