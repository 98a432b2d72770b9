"""The edge of every command: a wrong use or a full disk ends in one line, and Ctrl-C says what is kept.

A command makes the folders that its results go to, whether it fills the folder (`expect_folder`) or writes one file
into it (`expect_writable`).
"""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from grasp_theory.files import HINTS, expect_file
from linear_systems.errors import FloatOverflowError, InvalidInputError, PrecisionLossError, UndecidedError

UNUSABLE, INTERRUPTED = 2, 130
"""Exit codes: what was given, or the disk, cannot be used; Ctrl-C."""
ON_CTRL_C = "On Ctrl-C: "


class Command(TyperCommand):
    """A command whose foreseeable failures are one line on standard error, without a traceback.

    Typed errors and those of the file system exit with `UNUSABLE`, Ctrl-C with `INTERRUPTED` and the command's epilog,
    which says what is kept.  Whatever else is raised is a mistake of ours and keeps its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        for stream in (sys.stdout, sys.stderr):  # a path may hold what the terminal cannot show
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            with _no_interrupt_lost():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            _forget_interrupt()
            line, code = f"interrupted: {(self.epilog or '').removeprefix(ON_CTRL_C)}", INTERRUPTED
        except BrokenPipeError:  # `| head`: Typer ends quietly
            raise
        except OSError as error:
            line, code = f"error: {_cause(error)}", UNUSABLE
        except (InvalidInputError, FloatOverflowError, PrecisionLossError, UndecidedError) as error:
            line, code = f"error: {error}", UNUSABLE
        # The exception is gone by now, and with it the generators that it kept alive: they have ended their workers.
        typer.echo(" ".join(line.split()), err=True)
        raise typer.Exit(code)


def new_app(**options: Any) -> typer.Typer:
    """Return an app to `add` commands to: text as it is, without markup, so that a path may hold brackets.

    Arguments
        options: of `typer.Typer`.
    """
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, **options)


def add(app: typer.Typer, function: Callable[..., object], kept: str, name: str | None = None) -> None:
    """Add a command to an app.

    Arguments
        app: a `new_app`.
        function: the command; its signature and docstring are Typer's.
        kept: what Ctrl-C leaves, and how to go on; shown then, and by --help.
        name: of the command; where an app has one command only, it needs none.
    """
    app.command(name, cls=Command, epilog=ON_CTRL_C + kept)(function)


def expect_writable(path: Path | None) -> None:
    """Make the folder of a result, and find out before the work whether it can be written there.

    Arguments
        path: the file to be; None if none is asked for.

    Raises
        OSError: its folder cannot be made or written to, or it is a folder, a device or a pipe itself.
    """
    if path is None:
        return
    try:
        expect_file(path)
        folder = Path(os.path.realpath(path)).parent
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        error.filename = str(path)
        raise


def expect_folder(path: Path | None) -> None:
    """Make a folder for results, and find out before the work whether they can be written there.

    Arguments
        path: the folder; None if none is asked for.

    Raises
        OSError: it cannot be made or written to.
    """
    if path is None:
        return
    path.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        error.filename = str(path)
        raise


@contextmanager
def _no_interrupt_lost() -> Iterator[None]:
    """Send a Ctrl-C again that came within a finalizer or a weak reference's callback, where CPython drops exceptions."""
    told = sys.unraisablehook

    def hook(dropped: Any) -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            again = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
            again.daemon = True
            again.start()
        else:
            told(dropped)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = told


def _forget_interrupt() -> None:
    """Make the exit code count. CPython remembers a Ctrl-C within `exec` of a text (as a dataclass is made of).

    `python -m` then ends by SIGINT, even where the exception was handled, unless another such `exec` clears that memory.
    """
    exec("")


def _cause(error: OSError) -> str:
    number = error.errno or 0
    reason, hint = error.strerror or str(error), HINTS.get(number)
    if hint and reason != os.strerror(number):  # whoever raised it says more
        hint = None
    if isinstance(error, FileExistsError | NotADirectoryError):
        reason = "it, or a part of it, exists and is not a folder"
    told = reason if error.filename is None else f"{printable(error.filename)}: {reason}"
    return f"{told}. Try: {hint}." if hint else told


def printable(path: object) -> str:
    """Return a path on one line: line breaks and other characters without a picture are escaped."""
    text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
