"""Planners take what `torch.compile` makes of a model, and plan the same with it."""

from __future__ import annotations

import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest
import torch
from compiled_joint_step import captures_and_drift
from planner_cases import Pendulum, pendulum_problem
from torch import Tensor, nn

from grasp_theory import CEM, GRASP, GradientDescent, Planner
from grasp_theory.dynamics import is_compiled

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("c++") is None, reason="inductor needs a C++ compiler"),
    # The compiler's own: it imports a module of torch that uses what torch deprecates, and looks at what it hides.
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]


class Network(nn.Module):
    """The pendulum as a module that has a forward pass only, counting the calls that are not compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.uncompiled = 0

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        """Return the next states."""
        if not torch.compiler.is_compiling():
            self.uncompiled += 1
        following: Tensor = Pendulum().step(state, action)
        return following


class SteppingNetwork(Network):
    """The same with a step."""

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Return the next states."""
        return self.forward(state, action)


PARALLEL = replace(GRASP.parallel(), iterations=6, sync_every=3, sync_steps=2)


@pytest.mark.parametrize(
    "planner",
    [PARALLEL, replace(PARALLEL, sync_method="gradient"), GradientDescent(iterations=3), CEM(iterations=2)],
    ids=["GRASP.parallel", "GRASP", "GradientDescent", "CEM"],
)
@pytest.mark.parametrize("stepping", [False, True], ids=["a module", "a step"])
def test_a_compiled_model_plans_the_same(planner: Planner, stepping: bool) -> None:
    torch.compiler.reset()  # one function is compiled anew a limited number of times, then runs as it is
    problem = pendulum_problem(3)
    network = SteppingNetwork() if stepping else Network()
    compiled = torch.compile(network.step if isinstance(network, SteppingNetwork) else network)
    found = planner.plan(replace(problem, dynamics=compiled))
    assert network.uncompiled == 0
    # Fused arithmetic rounds differently, and normalised steps amplify that.
    if planner == PARALLEL:  # a compiled backward pass can be taken once only
        planner = replace(planner, sync_method="gradient")
    torch.testing.assert_close(found.actions, planner.plan(problem).actions, rtol=1e-9, atol=1e-9)


def test_a_compiled_module_with_a_step_runs_uncompiled() -> None:
    """Why it is `model.step` that has to be compiled where a model has one."""
    network = SteppingNetwork()
    CEM(iterations=1).plan(pendulum_problem(2, dynamics=torch.compile(network)))
    assert network.uncompiled > 0


@pytest.mark.parametrize(("backend", "captures"), [("counter", 2), ("inductor", 0)])
def test_the_joint_step_is_captured_whole_and_not_again_in_every_iteration(
    backend: str, captures: int
) -> None:
    """Twice: with fresh moments of Adam, and with moments."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        captured, drift = pool.submit(captures_and_drift, backend).result()
    assert captured == captures
    assert drift < 1e-9


def test_what_is_compiled_is_known_and_what_is_not_is_not() -> None:
    layer = torch.nn.Linear(2, 2)
    held = torch.nn.Sequential(torch.nn.Linear(2, 2))
    assert not is_compiled(held)
    assert not is_compiled(held.forward)
    assert is_compiled(torch.compile(held))
    assert is_compiled(torch.compile(held.forward))
    layer.compile()
    assert is_compiled(torch.nn.Sequential(layer))
