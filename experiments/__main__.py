"""The command line: `python -m experiments`."""

from __future__ import annotations

import typer

from experiments.bench_linear import bench_linear
from experiments.bench_planners import bench_planners

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
bench = typer.Typer(no_args_is_help=True, help="Accuracy, speed and memory against stated requirements.")
app.add_typer(bench, name="bench")
bench.command("linear")(bench_linear)
bench.command("planners")(bench_planners)


@app.callback()
def main() -> None:
    """Experiments around the method: `bench` so far."""


if __name__ == "__main__":
    app()
