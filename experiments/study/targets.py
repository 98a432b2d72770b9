"""What planners are tuned for, and the best settings found, in `tuned.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.pieces import locked
from experiments.study.trials.own import is_own, study_of, world_of
from experiments.study.trials.settings import Settings, make_planner, untuned
from grasp_theory.files import atomic_file, read_whole
from grasp_theory.world_models.checkpoint import best_latent
from linear_systems.errors import InvalidInputError, ParameterError

AUTO = "GRASP.auto"
"""Not tuned: it sets itself by the model, on the tuning problems and without a trial."""


def offline_model(task: str, seed: int) -> str:
    """Return the name of the shipped offline model that the study plans a task with: the one that `load` gives."""
    return f"{task}-offline-{best_latent(task)}-{seed}"


@dataclass(frozen=True)
class Target:
    """What a planner is tuned for.

    Arguments
        task, kind, horizon: of the problem sets.
        planner: its name in `PLANNERS`, or `AUTO`.
    """

    task: str
    kind: Any
    horizon: int
    planner: str

    @property
    def name(self) -> str:
        """The study's name."""
        return f"{self.planner} {self.set_name}"

    @property
    def set_name(self) -> str:
        """The problem set's name, without its purpose."""
        return f"{self.task}-{self.kind}-{self.horizon}"

    def neighbours(self, targets: Iterable[Target]) -> list[Target]:
        """Return the targets of the same planner and task at the next shorter and the next longer horizon."""
        same = [one for one in targets if (one.planner, one.task) == (self.planner, self.task)]
        shorter = sorted((one for one in same if one.horizon < self.horizon), key=lambda one: -one.horizon)
        longer = sorted((one for one in same if one.horizon > self.horizon), key=lambda one: one.horizon)
        return shorter[:1] + longer[:1]

    @property
    def model(self) -> str:
        """The model to tune on: the first of its kind."""
        if is_own(self.task):
            return f"{self.task}:{study_of(self.task).models[0]}"
        return offline_model(self.task, 0)


@dataclass(frozen=True)
class Tuned:
    """The best settings of each target, read from and written to `tuned.json`.

    Arguments
        entries: name of the target -> settings, value, the shares of plans that another training believes with these and with
            the untuned settings (believed_by_another, default_believed_by_another), trials, handed (trials of neighbours'
            settings), problems, budget, model_hash, codes.
    """

    entries: Mapping[str, Mapping[str, Any]]

    @classmethod
    def load(cls, folder: Path) -> Tuned:
        """Return what was tuned in a folder of results; nothing if it holds nothing.

        Raises
            ParameterError: if the file is damaged, or holds settings that the planners of this version do not take.
        """
        path = folder / "tuned.json"
        if not path.exists():
            return cls({})
        try:
            entries = json.loads(read_whole(path))
        except (ValueError, RecursionError) as error:  # bad JSON and bad UTF-8 are ValueErrors
            raise damaged(path, "JSON", f"{type(error).__name__}: {error}") from error
        if not isinstance(entries, dict):
            raise damaged(path, "a mapping of targets to entries", type(entries).__name__)
        for name, entry in entries.items():
            if not isinstance(entry, dict) or not isinstance(entry.get("settings"), dict):
                raise damaged(path, f"settings of {name!r}", json.dumps(entry)[:60])
            if not _NAME.fullmatch(name):
                raise damaged(path, "planners and problem sets by name", repr(name)[:60])
            for settings in (entry["settings"], entry.get("own_settings", {})):
                try:
                    make_planner(re.split(r"\W", name)[0], tuple(dict(settings).items()))
                except (InvalidInputError, TypeError, ValueError) as error:
                    raise damaged(path, f"settings of {name!r} for this version", str(error)) from error
        return cls(entries)

    def settings(self, target: Target, *, by: str = "settings") -> Settings | None:
        """Return the tuned settings of a target, or those of the same planner and world at the nearest horizon, or None.

        Arguments
            target: what they are for.
            by: "settings" for those that the model's witness believed most of, "own_settings" for those that the model itself did.
        """
        entry = self.entries.get(target.name) or self._nearest(target)
        return None if entry is None or by not in entry else tuple(sorted(entry[by].items()))

    def _nearest(self, target: Target) -> Mapping[str, Any] | None:
        world = target.task.removesuffix("_long")
        near = []
        for name, entry in self.entries.items():
            planner, _, where = name.partition(" ")
            task, kind, horizon = where.rsplit("-", 2)
            if planner == target.planner and task.removesuffix("_long") == world:
                near.append(
                    (abs(int(horizon) - target.horizon), kind != target.kind, int(horizon), name, entry)
                )
        return min(near)[-1] if near else None

    def with_defaults(self, targets: Sequence[Target]) -> Tuned:
        """Return these, and the untuned settings for targets without."""
        filled = {
            target.name: {"settings": dict(untuned(target.planner.split(".")[0], world_of(target.task)))}
            for target in targets
        }
        return Tuned({**filled, **self.entries})

    def with_entry(self, target: Target, entry: Mapping[str, Any]) -> Tuned:
        """Return these and one more."""
        return Tuned(dict(sorted({**self.entries, target.name: entry}.items())))

    @classmethod
    def add(cls, folder: Path, target: Target, entry: Mapping[str, Any]) -> None:
        """Add an entry to a folder's `tuned.json`; several processes may."""
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".tuned.lock"):
            cls.load(folder).with_entry(target, entry).save(folder)

    def save(self, folder: Path) -> None:
        """Write `tuned.json`, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(folder / "tuned.json") as file:
            file.write((json.dumps(self.entries, indent=1, sort_keys=True) + "\n").encode())


_NAME = re.compile(r"[\w.]+ .+-\w+-\d{1,9}")


def damaged(path: Path, expected: str, found: str) -> ParameterError:
    """Return the error for a file of results that does not hold what it should."""
    return ParameterError(
        "results", f"{path} to hold {expected}", found, "remove the file, or use another folder"
    )
