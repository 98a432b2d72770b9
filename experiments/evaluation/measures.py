"""All measures of a world model in one dictionary, as its card holds it."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from experiments.evaluation.exploitability import exploitability
from experiments.evaluation.faithfulness import distance_ranks, greedy_success
from experiments.evaluation.open_loop import behaviour_steps, held_out_windows, open_loop
from experiments.evaluation.sizes import FULL, LARGE, QUICK, SEED, stream
from experiments.evaluation.state_gradient import state_gradient
from experiments.threads import one_thread
from grasp_theory.statistics.intervals import Json
from grasp_theory.tasks.task import FRAMESKIP, Task
from grasp_theory.world_models import WorldModel
from grasp_theory.world_models.architecture import BACKBONES
from linear_systems.errors import ParameterError, ShapeError

FORMAT = 2
"""Version of the dictionary that `evaluate` returns."""


def evaluate(
    task: Task, model: WorldModel, *, seed: int = SEED, quick: bool = False, progress: bool = False
) -> dict[str, Json]:
    """Return how good a world model of a task is; the same numbers each time on the same machine.

    On the CPU one thread of torch works, so that the numbers do not depend on how many cores there are.

    Arguments
        task: the task that the model was trained on; its physics, pictures and behaviour are the truth.
        model: in evaluation mode, on any device.
        seed: of episodes, problems and bootstraps; no training draws from the same stream.
        quick: smaller samples, with wider intervals.
        progress: whether to show a progress bar on standard error.

    Returns
        Values that JSON can hold: `open_loop` and `curves` (see `open_loop`), `one_step` (of the behaviour),
        `rank_correlation` (`distance_ranks`), `greedy` (`greedy_success`), `exploitability` and `state_gradient`,
        beside what was asked for.

    Raises
        ParameterError: if the model is in training mode, the seed negative, or the task has no problem sets.
        ShapeError: if the model's frames, actions or probe are not the task's.
        NonFiniteError: if the model's predictions are not finite.
    """
    _check(task, model, seed)
    large = model.architecture.encoder in BACKBONES
    sizes = QUICK if quick else LARGE if large else FULL
    result: dict[str, Json] = {
        "format": FORMAT, "task": task.name, "seed": seed, "quick": quick, "sizes": asdict(sizes)
    }  # fmt: skip
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=Console(stderr=True), transient=True, disable=not progress,
    )  # fmt: skip
    with bar, one_thread():
        stage = bar.add_task("held-out episodes", total=6)

        def next_stage(name: str) -> None:
            bar.update(stage, description=name, advance=1)

        windows = held_out_windows(task, sizes, seed)
        next_stage("open-loop errors")
        result["open_loop"], result["curves"] = open_loop(task, model, windows, sizes, seed)
        result["one_step"] = behaviour_steps(task, model, windows, sizes, seed)
        next_stage("rank correlation")
        result["rank_correlation"] = distance_ranks(task, model, sizes, seed)
        next_stage("greedy success")
        result["greedy"] = greedy_success(task, model, sizes, seed)
        next_stage("exploitability")
        result["exploitability"] = exploitability(task, model, sizes, seed)
        next_stage("state gradient")
        result["state_gradient"] = state_gradient(task, model, windows, sizes, seed)
    return result


def _check(task: Task, model: WorldModel, seed: int) -> None:
    if model.training:
        raise ParameterError(
            "model", "a model in evaluation mode", "one in training mode", "call model.eval()"
        )
    if seed < 0:
        raise ParameterError("seed", "an integer >= 0", f"{seed}", "leave it out for that of the cards")
    sizes = model.architecture
    targets = task.probe_targets(task.sample_states(stream(task, seed, "check"), 1)).shape[1]
    expected = (len(task.frame_offsets), FRAMESKIP * task.action_dim, targets)
    found = (sizes.frames, sizes.action_dim, sizes.probe_dim)
    if found != expected:
        raise ShapeError(
            "model", f"frames, action entries and probed quantities {expected} of {task.name}", f"{found}",
            "evaluate the model on the task that it was trained on",
        )  # fmt: skip
