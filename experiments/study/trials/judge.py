"""Who reached the goal: in the model, by its probe, and in the environment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from experiments.evaluation.observe import decoded_states, encode, environment_actions
from grasp_theory import PlanningProblem
from grasp_theory.dynamics import rollout
from grasp_theory.tasks.problems import Problems
from grasp_theory.tasks.task import Task
from grasp_theory.world_models import WorldModel


@dataclass(frozen=True, eq=False)
class Judge:
    """What a task and a model say of plans for some problems of a set.

    Success in the model is the task's own success, of the state that the probe reads from the last latent of the
    model's rollout, for the state that it reads from the goal's latent: everything under the learned model, as the paper
    judges.  Success in the environment is that of the true state after the same actions, for the true goal; no planner
    ever sees it.

    Arguments
        task: the task.
        model: its world model.
        problems: the set.
        indices: which of its problems.
    """

    task: Task
    model: WorldModel
    problems: Problems
    indices: range

    @property
    def starts(self) -> Float[np.ndarray, "N S"]:
        """The true states at the start."""
        return self.problems.starts[self._rows]

    @property
    def goals(self) -> Float[np.ndarray, "N S"]:
        """The true goals."""
        return self.problems.goals[self._rows]

    def problem(self, seed: int) -> PlanningProblem:
        """Return the planning problem in the model's latents; problem i draws its noise from (seed, i) alone."""
        history, goals = self.problems.start_history[self._rows], self.problems.goal_history[self._rows]
        return PlanningProblem(
            self.model,
            encode(self.model, self.task, history),
            encode(self.model, self.task, goals),
            int(self.problems.horizon[0]),
            self.model.architecture.action_dim,
            reached=self.reached,
            action_set=self.task.action_set,
            seeds=noise_seeds(seed, self.indices),
        )

    def reached(self, latents: Float[Tensor, " N *S"], goals: Float[Tensor, " N *S"]) -> Bool[Tensor, " N"]:
        """Return who is at the goal in the model; a latent that is not finite is not."""
        states, wanted = self._decoded(latents), self._decoded(goals)
        fine = np.isfinite(states).all(axis=1)
        answer = np.zeros(len(states), dtype=bool)
        answer[fine] = self.task.success(states[fine], wanted[fine])
        return torch.from_numpy(answer).to(latents.device)

    def model_distance(
        self, latents: Float[Tensor, " N *S"], goals: Float[Tensor, " N *S"]
    ) -> Float[np.ndarray, " N"]:
        """Return the task's distance between what the probe reads from latents and from the goals'."""
        return self.task.distance(self._decoded(latents), self._decoded(goals))

    def replay(
        self, actions: Float[Tensor, "N T m"]
    ) -> tuple[Bool[np.ndarray, " N"], Float[np.ndarray, " N"]]:
        """Return success and distance in the environment at the end of plans."""
        path = self.task.simulate(self.starts, environment_actions(self.task, actions))
        return self.task.success(path[:, -1], self.goals), self.task.distance(path[:, -1], self.goals)

    def _decoded(self, latents: Float[Tensor, " N *S"]) -> Float[np.ndarray, "N S"]:
        with torch.no_grad():
            targets: Float[np.ndarray, "N P"] = self.model.probe(latents).double().cpu().numpy()
        return decoded_states(self.task, targets)

    @property
    def _rows(self) -> list[int]:
        return list(self.indices)


def noise_seeds(seed: int, indices: range) -> Tensor:
    """Return a seed for each problem, different for different (seed, problem) below a million problems."""
    return torch.tensor([1_000_000 * seed + index for index in indices])


def believed(problem: PlanningProblem, actions: Float[Tensor, "N T m"]) -> Bool[np.ndarray, " N"]:
    """Return whether the model of a problem believes of plans, whoever made them, that they reach their goals."""
    assert problem.reached is not None  # every judge's problem has it
    with torch.no_grad():
        ends = rollout(problem.model, problem.initial_state, actions.to(problem.initial_state))[:, -1]
    answer: Bool[np.ndarray, " N"] = problem.reached(ends, problem.goal).cpu().numpy()
    return answer
