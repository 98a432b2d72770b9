"""The data of the figures in files: one .npz a figure, and all their numbers in one JSON."""

from __future__ import annotations

import errno
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.pieces import locked
from grasp_theory.files import atomic_file, read_whole
from grasp_theory.statistics.intervals import Json
from linear_systems.errors import InvalidInputError

FORMAT = 1
LARGEST = 2**20
"""Bytes of a figure's file, at most."""


class FigureDataError(InvalidInputError):
    """The data of a figure is damaged, or too large."""


@dataclass(frozen=True)
class FigureData:
    """The data of one figure.

    Arguments
        arrays: by name; pictures in uint8, everything else in float32 or integers.
        numbers: what the figure says in numbers, by name.
        provenance: what it was made with: models and their SHA-256, sizes, seed, version, seconds.
    """

    arrays: Mapping[str, np.ndarray]
    numbers: dict[str, Json]
    provenance: dict[str, Json]


def path_of(results: Path, number: int) -> Path:
    """Return the file of a figure's data."""
    return results / "figures" / f"figure_{number}.npz"


def write(results: Path, number: int, data: FigureData) -> None:
    """Write a figure's data in one piece, then the numbers of all figures that are there.

    Raises
        FigureDataError: if it would be larger than a repository should hold.
    """
    path = path_of(results, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"format": FORMAT, "numbers": data.numbers, "provenance": data.provenance})
    small: dict[str, Any] = {name: _small(array) for name, array in data.arrays.items()}
    size = sum(array.nbytes for array in small.values())
    if size > 20 * LARGEST:
        raise FigureDataError(
            "arrays", f"at most {20 * LARGEST} bytes before compression", f"{size}", "keep fewer pictures"
        )
    with atomic_file(path) as file:
        np.savez_compressed(file, header=np.array(header), **small)
    # None overwrites a summary of more figures than it has read.
    with locked(results / ".figures.lock"):
        summarise(results)


def read(results: Path, number: int) -> FigureData:
    """Return the stored data of a figure.

    Raises
        FileNotFoundError: if there is none; it names the command that makes it.
        FigureDataError: if it is damaged or of another format.
    """
    path = path_of(results, number)
    hint = f"python -m experiments figure-data --only {number}"
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, f"no data of figure {number}; make it with: {hint}", str(path))
    try:
        with np.load(io.BytesIO(read_whole(path)), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = json.loads(str(arrays.pop("header")))
        version, numbers, provenance = (header[name] for name in ("format", "numbers", "provenance"))
    except Exception as error:  # zipfile, zlib, json and numpy each have their own
        found = f"{type(error).__name__}: {error}"
        raise FigureDataError("results", f"a readable {path.name}", found, f"{hint} --overwrite") from error
    if version != FORMAT:
        raise FigureDataError("results", f"format {FORMAT}", f"{version}", f"{hint} --overwrite")
    return FigureData(arrays, numbers, provenance)


def summarise(results: Path) -> Path:
    """Write `figure_data.json`, the numbers of every figure that is there, and return its path."""
    figures = {}
    for number in _there(results):
        data = read(results, number)
        figures[str(number)] = {"numbers": data.numbers, "provenance": data.provenance}
    summary = results / "figure_data.json"
    text = json.dumps({"format": FORMAT, "figures": figures}, indent=1, sort_keys=True, allow_nan=False)
    with atomic_file(summary) as file:
        file.write(text.encode() + b"\n")
    return summary


def shares(results: Path) -> dict[str, tuple[int, int]]:
    """Return every share among the numbers of the stored figures as (how often, of how many), by its name in words.

    Such as "figure3/adversarial/wall_single-offline-flat-0/nearby".
    """
    found: dict[str, tuple[int, int]] = {}
    for number in _there(results):
        found.update(_shares(f"figure{number}", read(results, number).numbers))
    return found


def _there(results: Path) -> list[int]:
    """Return the numbers of the figures that have a file; a copy under another name is none."""
    names = [path.stem for path in (results / "figures").glob("figure_*.npz")]
    return sorted(int(found[1]) for name in names if (found := re.fullmatch(r"figure_(\d)", name)))


def _shares(name: str, value: Json) -> Iterator[tuple[str, tuple[int, int]]]:
    if not isinstance(value, dict):
        return
    share, count = value.get("value"), value.get("count")
    if isinstance(share, float) and isinstance(count, int):
        yield name, (round(share * count), count)
    for key, part in value.items():
        yield from _shares(f"{name}/{key}", part)


def _small(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float64 else array


def pixels(pictures: np.ndarray) -> np.ndarray:
    """Return pictures in [0, 1] in uint8."""
    small: np.ndarray = np.rint(255 * np.asarray(pictures)).astype(np.uint8)
    return small
