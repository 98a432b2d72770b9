"""Small disks that can be filled or made read-only, for tests; where none can be mounted, the tests are skipped."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 64 * 2**20
PAGE = 4096


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """Mount an empty disk of `SIZE` bytes at a folder."""
    place.mkdir(exist_ok=True)
    if not _mount("-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)):
        pytest.skip("no disk can be mounted here: needs Linux and root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, left: int) -> None:
    """Fill a disk until `left` bytes (whole pages) are free."""
    with (disk / "filling").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _free(disk) - left // PAGE * PAGE)
    assert _free(disk) == left // PAGE * PAGE


def make_read_only(disk: Path) -> None:
    """Forbid every write to a disk."""
    assert _mount("-o", "remount,ro", str(disk))


def _free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_bsize


def _mount(*words: str) -> bool:
    try:
        return subprocess.run(["mount", *words], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
