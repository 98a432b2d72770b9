"""A test that ends in the middle of a block, as a time-out does, leaves nothing behind for the next."""

from __future__ import annotations

import os

import pytest
import torch


def test_a_state_that_is_left_behind() -> None:
    torch.autograd.grad_mode.no_grad().__enter__()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(2)
    assert not torch.is_grad_enabled()


def test_the_next_test_does_not_see_it() -> None:
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() is torch.float32
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("_time", [0, 1])
def test_unseeded_draws_are_the_same_in_every_test(_time: int) -> None:
    assert torch.rand(1).item() == pytest.approx(0.4962565898895264)


def test_numerical_libraries_have_one_thread() -> None:
    assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"
