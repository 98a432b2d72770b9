"""The picture of trust shows what is stored."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from figures.planning import trust

mpl.use("Agg")


def test_it_shows_the_stored_shares() -> None:
    figure, found = trust.make()
    assert found
    bars = [patch.get_height() for patch in figure.axes[1].patches]
    expected = [
        x for each in found.values() for x in (each["true"] / each["plans"], each["precision"]["value"])
    ]
    assert bars == pytest.approx(expected)
    assert len(figure.axes[0].containers) == len(found)
    plt.close(figure)
