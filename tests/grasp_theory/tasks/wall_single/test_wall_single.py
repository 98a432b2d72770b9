"""WallSingle: motion in closed form, no tunnelling, exact geodesics, pictures, behaviour."""

from __future__ import annotations

from functools import cache
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from grasp_theory.tasks.task import FRAMESKIP, Task
from grasp_theory.tasks.wall_single.wall_single import (
    ACTION_LIMIT,
    DIVERSE,
    OFFLINE,
    POLICIES,
    ROBUST,
    SUCCESS_RADIUS,
    WALL_SINGLE,
    WALL_SINGLE_LONG,
    WallSingle,
)
from grasp_theory.tasks.wall_single.walls import Walls
from linear_systems.errors import NonFiniteError, ParameterError, ShapeError

TASKS = [WALL_SINGLE, WALL_SINGLE_LONG]
by_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def step(task: WallSingle, state: tuple[float, float], action: tuple[float, float]) -> np.ndarray:
    return task.simulate(np.array([state]), np.array([[action]]))[0, 1]


@by_task
def test_it_is_a_task(task: WallSingle) -> None:
    assert isinstance(task, Task)
    assert hash(task) == hash(WallSingle(task.name, task.doors, task.width, task.half_opening, task.gain))


@pytest.mark.parametrize(
    ("state", "action", "expected"),
    [
        ((20, 30), (0.5, -1.0), (21, 28)),  # free: twice the action
        ((20, 30), (3.0, 4.0), (20 + 3.6 * 0.6, 30 + 3.6 * 0.8)),  # an action of length 5 is shortened to 1.8
        ((28, 30), (1.0, 0.0), (29, 30)),  # head on into the wall: rests on its face x = 29
        ((28, 30), (1.0, 0.75), (29, 31.5)),  # slides: the part along the wall is kept whole
        ((29, 30), (1.5, 0.0), (29, 30)),  # pushing from the face moves nothing
        ((29, 30), (-1.0, 0.5), (27, 31)),  # and leaving it is free
        ((36, 30), (-1.0, 0.25), (35, 30.5)),  # the other face, x = 35
        ((6, 58.5), (-1.0, 1.0), (5, 60)),  # slides along one border into the corner of the room
        ((29, 15), (0.5, -1.0), (29, 13)),  # sliding past the door's edge, the part into the wall stays lost
        ((30, 10), (1.5, 0.0), (33, 10)),  # through the door
        ((32, 13.5), (0.5, 0.5), (33, 14)),  # the door's sill, y = 14
        ((32, 6.5), (0.0, -1.5), (32, 6)),  # the door's lintel, y = 6
        ((28.5, 13), (0.9, 0.9), (30.3, 14)),  # round the corner of the wall: lands on the sill and slides
        ((29, 14), (1.0, 0.0), (31, 14)),  # along the sill, from the corner
    ],
)
def test_motion_in_closed_form(
    state: tuple[float, float], action: tuple[float, float], expected: tuple[float, float]
) -> None:
    np.testing.assert_allclose(step(WALL_SINGLE, state, action), expected, rtol=0, atol=1e-12)


def test_the_long_task_has_half_the_step() -> None:
    np.testing.assert_allclose(step(WALL_SINGLE_LONG, (8, 30), (0.5, -1.0)), (8.5, 29), atol=1e-12)
    assert WALL_SINGLE_LONG.reach == WALL_SINGLE.reach / 2 == FRAMESKIP * 1.8


points = st.tuples(st.floats(0, 1), st.floats(0, 1))
moves = st.tuples(st.floats(-150, 150), st.floats(-150, 150))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@settings(max_examples=300, deadline=None)
@given(where=points, move=moves, again=moves)
@example(where=(0.5, 0.5), move=(1e-300, 5e-324), again=(40.0, -1e-15))
def test_no_displacement_tunnels(
    task: WallSingle, where: tuple[float, float], move: tuple[float, float], again: tuple[float, float]
) -> None:
    """A path of length |d| in the free space joins start and end, so their geodesic is no longer than |d|."""
    now = np.array([where]) * 55 + 5
    if not task.walls.free(now)[0]:
        now[0, 0] = task.doors[0][0] - task.width / 2
    for displacement in np.array([move, again]):
        after = task.walls.move(now, displacement[None])
        assert task.walls.free(after)[0]
        assert task.geodesic(now, after)[0] <= np.linalg.norm(displacement) + 1e-7
        now = after


@by_task
def test_aiming_into_a_corner_ends_in_it(task: WallSingle) -> None:
    """Both walls are met at once: rounding must not put the point behind the second."""
    rng = np.random.default_rng(8)
    states = task.sample_states(rng, 20_000)
    x = np.array([5.0, 60.0, *task.walls.corners[:, 0]])
    corners = np.stack([rng.choice(x, len(states)), rng.choice([5.0, 60.0], len(states))], axis=-1)
    after = task.walls.move(states, (corners - states) * rng.uniform(1, 2, (len(states), 1)))
    assert task.walls.free(after).all()
    straight = np.abs(task.geodesic(states, corners) - np.linalg.norm(corners - states, axis=1)) < 1e-9
    inner = straight & ((corners[:, 0] == 5) | (corners[:, 0] == 60))
    assert inner.sum() > 100
    np.testing.assert_array_equal(after[inner], corners[inner])


@by_task
def test_motion_agrees_with_many_small_steps(task: WallSingle) -> None:
    """Reference: 1/2000 of the displacement at a time; a component that is blocked is lost from then on."""
    rng = np.random.default_rng(0)
    states = task.sample_states(rng, 400)
    displacements = rng.normal(0, 8, (400, 2))
    expected = states.copy()
    parts = displacements / 2000
    for _ in range(2000):
        ahead = expected + parts
        blocked = ~task.walls.free(ahead)
        for axis in (0, 1):
            along = expected.copy()
            along[:, axis] = ahead[:, axis]
            parts[blocked & ~task.walls.free(along), axis] = 0
        expected += parts
    off = np.linalg.norm(task.walls.move(states, displacements) - expected, axis=1)
    contacts = (parts != displacements / 2000).any(axis=1)
    assert contacts.mean() > 0.2
    # Each contact of the reference falls short by one of its steps at most.
    assert (off <= 2 * np.linalg.norm(displacements, axis=1) / 2000 + 1e-9).all()


@cache
def grid(task: WallSingle) -> tuple[np.ndarray, coo_array]:
    """The free points of a grid of 0.5 px, joined in 32 directions where points 0.1 px apart are free."""
    side = np.arange(5, 60.01, 0.5)
    nodes = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1)
    free = task.walls.free(nodes)
    number = np.arange(free.size, dtype=np.int32).reshape(free.shape)
    offsets = [(i, j) for i in range(-3, 4) for j in range(-3, 4) if np.gcd(i, j) == 1]
    starts, ends, lengths = [], [], []
    for i, j in offsets:
        here = (slice(max(0, -i), len(side) - max(0, i)), slice(max(0, -j), len(side) - max(0, j)))
        there = (slice(max(0, i), len(side) + min(0, i)), slice(max(0, j), len(side) + min(0, j)))
        open_ = free[here] & free[there]
        for share in np.linspace(0, 1, 17)[1:-1]:
            open_ &= task.walls.free(nodes[here] + share * (nodes[there] - nodes[here]))
        starts.append(number[here][open_])
        ends.append(number[there][open_])
        lengths.append(np.full(open_.sum(), 0.5 * np.hypot(i, j)))
    pairs = (np.concatenate(starts), np.concatenate(ends))
    return nodes.reshape(-1, 2), coo_array((np.concatenate(lengths), pairs), shape=(free.size,) * 2)


@by_task
def test_geodesics_against_dijkstra_on_a_fine_grid(task: WallSingle) -> None:
    nodes, graph = grid(task)
    rng = np.random.default_rng(1)
    free = np.flatnonzero(task.walls.free(nodes))
    sources = rng.choice(free, 4, replace=False)
    lengths = dijkstra(graph.tocsr(), indices=sources)
    for source, found in zip(sources, lengths, strict=True):
        goals = rng.choice(free, 150, replace=False)
        starts = np.repeat(nodes[source][None], 150, axis=0)
        exact = task.geodesic(starts, nodes[goals])
        # Paths on the grid are free paths, cut by less than 1e-2 px at corners; 32 directions cost up to 1.4%.
        assert (exact <= found[goals] + 0.05).all()
        assert (found[goals] <= 1.014 * exact + 1.5).all()
        np.testing.assert_allclose(task.geodesic(nodes[goals], starts), exact, rtol=1e-12)
        discs = task.walls.geodesic_to_disc(starts, nodes[goals], SUCCESS_RADIUS)
        near = np.linalg.norm(nodes[:, None] - nodes[goals], axis=-1) <= SUCCESS_RADIUS
        to_disc = np.where(near, found[:, None], np.inf).min(axis=0)
        assert (discs <= to_disc + 0.05).all()
        assert (to_disc <= 1.014 * discs + 2.0).all()
        assert (discs <= np.maximum(exact - SUCCESS_RADIUS, 0) + 1e-9).all()


@pytest.mark.parametrize(
    ("start", "centre", "radius", "expected"),
    [
        # The disc pokes through the wall: straight to it, though its centre is behind.
        ((6, 6), (11, 8), 3, np.hypot(5, 2) - 3),
        # Round the corners (10, 10) and (11, 10), then straight towards the centre.
        ((6, 6), (13, 8), 2.5, np.hypot(4, 4) + 1 + np.hypot(2, 2) - 2.5),
        # The wall cuts the straight way off: the path ends where the circle meets its face, at (10, 9 - sqrt(1.75)).
        ((9, 3), (11.5, 9), 2, np.hypot(1, 6 - np.sqrt(1.75))),
        # Inside already.
        ((9, 8), (11, 8), 3, 0),
    ],
)
def test_the_way_into_a_disc_in_closed_form(
    start: tuple[float, float], centre: tuple[float, float], radius: float, expected: float
) -> None:
    walls = Walls(0, 20, ((10.0, 4.0, 11.0, 10.0),))
    found = walls.geodesic_to_disc(np.array([start], dtype=float), np.array([centre], dtype=float), radius)[0]
    assert found == pytest.approx(expected, abs=1e-12)


def test_without_walls_geodesics_are_straight_and_no_path_is_infinite() -> None:
    room = Walls(0, 10, ())
    start, goal = np.array([[1.0, 1.0]]), np.array([[4.0, 5.0]])
    assert room.geodesic(start, goal)[0] == 5
    assert room.geodesic_to_disc(start, goal, 1.0)[0] == 4
    np.testing.assert_array_equal(room.waypoints(start, goal), goal)
    shut = Walls(0, 10, ((2.0, -np.inf, 3.0, np.inf),))
    assert shut.geodesic(start, goal)[0] == np.inf


@by_task
def test_following_the_waypoints_takes_the_lower_bound_and_little_more(task: WallSingle) -> None:
    rng = np.random.default_rng(2)
    states, goals = task.sample_states(rng, 150), task.sample_states(rng, 150)
    bound = task.shortest_steps(states, goals) * FRAMESKIP
    taken, now = np.full(150, np.inf), states
    for t in range(int(bound.max()) + 20):
        taken[task.success(now, goals) & np.isinf(taken)] = t
        towards = task.walls.waypoints(now, goals) - now
        lengths = np.linalg.norm(towards, axis=1, keepdims=True)
        actions = towards / np.maximum(lengths, 1e-300) * np.minimum(ACTION_LIMIT, lengths / task.gain)
        now = task.step(now, actions)
    assert (taken >= bound - 1e-9).all()
    # One step of rounding up, up to one at each bend, and what the disc's cut at a corner saves.
    assert (taken <= bound + 2 * len(task.doors) + 3 + 2 / task.gain).all()


@by_task
def test_success_is_strict_and_distance_straight(task: WallSingle) -> None:
    goal = np.array([[20.0, 30.0]] * 3)
    states = goal + np.array([[4.4, 0], [4.5, 0], [3.0, 4.0]])
    np.testing.assert_allclose(task.distance(states, goal), [4.4, 4.5, 5.0])
    assert task.success(states, goal).tolist() == [True, False, False]
    assert task.shortest_steps(states[:2], goal[:2]).tolist() == [0, 0]
    np.testing.assert_allclose(task.state_errors(states, goal)["position"], [4.4, 4.5, 5.0])
    np.testing.assert_array_equal(task.probe_targets(states), states)


@by_task
def test_behaviour_replays_is_seeded_and_keeps_to_the_actuator(task: WallSingle) -> None:
    runs = []
    for seed in (3, 3, 4):
        rng = np.random.default_rng(seed)
        runs.append(task.behaviour(rng, task.sample_states(rng, 60), 40, mixture=OFFLINE))
    (path, actions), (path_again, actions_again), (other, _) = runs
    np.testing.assert_array_equal(path, path_again)
    np.testing.assert_array_equal(actions, actions_again)
    assert not np.array_equal(path, other)
    np.testing.assert_array_equal(task.simulate(path[:, 0], actions), path)
    lengths = np.linalg.norm(actions, axis=-1)
    assert lengths.max() <= ACTION_LIMIT + 1e-12
    assert lengths.mean() == pytest.approx(1.0, abs=0.02)
    assert lengths.std() == pytest.approx(0.4, abs=0.02)
    assert task.walls.free(path).all()


def crossings(path: np.ndarray) -> float:
    x = path[:, :, 0]
    return float(((x.min(axis=1) < 29) & (x.max(axis=1) > 35)).mean())


def contacts(task: WallSingle, path: np.ndarray, actions: np.ndarray) -> float:
    lost = np.linalg.norm(np.diff(path, axis=1) - task.gain * actions, axis=-1)
    return float((lost > 1e-9).mean())


def test_policies_do_what_they_are_for() -> None:
    rng = np.random.default_rng(5)
    starts = WALL_SINGLE.sample_states(rng, 200)
    runs = {name: WALL_SINGLE.behaviour(rng, starts, 50, mixture={name: 1.0}) for name in POLICIES}
    crossed = {name: crossings(path) for name, (path, _) in runs.items()}
    touched = {name: contacts(WALL_SINGLE, *run) for name, run in runs.items()}
    assert crossed["goal_directed"] > 0.7
    assert crossed["random"] < 0.1
    assert min(touched["saturated"], touched["contact"]) > 0.4
    assert touched["goal_directed"] < 0.15
    full = np.linalg.norm(runs["saturated"][1], axis=-1)
    np.testing.assert_allclose(full, ACTION_LIMIT)
    turns = np.diff(np.unwrap(np.arctan2(runs["correlated"][1][..., 1], runs["correlated"][1][..., 0])))
    assert turns.std() == pytest.approx(0.6, rel=0.05)
    assert crossings(WALL_SINGLE.behaviour(rng, starts, 50, mixture=OFFLINE)[0]) > 0.25
    assert WALL_SINGLE.mixtures == {"offline": OFFLINE, "robust": ROBUST, "diverse": DIVERSE}
    assert set(OFFLINE) | set(ROBUST) == set(POLICIES) >= set(DIVERSE)


@by_task
def test_random_states_are_free_and_everywhere(task: WallSingle) -> None:
    states = task.sample_states(np.random.default_rng(6), 4000)
    assert task.walls.free(states).all()
    counts, _, _ = np.histogram2d(*states.T, bins=5, range=[[5, 60], [5, 60]])
    assert counts.min() > 0.4 * 4000 / 25


@by_task
@pytest.mark.parametrize("size", [64, 224])
def test_the_picture_tells_the_position(task: WallSingle, size: int) -> None:
    rng = np.random.default_rng(7)
    states = task.sample_states(rng, 200)
    clear = np.ones(200, dtype=bool)
    for angle in np.linspace(0, 2 * np.pi, 16, endpoint=False):
        clear &= task.walls.free(states + 2.9 * np.array([np.cos(angle), np.sin(angle)]))
    states = states[clear]
    assert len(states) > 30
    redness = task.render(states, size).astype(float)
    redness = redness[..., 0] - redness[..., 1]
    rows, columns = (np.indices((size, size)) + 0.5) * 65 / size
    mass = redness.sum(axis=(1, 2))
    found = np.stack([(redness * columns).sum(axis=(1, 2)), (redness * rows).sum(axis=(1, 2))], axis=-1)
    assert np.abs(found / mass[:, None] - states).max() < 0.1


def test_golden_picture_and_its_structure() -> None:
    picture = WALL_SINGLE.render(np.array([[20.0, 40.0]]), 65)[0]
    assert picture[40, 20].tolist() == [220, 20, 20]
    assert (picture[:5] == 0).all()
    assert (picture[:, 60:] == 0).all()
    assert (picture[14:, 29:35] == 0).all()
    assert (picture[6:14, 5:60] == 255).all()
    assert (picture[20:60, 36:60] == 255).all()
    digest = "028c10ffb5e33945124c77afbbe42fd39bedf382b33102431cd381b175344b75"
    assert sha256(WALL_SINGLE.render(np.array([[20.0, 40.0], [51.3, 12.7]])).tobytes()).hexdigest() == digest


def test_rendering_twice_gives_the_same_and_drawing_on_a_picture_does_not_stick() -> None:
    states = np.array([[20.0, 40.0]])
    first = WALL_SINGLE.render(states)
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(WALL_SINGLE.render(states), kept)


@pytest.mark.parametrize(
    ("states", "actions", "error", "argument"),
    [
        ([[32.0, 30.0]], [[[0.0, 0.0]]], ParameterError, "states"),  # in the wall
        ([[2.0, 30.0]], [[[0.0, 0.0]]], ParameterError, "states"),  # outside
        ([[np.nan, 30.0]], [[[0.0, 0.0]]], ParameterError, "states"),
        ([20.0, 30.0], [[[0.0, 0.0]]], ShapeError, "states"),
        ([[20.0, 30.0]], [[0.0, 0.0]], ShapeError, "actions"),
        ([[20.0, 30.0]], [[[0.0, 0.0]]] * 2, ShapeError, "actions"),
        ([[20.0, 30.0]], [[[np.nan, 0.0]]], NonFiniteError, "actions"),
    ],
)
def test_bad_input_is_refused(states: object, actions: object, error: type[Exception], argument: str) -> None:
    with pytest.raises(error) as caught:
        WALL_SINGLE.simulate(np.array(states), np.array(actions))
    assert caught.value.argument == argument


@pytest.mark.parametrize("mixture", [{}, {"random": 0.0}, {"random": -1.0, "contact": 2.0}, {"randon": 1.0}])
def test_bad_mixtures_are_refused(mixture: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="mixture"):
        WALL_SINGLE.behaviour(np.random.default_rng(0), np.array([[20.0, 30.0]]), 3, mixture=mixture)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("width", 4.0),
        ("doors", ((32.0, 3.0),)),
        ("doors", ((61.0, 30.0),)),
        ("half_opening", -1.0),
        ("gain", np.nan),
    ],
)
def test_impossible_rooms_are_refused(argument: str, value: object) -> None:
    with pytest.raises(ParameterError, match=argument):
        WallSingle(**{argument: value})


@pytest.mark.parametrize(("low", "high", "wall"), [(5, 5, (1, 1, 2, 2)), (0, 9, (2, 1, 1, 2))])
def test_empty_rooms_and_walls_are_refused(low: float, high: float, wall: tuple[float, ...]) -> None:
    with pytest.raises(ParameterError):
        Walls(low, high, (wall,))
