"""The run-time type checker of the tests: beartype with the numeric tower of static checkers."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

# As for mypy, an int may stand where a float is annotated and a float where a complex is, as in ArrayLike.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
