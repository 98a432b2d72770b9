"""Our own trials of the paper's planners on learned world models, condensed to what the claims are judged by.

`python -m experiments verdicts` condenses the stored rows into `counts.json`: per cell the counts, per pair of
cells the differences on common problems.  Only counts cross over: what they mean is decided here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from grasp_theory.statistics.paired_trials import PairedTrials
from linear_systems.errors import ParameterError

PATH = Path(__file__).with_name("counts.json")
SCHEMA_VERSION = 2
COMMAND = "python -m experiments verdicts"


@dataclass(frozen=True)
class Pair:
    """The reference row of a table (GRASP) compared with another row on the same trials.

    Arguments
        table: the paper's number of the table.
        task, kind, horizon: the problem set; T in model steps.
        other: the label of the other row.
        outcome: success of the returned plan in the model ("final_model") or in the environment ("final_true"), a plan
            that the model believes at any of thirty points of the budget ("any_model"), or being the first to have a plan that the
            model believes ("sooner").
        record: the paired trials, the reference first.
        by_model: for each model, (reference only, other only).
    """

    table: int
    task: str
    kind: str
    horizon: int
    other: str
    outcome: str
    record: PairedTrials
    by_model: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What is compared, for summaries."""
        return f"{self.other} on {self.task}-{self.kind}-{self.horizon}"


@dataclass(frozen=True)
class Share:
    """A count that a figure of ours rests on: `happened` of `n` independent problems."""

    happened: int
    n: int


@dataclass(frozen=True)
class OurExperiments:
    """Everything that is known of our trials here.

    Arguments
        pairs: the comparisons.
        figures: by "figure/quantity" the counts behind our figures.
        provenance: what was run, where, and with which code, in words.
    """

    pairs: tuple[Pair, ...] = ()
    figures: Mapping[str, Share] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)


def load(path: Path = PATH) -> OurExperiments:
    """Return what is stored of our trials; nothing where there is no file.

    Raises
        ParameterError: the file is not such a record.
    """
    if not path.exists():
        return OurExperiments()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {content['schema_version']!r}")
        return OurExperiments(
            tuple(
                Pair(
                    **{key: entry[key] for key in ("table", "task", "kind", "horizon", "other", "outcome")},
                    record=PairedTrials(
                        tuple((total, size, count) for total, size, count in entry["problems"]),
                        entry["first_only"],
                        entry["second_only"],
                    ),
                    by_model={model: (first, second) for model, (first, second) in entry["by_model"].items()},
                )
                for entry in content["pairs"]
            ),
            {name: Share(happened, n) for name, (happened, n) in content["figures"].items()},
            dict(content["provenance"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParameterError(
            path.name,
            f"our trials in schema version {SCHEMA_VERSION}",
            repr(error),
            f"make it again: {COMMAND}",
        ) from error
