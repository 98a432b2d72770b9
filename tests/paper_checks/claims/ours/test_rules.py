"""The rules of replication, on made-up trials whose truth is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from grasp_theory.statistics.paired_trials import PairedTrials
from paper_checks.claims.ours.counts import OurExperiments, Pair, Share
from paper_checks.claims.ours.replication import BASELINES, NON_GREEDY, QUESTIONS, Question, claim
from paper_checks.claims.ours.rules import (
    Family,
    Majorities,
    Outcome,
    false_families,
    gathered,
    judged,
    true_families,
)
from paper_checks.claims.printed import figures
from paper_checks.engine.records import Claim, Result, Verdict
from paper_checks.engine.run import Settings, run_claim

PLACES: Mapping[str, Sequence[tuple[int, str, str, int, str]]] = {
    "ours-table1-long-horizons": [(1, "push_t", "trajectory", T, b) for T in (8, 10, 16) for b in BASELINES],
    "ours-long-horizons-elsewhere": [
        (1, task, "random", 8, b) for task in ("wall_single", "point_maze") for b in BASELINES
    ],
    "ours-faster": [(1, "push_t", "trajectory", T, b) for T in (8, 10, 16) for b in BASELINES],
    "ours-faster-short": [(3, "push_t", "trajectory", T, "CEM") for T in (2, 4)],
    "ours-sync": [(2, "push_t", "trajectory", 8, "No Sync")],
    "ours-noise": [(2, "push_t", "trajectory", 8, "σ = 0.0")],
    "ours-stopgrad": [(2, "push_t", "trajectory", 8, "Flow")],
    "ours-table3-short": [(3, "push_t", "trajectory", T, b) for T in (2, 4) for b in BASELINES],
    "ours-none-beat": [(5, "push_t", "trajectory", 8, f"default: {i}") for i in range(4)],
    "figure6": [(1, "point_maze_long", "long", 40, b) for b in BASELINES],
}
"""Where the comparisons of each question stand."""
EVERY = (*QUESTIONS, NON_GREEDY)


def record(lead: float, seed: int, problems: int = 150) -> PairedTrials:
    """Return trials of three models in which the reference is ahead by about `lead`."""
    rng = np.random.default_rng(seed)
    share = 0.1
    law = [share + max(lead, 0), share + max(-lead, 0), 1 - 2 * share - abs(lead)]
    difference = np.repeat(rng.choice([1, -1, 0], p=law, size=problems), 3)
    own = rng.choice([-1, 0, 1], p=[0.1, 0.8, 0.1], size=3 * problems)
    return PairedTrials.of(np.where(difference == 0, own, difference), np.repeat(np.arange(problems), 3))


def test_the_intervals_of_a_family_share_its_level() -> None:
    one, other = record(0.0, 0), record(0.0, 1)
    assert Family({"a": one, "b": other}, 0.1).level == pytest.approx(0.025)
    # At the margin that is the lower end of its own interval at 0.05/2, the family just fails to say no less; at the
    # level of a single comparison it would say so.
    low, single = one.interval(0.025)[0], one.interval(0.05)[0]
    assert low < single < 0
    between = -(low + single) / 2
    assert Family({"a": one, "b": record(0.4, 2)}, between).outcome is Outcome.INCONCLUSIVE
    assert Family({"a": one}, between).outcome is Outcome.REPLICATES


def test_a_verdict_says_first_what_was_decided_and_words_the_rule_as_one() -> None:
    lead, none = record(0.4, 2), record(0.0, 1)
    for family, said in (
        (Family({"a": lead, "b": none}), "inconclusive: of 2 comparisons 1 for it, 0 against it, 1 undecided (it replicates if "
         "every difference is positive with p <= 0.05"),
        (Family({"a": lead, "b": lead.swapped()}, 0.1), "does not replicate: of 2 comparisons 1 for it, 1 against it, 0 undecided "
         "(it replicates if every interval is above −10 points"),
        (Majorities({"a": Share(6, 10), "b": Share(95, 100)}), "inconclusive: of 2 comparisons 1 for it, 0 against it, 1 undecided "
         "(it replicates if every interval is above one half"),
    ):  # fmt: skip
        assert family.text.startswith(said), family.text
    certain = Family({"a": PairedTrials(((1, 1, 3000),), 3000, 0)})
    assert "p < 1e-300" in certain.text
    assert "p = 0 " not in certain.text
    assert certain.numbers["p, a"] == "< 1e-300"


def ours(
    question: Question, lead: float, true_lead: float | None = None, problems: int = 150
) -> OurExperiments:
    made = []
    for place, (table, task, kind, horizon, other) in enumerate(PLACES[question.id]):
        for outcome in ("final_model", "final_true", "sooner"):
            ahead = lead if outcome != "final_true" or true_lead is None else true_lead
            trials = record(ahead, place, problems)
            models = {"model-0": (trials.first_only, trials.second_only)}
            made.append(Pair(table, task, kind, horizon, other, outcome, trials, models))
    return OurExperiments(tuple(made), provenance={"machine": "m"})


def result(question: Question, lead: float, true_lead: float | None = None, problems: int = 150) -> Result:
    return run_claim(claim(question, ours(question, lead, true_lead, problems)))


def each() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("question", EVERY, ids=lambda question: question.id)


@each()
def test_a_strong_effect_replicates_and_its_reverse_does_not(question: Question) -> None:
    for lead, verdict in ((0.5, Verdict.REPLICATES), (-0.5, Verdict.DOES_NOT_REPLICATE)):
        found = result(question, lead)
        assert found.verdict is verdict, found.problem or found.claim.missing
        (examination,) = found.examinations
        assert "n = " in examination.evidence.summary
        exec(examination.evidence.instance, {})


@each()
def test_broken_on_purpose_nothing_stands(question: Question) -> None:
    for true_lead in (None, -0.5):
        found = run_claim(claim(question, ours(question, 0.5, true_lead)), Settings(sabotage=True))
        examined = (*found.examinations, *(caveat.examination for caveat in found.caveats))
        assert [one.title for one in examined if one.evidence.passed] == []


@each()
def test_few_problems_are_inconclusive_and_say_what_they_could_find(question: Question) -> None:
    found = result(question, 0.0, problems=12)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "inconclusive" in found.claim.missing
    assert ("In the environment" in found.claim.missing) == (question.outcome == "final_model")
    assert "80% power" in found.claim.missing
    assert "machine m" in found.claim.missing


@each()
def test_without_trials_it_is_said_which_command_makes_them(question: Question) -> None:
    found = run_claim(claim(question, OurExperiments()))
    assert found.verdict is Verdict.NOT_CHECKABLE
    assert "python -m experiments" in found.claim.missing


@pytest.mark.parametrize("rows", [1, 3])
def test_planners_whose_names_are_exchanged_at_random_replicate_as_rarely_as_the_level_says(
    rows: int,
) -> None:
    rng, runs = np.random.default_rng(0), 300
    found = [
        Family({str(i): permuted(record(0.5, i), rng) for i in range(rows)}).outcome for _ in range(runs)
    ]
    # 2.5% for one row (one side of a test at 5%), and four standard errors; all of three, next to never.
    allowed = 0.025 + 4 * (0.025 * 0.975 / runs) ** 0.5 if rows == 1 else 0.01
    assert found.count(Outcome.REPLICATES) / runs <= allowed


def permuted(trials: PairedTrials, rng: np.random.Generator) -> PairedTrials:
    """Return the trials with the planners' names exchanged on a random half of the problems."""
    totals, lead = [], 0
    for total, size, count in trials.problems:
        for sign in rng.choice([-1, 1], size=count):
            totals.append((int(sign * total), size))
            lead += int(sign * total)
    discordant = trials.first_only + trials.second_only
    problems = tuple((total, size, totals.count((total, size))) for total, size in sorted(set(totals)))
    return PairedTrials(problems, (discordant + lead) // 2, (discordant - lead) // 2)


def test_what_the_environment_says_is_a_caveat() -> None:
    found = result(QUESTIONS[0], 0.5, true_lead=-0.5)
    assert found.verdict is Verdict.MIXED
    assert "does not replicate" in found.caveats[0].text
    assert found.curves
    assert result(QUESTIONS[0], 0.5, true_lead=0.5).caveats == ()


def of_models(**trials: tuple[int, int]) -> OurExperiments:
    made = ours(QUESTIONS[0], 0.5)
    return OurExperiments(tuple(dataclasses.replace(pair, by_model=trials) for pair in made.pairs))


def test_a_model_that_disagrees_is_a_caveat() -> None:
    found = run_claim(claim(QUESTIONS[0], of_models(one=(90, 10), two=(3, 9))))
    assert found.verdict is Verdict.MIXED
    assert "two" in found.caveats[0].examination.evidence.summary


def test_a_model_that_is_behind_by_chance_is_none() -> None:
    found = run_claim(claim(QUESTIONS[0], of_models(one=(90, 10), two=(9, 10))))
    assert found.verdict is Verdict.REPLICATES
    assert found.caveats == ()


def test_a_question_is_about_its_own_trials() -> None:
    strangers = tuple(
        Pair(table, task, kind, horizon, other, "final_model", record(0.5, 0))
        for table, task, kind, horizon, other in (
            (1, "push_t", "trajectory", 6, "CEM"),  # a short horizon
            (1, "push_t", "trajectory", 10, "MPPI"),  # not the paper's planner
            (2, "push_t", "trajectory", 8, "50"),
            (3, "push_t", "long", 4, "CEM"),
        )
    )
    assert [question.id for question in EVERY if question.family(OurExperiments(strangers))] == []


def test_a_family_is_pooled_over_horizons_but_not_over_tasks_where_asked() -> None:
    pairs = [
        Pair(1, task, "random", horizon, "CEM", "final_model", record(0.2, horizon))
        for task in ("a", "b")
        for horizon in (8, 10)
    ]
    together, apart = gathered(pairs), gathered(pairs, by_task=True)
    assert together is not None
    assert apart is not None
    assert {name: r.trials for name, r in together.records.items()} == {"CEM": 1800}
    assert {name: r.trials for name, r in apart.records.items()} == {"CEM on a": 900, "CEM on b": 900}


def test_no_less_needs_an_interval_above_the_margin() -> None:
    even = PairedTrials.of(np.repeat([1, -1, 0], [5, 5, 190]), np.arange(200))
    assert Family({"x": even}, margin=0.1).outcome is Outcome.REPLICATES
    assert Family({"x": even}, margin=0.01).outcome is Outcome.INCONCLUSIVE
    behind = PairedTrials.of(np.repeat([1, -1, 0], [5, 65, 130]), np.arange(200))
    assert Family({"x": even, "y": behind}, margin=0.1).outcome is Outcome.DOES_NOT
    # Significantly behind, by less than the margin: comparable.
    slightly = PairedTrials.of(np.repeat([1, -1, 0], [0, 20, 980]), np.arange(1000))
    assert Family({"x": slightly}, margin=0.1).outcome is Outcome.REPLICATES
    assert Family({"x": slightly}).outcome is Outcome.DOES_NOT


@pytest.mark.parametrize("margin", [None, 0.1])
def test_controls_are_told_apart_whatever_was_found(margin: float | None) -> None:
    for lead in (-0.4, 0.0, 0.4):
        family = Family({str(i): record(lead, i) for i in range(14)}, margin)
        assert not any(judged(variant).passed for variant in false_families(family).values())
        assert all(judged(variant).passed for variant in true_families(family).values())


def test_majorities() -> None:
    assert Majorities({"a": Share(40, 50), "b": Share(90, 100)}).outcome is Outcome.REPLICATES
    assert Majorities({"a": Share(40, 50), "b": Share(30, 100)}).outcome is Outcome.DOES_NOT
    assert Majorities({"a": Share(40, 50), "b": Share(26, 50)}).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("number", "names"),
    [
        (1, ("figure1/distances/push_t/GRASP/latent/above_start", "figure1/landscapes/push_t/rougher/gd than ours")),
        (3, ("figure3/adversarial/push_t-offline-flat-0/nearby",)),
        (4, ("figure4/virtual_states/push_t/feasible",)),
    ],
)  # fmt: skip
def test_figures_are_judged_by_what_is_counted_for_them(number: int, names: tuple[str, ...]) -> None:
    def made(*shares: Share) -> Claim:
        measured = OurExperiments(figures=dict(zip(names, shares, strict=False)))
        facts = {"title": "t", "source": "s", "statement": "s"}
        return figures._measured(number, measured, missing="An experiment.", **facts)

    verdict: Callable[[Claim], Verdict] = lambda made: run_claim(made).verdict  # noqa: E731
    assert verdict(made(*[Share(80, 100)] * len(names))) is Verdict.REPLICATES
    assert verdict(made(*[Share(10, 100)] * len(names))) is Verdict.DOES_NOT_REPLICATE
    assert verdict(made(*[Share(52, 100)] * len(names))) is Verdict.INCONCLUSIVE
    if len(names) > 1:
        assert verdict(made(Share(80, 100), Share(10, 100))) is Verdict.MIXED
    assert verdict(made()) is Verdict.NOT_CHECKABLE
    assert "inconclusive" in made(*[Share(52, 100)] * len(names)).missing
    assert "figure-data" in made().missing
    if len(names) > 1:
        assert "figure-data" in made(Share(80, 100)).missing
    found = run_claim(made(*[Share(80, 100)] * len(names)), Settings(sabotage=True))
    assert not any(examination.evidence.passed for examination in found.examinations)
