"""Planning in closed loop with the user's own system: model-predictive control."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from rich.progress import Progress
from torch import Tensor

from grasp_theory.boundary import as_booleans, as_tensor
from grasp_theory.dynamics import TimeVaryingDynamics, asked
from grasp_theory.planners import Plan
from grasp_theory.problem import PlanningProblem
from linear_systems.annotations import shown
from linear_systems.checked import checked
from linear_systems.errors import DTypeError, NonFiniteError, ParameterError, ShapeError
from linear_systems.validation import positive_horizon, positive_integer

World = Any
"""The states of N systems: a tensor, an array or whatever a mask over its first axis selects from."""
SEED_STRIDE = 1_000_003
"""Difference between the seeds of one problem at a step and at the next."""


@runtime_checkable
class MakesPlans(Protocol):
    """A planner, or what plans with one: `grasp_theory.trust.checked`."""

    def plan(
        self,
        problem: PlanningProblem,
        generator: torch.Generator | None = None,
        *,
        stop_when_reached: bool = True,
    ) -> Plan:
        """Return a plan for each problem."""


@dataclass(frozen=True, eq=False, repr=False)
class ControlRun:
    """What was done to each of B systems, and when it first was where it should be; K is the most steps taken.

    Arguments
        actions: (B, K, m), the actions taken; NaN after the end.
        states: (B, K+1, *S), what was observed, in the model's states; NaN after the end.
        solved_at: (B,), steps taken when the system first was a success, 0 at the start; -1 for never.
        evaluations: (B,), model steps evaluated over all plans, a gradient counting as 3.
        plans: how many times was planned.
        seconds: wall time of all.
        judged: whether anything said what a success is.
    """

    actions: Float[Tensor, "B K m"]
    states: Tensor
    solved_at: Int[Tensor, " B"]
    evaluations: Int[Tensor, " B"]
    plans: int
    seconds: float
    judged: bool = True

    @property
    def reached(self) -> Bool[Tensor, " B"]:
        """Whether the system was a success at any time."""
        return self.solved_at >= 0

    def __repr__(self) -> str:
        batch, steps, dimension = self.actions.shape
        solved = self.solved_at[self.reached]
        when = f"after {int(solved.median())} steps (median)" if len(solved) else "never"
        success = (
            f"{len(solved)} of {batch}, {when}"
            if self.judged
            else "not known: no `reached`, and no `success`"
        )
        return "\n".join(
            [
                f"ControlRun of {batch} systems: {dimension} action components, {self.actions.dtype}",
                f"  success      {success}",
                f"  steps        {steps} at most",
                f"  evaluations  {int(self.evaluations.median()):,} (median), in {self.plans} plans",
                f"  seconds      {self.seconds:.3g}",
            ]
        )


@checked
def control(
    planner: MakesPlans,
    problem: PlanningProblem,
    step: Callable[[World, Tensor], World],
    *,
    world: World = None,
    observe: Callable[[World], Any] | None = None,
    success: Callable[[World, Tensor], Any] | None = None,
    steps: int | None = None,
    look_ahead: Callable[[int], int] | None = None,
    replanner: MakesPlans | None = None,
    stop_when_reached: bool = True,
    generator: torch.Generator | None = None,
    progress: bool = False,
) -> ControlRun:
    """Plan, take the first action on the real system, observe it, and plan again from there.

    With o the observed state at step k and ā the former plan,

        a = plan from o, started at (ā_1, ..., ā_{T-1}, 0),     world ← step(world, a_0),

    until each system is a success or `steps` are taken.  A system that is done is neither planned for nor stepped again.

    A plan of T steps under a cost of its end alone arrives after T steps and no sooner: always looking T steps ahead puts the
    arrival off at every step.  So plans look T, T − 1, ..., 1 steps ahead, and if that was not enough T/2, ..., 1, then T/4,
    ..., 1, and so on (`rounds`); with a cost at every step, which asks for an early arrival, always T.
    Noise is new at every step: seed i is seeds[i] + 1,000,003 k.

    Arguments
        planner: of the first plan, and of the others unless `replanner` is given; a `CheckedPlanner` too.
        problem: B problems; `initial_state` is what the model takes the systems' states to be at the start.
        step: (world of N systems, actions (N, m) on the model's device) -> their world afterwards.  N gets less
            as systems are done.
        world: the B systems at the start, with rows that a mask selects; None: `problem.initial_state`.
        observe: world of N systems -> the model's states (N, *S); None: they are the world itself.
        success: (world of N systems, their numbers (N,) among the B) -> (N,) booleans; None: `problem.reached` of what is
            observed, and never without one.  It ends a system's run, and no planner sees it.
        steps: most steps taken; None: 2 T.
        look_ahead: k -> model steps that the plan at step k looks ahead; None: in rounds, or always T if there is a stage cost.
        replanner: plans from step 1 on, which start from the plan in hand: a smaller budget is often enough.
        stop_when_reached: whether planning stops at the first plan that the model believes, which ends at the edge of the
            goal region, where an error of the model matters; or goes on to the plan of least loss.
        generator: where seeds are drawn, unless `problem.seeds` gives them.
        progress: show a progress bar.

    Returns
        A `ControlRun`.

    Raises
        ParameterError: the problem's dynamics are time-varying, or a function that is given raises an error.
        ShapeError, DTypeError, NonFiniteError: what is observed is not one finite state for each system, or `success`
            does not return booleans.

    Source: the paper's closed-loop experiments; model-predictive control.
    """
    if isinstance(problem.model, TimeVaryingDynamics):
        raise ParameterError(
            "problem", "dynamics that are the same at all times", "time-varying dynamics",
            "add the time to the state",
        )  # fmt: skip
    if world is not None and (
        not isinstance(world, Tensor | np.ndarray) or world.shape[:1] != (problem.batch,)
    ):
        raise ShapeError(
            "world",
            f"a tensor or an array of {problem.batch} systems, one a problem",
            shown(world),
            "one row a system",
        )
    most = 2 * problem.horizon if steps is None else positive_integer("steps", steps)
    began = time.perf_counter()
    now = problem.initial_state if world is None else world
    state = problem.initial_state.detach()
    seeds = problem.seeds
    if seeds is None:
        seeds = torch.randint(2**61, (problem.batch,), generator=generator)
    seeds = seeds.cpu().long()
    taken = state.new_full((problem.batch, most, problem.action_dim), torch.nan)
    seen = state.new_full((problem.batch, most + 1, *state.shape[1:]), torch.nan)
    seen[:, 0] = state
    solved, evaluations = torch.full_like(seeds, -1), torch.zeros_like(seeds)
    left, actions, k = torch.arange(problem.batch), problem.initial_actions, 0
    if look_ahead is None:
        look_ahead = rounds(problem.horizon) if problem.stage_cost is None else lambda k: problem.horizon

    def judged() -> Tensor:
        """Return who of those left is a success now."""
        if success is not None:
            answer = asked("success", success, now, left)
            return as_booleans("success", answer, len(left), "return booleans (N,)").cpu()
        if problem.reached is None:
            return torch.zeros(len(left), dtype=torch.bool)
        return problem.judge(state, problem.goal[left.to(state.device)]).cpu()

    with torch.no_grad(), Progress(disable=not progress) as bar:
        task = bar.add_task("control", total=most)
        while True:
            done = judged()
            solved[left[done]] = k
            left, open_ = left[~done], ~done
            if k == most or not len(left):
                break
            here = open_.to(state.device)
            now, state = _select(now, open_), state[here]
            ahead = look_ahead(k)
            actions = None if actions is None else _resized(actions[here], ahead)
            chosen = planner if k == 0 or replanner is None else replanner
            with torch.enable_grad():
                plan = chosen.plan(
                    replace(
                        problem, initial_state=state, goal=problem.goal[left.to(state.device)], horizon=ahead,
                        initial_actions=actions, seeds=seeds[left] + SEED_STRIDE * k,
                    ),
                    stop_when_reached=stop_when_reached,
                )  # fmt: skip
            evaluations[left] += plan.evaluations.cpu()
            taken[left, k] = plan.actions[:, 0]
            try:
                now = asked("step", step, now, plan.actions[:, 0])
            except ParameterError as error:
                raise _of_step(error, now) from error.__cause__
            if isinstance(now, tuple | list | dict):
                raise DTypeError(
                    "step", "the systems' next states alone, such as a tensor (N, *S)", _parts(now),
                    "return the states of it: torch.as_tensor(...) of the observations, one row a system; for environments of "
                    "Gymnasium there is GymnasiumWorld",
                )  # fmt: skip
            seen_now = now if observe is None else asked("observe", observe, now)
            state = _observed("step" if observe is None else "observe", seen_now, state)
            actions, k = plan.actions[:, 1:], k + 1
            seen[left, k] = state
            bar.update(task, completed=k, description=f"control, {len(left)} left")
    return ControlRun(
        taken[:, :k], seen[:, : k + 1], solved, evaluations, k, time.perf_counter() - began,
        success is not None or problem.reached is not None,
    )  # fmt: skip


@checked
def rounds(horizon: int) -> Callable[[int], int]:
    """Return how far ahead plans of a closed loop look, so that they arrive: T, ..., 1, then T/2, ..., 1, T/4, ..., 1, down to 1.

    Arguments
        horizon: T, in model steps.

    Returns
        k -> the steps that are left of the round at step k.

    Raises
        HorizonError: T < 1.
    """
    length = positive_horizon("horizon", horizon)

    def look_ahead(k: int) -> int:
        left = length
        while k >= left:
            k, left = k - left, max(1, left // 2)
        return left - k

    return look_ahead


def _of_step(error: ParameterError, world: World) -> ParameterError:
    """Return what `step` raised, with a hint that says what it was given where it mixes arrays and tensors."""
    if isinstance(world, np.ndarray):
        hint = (
            "it was given an array, for `world` or what it returned before is one, and actions as a tensor: call actions.numpy(); "
            "or return torch.as_tensor(...), and it is given tensors"
        )
    elif isinstance(world, Tensor) and "numpy" in error.found:
        hint = (
            "it is given tensors: call .numpy() on both, and return torch.as_tensor(...) of the next states"
        )
    else:
        return error
    return ParameterError(error.argument, error.expected, error.found, hint)


def _parts(found: Any) -> str:
    """Return a collection by the types of its parts."""
    parts = [type(each).__name__ for each in (found.values() if isinstance(found, dict) else found)]
    return f"a {type(found).__name__} of {len(parts)}: {', '.join(parts[:6])}"


def _resized(actions: Float[Tensor, "N t m"], horizon: int) -> Float[Tensor, "N T m"]:
    """Return the actions cut to a horizon, or followed by zeros up to it."""
    padding = actions.new_zeros(len(actions), max(0, horizon - actions.shape[1]), actions.shape[2])
    return torch.cat([actions, padding], dim=1)[:, :horizon]


def _select(world: World, rows: Bool[Tensor, " N"]) -> World:
    return world[rows.to(world.device)] if isinstance(world, Tensor) else world[rows.numpy()]


def _observed(argument: str, found: Any, like: Tensor) -> Tensor:
    state = as_tensor(argument, found, like).detach().to(like)
    if state.shape != like.shape:
        raise ShapeError(
            argument, f"states of shape {tuple(like.shape)}, those of the systems that are left",
            f"shape {tuple(state.shape)}", "return one state for each, or give `observe`",
        )  # fmt: skip
    if not bool(torch.isfinite(state).all()):
        raise NonFiniteError(
            argument, "finite states", "NaN or infinity", "end the run before the system breaks"
        )
    return state


@checked
class GymnasiumWorld:
    """Gymnasium environments, one a problem, as the `world`, `step`, `observe` and `success` of `control`.

    An episode that the environment ends (terminated or truncated) is stepped no more: its last observation stands.

        gym = GymnasiumWorld([gymnasium.make("...") for _ in range(B)], seed=0)
        problem = PlanningProblem(model, gym.observe(gym.world), goal, ...)
        control(planner, problem, gym.step, world=gym.world, observe=gym.observe, success=gym.success)

    Environments without success in their info, such as Pendulum-v1: leave `success` out, and `problem.reached` judges.

    Arguments
        environments: B environments, single ones.
        encode: observation -> the model's state *S; None: the observation is it.
        action_block: environment actions in a model action, which is cut into so many parts, first one first.
        seed: environment i is reset with seed + i; None: it is used as it is, reset by `observations`.
        observations: the B observations that the environments gave last, where `seed` is None.
        solved: info of a step -> whether it is a success; None: its "is_success", or else "success".

    Raises
        ParameterError: neither or both of `seed` and `observations`; `success` is asked for, and the info has none.
    """

    def __init__(
        self,
        environments: Sequence[Any],
        *,
        encode: Callable[[Any], Any] | None = None,
        action_block: int = 1,
        seed: int | None = None,
        observations: Sequence[Any] | None = None,
        solved: Callable[[dict[str, Any]], bool] | None = None,
    ) -> None:
        if not environments or not all(callable(getattr(each, "reset", None)) for each in environments):
            raise ParameterError(
                "environments",
                "environments with a method reset, at least one",
                shown(environments),
                "gymnasium.make(...)",
            )
        if seed is not None:
            positive_integer("seed", seed, minimum=0)
        if (seed is None) == (observations is None):
            raise ParameterError(
                "seed, observations", "one of both", "neither" if seed is None else "both",
                "seed=0 resets the environments; observations=[...] takes them as they are",
            )  # fmt: skip
        self._encode, self._block = encode, positive_integer("action_block", action_block)
        self._solved = _solved_by_info if solved is None else solved
        first = (
            [each.reset(seed=int(seed) + i)[0] for i, each in enumerate(environments)]
            if seed is not None
            else list(observations or ())
        )
        if len(first) != len(environments):
            raise ShapeError(
                "observations",
                f"{len(environments)}, one an environment",
                f"{len(first)}",
                "give the last ones",
            )
        self.world = np.empty(len(environments), dtype=object)
        self.world[:] = [_Episode(*pair) for pair in zip(environments, first, strict=True)]

    def step(self, world: World, actions: Float[Tensor, "N m"]) -> World:
        """Step the episodes that go on by one model action each.

        Arguments
            world: the episodes.
            actions: (N, m), model actions of the episodes that go on.
        """
        for episode, action in zip(world, actions.detach().cpu().numpy(), strict=True):
            space = episode.environment.action_space
            for part in action.reshape(self._block, *space.shape):
                if episode.ended or episode.success:
                    break
                episode.observation, _, over, cut, info = episode.environment.step(part.astype(space.dtype))
                episode.ended, episode.success = over or cut, self._solved(info)
        return world

    def observe(self, world: World) -> Tensor:
        """Return the model's states (N, *S) of what was observed last.

        Arguments
            world: the N episodes.
        """
        seen = [episode.observation for episode in world]
        states = seen if self._encode is None else [self._encode(each) for each in seen]
        return torch.stack([torch.as_tensor(each) for each in states])

    def success(self, world: World, _rows: Tensor) -> Bool[np.ndarray, " N"]:
        """Return who is a success: an episode is from the first step that says so.

        Arguments
            world: the N episodes.

        Raises
            ParameterError: the environments do not say.
        """
        if any(episode.success is None for episode in world):
            raise ParameterError(
                "solved", 'an info with "is_success" or "success"', "neither in the environment's",
                "say what counts: solved=..., or leave success out of control, so that problem.reached judges",
            )  # fmt: skip
        return np.array([episode.success for episode in world], dtype=bool)


@dataclass
class _Episode:
    environment: Any
    observation: Any
    ended: bool = False
    success: bool | None = False
    """None: the environment does not say."""


def _solved_by_info(info: dict[str, Any]) -> bool | None:
    return next((bool(info[name]) for name in ("is_success", "success") if name in info), None)
