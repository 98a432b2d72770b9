"""Claims of the running text about algorithms, judged in worlds where model and world are one.

Such claims need no learned model, and no figure that the authors alone have.  What is compared, where, and by which rule was
fixed before any trial: docs/study.md, "Analytic worlds: the protocol".  `python -m experiments worlds --record` makes the
trials and condenses them to `worlds.json`; docs/worlds.md shows them world by world.

What comes of it is said of our planners in our worlds, never of the paper's tasks.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.statistics.paired_trials import PairedTrials, said_p
from grasp_theory.statistics.pooled_claims import NEEDED, Judged, Test, Verdict, judge
from linear_systems.errors import ParameterError
from paper_checks.claims.ours.features import beside
from paper_checks.claims.ours.features import load as load_features
from paper_checks.claims.ours.rules import Outcome, decisions, judged, told_p
from paper_checks.engine.records import Claim, Evidence, Grade, Number
from paper_checks.engine.run import Run

PATH = Path(__file__).with_name("worlds.json")
SCHEMA_VERSION = 1
COMMAND = "python -m experiments worlds --record"
PROBLEMS = 200
"""Problems of a world, in the made-up trials that the rules are tried on."""
_OUTCOMES = {
    Verdict.REPLICATES: Outcome.REPLICATES,
    Verdict.INCONCLUSIVE: Outcome.INCONCLUSIVE,
    Verdict.DOES_NOT: Outcome.DOES_NOT,
    Verdict.MIXED: Outcome.DOES_NOT,  # as a whole; single tests say otherwise, and go on record
}


@dataclass(frozen=True)
class InWorlds:
    """The paired trials of an algorithmic claim: A solves more problems than B.

    Arguments
        level: the budget, in evaluations a step of the horizon.
        pairs: (A, B), one or several.
        records: by world, the trials of each pair, A first.
    """

    level: int
    pairs: tuple[tuple[str, str], ...]
    records: Mapping[str, tuple[PairedTrials, ...]]

    @cached_property
    def found(self) -> Judged:
        """What the rules say."""
        return judge(self.pairs, self.records)

    @property
    def outcome(self) -> Outcome:
        """What the rules say of the claim as a whole."""
        return _OUTCOMES[self.found.verdict]

    @property
    def decided(self) -> Mapping[str, bool]:
        """What every single test that says anything says: True for the claim, False against it."""
        named = [(_name(test), test) for test in self.found.pairs]
        named += [
            (f"{_name(test)}, {world}", test)
            for world, (_, tests) in self.found.worlds.items()
            for test in tests
        ]
        return {name: test.stands == 1 for name, test in named if test.stands}

    @property
    def text(self) -> str:
        """The verdict with every pooled difference, its interval, p-value, n and smallest detectable difference."""
        shown = "; ".join(map(_line, self.found.pairs))
        together = {_name(test): test.stands == 1 for test in self.found.pairs if test.stands}
        verdicts = [f"{world}: {verdict}" for world, (verdict, _) in self.found.worlds.items()]
        return (
            f"{self.found.verdict}: {decisions(together, len(self.pairs))} (it replicates if every pair differs as said with "
            f"p <= {LEVEL:g} and may do so by {100 * NEEDED:g} points, and no world says the contrary; within {self.level} "
            f"evaluations a step; family-wise level {LEVEL:g}, differences in points with simultaneous intervals, in brackets what "
            f"80% power would detect): {shown}. World by world: {'; '.join(verdicts)}"
        )

    @property
    def numbers(self) -> Mapping[str, Number]:
        """The pooled differences and p-values by name."""
        return {
            "worlds": len(self.records),
            "trials": min(test.record.trials for test in self.found.pairs),
            **{f"points, {_name(test)}": 100 * test.record.difference for test in self.found.pairs},
            **{f"p, {_name(test)}": told_p(test.p_value) for test in self.found.pairs},
        }

    @property
    def instance(self) -> str:
        """Python code that shows the comparison that speaks most against the claim."""
        test = min(self.found.pairs, key=lambda test: test.record.difference)
        return (
            f"from grasp_theory.statistics.paired_trials import PairedTrials\nrecord = {test.record!r}\n"
            f"print(record.difference, record.p_value, record.interval({LEVEL / len(self.pairs)!r}))"
        )

    def exchanged(self) -> InWorlds:
        """Return the same with the planners' names exchanged on every other problem: as close to no lead as can be."""
        return replace(
            self, records={world: tuple(each.balanced() for each in of) for world, of in self.records.items()}
        )

    def leading(self, lead: int) -> InWorlds:
        """Return made-up trials: in every world `lead` of 200 problems are solved by one planner only."""
        counts = {0: PROBLEMS - abs(lead), (1 if lead > 0 else -1): abs(lead)}
        problems = tuple((total, 1, count) for total, count in counts.items() if count)
        record = PairedTrials(problems, max(lead, 0), max(-lead, 0))
        return replace(self, records={world: tuple(record for _ in of) for world, of in self.records.items()})

    @property
    def least_lead(self) -> int:
        """The least lead, the same in every world, with which the claim replicates."""
        leads = range(PROBLEMS + 1)
        # What replicates with a lead does so with a larger one.
        return leads[
            bisect_left(leads, True, key=lambda lead: self.leading(lead).found.verdict is Verdict.REPLICATES)
        ]


def _name(test: Test) -> str:
    return f"{test.better} > {test.worse}"


def _line(test: Test) -> str:
    record = test.record
    return (
        f"{_name(test)} {100 * record.difference:+.1f} [{100 * test.low:+.1f}, {100 * test.high:+.1f}], only one solved "
        f"{record.first_only} : {record.second_only} of n = {record.trials}, {said_p(test.p_value)} [{100 * test.detectable:.1f}]"
    )


@dataclass(frozen=True)
class Calls:
    """Calls of the model's step, one after the other, for each T evaluations.

    Arguments
        by_world: world -> planner -> calls.
    """

    by_world: Mapping[str, Mapping[str, float]]

    @property
    def decided(self) -> Mapping[str, bool]:
        """In each world and against each other planner, whether GRASP's count is the smaller one."""
        return {
            f"GRASP < {other}, {world}": counts["GRASP"] < counts[other]
            for world, counts in self.by_world.items()
            for other in ("GD", "CEM")
        }

    @property
    def outcome(self) -> Outcome:
        """Replicates if it is the smaller one in every world, against both."""
        return Outcome.REPLICATES if all(self.decided.values()) else Outcome.DOES_NOT

    @property
    def text(self) -> str:
        """The counts."""
        shown = [
            f"{world}: {', '.join(f'{planner} {counts[planner]:.3g}' for planner in ('GRASP', 'GD', 'CEM'))}"
            for world, counts in self.by_world.items()
        ]
        return f"{self.outcome}; calls one after the other for T evaluations: {'; '.join(shown)}"

    @property
    def numbers(self) -> Mapping[str, Number]:
        """The counts by name."""
        return {
            f"{planner}, {world}": value
            for world, counts in self.by_world.items()
            for planner, value in counts.items()
        }

    @property
    def instance(self) -> str:
        """Python code that shows the counts."""
        return f"print({dict(self.by_world)!r})"

    def scaled(self, factor: float) -> Calls:
        """Return counts in which GRASP's are `factor` times the smaller of the others'."""
        return Calls(
            {
                world: {**counts, "GRASP": factor * min(counts["GD"], counts["CEM"])}
                for world, counts in self.by_world.items()
            }
        )


def counted(calls: Calls) -> Evidence:
    """Judge calls by their counts, which are exact."""
    return Evidence(
        Grade.CERTIFIED, calls.outcome is Outcome.REPLICATES, calls.text, calls.numbers, calls.instance,
        outcomes=calls.decided,
    )  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What is stored of the trials in analytic worlds.

    Arguments
        claims: by the protocol's names.
        calls: None without trials.
        provenance: what was run, in words.
    """

    claims: Mapping[str, InWorlds] = field(default_factory=dict)
    calls: Calls | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)


def load(path: Path = PATH) -> Known:
    """Return what is stored; nothing where there is no file.

    Raises
        ParameterError: the file is not such a record.
    """
    if not path.exists():
        return Known()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {content['schema_version']!r}")
        claims = {
            name: InWorlds(
                int(entry["level"]),
                tuple((better, worse) for better, worse in entry["pairs"]),
                {world: tuple(map(_record, of)) for world, of in entry["worlds"].items()},
            )
            for name, entry in content["claims"].items()
        }
        for name, claim in claims.items():
            if not claim.records or any(len(of) != len(claim.pairs) for of in claim.records.values()):
                raise ValueError(f"{name!r} needs a record a pair in each world")
        calls = content["calls"]
        return Known(claims, None if calls is None else Calls(calls), dict(content["provenance"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParameterError(
            path.name,
            f"trials in worlds in schema version {SCHEMA_VERSION}",
            repr(error),
            f"make it again: {COMMAND}",
        ) from error


def _record(entry: tuple[list[tuple[int, int, int]], int, int]) -> PairedTrials:
    problems, first, second = entry
    return PairedTrials(tuple((total, size, count) for total, size, count in problems), first, second)


@dataclass(frozen=True)
class Question:
    """A claim of the text, and the protocol's claim that is our trial of it.

    Arguments
        id, title, source, statement: of the claim.
        trial: the protocol's name; None: the counted calls.
        read: what of the statement is tried.
    """

    id: str
    title: str
    source: str
    statement: str
    trial: str | None
    read: str


QUESTIONS = (
    Question(
        "text-parallel",
        "Highly parallelizable planning",
        "Abstract; Sections 1, 3.1 and 7",
        "All evaluations of the world model are parallel over time, and this makes planning fast.",
        None,
        "Counted are calls of the step one after the other for the same evaluations, the serial syncs of the default GRASP included; "
        "wall time on a GPU is predicted in docs/roofline.md and not measured.",
    ),
    Question(
        "text-rollout-landscape",
        "Rollout objectives have local minima and a jagged landscape",
        "Sections 1, 2 and 3.4",
        "Optimising (3) directly is susceptible to local minima; descent on (10) sees a smoothed "
        "landscape, and small sync steps the sharp one.",
        "jagged",
        "If so, GRASP solves more than the planners that descend (3) or keep it as a constraint where contact is stiff, dynamics are "
        "rippled, or motion is chaotic.",
    ),
    Question(
        "text-state-gradients",
        "Stopping brittle state gradients, and keeping those of the actions, mitigates them",
        "Sections 1, 3.1, 3.3 and 6",
        "State gradients in high-dimensional latent spaces are brittle and can be exploited, and action gradients behave better: "
        "to mitigate this, gradients through the state inputs are stopped.",
        "stop-gradient",
        "Tried is the remedy: whether stopping the state gradient helps where it is made wrong by a known factor beside the states "
        "that can be reached.  Whether those of learned models are brittle is what figure3 and state-sensitivity ask.",
    ),
    Question(
        "text-noise-on-states",
        "Noise on states finds intermediate states faster than noise on actions",
        "Section 3.2",
        "Noising only the states still conditions on feasible trajectories and finds the few needed "
        "intermediate states faster than noising actions; without noise joint updates often end in bad "
        "stationary points.",
        "noise",
        "GRASP with its noise on states against GRASP without noise, and against GD, whose noise is on actions.",
    ),
    Question(
        "text-goal-shaping",
        "Without goal shaping paths stay near the current rollout",
        "Sections 1 and 3.3",
        "The grad-cut dynamics loss alone gravitates towards the current rollout; the dense goal term "
        "draws converged trajectories to the goal.",
        "shaping",
        "If so, GRASP with γ = 0.1 solves more than with γ = 0.",
    ),
    Question(
        "text-non-greedy",
        "Finds non-greedy solutions by avoiding greedy failures",
        "Sections 4.3, 4.4 and 7",
        "GRASP's advantage at long horizons comes from finding non-greedy plans, at a faster rate than CEM "
        "or GD.",
        "non-greedy",
        "Worlds in which every plan must first move away from the goal.",
    ),
    Question(
        "text-first-order",
        "Gradient-based planning is more sample-efficient and finer than zero-order methods",
        "Section 1; Section 5",
        "Differentiable models make gradient planners more sample-efficient than zero-order ones, with "
        "finer improvement.",
        "efficiency",
        "Success within 1000 evaluations a step, a gradient counting three.  Section 5's remarks on other methods are not tried.",
    ),
    Question(
        "text-action-dimension",
        "Shooting degrades with the dimension of the action",
        "Section 1; Section 7",
        "Zero-order shooting loses performance as the action dimension grows.",
        "action dimension",
        "Worlds with 16 to 64 components of the action.",
    ),
)


def claims(known: Known) -> tuple[Claim, ...]:
    """Return every question as a claim: with a check if our trials decide it, else with what is missing."""
    return tuple(claim(question, known) for question in QUESTIONS)


def claim(question: Question, known: Known) -> Claim:
    """Return a question as a claim."""
    make = partial(Claim, question.id, question.title, question.source, question.statement)
    decided = known.calls if question.trial is None else known.claims.get(question.trial)
    if decided is None:
        return make(missing=f"Our trials in analytic worlds.  {question.read}  The experiment: `{COMMAND}`.")
    about = "; ".join(f"{name} {value}" for name, value in known.provenance.items())
    told = beside(question.id, FEATURES)
    if decided.outcome is Outcome.INCONCLUSIVE:
        missing = f"Trials enough to decide. Our experiment is {decided.text}. {about}"
        return make(missing=f"{missing} {told}".rstrip(), ours=True)
    return make(
        check=partial(check, question=question, decided=decided),
        assumptions=(question.read, f"Our trials: {about}.", *filter(None, [told])),
        ours=True,
    )


def check(run: Run, question: Question, decided: InWorlds | Calls) -> None:
    """Judge a question by our trials in analytic worlds."""
    if isinstance(decided, Calls):
        run.examine(
            question.statement,
            counted,
            decided,
            false_variants={"as many calls as the better of the others": decided.scaled(1.0)},
            true_variants={"one call in a hundred fewer than the better of the others": decided.scaled(0.99)},
        )
        return
    least = decided.least_lead
    run.examine(
        question.statement,
        judged,
        decided,
        false_variants={
            "one problem of 200 a world short of the least lead that replicates": decided.leading(least - 1),
            "planners' names exchanged on every other problem": decided.exchanged(),
        },
        true_variants={"the least lead of 200 problems a world that replicates": decided.leading(least)},
    )


FEATURES = load_features()
CLAIMS = claims(load())
