"""Results: one row a trial, in Parquet files that are written whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from experiments.study.trials.trial import SCHEMA
from grasp_theory.files import atomic_file, read_whole
from linear_systems.errors import InvalidInputError, ParameterError


class StoreError(InvalidInputError):
    """A file of results is damaged, or the results are in use."""


@dataclass(frozen=True)
class Layout:
    """What rows of a store look like.

    Arguments
        schema: columns and their types, "unit" among them.
        identity: the columns that tell rows apart.
        order: the columns that rows are sorted by.
    """

    schema: Mapping[str, Any]
    identity: tuple[str, ...]
    order: tuple[str, ...]


TRIALS = Layout(
    SCHEMA, ("unit", "key"),
    ("task", "kind", "horizon", "purpose", "mode", "planner", "settings", "model", "seed", "problem", "key", "unit"),
)  # fmt: skip
"""The rows of the study's trials."""


@dataclass(frozen=True)
class Store:
    """A folder with the rows of finished units: `parts/UNIT.parquet`, and `trials.parquet` with those put together.

    Each file holds a checksum of its rows, in a column of its own, that is compared whenever it is read.

    A unit is there with all its rows or not at all, so a run that is killed at any moment goes on with the units that
    are missing.  The same unit computed twice replaces itself.

    Arguments
        folder: made on the first writing.
        layout: of its rows.
    """

    folder: Path
    layout: Layout = TRIALS

    @property
    def archive(self) -> Path:
        """The file of the rows put together."""
        return self.folder / "trials.parquet"

    @property
    def parts(self) -> Path:
        """The folder of the units since."""
        return self.folder / "parts"

    def units(self) -> set[str]:
        """Return the keys of the units whose rows are there.

        Raises
            StoreError: if the rows are of another layout, which is said before any of this one join them.
        """
        parts = sorted(self.parts.glob("*.parquet"))
        if parts:
            with suppress(FileNotFoundError):  # a compaction moved it meanwhile
                _read(parts[0], self.layout)
        keys = {path.stem for path in parts}
        if self.archive.exists():
            keys |= set(_read(self.archive, self.layout)["unit"].unique())
        return keys

    def write(self, unit: str, rows: pl.DataFrame) -> None:
        """Add the rows of a unit.

        Raises
            StoreError: if they are not rows of that unit with the columns of the layout.
        """
        if rows.schema != pl.Schema(self.layout.schema) or rows["unit"].unique().to_list() != [unit]:
            raise StoreError(
                "rows", f"rows of unit {unit} with the columns of its layout", f"{rows.schema}", "run_unit"
            )
        self.parts.mkdir(parents=True, exist_ok=True)
        _write(self.parts / f"{unit}.parquet", rows)

    def unit_rows(self, unit: str) -> pl.DataFrame:
        """Return the rows of one unit, none if it is not there."""
        try:
            rows = _read(self.parts / f"{unit}.parquet", self.layout)
        except FileNotFoundError:  # it is in the archive, or nowhere
            rows = self.rows()
        return rows.filter(pl.col("unit") == unit)

    def rows(self) -> pl.DataFrame:
        """Return the rows of all units, in an order that does not depend on when they were computed.

        A trial that is part of two units (one of 6 problems, say, and one of 50) is there with both.

        Raises
            StoreError: if a file is damaged; it names the file.
        """
        for _ in range(_READINGS - 1):
            try:
                return self._rows()
            except FileNotFoundError:  # a compaction moved it meanwhile
                continue
        return self._rows()

    def _rows(self) -> pl.DataFrame:
        # The archive last: a part that a compaction moves between the two readings is then in it.
        parts = [_read(path, self.layout) for path in sorted(self.parts.glob("*.parquet"))]
        archive = [_read(self.archive, self.layout)] if self.archive.exists() else []
        if not parts and not archive:
            return pl.DataFrame(schema=self.layout.schema)
        # A unit may be in both: after a compaction that was killed half-way, or computed again.
        rows = pl.concat([*archive, *parts]).unique(self.layout.identity, keep="last")
        return rows.sort(*self.layout.order)

    def compact(self) -> int:
        """Put all rows into `trials.parquet`, remove the parts, and return the number of rows.

        Raises
            StoreError: while a run is writing.
        """
        none = pl.DataFrame(schema=self.layout.schema)
        return self.replace(none, none)

    def replace(self, former: pl.DataFrame, taken: pl.DataFrame) -> int:
        """Put all rows but the former ones and those taken for them into `trials.parquet`, and return their number.

        Raises
            StoreError: while a run is writing.
        """
        with self.lock(exclusive=True):
            parts = sorted(self.parts.glob("*.parquet"))
            kept = self.rows().join(former, on=self.layout.identity, how="anti")
            rows = pl.concat([kept, taken]).unique(self.layout.identity, keep="last").sort(*self.layout.order)
            _write(self.archive, rows, compression_level=19, statistics=False)
            for part in parts:
                part.unlink()
        return len(rows)

    @contextmanager
    def lock(self, *, exclusive: bool = False) -> Iterator[None]:
        """Hold the folder: any number of runs may write, but not while it is compacted.

        Raises
            StoreError: if it is held otherwise.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            try:
                fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreError(
                    "folder", f"{self.folder} to be free", "another process using it", "wait until it is done"
                ) from error
            yield


CHECKSUM = "checksum"
_READINGS = 3


def _write(path: Path, rows: pl.DataFrame, **options: Any) -> None:
    summed = rows.with_columns(pl.lit(_checksum(rows)).alias(CHECKSUM))
    with atomic_file(path) as file:
        summed.write_parquet(file, compression="zstd", **options)


def _checksum(rows: pl.DataFrame) -> str:
    """Return the SHA-256 of the columns' names, types and entries; it depends on no version of polars."""
    digest = hashlib.sha256()
    for column in rows:
        digest.update(f"\0{column.name}\0{column.dtype}\0{len(column)}\0".encode())
        digest.update(column.is_null().to_numpy().tobytes())
        if column.dtype == pl.String:
            digest.update("\0".join(column.fill_null("")).encode())
        else:
            empty = False if column.dtype == pl.Boolean else 0
            digest.update(column.fill_null(empty).to_numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path, layout: Layout) -> pl.DataFrame:
    hint = "delete the file: its trials are computed again"
    try:
        frame = pl.read_parquet(io.BytesIO(read_whole(path)))
    except FileNotFoundError:
        raise
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        found = f"{type(error).__name__}: {error}"[:200]
        raise StoreError("folder", f"{path.name} to be a readable Parquet file", found, hint) from error
    known = None
    if CHECKSUM in frame.columns:  # results of earlier versions have none
        known, frame = frame[CHECKSUM].unique().to_list(), frame.drop(CHECKSUM)
    if frame.schema != pl.Schema(layout.schema):
        raise StoreError(
            "folder", f"{path.name} with the columns of this version", f"{frame.schema}",
            "read it with the version that wrote it, or delete it",
        )  # fmt: skip
    if known is not None and len(frame) and known != [_checksum(frame)]:
        raise StoreError("folder", f"{path.name} to hold the rows that were written", "others", hint)
    return frame


def existing(folder: Path, layout: Layout = TRIALS) -> Store:
    """Return the store of a folder that must be there.

    Raises
        ParameterError: if it is not.
    """
    if not folder.is_dir():
        raise ParameterError(
            "results", "a folder of results", f"{folder}", "compute some first, or check the path"
        )
    return Store(folder, layout)
