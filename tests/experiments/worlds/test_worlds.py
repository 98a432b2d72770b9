"""Every world: solvable problems that doing nothing does not solve, rows that are independent, gradients that are right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.func import jacrev, vmap
from torch.nn.functional import normalize

from experiments.worlds.dials import Copies, Lifted, Rippled
from experiments.worlds.machines import Arm, Unicycle
from experiments.worlds.pendula import Pendulum
from experiments.worlds.plane import maze, trap, wall
from experiments.worlds.protocol import WORLDS
from experiments.worlds.systems import Linear, Network
from experiments.worlds.world import World, problems
from grasp_theory import rollout
from linear_systems.errors import ParameterError

TURNED: dict[str, Callable[[], World]] = {
    "T = 5": lambda: Linear(horizon=5, actions=16),
    "one action": lambda: Linear(states=4, actions=1),
    "512 states": lambda: Network(states=512, actions=64, reach=2.0),
    "embedded in 512": lambda: Lifted(wall(), 512, 4.0),
    "two links": lambda: Arm(links=2),
    "stable and far from normal": lambda: Linear(radius=0.9, stiffness=30.0),
    "unstable": lambda: Linear(radius=1.05),
    "open trap": lambda: trap(depth=0.0),
    "one baffle": lambda: maze(baffles=1),
}
ALL = {**WORLDS, **TURNED}


@pytest.fixture(params=ALL, ids=str)
def world(request: pytest.FixtureRequest) -> World:
    return ALL[request.param]()


def test_problems_are_solved_by_their_witness_and_not_by_doing_nothing(world: World) -> None:
    drawn = problems(world, 20, seed=3)
    problem = drawn.problem
    assert (problem.batch, problem.horizon, problem.action_dim) == (20, world.horizon, world.actions)
    assert problem.goal.shape == (20, world.states)
    assert drawn.witness.abs().max() <= 1
    ends = [rollout(world, problem.initial_state, plan)[:, -1] for plan in (drawn.witness, 0 * drawn.witness)]
    assert world.reached(ends[0], problem.goal).all()
    assert not world.reached(ends[1], problem.goal).any()
    assert (drawn.least >= 1).all()
    assert (drawn.least <= world.horizon).all()
    assert 0.3 < problem.goal.norm(dim=1).median() < 5 * world.states**0.5  # states of about unit scale


def test_rows_do_not_depend_on_each_other_and_times_stand_side_by_side(world: World) -> None:
    problem = problems(world, 4, seed=0).problem
    actions = 0.3 * torch.ones(4, 2, world.actions)
    states = problem.initial_state.unsqueeze(1).expand(-1, 2, -1)
    together = world.step(states, actions)
    alone = torch.stack([world.step(states[i, 0], actions[i, 0]) for i in range(4)])
    torch.testing.assert_close(together[:, 0], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["wall", "pendulum", "cart-pole", "acrobot", "unicycle", "arm", "expanding network"]
)
def test_gradients_are_those_of_differences(name: str) -> None:
    world = WORLDS[name]()
    state = problems(world, 1, seed=1).problem.initial_state[0]
    action = 0.2 * torch.ones(world.actions)
    exact = jacrev(world.step, argnums=(0, 1))(state, action)
    h = 1e-2
    for which, (jacobian, point) in enumerate(zip(exact, (state, action), strict=True)):
        moved = vmap(
            lambda d, which=which: world.step(*((state + d, action) if which == 0 else (state, action + d)))
        )
        steps = h * torch.eye(len(point))
        torch.testing.assert_close(
            jacobian, ((moved(steps) - moved(-steps)) / (2 * h)).T, rtol=0.05, atol=0.02
        )


def test_no_plan_is_faster_than_the_bound() -> None:
    for make in (wall, trap, maze, Unicycle, Arm):
        world = make()
        drawn = problems(world, 30, seed=2)
        states = rollout(world, drawn.problem.initial_state, drawn.witness)
        inside = torch.stack(
            [world.reached(states[:, t], drawn.problem.goal) for t in range(world.horizon + 1)], 1
        )
        first = inside.float().argmax(1)
        assert (first + 1e-4 >= drawn.least).all()
        # A bound of half the witness's time on the open way is worth something.
        assert (drawn.least > 0.1 * first).all()


def test_a_wall_stops_the_ball_and_the_trap_makes_it_back_out() -> None:
    world = wall()
    start = torch.tensor([[-1.0, 0.0]])
    straight = torch.tensor([1.0, 0.0]).expand(1, world.horizon, 2)
    assert rollout(world, start, straight)[0, -1, 0] < 0
    for depth in (0.4, 0.8):
        drawn = problems(trap(depth=depth), 20, seed=0)
        states = rollout(trap(depth=depth), drawn.problem.initial_state, drawn.witness)
        distance = (states - drawn.problem.goal.unsqueeze(1)).norm(dim=2)
        assert (distance.amax(1) - distance[:, 0] > depth - 0.2).all()


def test_an_adversary_misleads_beside_the_reachable_states_only() -> None:
    plain, misled = Lifted(wall(), 16), Lifted(wall(), 16, 16.0)
    drawn = problems(plain, 10, seed=0)
    start = drawn.problem.initial_state
    for plan in (drawn.witness, torch.rand_like(drawn.witness) - 0.5):
        torch.testing.assert_close(
            rollout(plain, start, plan), rollout(misled, start, plan), rtol=0, atol=2e-3
        )
    action = drawn.witness[0, 0]
    beside = jacrev(misled.step)(start[0], action) - jacrev(plain.step)(start[0], action)
    assert torch.linalg.matrix_norm(beside, 2) == pytest.approx(16, rel=1e-3)


def test_an_embedding_and_one_copy_change_nothing() -> None:
    base = problems(wall(), 10, seed=5)
    states = rollout(wall(), base.problem.initial_state, base.witness)
    lifted = problems(Lifted(wall(), 512), 10, seed=5)
    ends = rollout(lifted.problem.model, lifted.problem.initial_state, lifted.witness)
    torch.testing.assert_close(ends.norm(dim=2), states.norm(dim=2), rtol=1e-3, atol=1e-4)
    one = problems(Copies(wall(), 1), 10, seed=5)
    assert torch.equal(one.problem.goal, base.problem.goal)
    assert torch.equal(one.witness, base.witness)


def test_copies_are_solved_only_together() -> None:
    world = Copies(wall(), 3)
    drawn = problems(world, 5, seed=0)
    plan = drawn.witness.clone()
    plan[:, :, 2:4] = 0
    ends = rollout(world, drawn.problem.initial_state, plan)[:, -1]
    assert not world.reached(ends, drawn.problem.goal).any()


def test_ripples_are_small_in_the_step_and_large_in_its_gradient() -> None:
    world, rough = Linear(), Rippled(Linear(), 0.5)
    state, action = torch.randn(100, 16), torch.zeros(100, 4)
    assert (rough.step(state, action) - world.step(state, action)).abs().max() <= 0.5 / 50 + 1e-6
    slope = jacrev(rough.step)(state[0], action[0]) - jacrev(world.step)(state[0], action[0])
    assert slope.diagonal().abs().max() > 0.4


def test_networks_contract_and_expand() -> None:
    def growth(world: Network) -> float:
        generator = torch.Generator().manual_seed(0)
        state = 0.5 * torch.randn(100, world.states, generator=generator)
        moved = state + 1e-3 * normalize(torch.randn(100, world.states, generator=generator), dim=1)
        plan = torch.zeros(100, 60, 8)
        apart = rollout(world, moved, plan)[:, -1] - rollout(world, state, plan)[:, -1]
        return float(apart.norm(dim=1).median()) / 1e-3

    assert growth(Network(gain=0.4)) < 0.01
    assert growth(Network(states=128, gain=2.5)) > 3


def test_a_world_without_solvable_problems_is_refused() -> None:
    with pytest.raises(ParameterError, match="turn its dials back"):
        problems(Pendulum(horizon=2), 50, seed=0)
