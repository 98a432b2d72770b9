"""Damage to files, drawn by seed: bits, lengths, and in JSON types, sizes and depth."""

from __future__ import annotations

import json
import random
from typing import Any

STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**6, 10**30, 1e308, float("nan"), float("inf"), "", "x", "\0", "x" * 10_000, [], {}, [[]],
    [1, "a"], {"a": 1},
)  # fmt: skip


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return other bytes than these: some bits turned, a part cut off, repeated, zeroed, or all of it gone."""
    found = bytearray(content)
    while bytes(found) == content:
        kind, at = rng.randrange(7), rng.randrange(len(content))
        if kind < 3:
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            found = found[:at]
        elif kind == 4:
            found[at : at + rng.randrange(1, 200)] = bytes(rng.randrange(200))
        elif kind == 5:
            found += found[at : at + 1000] or b"\0"
        else:
            found = bytearray(
                rng.choice([b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b"null", b"\0" * 4096])
            )
    return bytes(found)


def other_json(content: bytes, rng: random.Random) -> bytes:
    """Return JSON with one value replaced, left out, added, or put a thousand levels deep."""
    value = json.loads(content)
    holder, key = _place(value, rng)
    kind = rng.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder["unknown"] = 1
    elif kind == 2:
        holder[key] = _deep(holder[key])
    else:
        holder[key] = rng.choice(STRANGE)
    return json.dumps(value).encode()


def _place(value: Any, rng: random.Random) -> tuple[Any, Any]:
    """Return a container and a key in it, near the top more often than deep down."""
    while True:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        inner = value[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.3:
            return value, key
        value = inner


def _deep(value: Any) -> Any:
    for _ in range(900):
        value = [value]
    return value
