"""Every figure has a caption that names its panels."""

from __future__ import annotations

import importlib
import re
import string

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from figures.registry import FIGURES, caption

mpl.use("Agg")
LETTER = re.compile(r"\$\\mathbf\{([a-z])\}\$")


def panels(text: str) -> list[str]:
    """The letters of the panels that a caption names, ranges such as (a)–(c) written out."""
    text = re.sub(r"\(([a-z])\)–\(([a-z])\)", lambda m: _between(m[1], m[2]), text)
    return sorted(set(re.findall(r"\(([a-h])\)", text)))


def _between(first: str, last: str) -> str:
    letters = string.ascii_lowercase
    return "".join(f"({letter})" for letter in letters[letters.index(first) : letters.index(last) + 1])


@pytest.mark.parametrize("name", FIGURES)
def test_a_caption_is_sentences_about_panels_in_their_order(name: str) -> None:
    text = caption(name)
    assert len(text) > 200
    assert text.endswith(".")
    assert panels(text) == list(string.ascii_lowercase[: len(panels(text))])


def test_ranges_of_panels_are_written_out() -> None:
    assert panels("(a)–(c) and (e), f(x), A (1) or (k)") == ["a", "b", "c", "e"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:pymunk")
@pytest.mark.parametrize("name", FIGURES)
def test_a_caption_names_the_panels_that_are_drawn(name: str) -> None:
    figure, _ = importlib.import_module(FIGURES[name].module).make()
    titles = [axis.get_title(loc="left") for axis in figure.findobj(plt.Axes)]
    drawn = sorted({match[1] for title in titles if (match := LETTER.search(title))})
    assert panels(caption(name)) == drawn
    plt.close(figure)
