"""Operations are counted as what they are, and the roofline adds them up."""

from __future__ import annotations

import pytest
import torch
from typer.testing import CliRunner

from experiments.__main__ import app
from experiments.bench.operations import operations
from experiments.bench.roofline import EAGER_LATENCY, GPU, GRAPH_LATENCY, predict


def test_operations_views_and_reads() -> None:
    left, right = torch.ones(4, 8), torch.ones(8, 2)

    def compute() -> None:
        product = left @ right.view(2, 8).mT  # a view costs nothing
        assert bool((product > 0).all())  # the host reads

    counted = operations(compute)
    assert (counted.count, counted.reads) == (3, 1)  # a product, a comparison, a reduction
    flop, traffic = counted.each[0]
    assert flop == 2 * 4 * 8 * 2
    assert traffic == 4 * (4 * 8 + 8 * 2 + 4 * 2)


def test_the_roofline_takes_the_longest_of_latency_arithmetic_and_traffic() -> None:
    counted = operations(lambda: torch.ones(1000, 1000) @ torch.ones(1000, 1000))
    slow = GPU(peak=1e12, bandwidth=1e9)
    filled = 2 * 4e6 / 1e9  # two matrices of ones, written
    assert predict(counted, slow).eager == pytest.approx(filled + 12e6 / 1e9)
    fast = GPU(peak=1e30, bandwidth=1e30)
    assert predict(counted, fast).eager == pytest.approx(3 * EAGER_LATENCY)
    assert predict(counted, fast).graph == pytest.approx(3 * GRAPH_LATENCY)
    assert predict(counted, fast).started == 1.0


def test_the_command_predicts_for_a_named_gpu() -> None:
    result = CliRunner().invoke(app, ["bench", "roofline", "--gpu", "A100", "--horizon", "4"])
    assert result.exit_code == 0, result.output
    assert "joint step" in result.output
    assert CliRunner().invoke(app, ["bench", "roofline", "--gpu", "abacus"]).exit_code == 2
