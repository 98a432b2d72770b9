"""The command line: `python -m experiments`."""

from __future__ import annotations

from experiments.bench.linear import bench_linear
from experiments.bench.planners import bench_planners
from experiments.bench.roofline import bench_roofline
from experiments.evaluation import evaluate_command
from experiments.evaluation.overview import models
from experiments.scripts.make_problems import problems
from experiments.scripts.video import episode
from experiments.study.figure_data.figure_data_command import figure_data
from experiments.study.reporting.counts import verdicts
from experiments.study.study_commands import status, table, tune
from experiments.training.ablation import ablation
from experiments.training.train_command import train
from experiments.worlds.worlds_command import worlds
from grasp_theory.command_line import add, new_app

NOTHING = "nothing was written; run it again."
STAGES = "data, frames and checkpoints stay in --folder; the same command goes on from there."
UNITS = "all finished units stay in --results; the same command goes on from there."

app = new_app(no_args_is_help=True)
bench = new_app(no_args_is_help=True, help="Accuracy, speed and memory against stated requirements.")
app.add_typer(bench, name="bench")
add(bench, bench_linear, NOTHING, "linear")
add(bench, bench_planners, NOTHING, "planners")
add(bench, bench_roofline, NOTHING, "roofline")
add(app, episode, NOTHING, "episode")
add(app, problems, NOTHING, "problems")
add(app, train, STAGES, "train")
add(app, ablation, STAGES, "ablation")
add(app, evaluate_command, NOTHING, "evaluate")
add(app, models, NOTHING, "models")
add(app, table, UNITS, "table")
add(app, tune, "all finished trials stay in --results; the same command goes on from there.", "tune")
add(app, status, "nothing has changed; run it again.", "status")
add(
    app,
    figure_data,
    "all measured figures stay in --out; the same command measures the others.",
    "figure-data",
)
add(app, verdicts, NOTHING, "verdicts")
add(app, worlds, UNITS, "worlds")


@app.callback()
def main() -> None:
    """Experiments around the method: environments, world models, benchmarks."""


if __name__ == "__main__":
    app()
