"""Where a run took place: interpreter, platform, libraries, source revision."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "grasp-theory"
ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the packages: the checkout, where there is one."""


def environment() -> dict[str, object]:
    """Return python, platform, cores, the versions of the libraries we need, and the git commit if any."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 1,
        "libraries": _libraries(),
        "git": _git(),
    }


def _libraries() -> dict[str, str]:
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from sources that were never installed
        return {}
    matches = (re.match(r"[\w.-]+", line) for line in requirements if "extra ==" not in line)
    names = [match.group() for match in matches if match]
    return {name: metadata.version(name) for name in sorted([DISTRIBUTION, *names], key=str.lower)}


def _git() -> dict[str, object] | None:
    """Return the commit and whether tracked files differ from it; None outside a checkout or without git."""
    if not (ROOT / ".git").exists():
        return None
    try:
        commit = _ask_git("rev-parse", "HEAD")
        return {"commit": commit, "modified": bool(_ask_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _ask_git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
