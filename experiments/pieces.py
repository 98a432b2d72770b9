"""What is made once: a killed run finds what it had finished, and no file is taken for another's."""

from __future__ import annotations

import fcntl
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from grasp_theory.command_line import expect_writable
from grasp_theory.files import atomic_file, read_whole
from linear_systems.errors import ParameterError

Arrays = Mapping[str, np.ndarray[Any, Any]]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, once whoever else holds it is done."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def begun(path: Path) -> dict[str, Any]:
    """Return what earlier runs wrote to a JSON file, which must be one that can be written to; {} where there is none.

    Raises
        OSError: the file cannot be read or written to.
        ParameterError: it holds no mapping.
    """
    expect_writable(path)
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = dict(json.loads(read_whole(path)))
    except (ValueError, TypeError, RecursionError) as error:
        raise ParameterError(
            "out", f"{path} to hold a JSON mapping", f"{type(error).__name__}: {error}"[:200],
            "remove it, or name another file",
        ) from error  # fmt: skip
    return found


def piece(path: Path, settings: Mapping[str, object], make: Callable[[], Arrays]) -> Arrays:
    """Return arrays made by `make`, now or by an earlier run, which stored them in a file.

    Arguments
        path: the .npz file; its folder is made if it is missing.
        settings: everything that the arrays depend on, as JSON holds it.
        make: () -> the arrays by name.

    Raises
        ParameterError: the file is damaged or was made with other settings.
    """
    if not path.exists():
        made = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            np.savez_compressed(file, settings=json.dumps(settings), **made)  # type: ignore[arg-type]
    try:
        # np.load would leave a damaged file open.
        with np.load(io.BytesIO(read_whole(path)), allow_pickle=False) as archive:
            found = json.loads(str(archive["settings"]))
            arrays = {name: archive[name] for name in archive.files if name != "settings"}
    except Exception as error:  # zipfile, zlib and numpy each have their own
        raise ParameterError(
            "folder", f"a readable file {path.name}", f"{type(error).__name__}: {error}",
            "delete the file: it is made again",
        ) from error  # fmt: skip
    if found != settings:
        raise ParameterError(
            "folder", f"{path.name} to hold {settings}", str(found), "delete the file: it is made again"
        )
    return arrays
