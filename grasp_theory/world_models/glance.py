"""Cards on a screen: one whole, or many side by side.  What a card's evaluation lacks is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

Card = Any
"""A `Card`, whose module imports this one."""

WIDTH = 80
MEASURED = 2
"""The version of evaluations that is understood here."""
PLANNERS = {"GRASP": "GRASP", "GradientDescent": "GD", "CEM": "CEM", "MPPI": "MPPI"}


def sheet(card: Card) -> str:
    """Return a card as text that fits a screen: what the model sees, its data, errors, and which plans are true.

    Arguments
        card: of a stored model.
    """
    sizes, actions = card.architecture, card.actions
    ago = " and ".join(str(offset) for offset in card.frame_offsets)
    entries = {
        "sees": f"{_count(sizes.frames, 'picture')} of {sizes.image_size} × {sizes.image_size}, {ago} environment steps old",
        "state": f"{sizes.latent_dim} numbers ({sizes.latent}), read as {', '.join(card.probe_names)}",
        "action": f"{sizes.action_dim} numbers: {_count(actions.frameskip, 'environment action')} of {actions.dimension}, "
        f"components in [{actions.low:g}, {actions.high:g}]; 1 is {actions.unit}",
        "data": "; ".join(filter(None, (_data(name, found) for name, found in card.data.items()))),
        "training": f"{card.training['wall_seconds'] / 60:.0f} min, torch {card.training['torch']}, {card.training['machine']}",
    }
    lines = [f"{card.name}: a world model, licence {card.licence}"]
    lines += [_entry(name, text) for name, text in entries.items()]
    measured = _measured(card)
    return "\n".join([*lines, *_errors(measured), *_distance(measured), *_plans(measured)])


def table(cards: Sequence[Card]) -> str:
    """Return cards as a table: sizes, rank correlation of distances, and the share of each planner's plans that are true.

    Arguments
        cards: any number of them, one row each.
    """
    long = max((len(card.name) for card in cards), default=5)
    heads = "".join(f"{short:>7}" for short in PLANNERS.values())
    lines = [f"{'model':{long}} state frames  rank{heads}"]
    for card in cards:
        rank = _value(_measured(card), "rank_correlation", "latent", "value")
        true = [_value(_measured(card), "exploitability", name, "true", "value") for name in PLANNERS]
        shares = "".join(f"{share:>7}" for share in true)
        lines.append(
            f"{card.name:{long}} {card.architecture.latent_dim:5} {card.architecture.frames:6} {rank:>5}{shares}"
        )
    said = "rank: of latent distance with the true one.  Planners: the share of their plans that is true in the world."
    return "\n".join(
        [*lines, fill(said, WIDTH), "One whole: print(card).  The model: load(task, kind=..., seed=...)."]
    )


def _measured(card: Card) -> Mapping[str, Any]:
    """Return an evaluation as `python -m experiments evaluate` makes it; a card may hold any other, which is not shown."""
    return card.evaluation if card.evaluation.get("format") == MEASURED else {}


def _entry(name: str, text: str) -> str:
    return fill(text, WIDTH, initial_indent=f"  {name:10}", subsequent_indent=" " * 12)


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _data(name: str, found: Any) -> str:
    if not isinstance(found, Mapping) or not {"episodes", "length"} <= set(found):
        return ""
    mixture = ", ".join(f"{policy} {share:g}" for policy, share in found.get("mixture", {}).items())
    return f"{name}, {found['episodes']:,} episodes of {found['length']} steps" + f" ({mixture})" * bool(
        mixture
    )


def _errors(evaluation: Mapping[str, Any]) -> list[str]:
    """Return the mean open-loop errors of what the probe reads, at several model steps."""
    windows = evaluation.get("open_loop", {}).get("all", {})
    steps = [step for step in windows if step != "0"]
    if not steps:
        return []
    lines = [
        "",
        f"  {'error, all windows':22}" + "".join(f"{step:>8}" for step in steps) + "  model steps",
    ]
    for quantity in windows[steps[0]]["errors"]:
        found = [
            _value(windows[step], "errors", quantity, "model", "mean", "value", digits=3) for step in steps
        ]
        lines.append(f"  {quantity:22}" + "".join(f"{each:>8}" for each in found))
    return lines


def _distance(evaluation: Mapping[str, Any]) -> list[str]:
    rank = evaluation.get("rank_correlation", {}).get("latent")
    against = (
        str(evaluation.get("rank_correlation", {}).get("against", "true")).removesuffix("distance").strip()
    )
    return (
        []
        if rank is None
        else [f"  rank correlation of latent and {against or 'task'} distance: {_share(rank)}"]
    )


def _plans(evaluation: Mapping[str, Any]) -> list[str]:
    """Return the shares of planners' plans that are believed and true, with intervals."""
    found = evaluation.get("exploitability", {})
    tried = {short: found[name] for name, short in PLANNERS.items() if name in found}
    if not tried:
        return []
    head = f"plans of {found['horizon']} steps"
    lines = ["", f"  {head:22}{'believed':20}{'true in the world':20}evaluations"]
    for short, one in tried.items():
        lines.append(
            f"  {short:22}{_share(one['believed']):20}{_share(one['true']):20}{found['evaluations']:,}"
        )
    return lines


def _share(found: Mapping[str, float]) -> str:
    return f"{found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


def _value(found: Any, *path: str, digits: int = 2) -> str:
    """Return a number somewhere in an evaluation, or a dash where it was not measured."""
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return "–" if found is None else f"{found:.{digits}g}" if digits == 3 else f"{found:.{digits}f}"
