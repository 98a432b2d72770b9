"""The errata, read from the page that tells them: `docs/errata.md`, which the wheel carries beside this file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from linear_systems.errors import ParameterError
from paper_checks.report.environment import ROOT

PATHS = (Path(__file__).with_name("errata.md"), ROOT / "docs" / "errata.md")
"""Where the page lies in the wheel and in the checkout."""

PARTS = ("Where", "Stated", "True", "Why")
ITEM = re.compile(
    r"^### (?P<number>\d+)\. (?P<title>[^\n]*)\n(?P<parts>.*?)```python\n(?P<example>.*?)```\n+```text\n(?P<printed>.*?)```",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Erratum:
    """One item.

    Arguments
        number, title: its heading.
        parts: where it is in the paper, what is stated, what is true and why.
        example, printed: code that runs alone, and its output.
    """

    number: int
    title: str
    parts: Mapping[str, str]
    example: str
    printed: str


def errata() -> list[tuple[str, list[Erratum]]]:
    """Return the items under their degrees, in the order of the page.

    Raises
        ParameterError: there is no such page, or an item of it lacks a part.
    """
    path = next((path for path in PATHS if path.exists()), None)
    if path is None:
        raise ParameterError(
            "errata.md",
            "the page of errata",
            "no such file",
            "restore docs/errata.md or install the wheel again",
        )
    return parsed(path.read_text(encoding="utf-8"))


def parsed(text: str) -> list[tuple[str, list[Erratum]]]:
    """Return the items of a page; a part may have its remark in brackets before the colon.

    Raises
        ParameterError: an item lacks a part or its example.
    """
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    degrees = [
        (section.split("\n", 1)[0], [_erratum(match) for match in ITEM.finditer(section)])
        for section in sections
    ]
    found = sum(len(items) for _, items in degrees)
    if found != (headed := len(re.findall(r"^### ", text, re.MULTILINE))):
        raise ParameterError(
            "errata.md", f"an example in each of {headed} items", f"{found}", "see the others"
        )
    return degrees


def _erratum(match: re.Match[str]) -> Erratum:
    pieces = re.split(rf"\*\*({'|'.join(PARTS)})\*\*", match["parts"])
    parts = {
        name: " ".join(text.removeprefix(":").split())
        for name, text in zip(pieces[1::2], pieces[2::2], strict=True)
    }
    if tuple(parts) != PARTS:
        raise ParameterError(
            f"item {match['number']} of errata.md",
            ", ".join(PARTS),
            ", ".join(parts),
            "give each part once, in order",
        )
    return Erratum(int(match["number"]), match["title"], parts, match["example"], match["printed"])
