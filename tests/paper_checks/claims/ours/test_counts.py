"""The file of our trials: absent, damaged, and what the wheel must carry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from linear_systems.errors import ParameterError
from paper_checks.claims.ours.counts import PATH, OurExperiments, load


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert load(tmp_path / "none.json") == OurExperiments()


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"schema_version": 9, "pairs": [], "figures": {}, "provenance": {}}',
        '{"schema_version": 2, "pairs": [{"table": 1}], "figures": {}, "provenance": {}}',
        '{"schema_version": 2, "pairs": [], "figures": {"a": [1]}, "provenance": {}}',
        # Totals that do not add up to the discordant pairs.
        json.dumps({
            "schema_version": 2, "figures": {}, "provenance": {},
            "pairs": [{"table": 1, "task": "t", "kind": "k", "horizon": 1, "other": "o", "outcome": "final_model",
                       "problems": [[1, 1, 5]], "first_only": 4, "second_only": 0, "by_model": {}}],
        }),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "ours.json"
    path.write_text(content)
    with pytest.raises(ParameterError, match=r"ours\.json"):
        load(path)


def test_what_ships_can_be_read_and_is_small() -> None:
    load()
    if PATH.exists():
        assert PATH.stat().st_size < 300_000
