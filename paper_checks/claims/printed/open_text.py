"""Claims of the running text that neither a proof nor the printed figures can judge, and what would."""

from __future__ import annotations

from paper_checks.engine.records import Claim


def _open(name: str, title: str, source: str, statement: str, missing: str) -> Claim:
    return Claim(id=name, title=title, source=source, statement=statement, missing=missing)


CLAIMS = (
    _open(
        "text-parallel",
        "Highly parallelizable planning",
        "Abstract; Sections 1, 3.1 and 7",
        "All evaluations of the world model are parallel over time, and this makes planning fast.",
        "Wall-clock times. That the terms of (4) and (10) need no rollout is their definition; that it pays is "
        "not. The experiment: time per iteration over T at fixed batch size on a GPU, GRASP with its serial "
        "syncs included, against GD.",
    ),
    _open(
        "text-rollout-landscape",
        "Rollout objectives have local minima and a jagged landscape",
        "Sections 1, 2 and 3.4",
        "Optimising (3) directly is susceptible to local minima; descent on (10) sees a smoothed "
        "landscape, and small sync steps the sharp one.",
        "The measurement. The experiment, on the models that ship: from common starts, gradient norm and curvature along the "
        "iterates of GD and of GRASP, and how many distinct local minima each reaches.",
    ),
    _open(
        "text-state-gradients",
        "State gradients are brittle, action gradients behave more reasonably",
        "Sections 1, 3.1, 3.3 and 6",
        "In high-dimensional latent spaces state gradients can be exploited; action gradients behave "
        "better; a smoother state space would make the stop-gradient unnecessary.",
        "The measurement; models trained with and without noise on their states ship. The experiment: agreement of the "
        "model's state and action Jacobians with finite differences of the simulator, and the "
        "stop-gradient ablation on each model.",
    ),
    _open(
        "text-noise-on-states",
        "Noise on states finds intermediate states faster than noise on actions",
        "Section 3.2",
        "Noising only the states still conditions on feasible trajectories and finds the few needed "
        "intermediate states faster than noising actions; without noise joint updates often end in bad "
        "stationary points.",
        "GRASP with action noise of matched effect. Table 5 noises the actions of GD, not of GRASP. The "
        "experiment: success over iterations with state, action and both noises, the same tasks and starts.",
    ),
    _open(
        "text-goal-shaping",
        "Without goal shaping paths stay near the current rollout",
        "Sections 1 and 3.3",
        "The grad-cut dynamics loss alone gravitates towards the current rollout; the dense goal term "
        "draws converged trajectories to the goal.",
        "An ablation of the goal weight γ, which the paper does not print (its row 'Flow' changes gradient "
        "and goal term together). The experiment: success and final distance over γ with everything else "
        "fixed.",
    ),
    _open(
        "text-non-greedy",
        "Finds non-greedy solutions by avoiding greedy failures",
        "Sections 4.3, 4.4 and 7",
        "GRASP's advantage at long horizons comes from finding non-greedy plans, at a faster rate than CEM "
        "or GD.",
        "Per-task outcomes with a label of which tasks need a detour. The experiment: success split by the "
        "ratio of geodesic to straight distance of the task.",
    ),
    _open(
        "text-first-order",
        "Gradient-based planning is more sample-efficient and finer than zero-order methods",
        "Section 1; Section 5",
        "Differentiable models make gradient planners more sample-efficient than zero-order ones, with "
        "finer improvement.",
        "Counts of model evaluations. The experiment: success against the number of model evaluations (a "
        "gradient counted at its cost) for GD, GRASP, CEM and MPPI. Section 5's remarks on other papers' "
        "methods need those papers.",
    ),
    _open(
        "text-action-dimension",
        "Shooting degrades with the dimension of the action",
        "Section 1; Section 7",
        "Zero-order shooting loses performance as the action dimension grows.",
        "Tasks that differ in action dimension: all of the paper's have two. The experiment: the same task "
        "with redundant action components, success of CEM and GRASP over their number.",
    ),
    _open(
        "text-true-success",
        "Success is measured under the learned world model",
        "Section 4.2",
        "All metrics are task success under the learned world model.",
        "Success in the environments: the paper prints none, so how many of its plans are exploits of the "
        "model is open. The experiment: success of the same plans in the model and in the environment.",
    ),
    _open(
        "text-compute",
        "Compute budgets of the compared planners",
        "Sections 1 and 4; Tables 1–5",
        "Times compare compute cost; the limit of about 1800 s that Tables 4 and 5 imply is the same for "
        "all.",
        "Hardware, batch sizes, budgets and the sweeps themselves, and the times of failed trials in "
        "Tables 1 and 2. The experiment: success against wall-clock time and against model evaluations, "
        "all trials counted.",
    ),
    _open(
        "text-isolated",
        "Ablations change one component at a time",
        "Appendix B",
        "Modules are removed one by one with all other hyperparameters constant; without the stopgrad the "
        "optimisation is 'sticky' and hard to tune.",
        "The configurations. By its caption Table 2's last block switches the detached gradient and the "
        "goal objective, and whether each variant was tuned anew is not said. The experiment: a factorial "
        "ablation, each cell tuned alike.",
    ),
)
