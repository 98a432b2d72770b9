"""The paper's empirical claims on our own learned models: replicates, does not, or inconclusive.

What a claim compares and by which rule it is judged was fixed here before any of the trials were run; the rules *more*
and *no less* are those of `paper_checks.claims.ours.rules`.

| claim | compared | pooled over | rule |
|---|---|---|---|
| ours-table1-long-horizons | GRASP with CEM, GD, LatCo; success | Push-T, H >= 40 | more |
| ours-long-horizons-elsewhere | GRASP with CEM, GD, LatCo, task by task; success | WallSingle, PointMaze, H >= 40 | more |
| ours-faster | GRASP with CEM, GD, LatCo; who has a plan sooner | Push-T, H >= 40 | more |
| ours-faster-short | GRASP with CEM, task by task; who has a plan sooner | H <= 30 | more |
| figure6 | GRASP with CEM, GD, LatCo, task by task; success | Push-T, H >= 80; sets chosen for detours | more |
| ours-sync | the full method with no sync, task by task; success | our Table 2 | more |
| ours-noise | the full method with no noise, task by task; success | our Table 2 | more |
| ours-stopgrad | the full method with the flowing gradient, task by task; success | our Table 2 | more |
| ours-table3-short | GRASP with CEM, GD, LatCo, task by task; success | H <= 30 | no less, 10 points |
| ours-none-beat | GRASP with every row of Table 5, task by task; success | our Table 5 | no less, 4.4 points |

10 points are what the paper's introduction counts as a gain, so less is comparable; 4.4 points are the half-width of the
intervals in Table 5, so a row that is ahead by less does not beat.  Success is what the model believes of the plan that is
returned, at equal evaluations (docs/study.md has the protocol).  "Sooner" takes a trial that never succeeds as later
than any that does, so no planner gains by giving up, and one that succeeds before any planning as a tie.

What comes of it is said of our models, never of the paper's: a claim replicates, does not, is mixed (where single
comparisons, the environment, another way to count or one of the models say otherwise than the whole), or is inconclusive,
and then says what its trials could have found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from scipy.stats import binomtest

from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.statistics.paired_trials import holm
from paper_checks.claims.ours.counts import COMMAND, OurExperiments, Pair, load
from paper_checks.claims.ours.rules import (
    Family,
    Outcome,
    false_families,
    gathered,
    judged,
    true_families,
)
from paper_checks.engine.inspection import refuted
from paper_checks.engine.records import Claim, Curve, Evidence, Grade
from paper_checks.engine.run import Run

RETURNED = "final_model"
OTHERWISE = {
    "final_true": "In the environment, where the paper does not look",
    "any_model": "Counting plans that the model believes at any of 30 points of the budget, as the paper rather does",
}
"""Other outcomes of the same trials, and how they are called."""
BASELINES = ("CEM", "GD", "LatCo")
MODEL_STEP = 5
"""Environment steps in one model step: H = 5 T."""


@dataclass(frozen=True)
class Question:
    """A claim of the paper as a question to our trials.

    Arguments
        id, title, source, statement, assumptions: of the claim.
        about: which comparisons it is about, whatever their outcome.
        outcome: the outcome that decides.
        margin, by_task: see `gathered`.
        missing: what is missing where none of it was tried.
    """

    id: str
    title: str
    source: str
    statement: str
    about: Callable[[Pair], bool]
    outcome: str = RETURNED
    margin: float | None = None
    by_task: bool = False
    assumptions: tuple[str, ...] = ()
    missing: str = "Trials of it on our models."

    def pairs(self, ours: OurExperiments, outcome: str = "") -> list[Pair]:
        """Return the comparisons that it is about."""
        return [pair for pair in ours.pairs if self.about(pair) and pair.outcome == (outcome or self.outcome)]

    def family(self, ours: OurExperiments, outcome: str = "") -> Family | None:
        """Return what decides it; None if that was not tried."""
        return gathered(self.pairs(ours, outcome), self.margin, by_task=self.by_task)


def _long_horizon(pair: Pair) -> bool:
    return (
        (pair.table, pair.task) == (1, "push_t") and pair.horizon * MODEL_STEP >= 40 and pair.kind != "long"
    )


def _baselines_long(pair: Pair) -> bool:
    return _long_horizon(pair) and pair.other in BASELINES


def _row(label: str) -> Callable[[Pair], bool]:
    return lambda pair: pair.table == 2 and _plain(pair.other) == _plain(label)


def _plain(label: str) -> str:
    return "".join(label.lower().split())


QUESTIONS = (
    Question(
        "ours-table1-long-horizons",
        "On our models: GRASP has more success than the baselines at long horizons",
        "Abstract; Section 4.3; Table 1",
        "GRASP outperforms CEM, GD and LatCo in success rate on long-horizon Push-T.",
        _baselines_long,
        assumptions=("The horizons from H = 40 are taken together, each baseline apart.",),
    ),
    Question(
        "ours-long-horizons-elsewhere",
        "On our models: GRASP has more success at long horizons in the other environments",
        "Section 4.4; Section 7",
        "GRASP outperforms CEM, GD and LatCo in long-horizon settings, here WallSingle and PointMaze.",
        lambda pair: (
            pair.table == 1
            and pair.task in ("wall_single", "point_maze")
            and pair.kind != "long"
            and pair.horizon * MODEL_STEP >= 40
            and pair.other in BASELINES
        ),
        by_task=True,
        assumptions=(
            "The paper's own long horizons are on Push-T only; it states the result without that limit.",
        ),
    ),
    Question(
        "ours-faster",
        "On our models: GRASP has its plans sooner than the baselines at long horizons",
        "Abstract; Section 4.3; Table 1; Figure 5",
        "GRASP converges faster than CEM, GD and LatCo on long-horizon Push-T.",
        _baselines_long,
        outcome="sooner",
        assumptions=(
            "Faster: on more problems the first to have a plan that the model believes, planned one at a time.",
        ),
    ),
    Question(
        "ours-faster-short",
        "On our models: GRASP has its plans sooner than a sampling planner at short horizons",
        "Section 4.4; Table 4",
        "At short horizons GRASP is often significantly faster than sampling, here CEM, in each of the three tasks.",
        lambda pair: pair.table == 3 and pair.kind != "long" and pair.other == "CEM",
        outcome="sooner",
        by_task=True,
        assumptions=(
            "Faster: on more problems the first to have a plan that the model believes, planned one at a time.",
            "'Among the fastest' has no yardstick and is not judged; the times of all planners are in our Table 4.",
        ),
    ),
    Question(
        "ours-sync",
        "On our models: the GD sync is a critical component",
        "Section 3.4; Appendix B; Table 2",
        "GRASP with its syncs solves more than without any.",
        _row("No Sync"),
        by_task=True,
    ),
    Question(
        "ours-noise",
        "On our models: noise is an important component",
        "Section 3.2; Appendix B; Table 2",
        "GRASP with its state noise solves more than without noise.",
        _row("σ = 0.0"),
        by_task=True,
    ),
    Question(
        "ours-stopgrad",
        "On our models: the stop-gradient is an important component",
        "Appendix B; Section 4; Table 2",
        "GRASP with the stop-gradient solves more than with the flowing gradient.",
        _row("Flow"),
        by_task=True,
    ),
    Question(
        "ours-table3-short",
        "On our models: GRASP matches strong baselines at short horizons",
        "Section 4.4; Table 3",
        "At short horizons no baseline is ahead of GRASP by 10 points or more in any of the three tasks.",
        lambda pair: pair.table == 3 and pair.kind != "long" and pair.other in BASELINES,
        margin=0.1,
        by_task=True,
    ),
    Question(
        "ours-none-beat",
        "On our models: no stochastic GD baseline beats the method",
        "Appendix B; Table 5",
        "None of the stochastic GD baselines is ahead of GRASP by 4.4 points or more.",
        lambda pair: pair.table == 5,
        margin=0.044,
        by_task=True,
    ),
)


def claims(ours: OurExperiments) -> tuple[Claim, ...]:
    """Return every question as a claim: with a check if our trials decide it, else with what is missing."""
    return tuple(claim(question, ours) for question in QUESTIONS)


def claim(question: Question, ours: OurExperiments, *, figures: tuple[int, ...] = ()) -> Claim:
    """Return a question as a claim."""
    family = question.family(ours)
    make = partial(
        Claim, question.id, question.title, question.source, question.statement,
        assumptions=question.assumptions, figures=figures,
    )  # fmt: skip
    if family is None:
        return make(missing=f"{question.missing} The experiment: the table's trials, then `{COMMAND}`.")
    if family.outcome is Outcome.INCONCLUSIVE:
        apart = "".join(f" {words}: {other.text}." for words, other in _otherwise(question, ours).items())
        return make(
            missing=f"Trials enough to decide. Our experiment is {family.text}.{apart} {_provenance(ours)}",
            ours=True,
        )
    trials = f"Our trials: {_provenance(ours)}."
    return make(
        check=partial(check, question=question, ours=ours),
        assumptions=(*question.assumptions, trials),
        ours=True,
    )


def check(run: Run, question: Question, ours: OurExperiments) -> None:
    """Judge a question by our trials; then ask what the environment, another count and the single models say."""
    family = question.family(ours)
    assert family is not None  # such a claim has no check
    run.examine(
        question.statement,
        judged,
        family,
        false_variants=false_families(family),
        true_variants=true_families(family),
    )
    if family.outcome is Outcome.REPLICATES:
        _caveats(run, question, ours)
    _curve(run, question, ours)


def _otherwise(question: Question, ours: OurExperiments) -> Mapping[str, Family]:
    """Return the same comparisons by the other outcomes; none for a question about times."""
    if question.outcome != RETURNED:
        return {}
    found = {words: question.family(ours, outcome) for outcome, words in OTHERWISE.items()}
    return {words: family for words, family in found.items() if family is not None}


def _caveats(run: Run, question: Question, ours: OurExperiments) -> None:
    for words, other in _otherwise(question, ours).items():
        if other.outcome is not Outcome.REPLICATES:
            run.caveat(
                f"{words}, this is not shown: {other.outcome}.",
                refuted(judged),
                other,
                false_variants=true_families(other),
            )
    models = _models(question.pairs(ours))
    if question.margin is None and not _no_model_behind(models).passed:
        run.caveat(
            "The models do not agree: for one of them the direction is another than for all together.",
            refuted(_no_model_behind),
            models,
            false_variants={"the same trials the other way round": models.swapped()},
        )


@dataclass(frozen=True)
class _Models:
    """By model and other row, how many trials the reference alone solved, and how many the other row alone."""

    trials: Mapping[str, tuple[int, int]]

    def swapped(self) -> _Models:
        """Return the same with reference and other row exchanged wherever the reference is behind."""
        return _Models({name: (max(pair), min(pair)) for name, pair in self.trials.items()})


def _models(pairs: Sequence[Pair]) -> _Models:
    trials: dict[str, tuple[int, int]] = {}
    for pair in pairs:
        for model, (first, second) in pair.by_model.items():
            name = f"{model}, over {pair.other}"
            known = trials.get(name, (0, 0))
            trials[name] = (known[0] + first, known[1] + second)
    return _Models(trials)


def _no_model_behind(models: _Models) -> Evidence:
    """Judge whether no model has the reference behind another row: exact one-sided sign tests, Holm-corrected."""
    raw = [
        float(binomtest(second, first + second, 0.5, alternative="greater").pvalue) if first + second else 1.0
        for first, second in models.trials.values()
    ]
    p_values = dict(zip(models.trials, holm(raw), strict=True))
    behind = {name: p for name, p in p_values.items() if p <= LEVEL}
    shown = "; ".join(f"{name}: {models.trials[name]} trials, p = {p:.2g}" for name, p in behind.items())
    return Evidence(
        Grade.STATISTICAL,
        not behind,
        f"behind in {len(behind)} of {len(raw)} pairs of a model and a row ({shown or 'none'}; sign tests, Holm, level {LEVEL})",
        {"behind": len(behind), "of": len(raw)},
    )


def _curve(run: Run, question: Question, ours: OurExperiments) -> None:
    """Record the differences over the horizon, for each other row on its own."""
    series: dict[str, tuple[list[float], list[float]]] = {}
    for pair in sorted(question.pairs(ours), key=lambda pair: (pair.other, pair.task, pair.horizon)):
        xs, ys = series.setdefault(f"{pair.other}, {pair.task} {pair.kind}", ([], []))
        xs.append(float(MODEL_STEP * pair.horizon))
        ys.append(100 * pair.record.difference)
    if any(len(set(xs)) > 1 for xs, _ in series.values()):
        run.curve(
            Curve(
                f"Lead over the other rows: {question.title}",
                "horizon H (environment steps)",
                "difference (points)",
                series,
                note="Differences at single horizons, without intervals; the claim is judged by all together.",
            )
        )


def _provenance(ours: OurExperiments) -> str:
    return "; ".join(f"{name} {value}" for name, value in ours.provenance.items())


NON_GREEDY = Question(
    "figure6",
    "Figure 6: plans at horizon 80",
    "Figure 6; Section 4.3",
    "GRASP converges more consistently at longer horizons and finds the required non-greedy paths.",
    lambda pair: (
        pair.table == 1
        and pair.other in BASELINES
        and (pair.kind == "long" or (_long_horizon(pair) and pair.horizon * MODEL_STEP >= 80))
    ),
    by_task=True,
    assumptions=(
        "Non-greedy: Push-T from H = 80, and the problem sets chosen for detours around walls, where they were tried: the "
        "comparisons name the tasks.",
    ),
    missing=(
        "Success per planner on problems whose geodesic length needs the horizon and whose path first moves away from "
        "the goal."
    ),
)

CLAIMS = claims(load())
