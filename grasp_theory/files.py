"""Writing files so that a reader never sees half of one, and no leftovers of killed runs stay."""

from __future__ import annotations

import errno
import io
import os
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from linear_systems.errors import PathError

HINTS = {
    errno.ENOSPC: "free some space there, or choose another place",
    errno.EDQUOT: "free some space there, or choose another place",
    errno.EROFS: "choose a place that can be written to",
    errno.EACCES: "choose a place that can be written to, or change its permissions",
    errno.EPERM: "choose a place that can be written to, or change its permissions",
    errno.ENOENT: "check the spelling, or make the folder first",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "name a file in it",
    errno.EEXIST: "choose another path",
    errno.ENOTDIR: "choose another path",
    errno.ELOOP: "choose another path",
    errno.EINVAL: "choose another path",
}
"""What to try after an error of the file system."""


@contextmanager
def told(argument: str, path: str | Path, expected: str) -> Iterator[None]:
    """Raise what the system says of a file as an error that names the argument.

    Arguments
        argument: whose value the path is.
        path: of the file.
        expected: what it should be.

    Raises
        PathError: what is done inside raises an OSError.
    """
    try:
        yield
    except PathError:
        raise
    except OSError as error:
        found = f"{os.fspath(path)!r}: {error.strerror or error}"
        hint = HINTS.get(error.errno or 0, "choose another path")
        raise PathError(argument, expected, found, hint) from error


def read_whole(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises
        OSError: it is missing, cannot be read, or is no regular file: a pipe would be waited for.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return path.read_bytes()


def expect_file(path: Path) -> None:
    """Refuse what a file cannot take the place of: to replace a device or a pipe would destroy it.

    Raises
        OSError: there is something else than a file at `path`.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to, and put that file in `path`'s place once it is complete and on disk.

    A crash leaves the old file or the new one.  What killed processes of this machine left beside `path` is removed.

    Arguments
        path: the file to write; its folder must exist.  Where it is a link, the file that it leads to is written.

    Raises
        OSError: the folder is missing, read-only or full, or `path` is no file; what was there is untouched.
    """
    expect_file(path)
    target = Path(os.path.realpath(path))
    # Short, so that it fits wherever the name itself does.
    stem = f".{_short(target.name)}.{_short(socket.gethostname())}"
    for leftover in target.parent.glob(f"{stem}.*.partial"):
        if not _alive(int(leftover.name.split(".")[3])):
            leftover.unlink(missing_ok=True)
    partial = target.parent / f"{stem}.{os.getpid()}.partial"
    try:
        yield partial
        _sync(partial)
        partial.replace(target)
        with suppress(OSError):  # not every system lets a folder be opened
            _sync(target.parent)
    except OSError as error:
        if error.filename in (None, str(partial), partial):  # the caller knows the file by its own name
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # on a read-only disk also of a file that is not there
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a file in memory whose content takes `path`'s place once it is complete, as `atomic_path` does it.

    In memory, since libraries that write to a full disk themselves tell of it in errors of their own (torch: "unexpected
    pos").
    """
    content = io.BytesIO()
    yield content
    with atomic_path(path) as partial, partial.open("wb") as file:
        file.write(content.getbuffer())


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` in UTF-8: a crash leaves the old file or the new one, and nothing in between."""
    with atomic_file(path) as file:
        file.write(text.encode("utf-8"))


def reserve(path: Path) -> None:
    """Take the space on disk that a sparse file will need, so that a write to its memory map cannot end the process.

    Arguments
        path: the file, of its final length.

    Raises
        OSError: the disk is too full.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _short(text: str) -> str:
    return f"{zlib.crc32(os.fsencode(text)):08x}"


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
