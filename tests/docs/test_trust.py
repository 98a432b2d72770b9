"""The tutorial on trust runs from its first line to its last, and what it says of its numbers is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "trust.md"
TEXT = PAGE.read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("trust"))
        for number, snippet in enumerate(SNIPPETS):
            exec(compile(snippet, f"trust.md, snippet {number}", "exec"), found)
        assert type(found["acceptance"]).load("acceptance.json") == found["acceptance"]
    return found


def test_belief_is_not_truth(names: dict[str, Any]) -> None:
    assert names["believed_share"] > 0.98
    assert names["true_share"] < 0.8
    assert names["all_believe"].float().mean() > 0.9


def test_accepted_plans_are_true_and_most_true_plans_accepted(names: dict[str, Any]) -> None:
    trial = names["trial"]
    assert trial.plans == 400
    assert trial.precision.high > 0.9
    assert trial.precision.value > trial.true / trial.plans + 0.1
    assert trial.recall.value > 0.9
    assert torch.equal(names["accepted"], names["acceptance"].accept(names["facts"]))


def test_planning_again_helps(names: dict[str, Any]) -> None:
    assert names["again"].float().mean() >= names["true"].float().mean()


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("http") or (PAGE.parent / target).exists(), target
