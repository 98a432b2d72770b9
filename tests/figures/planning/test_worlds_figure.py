"""The figure of the analytic worlds: what it draws is what the rows say."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments.study.trials.store import Store
from experiments.worlds.trial import LAYOUT, WorldUnit, run_unit
from figures.planning import worlds

UNIT = WorldUnit("linear", "GRASP", 10, 700, 0)


def test_curves_end_at_the_share_that_is_solved() -> None:
    rows = run_unit(UNIT)
    spent, share = worlds.curves(rows)["linear"]["GRASP"]
    assert share[0] == 0
    assert share[-1] == rows["solved"].to_numpy().mean() > 0
    assert (np.diff(share) >= 0).all()
    assert (np.diff(spent) >= 0).all()
    figure = worlds.draw(worlds.curves(rows))
    assert [axes.get_title(loc="left") for axes in figure.axes][:1] == ["linear"]
    plt.close(figure)


def test_it_is_drawn_from_whole_units_of_the_protocol_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worlds, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="no rows"):
        worlds.make()
    rows = run_unit(UNIT)
    Store(tmp_path, LAYOUT).write(rows["unit"][0], rows)
    with pytest.raises(FileNotFoundError, match="no rows"):  # 10 problems and 700 T are not the protocol's
        worlds.make()
