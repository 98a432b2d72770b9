"""The command line: `python -m experiments`."""

from __future__ import annotations

import typer

from experiments.bench.linear import bench_linear
from experiments.bench.planners import bench_planners
from experiments.bench.roofline import bench_roofline
from experiments.evaluation import evaluate_command
from experiments.evaluation.summary import models
from experiments.scripts.make_problems import problems
from experiments.scripts.video import episode
from experiments.study.figure_data.figure_data_command import figure_data
from experiments.study.reporting.counts import verdicts
from experiments.study.study_commands import status, table, tune
from experiments.training.ablation import ablation
from experiments.training.train_command import train

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
bench = typer.Typer(no_args_is_help=True, help="Accuracy, speed and memory against stated requirements.")
app.add_typer(bench, name="bench")
bench.command("linear")(bench_linear)
bench.command("planners")(bench_planners)
bench.command("roofline")(bench_roofline)
app.command("episode")(episode)
app.command("problems")(problems)
app.command("train")(train)
app.command("ablation")(ablation)
app.command("evaluate")(evaluate_command)
app.command("models")(models)
app.command("table")(table)
app.command("tune")(tune)
app.command("status")(status)
app.command("figure-data")(figure_data)
app.command("verdicts")(verdicts)


@app.callback()
def main() -> None:
    """Experiments around the method: environments, world models, benchmarks."""


if __name__ == "__main__":
    app()
