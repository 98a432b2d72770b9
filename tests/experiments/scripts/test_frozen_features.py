"""The measures of the paper's statements about features: each model once, and what is there is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from experiments.scripts import frozen_features
from grasp_theory.tasks import by_name
from grasp_theory.world_models import WorldModel, load

PLANNERS = {
    "GRASP": "`GRASP.auto`",
    "gradient flows": "it with the gradient of states flowing",
    "no noise": "it without noise on states",
    "no sync": "it without syncs",
    "GradientDescent": "GD",
    "CEM": "CEM",
    "MPPI": "MPPI",
}
"""What is compared, and its row on the page."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PROBLEMS", 2), ("LINES", 3), ("POINTS", 21)):
        monkeypatch.setattr(frozen_features, name, value)


@pytest.mark.usefixtures("small")
def test_lines_through_plans_in_a_small_model() -> None:
    found = frozen_features.line_minima(by_name("wall_single"), load("wall_single"))
    assert isinstance(found, dict)
    assert (found["problems"], found["lines"], found["horizon"]) == (2, 3, 12)
    for name, least in (("minima", 0.0), ("several_minima", 0.0), ("variation", 1.0)):
        entry = found[name]
        assert isinstance(entry, dict)
        value = entry["value"]
        assert isinstance(value, float)
        assert value >= least


def test_planners_are_compared_on_the_same_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_features, "COMPARED", 3)
    monkeypatch.setattr(frozen_features, "LARGE", replace(frozen_features.LARGE, evaluations=60))
    found = frozen_features.planners_compared(by_name("wall_single"), load("wall_single"))
    assert isinstance(found, dict)
    assert (found.pop("problems"), found.pop("horizon"), found.pop("evaluations")) == (3, 12, 720)
    assert list(found) == list(PLANNERS)
    grasp = found["GRASP"]
    assert (grasp["only_grasp"], grasp["only_it"], grasp["p_value"]) == (0, 0, 1.0)
    for entry in found.values():
        assert entry["believed"]["count"] == entry["true"]["count"] == 3
        lead = round(3 * (grasp["believed"]["value"] - entry["believed"]["value"]))
        assert entry["only_grasp"] - entry["only_it"] == lead


def test_what_the_file_has_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(task: object, model: WorldModel) -> dict[str, float]:
        asked.append(model.architecture.label)
        return {"value": 1.0}

    monkeypatch.setattr(frozen_features, "LATENTS", ("flat", "patch"))
    monkeypatch.setattr(frozen_features, "MEASURES", {"one": counted})
    out = tmp_path / "found.json"
    out.write_text(json.dumps({"flat": {"one": {"value": 2.0}}}))
    result = CliRunner().invoke(frozen_features.app, ["wall_single", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert asked == ["patch"]
    assert json.loads(out.read_text()) == {"flat": {"one": {"value": 2.0}}, "patch": {"one": {"value": 1.0}}}


def test_the_page_shows_the_stored_figures() -> None:
    repository = Path(__file__).parents[3]
    stored = json.loads((repository / "paper_checks/claims/ours/features.json").read_text())
    page = (repository / "docs" / "world_models.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| Figure 3: smallest"))
    deltas = [stored[latent]["state_gradient"]["relative_to_goal"] for latent in frozen_features.LATENTS]
    shown = [f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]" for one in deltas]
    assert row.split(" | ")[1:] == [*shown[:-1], f"{shown[-1]} |"]
    steps = next(line for line in page.splitlines() if line.startswith("| the same in typical steps"))
    found = [
        f"{stored[latent]['state_gradient']['relative_to_step']['value']:.1f}"
        for latent in frozen_features.LATENTS
    ]
    assert steps.split(" | ")[1:] == [*found[:-1], f"{found[-1]} |"]
    for name, row in PLANNERS.items():
        (cells,) = (
            line
            for line in page.splitlines()
            if line.startswith(f"| {row} | ") and "." in line.split(" | ")[1]
        )
        for latent, cell in zip(frozen_features.LATENTS, cells.split(" | ")[1:], strict=True):
            of = stored[latent]["planners"][name]
            assert cell.startswith(f"{of['believed']['value']:.2f}, {of['true']['value']:.2f}"), (
                name,
                latent,
            )
            assert ("(p =" in cell) == (of["p_value"] < 0.1), (name, latent)


def test_the_page_shows_the_stored_figures_of_push_t() -> None:
    docs = Path(__file__).parents[3] / "docs"
    stored = json.loads((docs / "frozen_features_push_t.json").read_text())
    page = (docs / "world_models.md").read_text()
    text = page[
        page.index("**Push-T on frozen features**") : page.index("What needs no predictor is measured")
    ]
    for latent in ("frozen", "random"):
        of = stored[latent]
        measures = (
            of["state_gradient"]["relative_to_goal"], of["lines"]["several_minima"], of["rank_correlation"]["latent"],
        )  # fmt: skip
        for one in measures:
            shown = f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]".replace("-", "−")
            assert shown in text, (latent, shown)
    believed = [stored["random"]["planners"][name]["believed"]["value"] for name in PLANNERS]
    assert ("none is believed" in text) == (max(believed) == 0.0)
