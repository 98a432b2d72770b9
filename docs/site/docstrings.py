"""The house's docstrings as Markdown: a heading of its own for each part, a list for arguments and errors."""

from __future__ import annotations

import re
from typing import Any

import griffe

PARTS = "Arguments|Returns|Raises|Setting|Statement|Source|Assumptions|Fields|Attributes"
PART = re.compile(rf"^({PARTS})$")
ITEM = re.compile(r"^    ([\w*][\w*, .]*): (.*)$")
SYMBOLS = str.maketrans({character: "\\" + character for character in "*_|<"})


class HouseDocstrings(griffe.Extension):
    """Griffe's hook on each object's docstring."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object in place."""
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(docstring: str) -> str:
    """Return a docstring as Markdown: parts bold, their entries as lists, formulas and code as they are."""
    lines: list[str] = []
    part = ""
    for line in docstring.splitlines():
        if match := PART.match(line):
            part = match[1]
            lines += ["", f"**{part}**", ""]
        elif part and line.startswith("    ") and (item := ITEM.match(line)):
            lines.append(f"- `{item[1]}`: {_escape(item[2])}")
        elif part and line.startswith("    "):
            lines.append(_escape(line.strip() if not line.startswith("        ") else "    " + line.strip()))
        else:
            part = part if not line.strip() else ""
            lines.append(line if line.startswith("    ") else _escape(line))
    return "\n".join(lines)


def _escape(text: str) -> str:
    """Keep |x| and a_t as they are written, outside code spans."""
    return "`".join(
        piece if index % 2 else piece.translate(SYMBOLS) for index, piece in enumerate(text.split("`"))
    )
