"""What earlier runs wrote is read with care."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.pieces import begun
from linear_systems.errors import ParameterError


def test_a_run_goes_on_from_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    assert begun(path) == {}
    path.write_text('{"a": {"b": 1}}')
    assert begun(path) == {"a": {"b": 1}}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    path.write_bytes(content)
    with pytest.raises(ParameterError, match=r"found\.json to hold a JSON mapping.*remove it"):
        begun(path)
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_to_is_told_first(tmp_path: Path) -> None:
    (tmp_path / "none").write_text("a file, and no folder")
    with pytest.raises(OSError, match="none"):
        begun(tmp_path / "none" / "found.json")
    assert begun(tmp_path / "made" / "found.json") == {}
