"""One optimisation, resumable after a kill: the loop that every stage of training shares."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from experiments.training.recipe import Stage
from grasp_theory.files import atomic_file, read_whole
from linear_systems.errors import NonFiniteError, ParameterError

SAVE_EVERY = 30.0
"""Seconds between two checkpoints of a stage."""
WARM_UP = 0.05
"""Share of the steps in which the learning rate rises."""
WEIGHT_DECAY = 1e-4
CLIP = 1.0
"""Largest norm of a gradient."""


@dataclass(frozen=True)
class Fitted:
    """What one optimisation logged and took.

    Arguments
        log: metrics at some steps.
        wall_seconds, cpu_seconds: of the optimisation, resumed or not.
        earlier_wall_seconds, earlier_cpu_seconds: the part of these before this process, which resumed it.
    """

    log: list[dict[str, float]]
    wall_seconds: float
    cpu_seconds: float
    earlier_wall_seconds: float
    earlier_cpu_seconds: float


@dataclass(frozen=True)
class Trainer:
    """What the stages of one training run share.

    Arguments
        seed: of weights and batches.  The batch of step k depends on (seed, stage, k) alone, so a resumed run
            sees the same batches as one that was not killed.
        device: where to train.
        folder: where checkpoints of the stages lie; None for none.
        key: identifies everything the run depends on; a checkpoint of another key is refused.
    """

    seed: int
    device: torch.device
    folder: Path | None
    key: str

    def fit(
        self,
        name: str,
        modules: nn.Module,
        stage: Stage,
        loss: Callable[[np.random.Generator], tuple[Tensor, Mapping[str, float]]],
    ) -> Fitted:
        """Minimise `loss(rng)` over the modules' parameters.

        Raises
            NonFiniteError: if the loss becomes NaN or infinite.
            ParameterError: if the folder holds a checkpoint of another run.
        """
        optimiser = torch.optim.AdamW(modules.parameters(), lr=stage.learning_rate, weight_decay=WEIGHT_DECAY)
        path = None if self.folder is None else self.folder / f"{name}.pt"
        step, wall, cpu, log = self._resume(path, modules, optimiser)
        begun = saved = time.monotonic()
        begun_cpu = time.process_time()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                   TextColumn("{task.fields[metrics]}"))  # fmt: skip
        with Progress(*columns, transient=True) as progress:
            shown = progress.add_task(name, total=stage.steps, completed=step, metrics="")
            while step < stage.steps:
                rng = np.random.default_rng([self.seed, *name.encode(), step])
                for group in optimiser.param_groups:
                    group["lr"] = stage.learning_rate * _schedule(step, stage.steps)
                optimiser.zero_grad(set_to_none=True)
                value, metrics = loss(rng)
                if not torch.isfinite(value):
                    raise NonFiniteError(
                        "loss", "a finite training loss", f"{float(value.detach())} at step {step} of stage {name!r}",
                        "a smaller learning rate in the recipe",
                    )  # fmt: skip
                value.backward()  # type: ignore[no-untyped-call]
                norm = nn.utils.clip_grad_norm_(modules.parameters(), CLIP)
                if not torch.isfinite(norm):  # before it reaches the weights, and a checkpoint
                    raise NonFiniteError(
                        "gradient", "a finite gradient", f"norm {float(norm)} at step {step} of stage {name!r}",
                        "a smaller learning rate in the recipe",
                    )  # fmt: skip
                optimiser.step()
                step += 1
                if metrics and (step % max(1, stage.steps // 50) == 0 or step == stage.steps):
                    log.append({"step": step, "loss": float(value.detach()), **metrics})
                    text = " ".join(f"{key} {number:.3g}" for key, number in log[-1].items() if key != "step")
                    progress.update(shown, metrics=text)
                progress.update(shown, completed=step)
                if path is not None and (time.monotonic() - saved > SAVE_EVERY or step == stage.steps):
                    saved = time.monotonic()
                    state = {
                        "key": self.key, "step": step, "log": log,
                        "wall": wall + saved - begun, "cpu": cpu + time.process_time() - begun_cpu,
                        "modules": modules.state_dict(), "optimiser": optimiser.state_dict(),
                    }  # fmt: skip
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with atomic_file(path) as file:
                        torch.save(state, file)
        here, here_cpu = time.monotonic() - begun, time.process_time() - begun_cpu
        return Fitted(log, wall + here, cpu + here_cpu, wall, cpu)

    def _resume(
        self, path: Path | None, modules: nn.Module, optimiser: torch.optim.Optimizer
    ) -> tuple[int, float, float, list[dict[str, float]]]:
        if path is None or not path.exists():
            return 0, 0.0, 0.0, []
        try:
            content = io.BytesIO(read_whole(path))
            state = torch.load(content, map_location=self.device, weights_only=True)
            key, reached = state["key"], (state["step"], state["wall"], state["cpu"], state["log"])
        except Exception as error:  # zipfile, pickle and torch each have their own
            raise ParameterError(
                "folder", f"a readable file {path}", f"{type(error).__name__}: {error}"[:200],
                "delete the file: the stage is trained anew",
            ) from error  # fmt: skip
        if key != self.key:
            raise ParameterError(
                "folder", "checkpoints of this very run", f"{path.name} of another recipe, task, seed or data",
                "another folder, or delete this one to train anew",
            )  # fmt: skip
        modules.load_state_dict(state["modules"])
        optimiser.load_state_dict(state["optimiser"])
        return reached


def _schedule(step: int, steps: int) -> float:
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
