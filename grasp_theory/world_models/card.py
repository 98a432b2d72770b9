"""The card of a stored world model: what it was trained on, how, by what machine, and how good it is."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from typing import Any, Literal

from grasp_theory.world_models.architecture import BACKBONES, LATER, Architecture
from grasp_theory.world_models.glance import sheet, table
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import positive_float, positive_integer

FORMAT = 2
"""Version of the files that this code writes; it reads version 1 too, which had no `dtype`: weights in float32."""


@checked
@dataclass(frozen=True)
class ActionLayout:
    """How a model action (m numbers) is made of environment actions.

    Arguments
        frameskip: environment steps in one model step.
        dimension: length of one environment action; m = frameskip · dimension.
        low, high: bounds of every component.
        unit: what a component of 1 means.
        order: how the environment actions lie in the model action.
    """

    frameskip: int
    dimension: int
    low: float
    high: float
    unit: str
    order: Literal["first action first"] = "first action first"

    def __post_init__(self) -> None:
        positive_integer("frameskip", self.frameskip)
        positive_integer("dimension", self.dimension)
        for name in ("low", "high"):
            value = getattr(self, name)
            finite = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            _require(finite, name, "a finite number", repr(value))
        _require(self.low < self.high, "low", f"a number below high = {self.high}", str(self.low))
        _require(self.order == "first action first", "order", "'first action first'", repr(self.order))
        _text("unit", self.unit)


@checked
@dataclass(frozen=True)
class Card:
    """Everything known of a stored world model but its weights.

    Arguments
        task: the task's name, such as "wall_single".
        kind: "offline" for behaviour data alone, "robust" with extra data where planners exploit a model.
        seed: of the training.
        architecture: the sizes.
        actions: what a model action is made of; their scaling is a buffer of the weights.
        frame_offsets: how many environment steps ago each stacked frame was taken, newest first.
        probe_names: what each probed quantity is, with its unit.
        data: the data sets by name; at least "behaviour", with its "episodes", their "length" in environment
            steps, the "mixture" of policies and the "seed".
        recipe: losses and optimisation.
        training: at least "wall_seconds" and "cpu_seconds", and what they were measured on: the "machine",
            the "threads" of one operation and the version of "torch".
        evaluation: measured quality: open-loop errors, probe errors with their intervals, and the like.
        dtype: the type of the stored weights, "float32" or "float16"; statistics (buffers) are in float32 always.
        licence: of the weights.
        code_version: of grasp-theory, which trained the model.
        sha256: of the file of the weights; None until it is saved.
        encoder_sha256: `fingerprint` of the frozen network that the weights lack; None where there is none, or until saved.

    Raises
        ParameterError: for a value that a field cannot have.
    """

    task: str
    kind: Literal["offline", "robust"]
    seed: int
    architecture: Architecture
    actions: ActionLayout
    frame_offsets: tuple[int, ...]
    probe_names: tuple[str, ...]
    data: Mapping[str, Any]
    recipe: Mapping[str, Any]
    training: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    dtype: Literal["float32", "float16"] = "float32"
    licence: str = "MIT"
    code_version: str = field(default_factory=lambda: version("grasp-theory"))
    sha256: str | None = None
    encoder_sha256: str | None = None

    def __post_init__(self) -> None:
        sizes = self.architecture
        lower = isinstance(self.task, str) and re.fullmatch("[a-z0-9_]+", self.task)
        _require(bool(lower), "task", "lower-case letters, digits and underscores", repr(self.task))
        _require(self.kind in ("offline", "robust"), "kind", "'offline' or 'robust'", repr(self.kind))
        _require(self.dtype in ("float32", "float16"), "dtype", "'float32' or 'float16'", repr(self.dtype))
        positive_integer("seed", self.seed, minimum=0)
        for name in ("licence", "code_version"):
            _text(name, getattr(self, name))
        for name in ("data", "recipe", "training", "evaluation"):
            object.__setattr__(self, name, _plain(name, getattr(self, name)))
        _named("data", self.data, {"behaviour"})
        _named("data.behaviour", self.data["behaviour"], {"episodes", "length", "mixture", "seed"})
        _named("training", self.training, {"wall_seconds", "cpu_seconds", "machine", "threads", "torch"})
        for name in ("wall_seconds", "cpu_seconds"):
            positive_float(name, self.training[name], allow_zero=True)
        stacked = self.actions.frameskip * self.actions.dimension
        _require(
            stacked == sizes.action_dim,
            "actions", f"frameskip · dimension = {sizes.action_dim}", str(stacked),
        )  # fmt: skip
        offsets = tuple(positive_integer("frame_offsets", offset, minimum=0) for offset in self.frame_offsets)
        object.__setattr__(self, "frame_offsets", offsets)
        rising = list(offsets) == sorted(set(offsets)) and offsets[:1] == (0,)
        _require(
            rising and len(offsets) == sizes.frames,
            "frame_offsets", f"{sizes.frames} rising step counts, the first of them 0", str(offsets),
        )  # fmt: skip
        object.__setattr__(self, "probe_names", tuple(_text("probe_names", n) for n in self.probe_names))
        _require(
            len(self.probe_names) == sizes.probe_dim,
            "probe_names", f"{sizes.probe_dim} names", str(self.probe_names),
        )  # fmt: skip
        for name in ("sha256", "encoder_sha256"):
            digest = getattr(self, name)
            known = digest is None or (isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest))
            _require(bool(known), name, "64 lower-case hexadecimal digits", repr(digest))
        _require(
            self.encoder_sha256 is None or sizes.encoder in ("frozen", *BACKBONES),
            "encoder_sha256", "None for a model with its own encoder", repr(self.encoder_sha256),
        )  # fmt: skip

    @property
    def name(self) -> str:
        """The name of the model's files: task, kind, latent and seed."""
        return f"{self.task}-{self.kind}-{self.architecture.label}-{self.seed}"

    def __str__(self) -> str:
        return sheet(self)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values, with the format's version and the model's name first."""
        return {"format": FORMAT, "name": self.name, **_plain("card", asdict(self))}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Card:
        """Return the card of `to_json`'s values.

        Raises
            ParameterError: for a future format, a missing or unknown field, a value that a field cannot have, or
                a name that does not fit the fields.
        """
        written = values.get("format")
        _require(
            isinstance(written, int) and not isinstance(written, bool) and written >= 1,
            "format", "the format version of a card", repr(written),
        )  # fmt: skip
        assert isinstance(written, int)
        _require(
            written <= FORMAT, "format", f"version {FORMAT} at most, which this grasp-theory reads", f"version {written}",
            "upgrade grasp-theory: the file was written by a newer one",
        )  # fmt: skip
        names = {"format", "name"} | {f.name for f in fields(cls)}
        _fields("card", values, names - {"dtype"} if written == 1 else names)
        read = {name: value for name, value in values.items() if name not in ("format", "name")}
        for name, kind in (("actions", ActionLayout), ("architecture", Architecture)):
            _fields(name, read[name], {f.name for f in fields(kind)}, optional=LATER)
            read[name] = kind(**read[name])
        for name in ("frame_offsets", "probe_names"):
            _require(isinstance(read[name], list), name, "a list", repr(read[name]))
            read[name] = tuple(read[name])
        card = cls(**read)
        _require(
            values["name"] == card.name, "name", f"{card.name!r}, as the fields say", repr(values["name"])
        )
        return card


class Cards(tuple[Card, ...]):
    """A tuple of cards that prints as a table."""

    __slots__ = ()

    def __str__(self) -> str:
        return table(self)


def _require(condition: bool, argument: str, expected: str, found: str, hint: str | None = None) -> None:
    if not condition:
        raise ParameterError(argument, expected, found, hint or "a value that the docstring of Card allows")


def _text(argument: str, value: object) -> str:
    _require(
        isinstance(value, str) and value.strip() != "", argument, "a text that is not empty", repr(value)
    )
    return str(value)


def _named(argument: str, values: object, names: set[str]) -> set[str]:
    """Return the names of an object that has at least these; refuse anything else."""
    _require(isinstance(values, Mapping), argument, "an object with named fields", repr(values))
    assert isinstance(values, Mapping)
    missing = sorted(names - set(values))
    _require(not missing, argument, f"the fields {sorted(names)}", f"missing {missing}")
    return set(values)


def _fields(argument: str, values: object, names: set[str], optional: frozenset[str] = frozenset()) -> None:
    """Refuse what is not an object with exactly these names, of which some may be left out."""
    unknown = sorted(_named(argument, values, names - optional) - names)
    _require(not unknown, argument, f"the fields {sorted(names)} alone", f"unknown {unknown}")


def _plain(argument: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deep copy as JSON has it: lists for tuples, no NaN, nothing but plain values."""
    _require(isinstance(value, Mapping), argument, "an object with named fields", repr(value))
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ParameterError(
            argument, "finite numbers, texts, lists and mappings of them", str(error),
            "convert arrays with .tolist(), and leave out what is not finite",
        ) from error  # fmt: skip
    return copy
