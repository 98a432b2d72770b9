"""All that can be executed from one function on, and its digest.

A trace of a run would miss the branches that it does not take, and the files that a run imports are more than it executes:
every planner is imported by every trial.  So calls are followed in the sources, from the trial's first function on:

- a name leads to its definition, through imports and re-exports;
- a method belongs if its class belongs and its name is mentioned anywhere in code that belongs, whatever the object (the
class of an object belongs, because some code has made the object);
- all methods but `SHOWING` belong of a class that inherits from a library's class, for the library may call any of them;
- of a dictionary whose keys are all planners, or all tasks or modes, only the entry of the trial's own belongs;
- a string "module:name" leads there too.

What belongs is more than what runs, but for what can only refuse, which changes no trial that has a row.  Tests trace trials of
every planner, task and mode and look for what ran and neither belongs nor refuses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from experiments.study.code.modules import Definition, Sources
from experiments.study.code.normal import Normal, Piece, normal
from linear_systems.errors import ParameterError

SHOWING = {"__repr__", "__str__"}
"""Methods that say what an object is, for a person."""


@dataclass(frozen=True)
class Choice:
    """One of several alternatives that the trial takes.

    Arguments
        taken: its name.
        among: the names of all.
    """

    taken: str
    among: frozenset[str]

    def applies(self, keys: Iterable[str]) -> bool:
        """Return whether a dictionary with these keys lists such alternatives, the taken one among them."""
        return self.taken in keys and self.among.issuperset(keys)


@dataclass(frozen=True)
class Code:
    """The sources with what was read of them, for closures of many functions.

    Arguments
        sources: the packages.
        refusals: whether what can only refuse belongs too (`experiments.study.code.refusals`).
    """

    sources: Sources
    refusals: bool = False
    _normal: dict[Definition, Normal] = field(default_factory=dict, compare=False, repr=False)
    _effects: dict[str, Sequence[Definition]] = field(default_factory=dict, compare=False, repr=False)

    def closure(
        self, root: Definition, choices: Sequence[Choice] = (), *, methods: Iterable[str] = ()
    ) -> Closure:
        """Return all that can be executed from a function on, or from methods of a class.

        Arguments
            root: the function or the class.
            choices: what the trial takes.
            methods: names of methods that whoever makes an object of the class calls.

        Raises
            ParameterError: a class without methods, of which no code but its fields would belong.
        """
        called = frozenset(methods)
        if not called and self.normal(root).methods:
            raise ParameterError(
                "methods",
                f"names of methods of {root.name}",
                "none",
                "say which are called: methods=('plan',)",
            )
        found = Closure(self, root, choices, called)
        while (mentioned := called | found.mentioned()) != found.reaches:
            found = Closure(self, root, choices, mentioned)
        return found

    def normal(self, definition: Definition) -> Normal:
        """Return a definition's normal form; of the name "", a module's effects."""
        if definition not in self._normal:
            module = self.sources.module(definition.module)
            assert module is not None
            statements = module.definitions[definition.name] if definition.name else module.effects
            self._normal[definition] = normal(
                self.sources, definition.module, statements, refusals=self.refusals
            )
        return self._normal[definition]

    def effects(self, module: str) -> Sequence[Definition]:
        """Return the effects of a module and of the packages that it is in, where there are any."""
        if module not in self._effects:
            parts = module.split(".")
            names = [".".join(parts[: length + 1]) for length in range(len(parts))]
            found = [
                name for name in names if (read := self.sources.module(name)) is not None and read.effects
            ]
            self._effects[module] = [Definition(name, "") for name in found]
        return self._effects[module]


@dataclass(frozen=True)
class Closure:
    """What can be executed from a function on, if these names of methods are mentioned.

    Arguments
        code: the sources.
        root: the function.
        choices: see `Code.closure`.
        reaches: names of methods that are mentioned in what belongs to it.
    """

    code: Code
    root: Definition
    choices: Sequence[Choice]
    reaches: frozenset[str] = frozenset()
    order: Mapping[Definition, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", self._ordered())

    def functions(self) -> set[str]:
        """Return "module:name" of every function, class and constant that belongs, and "module:Class.method"."""
        found = {f"{each.module}:{each.name}" for each in self.order if each.name}
        for each in self.order:
            form = self.code.normal(each)
            found |= {
                f"{each.module}:{each.name}.{name}" for name in form.methods if self._belongs(form, name)
            }
        return found

    def mentioned(self) -> frozenset[str]:
        """Return the names of attributes that what belongs mentions."""
        return frozenset().union(*(piece.reaches for each in self.order for piece, _ in self._pieces(each)))

    def digest(self) -> str:
        """Return 16 hexadecimal digits of the SHA-256 of all that belongs, its definitions numbered in the order of mention."""
        text = hashlib.sha256()
        for definition in self.order:
            for piece, name in self._pieces(definition):
                tokens = (
                    f"#{self.order[token]}" if isinstance(token, Definition) else token
                    for token in piece.tokens
                )
                text.update("\0".join((name, *tokens, "\1")).encode())
        return text.hexdigest()[:16]

    def _ordered(self) -> dict[Definition, int]:
        order = {self.root: 0}
        queue = [self.root]
        for definition in queue:  # grows
            mentioned = [each for piece, _ in self._pieces(definition) for each in piece.leads_to]
            for each in [*mentioned, *self.code.effects(definition.module)]:
                if each not in order:
                    order[each] = len(order)
                    queue.append(each)
        return order

    def _pieces(self, definition: Definition) -> Iterator[tuple[Piece, str]]:
        form = self.code.normal(definition)
        yield form.body, ""
        for name in sorted(form.methods):
            if self._belongs(form, name):
                yield form.methods[name], name
        keys = form.alternatives.keys()
        taken = {choice.taken for choice in self.choices if choice.applies(keys)}
        for key in sorted(taken or keys):
            yield form.alternatives[key], key

    def _belongs(self, form: Normal, method: str) -> bool:
        special = method.startswith("__") and method.endswith("__")
        return ((form.open or special) and method not in SHOWING) or method in self.reaches
