"""The adversarial state gradient of the paper's Figure 3: how small a change of the state fakes a solution."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from experiments.evaluation.observe import encode, random_pairs
from experiments.evaluation.open_loop import Windows
from experiments.evaluation.sizes import Sizes, stream
from grasp_theory import GradientDescent, PlanningProblem
from grasp_theory.statistics.bootstrap import Bootstrap, proportion
from grasp_theory.statistics.intervals import Json, plain
from grasp_theory.tasks.task import Task
from grasp_theory.world_models import WorldModel

TARGET = 0.1
"""‖F(s + δ, 0) − g‖ must fall to this share of ‖F(s, 0) − g‖."""
RATES = (0.05, 0.002)
"""Adam's learning rate falls geometrically between these, in units of ‖g − s‖."""
DUAL_RATE = 0.1
"""How fast the multiplier of the constraint follows."""
MULTIPLIERS = (1e-3, 1e5)
ACTION_RATE = 0.1
"""Adam's learning rate of the actions, in units of the largest action."""
STEPS_SEEN = 300
"""Behaviour steps whose latent change is the typical one."""


def state_gradient(
    task: Task, model: WorldModel, windows: Windows, sizes: Sizes, seed: int
) -> dict[str, Json]:
    """Return how small a δ makes F(s + δ, 0) ≈ g, for latents of random states s and goals g.

    Setting: Figure 3 of the paper moves a state s along −∇_s ‖F(s, 0) − g‖² to a nearby state from which the model,
    at rest, reaches a far goal at once.  Here ‖δ‖ is the smallest found with

        ‖F(s + δ, 0) − g‖ <= TARGET · ‖F(s, 0) − g‖,

    an upper bound on the smallest that exists.  Norms are Euclidean over all entries of a latent.  Where the model
    keeps a state at rest (F(s, 0) = s) the smallest is (1 − TARGET) ‖g − s‖: δ has to be the way to the goal, and
    relative_to_goal is 0.9.  Far below, the model's state gradient is adversarial.

    found: share of the pairs for which any such δ was found.
    norm: ‖δ‖; relative_to_goal: ‖δ‖ / ‖g − s‖; relative_to_step: ‖δ‖ over the median change ‖s_{t+1} − s_t‖ of
    encoded observations in one model step of held-out behaviour.  Medians; a pair without δ counts as infinite,
    and None stands for infinity.
    one_gradient_step: median over pairs of the smallest ‖F(s − ε ∇, 0) − g‖ / ‖F(s, 0) − g‖ with
    ‖ε ∇‖ <= 0.1 ‖g − s‖, the literal step of Figure 3, at most a tenth of the way to the goal long.
    action_residual: median of min_a ‖F(s, a) − g‖ / ‖F(s, 0) − g‖ over actions within the task's bounds, by
    gradient descent from rest: what one honest step reaches; action_reaches: share in which it is <= TARGET.

    Shares have Wilson's 95% intervals, medians 95% bootstraps over pairs.
    """
    frames, goal_frames = random_pairs(task, stream(task, seed, "attacked pairs"), sizes.attacked)
    states, goals = encode(model, task, frames), encode(model, task, goal_frames)
    rest = states.new_zeros(len(states), model.architecture.action_dim)
    norm = smallest_perturbation(model, states, goals, sizes.attack).double().cpu().numpy()
    far = norms(goals - states).double().cpu().numpy()
    nearest = _nearest_by_action(task, model, states, goals, sizes.attack)
    with torch.no_grad():
        resting = norms(model.step(states, rest) - goals)
    residual = (nearest / resting).double().cpu().numpy()
    step = typical_step(task, model, windows)
    bootstrap = Bootstrap(np.arange(len(norm)), stream(task, seed, "attack bootstrap"), sizes.resamples)
    return {
        "pairs": sizes.attacked,
        "target": TARGET,
        "found": proportion(np.isfinite(norm)),
        "norm": bootstrap.median(norm).to_json(),
        "relative_to_goal": bootstrap.median(norm / far).to_json(),
        "relative_to_step": bootstrap.median(norm / step).to_json(),
        "one_gradient_step": bootstrap.median(one_gradient_step(model, states, goals)).to_json(),
        "action_residual": bootstrap.median(residual).to_json(),
        "action_reaches": proportion(residual <= TARGET),
        "goal_distance": plain(float(np.median(far))),
        "typical_step": plain(step),
    }


def smallest_perturbation(
    model: WorldModel, states: Float[Tensor, " N *S"], goals: Float[Tensor, " N *S"], iterations: int
) -> Float[Tensor, " N"]:
    """Return the smallest ‖δ‖ found with ‖F(s + δ, 0) − g‖ <= TARGET ‖F(s, 0) − g‖, infinity where there is none."""
    return norms(faking_step(model, states, goals, iterations)).nan_to_num(nan=torch.inf)


def faking_step(
    model: WorldModel, states: Float[Tensor, " N *S"], goals: Float[Tensor, " N *S"], iterations: int
) -> Float[Tensor, " N *S"]:
    """Return the smallest δ found with ‖F(s + δ, 0) − g‖ <= TARGET ‖F(s, 0) − g‖, NaN where there is none.

    With u = δ / ‖g − s‖ and ρ = ‖F(s + δ, 0) − g‖ / ‖F(s, 0) − g‖ it descends ‖u‖² + c ρ² in u by Adam while the
    multiplier c of each row grows where ρ > TARGET and shrinks where ρ < TARGET, from δ = 0 and from δ = g − s, and
    keeps the smallest δ that met the constraint.
    """
    count = len(states)
    start, goal = torch.cat([states, states]), torch.cat([goals, goals])
    rest = start.new_zeros(len(start), model.architecture.action_dim)
    far = norms(goal - start).clamp_min(torch.finfo(start.dtype).tiny)
    with torch.no_grad():
        resting = norms(model.step(start, rest) - goal)
    size = _like(far, start)
    way = (goal - start) / size
    u = torch.cat([torch.zeros_like(way[:count]), way[count:]]).requires_grad_()
    multiplier = torch.ones_like(far)
    best, kept = torch.full_like(far, torch.inf), torch.full_like(u, torch.nan, requires_grad=False)
    optimizer = torch.optim.Adam([u], lr=RATES[0])
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, (RATES[1] / RATES[0]) ** (1 / iterations))
    for _ in range(iterations):
        remaining = norms(model.step(start + size * u, rest) - goal) / resting
        length = norms(u)
        u.grad = torch.autograd.grad((length.square() + multiplier * remaining.square()).sum(), u)[0]
        with torch.no_grad():
            better = (remaining <= TARGET) & (length < best)
            best = torch.where(better, length, best)
            kept[better] = u[better]
            change = ((remaining - TARGET) / TARGET).clamp(-1, 1)
            multiplier = (multiplier * (DUAL_RATE * change).exp()).clamp(*MULTIPLIERS)
        optimizer.step()
        decay.step()
    smaller = best.view(2, count).argmin(dim=0) * count + torch.arange(count, device=best.device)
    return (size * kept)[smaller]


def one_gradient_step(
    model: WorldModel, states: Float[Tensor, " N *S"], goals: Float[Tensor, " N *S"]
) -> Float[np.ndarray, " N"]:
    """Return the smallest ‖F(s + δ, 0) − g‖ / ‖F(s, 0) − g‖ over δ along −∇_s ‖F(s, 0) − g‖², ‖δ‖ <= 0.1 ‖g − s‖.

    The best of 20 step lengths, δ = 0 among them.
    """
    rest = states.new_zeros(len(states), model.architecture.action_dim)
    leaf = states.detach().clone().requires_grad_()
    before = norms(model.step(leaf, rest) - goals)
    (gradient,) = torch.autograd.grad(before.square().sum(), leaf)
    length = norms(gradient).clamp_min(torch.finfo(gradient.dtype).tiny)
    direction = -gradient / _like(length, gradient) * _like(norms(goals - states), gradient)
    with torch.no_grad():
        after = [
            norms(model.step(states + share * direction, rest) - goals)
            for share in torch.linspace(0, 0.1, 20, dtype=states.dtype).tolist()
        ]
        best: Float[np.ndarray, " N"] = (torch.stack(after).amin(0) / before).double().cpu().numpy()
    return best


def typical_step(task: Task, model: WorldModel, windows: Windows) -> float:
    """Return the median change of encoded observations in one model step of behaviour."""
    frames = windows.frames[:: max(1, len(windows.frames) // STEPS_SEEN)]
    change = encode(model, task, frames[:, 1]) - encode(model, task, frames[:, 0])
    return float(norms(change).median())


def _nearest_by_action(
    task: Task,
    model: WorldModel,
    states: Float[Tensor, " N *S"],
    goals: Float[Tensor, " N *S"],
    iterations: int,
) -> Float[Tensor, " N"]:
    """Return the smallest ‖F(s, a) − g‖ found over actions of the task's action set, a = 0 among them."""
    planner = GradientDescent(iterations=iterations, lr=ACTION_RATE * task.action_high, action_noise=0.0)
    problem = PlanningProblem(
        model, states, goals, 1, model.architecture.action_dim, action_set=task.action_set,
        seeds=torch.arange(len(states)),
    )  # fmt: skip
    return planner.plan(problem).loss.sqrt()


def norms(vectors: Float[Tensor, " N *S"]) -> Float[Tensor, " N"]:
    """Return the Euclidean norm of each over all its entries."""
    found: Tensor = vectors.flatten(1).norm(dim=1)
    return found


def _like(values: Float[Tensor, " N"], states: Float[Tensor, " N *S"]) -> Float[Tensor, " N *ones"]:
    return values.view(-1, *[1] * (states.ndim - 1))
