"""Operations of a computation, the same on every machine: how many, their arithmetic and their traffic.

An operation is one that computes or moves something: on a GPU, about one kernel.  Views cost nothing and do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

READS = frozenset({"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero"})
"""Where the host waits for the device: for a number, or for how many there are."""


@dataclass
class Operations:
    """What was counted.

    Arguments
        count: operations.
        reads: those for which the host waits.
        each: (FLOP, bytes) of every operation, the bytes those of its inputs and outputs.
    """

    count: int = 0
    reads: int = 0
    each: list[tuple[float, float]] = field(default_factory=list)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, counted: Operations) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counted = counted

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = func._schema.name
        self.counted.reads += name in READS
        if name not in READS and not _is_view(func):
            flop = flop_registry.get(func._overloadpacket)
            traffic = sum(
                each.numel() * each.element_size()
                for each in tree_leaves((args, kwargs, result))
                if isinstance(each, Tensor)
            )
            self.counted.count += 1
            arithmetic = flop(*args, **kwargs, out_val=result) if flop is not None else 0
            self.counted.each.append((float(arithmetic), float(traffic)))
        return result


def operations(call: Callable[[], object]) -> Operations:
    """Return the operations of a call."""
    counted = Operations()
    with _Counter(counted):
        call()
    return counted


def _is_view(func: Any) -> bool:
    aliases = [each.alias_info for each in func._schema.returns]
    shares = any(alias is not None and not alias.is_write for alias in aliases)
    return shares or func is torch.ops.aten._unsafe_view.default
