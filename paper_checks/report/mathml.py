"""LaTeX to MathML that a browser shows as meant: what the converter leaves half done is refused."""

from __future__ import annotations

import re
from functools import cache
from xml.etree import ElementTree

from latex2mathml.converter import convert

from linear_systems.errors import ParameterError

LEFT_OVER = re.compile(r"\\[a-zA-Z]+|&(?!#?\w+;)|<mo />")
"""A command, an alignment mark or an operator's name that the converter did not understand."""
OPERATOR = re.compile(r"\\operatorname\*?\{([^{}]*)\}")

BAR = re.compile(r'<mo(?: fence="false")?(?: stretchy="false")?>(&#x0007C;|&#x02016;)</mo>')
"""A bar of a modulus or a norm, which browsers would space as a relation."""


@cache
def mathml(latex: str) -> str:
    """Return `latex` as a MathML element in display style; `aligned` environments may hold several lines.

    Raises
        ParameterError: the converter does not understand part of it.
    """
    try:
        markup = convert(_understood(latex), display="block")
    except Exception as error:  # the converter's exceptions have no common class
        raise _refused(latex, repr(error)) from error
    if left_over := LEFT_OVER.search(markup):
        raise _refused(latex, f"{left_over.group()!r}, which the converter does not know")
    if 'linebreak="newline"' in markup:
        raise _refused(latex, "a line break outside an aligned environment, which browsers ignore")
    try:
        ElementTree.fromstring(markup)
    except ElementTree.ParseError as error:
        raise _refused(latex, f"{error} in what the converter made") from error
    markup = BAR.sub(r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', markup)
    return markup.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "", 1)


def _understood(latex: str) -> str:
    """Return `latex` in the words that the converter knows for the same thing."""
    named = OPERATOR.sub(lambda match: r"\operatorname{" + match[1].replace(r"\,", "") + "}", latex)
    return named.replace("{aligned}", "{split}")


def _refused(latex: str, found: str) -> ParameterError:
    return ParameterError(f"latex {latex!r}", "LaTeX that converts to MathML", found, "write it more plainly")
