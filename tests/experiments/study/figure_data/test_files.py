"""Stored data of figures: what is written is read, what is missing or damaged is said."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.study.figure_data import FigureData, files, read, shares
from experiments.study.figure_data.files import FigureDataError, path_of, pixels, write

DATA = FigureData(
    {"curve": np.linspace(0, 1, 5), "picture": np.full((2, 2, 3), 7, dtype=np.uint8)},
    {"part": {"share": {"value": 0.25, "low": 0.1, "high": 0.5, "count": 8}, "mean": {"value": 2.0}, "none": None}},
    {"seed": 0},
)  # fmt: skip


def test_what_is_written_is_read_and_summed_up(tmp_path: Path) -> None:
    write(tmp_path, 3, DATA)
    write(tmp_path, 4, DATA)
    found = read(tmp_path, 3)
    np.testing.assert_array_equal(found.arrays["curve"], DATA.arrays["curve"].astype(np.float32))
    assert found.arrays["curve"].dtype == np.float32
    assert found.arrays["picture"].dtype == np.uint8
    assert (found.numbers, found.provenance) == (DATA.numbers, DATA.provenance)
    summary = json.loads((tmp_path / "figure_data.json").read_text())
    assert {name: part["numbers"] for name, part in summary["figures"].items()} == {
        "3": DATA.numbers,
        "4": DATA.numbers,
    }
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["figure_3.npz", "figure_4.npz"]


def test_shares_are_counts_and_estimates_that_are_no_shares_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, 3, DATA)
    assert shares(tmp_path) == {"figure3/part/share": (2, 8)}


def test_missing_data_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="figure-data --only 4") as caught:
        read(tmp_path, 4)
    assert caught.value.filename == str(path_of(tmp_path, 4))


@pytest.mark.parametrize("damage", [b"", b"not a zip file", None])
def test_damaged_data_is_refused(tmp_path: Path, damage: bytes | None) -> None:
    write(tmp_path, 4, DATA)
    path = path_of(tmp_path, 4)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(FigureDataError, match=r"a readable figure_4\.npz.*--overwrite"):
        read(tmp_path, 4)


def test_data_of_another_format_or_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 4, DATA)
    monkeypatch.setattr("experiments.study.figure_data.files.FORMAT", 2)
    with pytest.raises(FigureDataError, match="expected format 2, found 1"):
        read(tmp_path, 4)
    with pytest.raises(FigureDataError, match="bytes before compression"):
        write(tmp_path, 1, FigureData({"large": np.zeros(22 * 2**20, dtype=np.uint8)}, {}, {}))


def test_pixels_are_rounded() -> None:
    np.testing.assert_array_equal(pixels(np.array([0, 0.5, 1])), np.array([0, 128, 255], dtype=np.uint8))


def test_a_summary_of_fewer_figures_never_replaces_one_of_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes its figure between this one's reading of all figures and its writing of their summary."""
    others: list[threading.Thread] = []
    original = files.atomic_file

    def after_another(path: Path) -> Any:
        if path.name == "figure_data.json" and not others:
            others.append(threading.Thread(target=write, args=(tmp_path, 4, DATA)))
            others[0].start()
            others[0].join(1)
        return original(path)

    monkeypatch.setattr(files, "atomic_file", after_another)
    write(tmp_path, 3, DATA)
    others[0].join()
    assert set(json.loads((tmp_path / "figure_data.json").read_text())["figures"]) == {"3", "4"}


def test_a_copy_under_another_name_is_no_figure(tmp_path: Path) -> None:
    write(tmp_path, 3, DATA)
    path_of(tmp_path, 3).with_name("figure_3 (copy).npz").write_bytes(b"copy")
    write(tmp_path, 4, DATA)
    assert set(shares(tmp_path)) == {"figure3/part/share", "figure4/part/share"}
