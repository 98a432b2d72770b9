"""`python -m experiments models`: a table of all, a card of one."""

from __future__ import annotations

from typer.testing import CliRunner

from experiments.__main__ import app
from experiments.evaluation.overview import summary
from grasp_theory.world_models import available


def shown(*words: str) -> tuple[int, str]:
    run = CliRunner().invoke(app, ["models", *words])
    return run.exit_code, run.output


def test_no_name_is_the_table_of_all() -> None:
    assert shown() == (0, summary(available()) + "\n")


def test_a_model_is_its_card_and_a_task_the_table_of_its_models() -> None:
    assert shown("push_t-robust-flat-0") == (
        0,
        f"{next(c for c in available() if c.name == 'push_t-robust-flat-0')}\n",
    )
    code, text = shown("push_t")
    assert code == 0
    assert "push_t-offline-flat-1" in text
    assert "wall_single" not in text


def test_another_name_is_answered_with_those_there_are() -> None:
    code, text = shown("pusht")
    assert code == 2
    assert "push_t-robust-flat-0" in text
