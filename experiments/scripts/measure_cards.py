"""Measure shipped models again, where the planners or the measures have changed, and write that into their cards.

    python -m experiments.scripts.measure_cards push_t-offline-flat-0

Without a name it takes all that this form of evaluation has not measured yet; each card is written when it is done, so
that an interrupted run goes on where it stopped.  The weights stay.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from experiments.evaluation import evaluate
from experiments.evaluation.measures import FORMAT
from grasp_theory import world_models
from grasp_theory.command_line import add, new_app
from grasp_theory.files import write_atomically
from grasp_theory.tasks import by_name
from grasp_theory.world_models import available, load_file
from linear_systems.errors import ParameterError

SHIPPED = Path(world_models.__file__).parent / "shipped"


def measure_cards(
    names: Annotated[
        list[str] | None, typer.Argument(help="Models; by default all of former measures.")
    ] = None,
) -> None:
    """Evaluate shipped models and write what is found into their cards."""
    cards = {card.name: card for card in available()}
    if unknown := sorted(set(names or ()) - set(cards)):
        raise ParameterError("names", f"some of {', '.join(cards)}", ", ".join(unknown), "leave them out")
    for name in names or [name for name, card in cards.items() if card.evaluation.get("format") != FORMAT]:
        path = SHIPPED / f"{name}.safetensors"
        found = evaluate(by_name(cards[name].task), load_file(path), progress=True)
        card = replace(cards[name], evaluation=found)
        write_atomically(path.with_suffix(".json"), json.dumps(card.to_json(), indent=2) + "\n")
        typer.echo(f"{name}: measured")


app = new_app()
add(app, measure_cards, "cards that were written stay; the same command goes on with the others.")


if __name__ == "__main__":
    app()
