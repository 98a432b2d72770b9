"""What the paper's statements about large visual features look like on them, beside small latents; no verdict rests on it.

`python -m experiments.scripts.frozen_features point_maze --out features.json` measures it; docs/world_models.md shows it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from linear_systems.errors import ParameterError

PATH = Path(__file__).with_name("features.json")
LATENTS = {"flat": "small latents", "frozen": "ImageNet's features", "random": "a random network's"}
Features = Mapping[str, Mapping[str, Any]]


def load(path: Path = PATH) -> Features:
    """Return what was measured, by latent and measure; nothing where there is no file.

    Raises
        ParameterError: the file is not such a record.
    """
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not found:
            raise TypeError(f"{type(found).__name__} of no latents")
        for question in SAID:
            beside(question, found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParameterError(
            path.name, "measures of each latent", repr(error), "python -m experiments.scripts.frozen_features"
        ) from error
    return found


def beside(question: str, found: Features) -> str:
    """Return a sentence on a claim of `SAID` with the figures of each latent; nothing for other claims, or without figures."""
    if question not in SAID or not found:
        return ""
    what, figures = SAID[question]
    shown = "; ".join(f"{name}: {figures(found[latent])}" for latent, name in LATENTS.items())
    return f"On features of PointMaze, one model each (docs/world_models.md; no verdict rests on it): {what}. {shown}."


def _share(entry: Mapping[str, Any]) -> str:
    return f"{entry['value']:.2f} [{entry['low']:.2f}, {entry['high']:.2f}]"


def _faked(latent: Mapping[str, Any]) -> str:
    return f"{_share(latent['state_gradient']['relative_to_goal'])}, {_against(latent, 'gradient flows')}"


def _lines(latent: Mapping[str, Any]) -> str:
    return f"{_share(latent['lines']['several_minima'])}, {_against(latent, 'GradientDescent', 'CEM')}"


def _noise(latent: Mapping[str, Any]) -> str:
    return _against(latent, "no noise")


def _against(latent: Mapping[str, Any], *others: str) -> str:
    planners = latent["planners"]
    shown = [f"GRASP {_share(planners['GRASP']['believed'])}"]
    shown += [
        f"{other} {_share(planners[other]['believed'])} (p = {planners[other]['p_value']:.2g})"
        for other in others
    ]
    return ", ".join(shown)


SAID: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "text-state-gradients": (
        "the smallest change of the state that fakes the goal, as part of the way to it (Figure 3); plans that the model believes "
        "with the gradient of states stopped and flowing",
        _faked,
    ),
    "text-rollout-landscape": (
        "random lines through a plan with more than one minimum of (3) (Figure 1); plans that the model believes",
        _lines,
    ),
    "text-noise-on-states": ("plans that the model believes with noise on states and without", _noise),
}
"""By the id of a claim, what is told and how."""
