"""How far a slow figure is."""

from __future__ import annotations

import pytest

from figures import progress


def test_a_log_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(progress.track([3, 1, 2], "work [a]")) == [3, 1, 2]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "EVERY", -1.0)
    assert list(progress.track([3, 1, 2], "work [a]")) == [3, 1, 2]
    assert capsys.readouterr().err.splitlines() == [f"work [a]: {done} of 3" for done in range(3)]
