"""Whether closed loop is better for planning again where a plan is not accepted: the same problems with and without it.

    python -m experiments.scripts.acceptance_loop wall_single

writes `experiments/results/acceptance_loop.json`, a trial at a time.  The rule is calibrated on the stored rows of `acceptance`,
on plans of the whole horizon; in closed loop it also judges shorter ones from states on the way, to which its guarantee does not
extend: what this measures is whether it helps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
import torch
import typer
from jaxtyping import Float
from torch import Tensor

from experiments.evaluation.observe import after_model_step, encode, environment_actions
from experiments.paths import RESULTS
from experiments.scripts.acceptance import ALPHA, CONFIDENCE, ROWS, features
from experiments.scripts.acceptance_evidence import facts
from experiments.scripts.acceptance_plans import HELD, MEASURED, SEEDS, TRIALS, judged, model_of, planners
from experiments.threads import one_thread
from grasp_theory import Plan, Planner, PlanningProblem
from grasp_theory.command_line import add, expect_writable, new_app
from grasp_theory.control import SEED_STRIDE, ControlRun, control
from grasp_theory.files import write_atomically
from grasp_theory.statistics.intervals import Json, plain, wilson
from grasp_theory.statistics.paired_trials import PairedTrials
from grasp_theory.tasks import by_name
from grasp_theory.tasks.problems import Problems, make_problems
from grasp_theory.tasks.task import Task
from grasp_theory.trust.acceptance import Acceptance
from grasp_theory.trust.checked import CheckedPlanner
from grasp_theory.world_models import WorldModel, load
from linear_systems.errors import ParameterError

OUT = RESULTS / "acceptance_loop.json"
PROBLEM_SEED = 17
"""Of the problems: neither calibration nor the tries of acceptance have seen them."""
LOOPED = tuple(trial for trial, planner in MEASURED.items() if planner != HELD)
ATTEMPTS = 3
APART = 16
"""Distance of the seeds of two problems: `CheckedPlanner` adds the number of the attempt."""


@dataclass(eq=False)
class Loop:
    """Systems in closed loop, as a task's environment has them and as each model sees them.

    Arguments
        task: the world.
        problems: N of one horizon.
        frames: (N, K, S) states behind the pictures of the last observation.
    """

    task: Task
    problems: Problems
    frames: Float[np.ndarray, "N K S"]

    def problem(self, model: WorldModel, rows: np.ndarray, horizon: int) -> PlanningProblem:
        """Return some of the systems' problems, from where they are now, as a model sees them."""
        return PlanningProblem(
            model, encode(model, self.task, self.frames[rows]), encode(model, self.task, self.problems.goal_history[rows]),
            horizon, model.architecture.action_dim, action_set=self.task.action_set, seeds=torch.from_numpy(APART * rows),
        )  # fmt: skip

    def evidence(self, problem: PlanningProblem, plan: Plan) -> dict[str, Tensor]:
        """Return the features of plans for some of the systems, which the seeds tell."""
        assert problem.seeds is not None
        rows = (problem.seeds.numpy() % SEED_STRIDE) // APART

        def view(model: WorldModel) -> PlanningProblem:
            return judged(self.task, model, self.problem(model, rows, problem.horizon))

        views = [view(model_of(self.task.name, seed)) for seed in SEEDS]
        robust = view(load(self.task.name, kind="robust"))
        found = facts(self.task.name, SEEDS, views, robust, plan.actions)
        table = pl.DataFrame({name: values.double().numpy() for name, values in found.items()})
        return {
            name: torch.from_numpy(values.copy()) for name, values in features(table, robust=True).items()
        }

    def run(self, planner: Planner | CheckedPlanner, steps: int) -> ControlRun:
        """Plan, take a model action, look and plan again, from the start."""
        every = np.arange(len(self.problems))
        self.frames = self.problems.start_history.copy()
        model = model_of(self.task.name, SEEDS[0])

        def step(frames: Float[np.ndarray, "N K S"], actions: Tensor) -> Float[np.ndarray, "N K S"]:
            path = self.task.simulate(frames[:, 0], environment_actions(self.task, actions[:, None]))
            return after_model_step(self.task, path)

        def success(frames: Float[np.ndarray, "N K S"], rows: Tensor) -> np.ndarray:
            self.frames[rows.numpy()] = frames
            return self.task.success(frames[:, 0], self.problems.goals[rows.numpy()])

        problem = self.problem(model, every, int(self.problems.horizon[0]))
        return control(
            planner, problem, step, world=self.frames.copy(), steps=steps, stop_when_reached=False, progress=True,
            observe=lambda frames: encode(model, self.task, frames), success=success,
        )  # fmt: skip


def compared(trial: str, count: int) -> dict[str, Json]:
    """Return how often each arm succeeds within T and 2 T model steps, and what it evaluates."""
    name, kind, horizon = TRIALS[trial]
    task = by_name(name)
    rows = pl.read_parquet(ROWS).filter(
        (pl.col("trial") == trial) & (pl.col("split") == "calibration") & (pl.col("planner") == "GRASP")
    )
    rule = Acceptance.calibrate(
        features(rows, robust=True), rows["true"].to_numpy(), ALPHA, confidence=CONFIDENCE
    )
    problems = make_problems(name, kind, horizon=horizon, count=count, purpose="reporting", seed=PROBLEM_SEED)
    loop = Loop(task, problems, problems.start_history.copy())
    plain_planner = planners(task)["GRASP"]
    checked = CheckedPlanner(plain_planner, rule, loop.evidence, attempts=ATTEMPTS)
    runs = {
        "plain": loop.run(plain_planner, 2 * horizon),
        "checked": loop.run(checked, 2 * horizon),
    }
    found: dict[str, Json] = {"problems": count, "horizon": horizon}
    for arm, run in runs.items():
        found[arm] = {
            "within_T": _share(run, horizon), "within_2T": _share(run, 2 * horizon),
            "evaluations": int(run.evaluations.median()),
        }  # fmt: skip
    for label, most in (("within_T", horizon), ("within_2T", 2 * horizon)):
        gained = _solved(runs["checked"], most).astype(int) - _solved(runs["plain"], most)
        paired = PairedTrials.of(gained, np.arange(count))
        low, high = paired.interval()
        found[f"difference_{label}"] = {
            "value": plain(paired.difference),
            "low": plain(low),
            "high": plain(high),
        }
    return found


def _solved(run: ControlRun, most: int) -> np.ndarray:
    found: np.ndarray = ((run.solved_at >= 0) & (run.solved_at <= most)).numpy()
    return found


def _share(run: ControlRun, most: int) -> Json:
    solved = _solved(run, most)
    return wilson(float(solved.mean()), len(solved)).to_json()


def main(
    trial: Annotated[str, typer.Argument(help=f"One of {', '.join(LOOPED)}.")],
    count: Annotated[int, typer.Option(min=2, help="Problems.")] = 100,
) -> None:
    """Run both arms on the same problems and write what came of them."""
    if trial not in LOOPED:
        raise ParameterError("trial", f"one of {', '.join(LOOPED)}", repr(trial), "check the spelling")
    expect_writable(OUT)
    stored = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {}
    with one_thread():
        stored[trial] = compared(trial, count)
    write_atomically(OUT, json.dumps(stored, indent=1) + "\n")
    typer.echo(json.dumps(stored[trial]))


app = new_app()
add(app, main, "nothing of this trial is kept; run it again.")

if __name__ == "__main__":
    app()
