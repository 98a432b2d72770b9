"""Where models run, as commands are told it."""

from __future__ import annotations

from typing import Annotated

import torch
import typer

from grasp_theory.boundary import as_device
from linear_systems.errors import ParameterError

Device = Annotated[str, typer.Option(help="Where the models run: cpu, cuda or cuda:<index>.")]


def device_of(name: str) -> torch.device:
    """Return the device of that name.

    Raises
        ParameterError: if it is none, or not one of this machine.
    """
    device = as_device("--device", name)
    if device.type not in ("cpu", "cuda"):
        raise ParameterError(
            "--device", "cpu, cuda or cuda:<index> of this machine", repr(name), "--device cpu"
        )
    return device
