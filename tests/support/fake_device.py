"""A device that is not there: tensors that say they are on it, are computed on the CPU, and refuse to meet a CPU tensor.

It goes by the name of `meta`, as a torch without CUDA takes no gradients of tensors that say `cuda`.  Unlike torch's own
fake tensors these have values, so that a planner's decisions can be followed to the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
MOVES = frozenset({"aten::copy_", "aten::_to_copy", "aten::index", "aten::index_put_"})
"""What a GPU takes from both devices at once; indices may be on the host."""


class OnDevice(Tensor):
    """A tensor that says it is on the device."""

    held: Tensor
    is_meta = False  # it has entries

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        made: OnDevice = Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=DEVICE, requires_grad=held.requires_grad,
        )  # fmt: skip
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _on_cpu(func, args, kwargs or {})


class _Everywhere(TorchDispatchMode):
    """Makes new tensors where they are asked for."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _on_cpu(func, args, kwargs or {})


def _on_cpu(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    there = [isinstance(each, OnDevice) for each in given]
    mixed = any(there) and any(each.ndim > 0 and not on for each, on in zip(given, there, strict=True))
    if mixed and func._schema.name not in MOVES:
        raise RuntimeError(f"tensors of the CPU and of the device meet in {func}")
    wanted = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
    on_device = any(there) if wanted is None else wanted.type == "meta"
    if func._schema.name == "aten::copy_":
        on_device = isinstance(args[0], OnDevice)
    kept = {id(each.held): each for each in given if isinstance(each, OnDevice)}
    plain_args, plain_kwargs = tree_map(
        lambda each: each.held if isinstance(each, OnDevice) else each, (args, dict(kwargs))
    )
    if wanted is not None:
        plain_kwargs["device"] = torch.device("cpu")
    result = func(*plain_args, **plain_kwargs)
    if not on_device:
        return result

    def wrapped(each: Any) -> Any:
        # What an operation changed in place comes back as the tensor that was given.
        return kept[id(each)] if id(each) in kept else OnDevice(each) if isinstance(each, Tensor) else each

    return tree_map(wrapped, result)


class _FromNumbers(TorchFunctionMode):
    """Tensors of Python numbers are made on the host and moved: torch would make them without entries."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.tolist and isinstance(args[0], OnDevice):
            return args[0].held.tolist()
        device = kwargs.get("device")
        if func in (torch.tensor, torch.as_tensor) and device is not None and torch.device(device) == DEVICE:
            data = args[0] if args else kwargs.get("data")
            if not isinstance(data, Tensor):
                return func(*args, **{**kwargs, "device": "cpu"}).to(DEVICE)
        return func(*args, **kwargs)


class _HostGenerator(torch.Generator):
    """The CPU's generator, whatever the device."""

    def __new__(cls, device: object = None) -> _HostGenerator:
        return super().__new__(cls)


@contextmanager
def fake_device() -> Iterator[torch.device]:
    """Give the device; its generators are the CPU's."""
    with patch.object(torch, "Generator", _HostGenerator), _FromNumbers(), _Everywhere():
        yield DEVICE
