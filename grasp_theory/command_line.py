"""The edge of every command: a wrong use or a full disk ends in one line, and Ctrl-C says what is kept."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

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
        try:
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
    """Find out before the work whether its result can be written.

    Arguments
        path: the file to be; None if none is asked for.

    Raises
        OSError: its folder is missing or cannot be written to, or it is a folder itself.
    """
    if path is None:
        return
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        error.filename = str(path)
        raise


def _forget_interrupt() -> None:
    """Make the exit code count. CPython remembers a Ctrl-C within `exec` of a text (as a dataclass is made of).

    `python -m` then ends by SIGINT, even where the exception was handled, unless another such `exec` clears that memory.
    """
    exec("")


def _cause(error: OSError) -> str:
    reason = error.strerror or str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        reason = "it, or a part of it, exists and is not a folder"
    return reason if error.filename is None else f"{error.filename}: {reason}"
