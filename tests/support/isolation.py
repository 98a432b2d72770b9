"""Every test starts from the same state: gradients on, float32, fixed seeds, and the warnings filters as they were.

A test that ends in the middle of a `no_grad` block, for its time is up, leaves nothing to those after it.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Iterator[None]:
    torch.set_num_threads(1)
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    with warnings.catch_warnings():
        return (yield)
