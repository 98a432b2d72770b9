"""Where models run, as commands are told it."""

from __future__ import annotations

from typing import Annotated

import torch
import typer

from linear_systems.errors import ParameterError

Device = Annotated[str, typer.Option(help="Where the models run: cpu, cuda or cuda:<index>.")]


def device_of(name: str) -> torch.device:
    """Return the device of that name.

    Raises
        ParameterError: if it is none, or not one of this machine.
    """

    def refuse(found: str) -> ParameterError:
        return ParameterError("device", "cpu, cuda or cuda:<index> of this machine", found, "--device cpu")

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise refuse(repr(name)) from error
    if device.type == "cpu" and not device.index:
        return device
    if device.type != "cuda":
        raise refuse(repr(name))
    if not torch.cuda.is_available():
        raise refuse(f"{name!r}, and this machine, or this torch, has no CUDA")
    if (device.index or 0) >= torch.cuda.device_count():
        raise refuse(f"{name!r} of {torch.cuda.device_count()} CUDA devices")
    return device
