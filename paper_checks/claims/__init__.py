"""Every claim of the paper, a folder per subject; `ALL_CLAIMS` lists them in the paper's order."""

from __future__ import annotations

from paper_checks.claims.beyond import acceleration, adam, limits, live_noise, metrics, nonlinear, syncs
from paper_checks.claims.method import algorithm_1, convergence, description, lifting, stop_gradient
from paper_checks.claims.noise import (
    appendix_a3,
    moving_center,
    rollouts,
    theorem_7,
    theorem_8,
    theorem_9,
    tube_contrast,
)
from paper_checks.claims.ours import replication, worlds
from paper_checks.claims.printed import (
    ablations,
    consistency,
    figures,
    headline,
    open_text,
    table_5,
    table_5_rows,
    text_long,
    text_short,
)
from paper_checks.claims.smoothing import annealing, corollary_1, theorem_4, theorem_4_sharper
from paper_checks.claims.smoothness import (
    conditioning,
    conditioning_limits,
    linear_setting,
    theorem_2,
    theorem_3,
)
from paper_checks.claims.theorem_5 import statement as theorem_5
from paper_checks.claims.theorem_6 import fixed_point, minimised, necessity, remedies, step_sizes, uniform
from paper_checks.claims.theorem_6 import statement as theorem_6
from paper_checks.engine.records import Claim

ALL_CLAIMS: tuple[Claim, ...] = (
    *headline.CLAIMS,
    *lifting.CLAIMS,
    *conditioning.CLAIMS,
    *conditioning_limits.CLAIMS,
    *stop_gradient.CLAIMS,
    *convergence.CLAIMS,
    *algorithm_1.CLAIMS,
    *description.CLAIMS,
    *consistency.CLAIMS,
    *text_long.CLAIMS,
    *text_short.CLAIMS,
    *figures.CLAIMS,
    *worlds.CLAIMS,
    *open_text.CLAIMS,
    *linear_setting.CLAIMS,
    *theorem_2.CLAIMS,
    *theorem_3.CLAIMS,
    *theorem_4.CLAIMS,
    *theorem_4_sharper.CLAIMS,
    *corollary_1.CLAIMS,
    *annealing.CLAIMS,
    *appendix_a3.CLAIMS,
    *theorem_5.CLAIMS,
    *theorem_6.CLAIMS,
    *fixed_point.CLAIMS,
    *uniform.CLAIMS,
    *step_sizes.CLAIMS,
    *necessity.CLAIMS,
    *minimised.CLAIMS,
    *remedies.CLAIMS,
    *limits.CLAIMS,
    *acceleration.CLAIMS,
    *metrics.CLAIMS,
    *nonlinear.CLAIMS,
    *syncs.CLAIMS,
    *theorem_7.CLAIMS,
    *moving_center.CLAIMS,
    *tube_contrast.CLAIMS,
    *live_noise.CLAIMS,
    *adam.CLAIMS,
    *theorem_8.CLAIMS,
    *theorem_9.CLAIMS,
    *rollouts.CLAIMS,
    *ablations.CLAIMS,
    *table_5.CLAIMS,
    *table_5_rows.CLAIMS,
    *replication.CLAIMS,
)
