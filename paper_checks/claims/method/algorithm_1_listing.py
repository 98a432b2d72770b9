"""What the printed listing of Algorithm 1 does that the text does not say."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from paper_checks.claims.method.algorithm_1_reference import (
    CountingDynamics,
    StepSizes,
    joint_step,
    sync_step,
)
from paper_checks.claims.method.gradients import random_trajectory
from paper_checks.engine.records import Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.smooth_networks import random_network

PRINTED = {
    "line numbers": (1, 2, 3, 4, 5, 6, 7, 9, 10),
    "required": ("o_0", "o_g", "F", "T", "K", "eta_a", "eta_s"),
    "used": ("o_0", "o_g", "F", "T", "K", "eta_a", "eta_s", "gamma", "sigma_state", "K_sync", "eta_sync"),
    "sync steps in the algorithm": ("1",),
    "sync steps in Section 3.4": ("J_sync",),
}
"""Algorithm 1 as printed: its line numbers, its Require list, the parameters that its lines use."""
PUSH_T = (100, 25, 8)
"""(K_sync, J_sync, T) of Table 2: a sync of 25 steps every 100 iterations, H = 40 in model steps of 5."""


def record_listing(run: Run) -> None:
    """Record the caveats of the printed listing."""
    run.caveat(
        "`k mod K_sync = 0` fires at k = 0, after a single noisy step: ⌈K/K_sync⌉ syncs, where 'every "
        "K_sync iterations' would be ⌊K/K_sync⌋; and unless K − 1 is a multiple of K_sync the returned "
        "actions end on noisy steps",
        _inspect_schedule,
        0,
        false_variants={"(k + 1) mod K_sync = 0": 1},
    )
    run.caveat(
        "line 7 assigns the rolled-out states, s_T included, so s_T = g no longer holds in (10) from "
        "then on; Section 3.4 says that the sync updates only the actions",
        lambda assign: _inspect_assignment(run, assign),
        True,
        false_variants={"states kept, as in Section 3.4": False},
    )
    run.caveat(
        "at the settings of Table 2 (25 sync steps every 100 iterations, T = 8) most sequential model "
        "evaluations are those of the serial syncs: T J_sync against K_sync",
        lambda setting: _inspect_serial_share(run, setting),
        PUSH_T,
        false_variants={"one sync step, as line 7 says": (PUSH_T[0], 1, PUSH_T[2])},
    )
    run.caveat(
        "as printed, the line numbers skip 8, the Require list lacks γ, σ_state, K_sync and η_sync, "
        "and the sync takes one gradient step where Section 3.4 takes J_sync",
        _inspect_print,
        PRINTED,
        false_variants={
            "a corrected listing": {
                **PRINTED,
                "line numbers": tuple(range(1, 10)),
                "required": PRINTED["used"],
                "sync steps in the algorithm": PRINTED["sync steps in Section 3.4"],
            }
        },
    )


def _inspect_schedule(offset: int) -> Evidence:
    rounded_up, at_zero, unlike, trailing = 0, 0, 0, []
    pairs = [(K, every) for K in range(2, 81) for every in range(2, 41)]
    count = len(pairs)
    for K, every in pairs:
        syncs = [k for k in range(K) if (k + offset) % every == 0]
        rounded_up += len(syncs) == -(-K // every)
        unlike += len(syncs) != K // every
        at_zero += 0 in syncs
        trailing.append(K - 1 - max(syncs, default=-1))
    return Evidence(
        Grade.ARGUED,
        rounded_up == at_zero == count and unlike > 0,
        "the multiples of K_sync in 0, ..., K − 1 are 0, K_sync, ..., so ⌈K/K_sync⌉ of them, 0 among them.  Counted for all "
        f"{count} pairs with K ≤ 80 and K_sync ≤ 40: ⌈K/K_sync⌉ syncs in {rounded_up}, other than ⌊K/K_sync⌋ in {unlike}, the first "
        f"at k = 0 in {at_zero}",
        {"counts that differ": unlike, "largest number of noisy steps after the last sync": max(trailing)},
        "K, K_sync = 250, 100  # syncs at k = 0, 100, 200",
    )


def _inspect_assignment(run: Run, assign: bool) -> Evidence:
    rng = run.rng("assignment")
    distances = []
    for _ in range(10):
        network = random_network(rng, 2, 1)
        trajectory = random_trajectory(rng, 2, 1, 4)
        trajectory.states[-1] = trajectory.goal
        after = sync_step(network, trajectory, 0.01, assign_states=assign)
        distances.append(float((after.states[-1] - trajectory.goal).norm()))
    return Evidence(
        Grade.ARGUED,
        min(distances) > 0.0,
        "line 7 writes {s_t} ← rollout(s_0, a) without leaving out s_T, and a rollout of actions that are not yet a solution "
        f"does not end on g.  Carried out by the listing, read this way: ‖s_T − g‖ after line 7 on {len(distances)} random "
        f"networks, from s_T = g: at least {min(distances):.3g}",
        {"smallest distance": min(distances)},
    )


def _inspect_serial_share(run: Run, setting: tuple[int, int, int]) -> Evidence:
    every, sync_steps, T = setting
    rng = run.rng("serial share")
    counting = CountingDynamics(random_network(rng, 2, 1))
    trajectory = random_trajectory(rng, 2, 1, T)
    noise = torch.zeros_like(trajectory.states)
    for _ in range(every):
        trajectory = joint_step(counting, trajectory, 1.0, StepSizes(0.1, 0.1), noise)
    parallel = len(counting.batches)
    for _ in range(sync_steps):
        trajectory = sync_step(counting, trajectory, 0.01, assign_states=False)
    serial = len(counting.batches) - parallel
    share = serial / (serial + parallel)
    return Evidence(
        Grade.NUMERICAL,
        share > 0.5,
        f"counted over one sync period, K_sync = {every}, J_sync = {sync_steps}, T = {T}: {parallel} "
        f"batched evaluations in the joint steps, {serial} one after the other in the syncs",
        {"share of the syncs": share},
    )


def _inspect_print(printed: Mapping[str, tuple[object, ...]]) -> Evidence:
    numbers = [int(str(number)) for number in printed["line numbers"]]
    skipped = sorted(set(range(1, numbers[-1] + 1)) - set(numbers))
    missing = [name for name in printed["used"] if name not in printed["required"]]
    steps = (printed["sync steps in the algorithm"], printed["sync steps in Section 3.4"])
    return Evidence(
        Grade.REPORTED,
        bool(skipped) and bool(missing) and steps[0] != steps[1],
        f"line numbers skipped: {skipped}; used but not required: {missing}; gradient steps of a sync: "
        f"{steps[0][0]} in the algorithm, {steps[1][0]} in the text",
        {"skipped": str(skipped), "not required": str(missing)},
    )
