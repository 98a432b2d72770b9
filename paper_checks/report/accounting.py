"""Accounts for everything the paper numbers: which claim covers it, or why there is nothing to check."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from paper_checks.engine.records import Claim

KINDS = {
    "Equation": range(1, 108),
    "Theorem": range(1, 10),
    "Corollary": range(1, 2),
    "Algorithm": range(1, 2),
    "Table": range(1, 6),
    "Figure": range(1, 8),
}
"""Everything the paper numbers."""

NAMED = re.compile(r"(Theorem|Corollary|Algorithm) (\d+)")
"""How a claim's `others` names what has no field of its own."""
CITED = re.compile(
    r"(Theorem|Corollary|Algorithm|Table|Figure)s? (\d+(?:(?:–|, | and |, and )\d+)*)(?![\d.])"
)
"""How a claim's `source` cites items, one or several: "Tables 1, 3 and 4", "Tables 1–5"."""


@dataclass(frozen=True)
class Item:
    """Something that the paper numbers, and what becomes of it.

    Arguments
        kind, number: a key of `KINDS` and a number.
        checked: ids of the claims whose checks cover it.
        definitions: (id, why) of the claims by which it only defines, denotes or depicts.
        missing: (id, what is missing) of the claims that say it is not checkable here.
    """

    kind: str
    number: int
    checked: tuple[str, ...]
    definitions: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...]

    @property
    def label(self) -> str:
        """How a reader names it."""
        return f"Eq. ({self.number})" if self.kind == "Equation" else f"{self.kind} {self.number}"

    @property
    def accounted(self) -> bool:
        """Whether some claim says what becomes of it."""
        return bool(self.checked or self.definitions or self.missing)

    @property
    def outcome(self) -> tuple[str, str]:
        """Return the status and its explanation: the claims, or the reason why there is none."""
        if self.checked:
            return "checked", ", ".join(self.checked)
        for status, entries in (("not checkable here", self.missing), ("definition", self.definitions)):
            if entries:
                return status, "; ".join(f"{claim_id}: {why}" for claim_id, why in entries)
        return "not accounted for", ""


def account(claims: Iterable[Claim]) -> tuple[Item, ...]:
    """Return every numbered item of the paper with the claims that account for it, in the order of `KINDS`.

    Theorems, corollaries and algorithms are those that a claim's `others` names, such as "Theorem 6".
    """
    checked: dict[tuple[str, int], list[str]] = {}
    definitions: dict[tuple[str, int], list[tuple[str, str]]] = {}
    missing: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for claim in claims:
        for key in _named(claim):
            if claim.check is not None:
                checked.setdefault(key, []).append(claim.id)
            elif claim.missing:
                missing.setdefault(key, []).append((claim.id, claim.missing))
            else:
                definitions.setdefault(key, []).append((claim.id, claim.title))
        for number, why in claim.definitions.items():
            definitions.setdefault(("Equation", number), []).append((claim.id, why))
    return tuple(
        Item(
            kind,
            number,
            tuple(checked.get((kind, number), ())),
            tuple(definitions.get((kind, number), ())),
            tuple(missing.get((kind, number), ())),
        )
        for kind, numbers in KINDS.items()
        for number in numbers
    )


def about(claim: Claim) -> tuple[str, ...]:
    """Return the labels of the theorems, tables and figures that a claim accounts for or cites, in the order of `KINDS`."""
    named = {(kind, number) for kind, number in _named(claim) if kind != "Equation"}
    for kind, numbers in CITED.findall(claim.source):
        for first, last in re.findall(r"(\d+)(?:–(\d+))?", numbers):
            named |= {(kind, number) for number in range(int(first), int(last or first) + 1)}
    return tuple(
        f"{kind} {number}" for kind, numbers in KINDS.items() for number in numbers if (kind, number) in named
    )


def unknown_items(claims: Iterable[Claim]) -> tuple[str, ...]:
    """Return what claims name and the paper does not have."""
    found: list[str] = []
    for claim in claims:
        named = (*_named(claim), *(("Equation", number) for number in claim.definitions))
        found += [f"{claim.id}: {kind} {number}" for kind, number in named if number not in KINDS[kind]]
        found += [f"{claim.id}: {name}" for name in claim.others if not NAMED.fullmatch(name)]
    return tuple(found)


def grouped(items: Sequence[Item]) -> tuple[tuple[str, Item], ...]:
    """Merge neighbours of one kind with one outcome: ("Eq. (16)–(23)", an item of them)."""
    groups: list[list[Item]] = []
    for item in items:
        last = groups[-1][-1] if groups else None
        if last and (last.kind, last.number + 1, last.outcome) == (item.kind, item.number, item.outcome):
            groups[-1].append(item)
        else:
            groups.append([item])
    return tuple((_span(group), group[0]) for group in groups)


def _span(group: Sequence[Item]) -> str:
    first, last = group[0], group[-1]
    if first is last:
        return first.label
    return (
        f"{first.label}–({last.number})"
        if first.kind == "Equation"
        else f"{first.kind}s {first.number}–{last.number}"
    )


def _named(claim: Claim) -> tuple[tuple[str, int], ...]:
    named = ((match[1], int(match[2])) for name in claim.others if (match := NAMED.fullmatch(name)))
    return (
        *(("Equation", number) for number in claim.equations),
        *named,
        *(("Table", number) for number in claim.tables),
        *(("Figure", number) for number in claim.figures),
    )
