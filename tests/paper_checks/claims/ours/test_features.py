"""What large features show is told beside the claims that it is about, from the stored figures, and decides none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from linear_systems.errors import ParameterError
from paper_checks.claims.ours.features import LATENTS, PATH, SAID, beside, load
from paper_checks.claims.ours.worlds import CLAIMS


def test_every_claim_that_it_is_about_tells_it() -> None:
    found = load()
    told = {claim.id: " ".join([*claim.assumptions, claim.missing]) for claim in CLAIMS}
    for question in SAID:
        assert beside(question, found) in told[question]
    assert beside("text-parallel", found) == ""


def test_the_sentence_has_the_stored_figures() -> None:
    found = load()
    said = beside("text-rollout-landscape", found)
    for latent, name in LATENTS.items():
        share = found[latent]["lines"]["several_minima"]
        cem = found[latent]["planners"]["CEM"]
        assert f"{name}: {share['value']:.2f} [{share['low']:.2f}, {share['high']:.2f}]" in said
        assert f"(p = {cem['p_value']:.2g})" in said


def test_nothing_is_told_without_figures(tmp_path: Path) -> None:
    assert load(tmp_path / "none.json") == {}
    assert beside("text-state-gradients", {}) == ""


@pytest.mark.parametrize("change", ["{", "{}", "[]", "3", "missing"])
def test_a_damaged_file_is_named(change: str, tmp_path: Path) -> None:
    path = tmp_path / "features.json"
    stored = json.loads(PATH.read_text())
    del stored["random"]["planners"]
    path.write_text(json.dumps(stored) if change == "missing" else change)
    with pytest.raises(ParameterError, match=r"features\.json"):
        load(path)
