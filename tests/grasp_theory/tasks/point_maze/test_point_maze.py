"""The point maze against its reference environment, closed-form motion, brute-force paths and its own pictures."""

from __future__ import annotations

import importlib
from pathlib import Path

import mujoco
import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

pytest.importorskip("gymnasium_robotics", reason="the physics is gymnasium-robotics'")

from grasp_theory.tasks.point_maze.maze_map import CLEARANCE, MazeMap
from grasp_theory.tasks.point_maze.point_maze import (
    BALL_COLOUR,
    FLOOR_COLOUR,
    POINT_MAZE,
    POINT_MAZE_LONG,
    RADIUS,
    S_MAZE,
    SUCCESS_DISTANCE,
    TIME_STEP,
    U_MAZE,
    WALL_COLOUR,
    PointMaze,
)
from grasp_theory.tasks.point_maze.policies import MIXTURES, POLICIES
from grasp_theory.tasks.task import FRAMESKIP, Task
from linear_systems.errors import InvalidInputError, NonFiniteError, ParameterError, ShapeError

TASKS = [POINT_MAZE, POINT_MAZE_LONG]
MASS = 1000 * 4 / 3 * np.pi * RADIUS**3
FASTEST = 5 + TIME_STEP * (100 - 5) / (MASS + TIME_STEP)

by_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def state(x: float, y: float, vx: float = 0.0, vy: float = 0.0) -> np.ndarray:
    return np.array([[x, y, vx, vy]])


def episodes(task: PointMaze, seed: int, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    generator = rng(seed)
    return task.behaviour(generator, task.sample_states(generator, count), length, mixture=MIXTURES["robust"])


# The physics, against gymnasium-robotics itself.


def reference_paths(task: PointMaze, path: np.ndarray, actions: np.ndarray, warm_start: bool) -> np.ndarray:
    maze = importlib.import_module("gymnasium_robotics.envs.maze.point_maze")
    env = maze.PointMazeEnv(maze_map=[list(row) for row in task.layout])
    if not warm_start:
        env.point_env.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_WARMSTART
    env.reset(seed=0)
    found = np.empty_like(path)
    for row in range(len(path)):
        start = found[row, 0] = path[row, 0]
        env.point_env.reset()
        env.point_env.set_state(start[:2], start[2:])
        for k, action in enumerate(actions[row]):
            found[row, k + 1] = env.step(action)[0]["observation"]
    env.close()
    Path(env.tmp_xml_file_path).unlink()  # The environment leaves it behind.
    return found


@by_task
def test_physics_is_that_of_the_reference_environment(task: PointMaze) -> None:
    path, actions = episodes(task, seed=1, count=40, length=100)
    actions = 1.5 * actions  # Beyond the actuator's limit, which both clip.
    path = task.simulate(path[:, 0], actions)
    touching = task.maze.wall_distance(path[..., :2].reshape(-1, 2)) < RADIUS
    assert touching.mean() > 0.05
    assert np.array_equal(path, reference_paths(task, path, actions, warm_start=False))
    # The untouched environment starts its contact solver from the step before.  The solver stops when a step lowers its
    # cost by less than 1e-8 of mass·dimensions, so it knows an acceleration to √(2 · 2 · 1e-8) = 2e-4 m/s².
    untouched = reference_paths(task, path, actions, warm_start=True)
    following = task.simulate(untouched[:, :-1].reshape(-1, 4), actions.reshape(-1, 1, 2))[:, 1]
    error = np.abs(following - untouched[:, 1:].reshape(-1, 4))
    assert error[:, 2:].max() < 2e-4 * TIME_STEP
    assert error[:, :2].max() < 2e-4 * TIME_STEP**2
    free = task.maze.wall_distance(untouched[:, :-1, :2].reshape(-1, 2)) > RADIUS + 0.005
    assert free.mean() > 0.4
    assert (error[free] == 0).all()


def test_layout_and_model_are_those_of_the_registered_environment() -> None:
    gymnasium = importlib.import_module("gymnasium")
    env = gymnasium.make("PointMaze_UMaze-v3")
    point = env.unwrapped.point_env
    assert tuple(map(tuple, env.unwrapped.maze.maze_map)) == U_MAZE
    assert point.dt == TIME_STEP
    assert point.frame_skip == 1
    assert point.model.body_mass[1] == pytest.approx(MASS, rel=1e-12)
    assert point.model.actuator_gear[:, 0].tolist() == [100.0, 100.0]
    assert point.model.dof_damping.tolist() == [1.0, 1.0]
    assert point.model.geom("particle_geom").size[0] == RADIUS
    cells = POINT_MAZE.maze.free_cells
    expected = [env.unwrapped.maze.cell_rowcol_to_xy(cell) for cell in cells]
    assert np.array_equal(POINT_MAZE.maze.centres(cells), expected)
    env.close()
    Path(env.unwrapped.tmp_xml_file_path).unlink()


def test_free_motion_is_the_closed_form_of_a_damped_mass() -> None:
    force = np.array([0.3, -0.2])
    start = state(-0.9, 1.1, 0.5, -0.4)
    steps = 20
    path = POINT_MAZE.simulate(start, np.tile(force, (1, steps, 1)))[0]
    # Euler with implicit damping: v' = q v + (1 - q) u with q = m / (m + b h) and u = F / b, then x' = x + h v'.
    keep, limit = MASS / (MASS + TIME_STEP), 100 * force
    k = np.arange(steps + 1)[:, None]
    velocity = limit + keep**k * (start[0, 2:] - limit)
    moved = k * limit + (start[0, 2:] - limit) * keep * (1 - keep**k) / (1 - keep)
    np.testing.assert_allclose(path[:, 2:], velocity, rtol=0, atol=1e-12)
    np.testing.assert_allclose(path[:, :2], start[0, :2] + TIME_STEP * moved, rtol=0, atol=1e-12)


def test_velocity_is_clipped_before_each_step_and_actions_to_the_unit_square() -> None:
    fast, limit = state(-1.0, 1.0, 9.0, 0.0), state(-1.0, 1.0, 5.0, 0.0)
    push = np.ones((1, 1, 2)) * (1.0, 0.0)
    fastest = POINT_MAZE.simulate(fast, 7 * push)[0, 1]
    assert np.array_equal(fastest, POINT_MAZE.simulate(limit, push)[0, 1])
    assert fastest[2] == pytest.approx(FASTEST, abs=1e-12)


@by_task
def test_a_state_alone_determines_the_future(task: PointMaze) -> None:
    path, actions = episodes(task, seed=2, count=30, length=60)
    assert np.array_equal(path, task.simulate(path[:, 0], actions))
    assert np.array_equal(path[:, 23:], task.simulate(path[:, 23], actions[:, 23:]))
    alone = np.concatenate([task.simulate(path[i : i + 1, 0], actions[i : i + 1]) for i in range(30)])
    assert np.array_equal(path, alone)
    again, same = episodes(task, seed=2, count=30, length=60)
    assert np.array_equal(path, again)
    assert np.array_equal(actions, same)
    assert not np.array_equal(actions, episodes(task, seed=3, count=30, length=60)[1])


@by_task
def test_no_ball_enters_or_crosses_a_wall(task: PointMaze) -> None:
    generator = rng(4)
    states = task.sample_states(generator, 400)
    states[:, 2:] = 5 * np.sign(states[:, 2:])
    # Full speed and force towards one corner of the world after the other.
    ram = np.repeat(generator.choice([-1.0, 1.0], (400, 6, 2)), 40, axis=1)
    ram[:, :40] = np.sign(states[:, None, 2:])
    path = task.simulate(states, ram)[..., :2]
    distance = task.maze.wall_distance(path.reshape(-1, 2))
    assert distance.min() < RADIUS - 0.03, "the walls must be hit hard for this to test anything"
    assert distance.min() > np.sqrt(2) * CLEARANCE
    # Each step stays within a cell of the last and sees it: nobody jumps through.
    before, after = path[:, :-1].reshape(-1, 2), path[:, 1:].reshape(-1, 2)
    moved = ~(before == after).all(axis=1)
    some = generator.choice(np.flatnonzero(moved), 20_000)
    assert task.maze.sees(before[some], after[some]).all()
    assert np.abs(after - before).max() < 0.08


def test_no_step_and_no_row_are_fine() -> None:
    states = POINT_MAZE.sample_states(rng(), 3)
    assert np.array_equal(POINT_MAZE.simulate(states, np.zeros((3, 0, 2)))[:, 0], states)
    assert POINT_MAZE.simulate(states[:0], np.zeros((0, 4, 2))).shape == (0, 5, 4)


@pytest.mark.parametrize(
    ("states", "actions", "error", "word"),
    [
        (np.zeros((2, 3)), np.zeros((2, 1, 2)), ShapeError, "states"),
        (np.tile(state(1, 0), (2, 1)), np.zeros((3, 1, 2)), ShapeError, "actions"),
        (np.tile(state(1, 0), (2, 1)), np.zeros((2, 2)), ShapeError, "actions"),
        (state(np.nan, 0), np.zeros((1, 1, 2)), NonFiniteError, "states"),
        (state(1, 0), np.full((1, 1, 2), np.inf), NonFiniteError, "actions"),
        (state(0, 0), np.zeros((1, 1, 2)), InvalidInputError, "inside a wall"),
        (state(9, 0), np.zeros((1, 1, 2)), InvalidInputError, "map"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    states: np.ndarray, actions: np.ndarray, error: type[Exception], word: str
) -> None:
    with pytest.raises(error, match=word):
        POINT_MAZE.simulate(states, actions)


# States, distances and errors.


@by_task
def test_sampled_states_are_free_and_fill_the_maze(task: PointMaze) -> None:
    states = task.sample_states(rng(5), 20_000)
    distance = task.maze.wall_distance(states[:, :2])
    assert distance.min() >= RADIUS
    assert distance.min() < RADIUS + 1e-3
    assert np.abs(states[:, 2:]).max() <= 5
    cells = task.maze.free_index(states[:, :2])
    counts = np.bincount(cells, minlength=len(task.maze.free_cells))
    # Uniform over the area, of which a cell holds 0.72 (a dead end) to 1 (a crossing).
    assert counts.min() > 0.6 * counts.max()
    assert np.array_equal(states, task.sample_states(rng(5), 20_000))


def test_success_and_distance_are_those_of_positions_in_cells() -> None:
    states = np.concatenate([state(1.0, 0.0, 3, -3), state(1.0, 0.0), state(1.0, 0.0)])
    goals = np.concatenate([state(1.0, 0.499, -1, 0), state(1.3, 0.4), state(1.0, -0.51)])
    assert POINT_MAZE.distance(states, goals) == pytest.approx([0.499, 0.5, 0.51])
    assert POINT_MAZE.success(states, goals).tolist() == [True, False, False]


def test_state_errors_are_euclidean_in_position_and_velocity() -> None:
    states = POINT_MAZE.sample_states(rng(), 5)
    targets = POINT_MAZE.probe_targets(states) + np.array([0.3, 0.4, -1.2, 0.5])
    errors = POINT_MAZE.state_errors(targets, states)
    assert set(errors) == {"position", "velocity"}
    np.testing.assert_allclose(errors["position"], 0.5)
    np.testing.assert_allclose(errors["velocity"], 1.3)


@by_task
def test_it_is_a_task(task: PointMaze) -> None:
    assert isinstance(task, Task)
    assert len(task.state_names) == task.state_dim
    assert task.frame_offsets == (0, FRAMESKIP)


# Shortest paths.


def grid_lengths(
    maze: MazeMap, source: np.ndarray, spacing: float, diagonal: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the free points of a fine grid and their distances to one of them by brute force.

    Points are joined to their 8 neighbours; a diagonal needs all four points of its square and has the given length.
    """
    rows, columns = maze.wall.shape
    across = np.arange(-columns / 2 + spacing / 2, columns / 2, spacing)
    up = np.arange(-rows / 2 + spacing / 2, rows / 2, spacing)
    points = np.stack(np.meshgrid(across, up, indexing="ij"), axis=-1)
    clear = np.ones(points.shape[:2], dtype=bool)
    for x, y in maze.centres(np.argwhere(maze.wall)):
        clear &= np.maximum(np.abs(points[..., 0] - x), np.abs(points[..., 1] - y)) > 0.5 + CLEARANCE
    number = np.arange(clear.size, dtype=np.int32).reshape(clear.shape)  # what early scipys ask of a graph
    square = clear[:-1, :-1] & clear[:-1, 1:] & clear[1:, :-1] & clear[1:, 1:]
    links = [
        (number[:-1], number[1:], clear[:-1] & clear[1:], 1.0),
        (number[:, :-1], number[:, 1:], clear[:, :-1] & clear[:, 1:], 1.0),
        (number[:-1, :-1], number[1:, 1:], square, diagonal),
        (number[:-1, 1:], number[1:, :-1], square, diagonal),
    ]
    first = np.concatenate([one[joined] for one, _, joined, _ in links])
    second = np.concatenate([other[joined] for _, other, joined, _ in links])
    length = np.concatenate([np.full(joined.sum(), spacing * unit) for _, _, joined, unit in links])
    graph = coo_array((length, (first, second)), shape=(clear.size, clear.size)).tocsr()
    at = np.abs(points.reshape(-1, 2) - source).sum(axis=1).argmin()
    assert np.allclose(points.reshape(-1, 2)[at], source), "the source must be a point of the grid"
    return points[clear], dijkstra(graph, directed=False, indices=at)[clear.ravel()]


@by_task
@pytest.mark.parametrize(("norm", "diagonal"), [(1, 2.0), (2, np.sqrt(2)), (np.inf, 1.0)])
def test_geodesic_is_the_shortest_way_of_a_fine_grid(task: PointMaze, norm: float, diagonal: float) -> None:
    spacing = 0.04
    for cell in ((1, 1), (3, 3)):
        source = task.maze.centres(np.array(cell))
        points, brute = grid_lengths(task.maze, source, spacing, diagonal)
        some = rng(6).choice(len(points), 300)
        exact = task.maze.geodesic(points[some], np.tile(source, (300, 1)), norm)
        # Grid ways are ways, so never shorter.  They are longer by at most 1/cos(π/8) in the Euclidean norm (8 directions),
        # not at all in the other two, and by the grid's distance to a corner, under a spacing, before and after a bend.
        worst = 1 / np.cos(np.pi / 8) if norm == 2 else 1.0
        assert (exact <= brute[some] + 1e-9).all()
        assert (brute[some] <= worst * exact + 2 * spacing * len(task.maze.waypoints)).all()


def test_geodesic_of_known_ways() -> None:
    geodesic = POINT_MAZE.geodesic
    left, right = state(-1, 1), state(1, 1)
    assert geodesic(left, right) == pytest.approx([2.0])
    # Around the wall's end: its corners are (0.5, ±0.5), passed at the clearance.
    bend = 0.5 + CLEARANCE
    expected = 2 * np.hypot(1 + bend, 1 - bend) + 2 * bend
    assert geodesic(left, state(-1, -1)) == pytest.approx([expected])
    # The other norm counts the larger axis.
    larger = POINT_MAZE.maze.geodesic(left[:, :2], state(-1, -1)[:, :2], norm=np.inf)
    assert larger == pytest.approx([2 * (1 + bend) + 2 * bend])


@by_task
def test_geodesic_is_a_metric_that_is_no_shorter_than_the_straight_way(task: PointMaze) -> None:
    a, b, c = task.sample_states(rng(7), 900).reshape(3, 300, 4)
    there = task.geodesic(a, b)
    np.testing.assert_allclose(there, task.geodesic(b, a), rtol=1e-12)
    assert (there >= task.distance(a, b) - 1e-12).all()
    assert (there <= task.geodesic(a, c) + task.geodesic(c, b) + 1e-12).all()
    assert (there > task.distance(a, b) + 0.5).mean() > 0.1
    assert task.geodesic(a, a).max() == 0


def test_geodesic_refuses_balls_in_walls() -> None:
    with pytest.raises(InvalidInputError, match="goals"):
        POINT_MAZE.geodesic(state(1, 0), state(0.505, 0))


@by_task
def test_no_trajectory_beats_the_shortest_steps(task: PointMaze) -> None:
    """Fast balls on the shortest ways: whatever state they come to is a goal that the bound must allow."""
    generator = rng(8)
    length = 60
    paths = [episodes(task, seed=9, count=60, length=5 * length)[0]]
    for kind in ("saturated", "goal_directed"):
        states = task.sample_states(generator, 60)
        paths.append(task.behaviour(generator, states, 5 * length, mixture={kind: 1.0})[0])
    paths.append(racing_paths(task, generator, 25, 5 * length))
    path = np.concatenate(paths)[:, ::FRAMESKIP]
    tightest = np.inf
    for steps in range(1, length + 1, 4):
        starts, ends = path[:, :-steps:5].reshape(-1, 4), path[:, steps::5].reshape(-1, 4)
        # The hardest goal that this trajectory reaches: just inside its success region.
        angle = generator.uniform(0, 2 * np.pi, len(ends))
        goals = ends.copy()
        goals[:, :2] += 0.999 * SUCCESS_DISTANCE * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        inside = (np.abs(goals[:, :2]) < np.array(task.maze.wall.shape[::-1]) / 2).all(axis=1)
        inside[inside] = task.maze.wall_distance(goals[inside, :2]) >= RADIUS
        bound = task.shortest_steps(starts[inside], goals[inside])
        assert (bound <= steps).all()
        tightest = min(tightest, (steps - bound).min())
    assert tightest == 0


def racing_paths(task: PointMaze, generator: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Return balls that hurry at full force along the shortest ways, cutting the corners."""
    maze = task.maze
    path = np.empty((count, length + 1, 4))
    path[:, 0] = task.sample_states(generator, count)
    goals = task.sample_states(generator, count)
    for k in range(length):
        here = path[:, k]
        arrived = task.distance(here, goals) < 0.4
        goals[arrived] = task.sample_states(generator, int(arrived.sum()))
        bends = np.concatenate([goals[:, None, :2], np.tile(maze.waypoints, (count, 1, 1))], axis=1)
        seen = np.repeat(here[:, :2], bends.shape[1], axis=0), bends.reshape(-1, 2)
        rest = maze.geodesic(seen[1], np.repeat(goals[:, :2], bends.shape[1], axis=0))
        total = np.where(maze.sees(*seen), np.linalg.norm(seen[0] - seen[1], axis=1) + rest, np.inf)
        best = total.reshape(count, -1).argmin(axis=1)
        ahead = bends[np.arange(count), best] - here[:, :2]
        path[:, k + 1] = task.simulate(here, np.sign(ahead - 0.05 * here[:, 2:])[:, None])[:, 1]
    return path


@pytest.mark.parametrize("speed", [0.0, 5.0])
def test_shortest_steps_are_nearly_reached_on_a_straight_run(speed: float) -> None:
    start, goal = state(-2.0, 2.0, speed), state(2.0, 2.0)
    path = POINT_MAZE_LONG.simulate(start, np.tile([1.0, 0.0], (1, 200, 1)))[0, ::FRAMESKIP]
    reached = np.flatnonzero(POINT_MAZE_LONG.success(path, np.tile(goal, (len(path), 1))))[0]
    bound = POINT_MAZE_LONG.shortest_steps(start, goal)[0]
    assert bound <= reached <= bound + 2


def test_shortest_steps_are_zero_only_at_success_and_count_the_way_around() -> None:
    starts = POINT_MAZE_LONG.sample_states(rng(10), 500)
    goals = POINT_MAZE_LONG.sample_states(rng(11), 500)
    steps = POINT_MAZE_LONG.shortest_steps(starts, goals)
    assert np.array_equal(steps == np.rint(steps), np.ones(500, dtype=bool))
    assert np.array_equal(steps == 0, POINT_MAZE_LONG.success(starts, goals))
    # One wall apart, yet the way leads through the whole corridor and back.
    across = POINT_MAZE_LONG.shortest_steps(state(-2, 2), state(-2, 0))
    assert across > POINT_MAZE_LONG.shortest_steps(state(-2, 2), state(2, 2)) + 10


def test_success_regions_that_reach_around_a_corner_count() -> None:
    # On two sides of the corner (0.5, 0.5) a way of 0.7 cells may lie within the success distance of 0.5.
    start, goal = state(0.14, 0.61), state(0.61, 0.14)
    assert not POINT_MAZE.success(start, goal)
    assert POINT_MAZE.shortest_steps(start, goal) <= 1


# Behaviour.


@by_task
@pytest.mark.parametrize("mixture", MIXTURES)
def test_behaviour_covers_the_maze_and_passes_its_bends(task: PointMaze, mixture: str) -> None:
    generator = rng(12)
    path, actions = task.behaviour(
        generator, task.sample_states(generator, 200), 200, mixture=task.mixtures[mixture]
    )
    assert np.abs(actions).max() <= 1
    cells = task.maze.free_index(path[..., :2])
    visits = np.bincount(cells.ravel(), minlength=len(task.maze.free_cells)) / cells.size
    assert visits.min() > 0.25 / len(task.maze.free_cells)
    # Every passage between neighbouring cells is taken, both ways.
    taken = {(a, b) for a, b in zip(cells[:, :-1].ravel(), cells[:, 1:].ravel(), strict=True) if a != b}
    free = task.maze.free_cells
    joined = np.argwhere(np.abs(free[:, None] - free).sum(axis=-1) == 1)
    assert {tuple(pair) for pair in joined.tolist()} <= taken
    # Whole ways, too: many episodes end up far from where they began, around a bend.
    count = len(free)
    first, second = np.divmod(np.arange(count**2), count)
    apart = task.maze.geodesic(task.maze.centres(free[first]), task.maze.centres(free[second]))
    travelled = apart.reshape(count, count)[cells[:, :1], cells].max(axis=1)
    assert (travelled > 3).mean() > 0.15


@by_task
def test_each_policy_is_what_it_says(task: PointMaze) -> None:
    generator = rng(13)
    actions, touch, reach = {}, {}, {}
    for name in POLICIES:
        states = task.sample_states(generator, 100)
        states[:, 2:] = 0
        path, actions[name] = task.behaviour(generator, states, 200, mixture={name: 1.0})
        near = task.maze.wall_distance(path[..., :2].reshape(-1, 2)) < RADIUS
        touch[name] = near.mean()
        cells = task.maze.free_index(path[..., :2])
        reach[name] = np.mean([len(np.unique(row)) for row in cells])

    def memory(force: np.ndarray) -> float:
        return float(np.corrcoef(force[:, :-1].ravel(), force[:, 1:].ravel())[0, 1])

    assert abs(memory(actions["random"])) < 0.02
    assert memory(actions["correlated"]) > 0.9
    assert set(np.unique(actions["saturated"])) == {-1.0, 0.0, 1.0}
    assert reach["goal_directed"] > max(reach["random"], reach["correlated"]) > reach["random"]
    assert memory(actions["shaken"]) < memory(actions["goal_directed"]) / 2
    assert reach["shaken"] > reach["correlated"]
    spread = np.abs(np.diff(actions["shaken"], axis=1)).mean(axis=(1, 2))
    assert spread.min() < 0.2
    assert spread.max() > 0.8  # as the plans of GRASP: 0.7
    assert touch["saturated"] > 4 * touch["goal_directed"]
    assert touch["saturated"] > 0.05


def test_mixtures_give_the_shares_they_name() -> None:
    states = POINT_MAZE.sample_states(rng(14), 400)
    _, actions = POINT_MAZE.behaviour(rng(15), states, 12, mixture={"saturated": 1.0, "random": 3.0})
    saturated = np.isin(actions, [-1.0, 0.0, 1.0]).all(axis=(1, 2))
    assert saturated.mean() == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / 400))
    for mixture in MIXTURES.values():
        assert sum(mixture.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "mixture", [{"lazy": 1.0}, {}, {"random": -1.0, "saturated": 2.0}, {"random": 0.0}, {"random": np.nan}]
)
def test_mixtures_that_are_none_are_refused(mixture: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="mixture"):
        POINT_MAZE.behaviour(rng(), POINT_MAZE.sample_states(rng(), 2), 1, mixture=mixture)


# Pictures.


def test_golden_picture() -> None:
    picture = POINT_MAZE.render(state(-1.0, -1.0), size=16)[0]
    walls = ["#" if (pixel == WALL_COLOUR).all() else "." for pixel in picture.reshape(-1, 3)]
    assert ["".join(walls[16 * row : 16 * row + 16]) for row in range(16)] == [
        "################",
        "################",
        "##............##",
        "##............##",
        "##............##",
        "##............##",
        "##########....##",
        "##########....##",
        "##########....##",
        "##########....##",
        "##............##",
        "##............##",
        "##............##",
        "##............##",
        "################",
        "################",
    ]
    # The ball of 0.8 pixels stands on the corner of four pixels, half of whose diagonals lie within.
    inside = 0.8 - np.sqrt(0.5) + 0.5
    expected = np.rint((1 - inside) * np.array(FLOOR_COLOUR) + inside * np.array(BALL_COLOUR))
    assert (picture[11:13, 3:5] == expected).all()
    assert (picture[10, 2:6] == FLOOR_COLOUR).all()


def coverage(task: PointMaze, pictures: np.ndarray) -> np.ndarray:
    """Return how much of each pixel shows the ball, from the picture's difference to the empty maze."""
    # A ball drawn in one far corner of the maze shows the empty maze elsewhere: two of them show all of it.
    size = pictures.shape[1]
    ends = task.maze.centres(task.maze.free_cells[[0, -1]])
    one, other = task.render(np.concatenate([ends, np.zeros((2, 2))], axis=1), size).astype(float)
    empty = np.where((np.arange(size) < size // 2)[:, None, None], other, one)
    direction = np.array(BALL_COLOUR) - empty
    share = ((pictures - empty) * direction).sum(axis=-1) / (direction**2).sum(axis=-1)
    return np.asarray(share)


@by_task
@pytest.mark.parametrize("size", [64, 96])
def test_the_ball_is_found_in_the_picture_to_a_tenth_of_a_pixel(task: PointMaze, size: int) -> None:
    states = task.sample_states(rng(16), 400)
    share = coverage(task, task.render(states, size))
    total = share.sum(axis=(1, 2))
    middle = np.arange(size) + 0.5
    found = np.stack(
        [(share.sum(axis=1) * middle).sum(axis=1), (share.sum(axis=2) * middle).sum(axis=1)], axis=-1
    )
    wanted = task.viewport(size).pixels(states[:, :2])
    assert np.abs(found / total[:, None] - wanted).max() < 0.1


def test_pictures_show_up_as_up_and_do_not_depend_on_velocity_or_batch() -> None:
    states = POINT_MAZE.sample_states(rng(17), 20)
    pictures = POINT_MAZE.render(states)
    assert pictures.shape == (20, 64, 64, 3)
    assert pictures.dtype == np.uint8
    still = states * (1, 1, 0, 0)
    assert np.array_equal(pictures, POINT_MAZE.render(still))
    assert np.array_equal(pictures[7], POINT_MAZE.render(states[7:8])[0])
    upper = POINT_MAZE.render(state(-1, 1))[0]
    assert np.argwhere((upper == BALL_COLOUR).all(axis=-1)).mean(axis=0) == pytest.approx([15.5, 15.5])
    # Drawing never marks the background that pictures share.
    assert np.array_equal(pictures, POINT_MAZE.render(states))


@pytest.mark.parametrize("size", [50, 64, 200])
def test_walls_in_the_picture_are_the_walls_of_the_map(size: int) -> None:
    """Pixels wholly in a wall or on the floor have that colour; no seams show between walls."""
    task = POINT_MAZE_LONG
    picture = task.render(state(2, 2), size)[0].astype(int)
    view = task.viewport(size)
    at = view.left + (np.arange(size) + 0.5) * view.extent / size
    points = np.stack(np.meshgrid(at, -at), axis=-1)
    half = view.extent / size / 2
    away = np.abs((points + 0.5) % 1 - 0.5)  # From the lines x or y = whole number, the middles of cells.
    inner = (np.abs(away - 0.5) > half).all(axis=-1) & (np.abs(points - (2, 2)).max(axis=-1) > 0.5)
    wall = task.maze.free_index(points) < 0
    assert (picture[inner & wall] == WALL_COLOUR).all()
    assert (picture[inner & ~wall] == FLOOR_COLOUR).all()
    deep = task.maze.wall_distance(points.reshape(-1, 2)).reshape(size, size) == 0
    for shift in ((half, half), (half, -half), (-half, half), (-half, -half)):
        deep &= task.maze.wall_distance((points + shift).reshape(-1, 2)).reshape(size, size) == 0
    assert (picture[deep] == WALL_COLOUR).all()


# Mazes.


@pytest.mark.parametrize(
    ("layout", "word"),
    [
        (((1, 1, 1), (1, 0), (1, 1, 1)), "row lengths"),
        (((1, 1, 1), (1, 2, 1), (1, 1, 1)), "values"),
        (((1, 1, 1), (1, 0, 0), (1, 1, 1)), "border"),
        (((1, 1, 1), (1, 1, 1), (1, 1, 1)), "0 separate"),
        (((1, 1, 1, 1, 1), (1, 0, 1, 0, 1), (1, 1, 1, 1, 1)), "2 separate"),
        (((1, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 1)), "2 separate"),
    ],
)
def test_layouts_that_are_no_mazes_are_refused(layout: tuple[tuple[int, ...], ...], word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        MazeMap(layout)


def test_next_cells_lead_along_shortest_ways() -> None:
    maze = MazeMap(S_MAZE)
    start, goal = 0, len(maze.free_cells) - 1
    way = [start]
    while way[-1] != goal:
        way.append(maze.next_cell[way[-1], goal])
    assert len(way) == len(maze.free_cells)
    assert maze.next_cell[goal, goal] == goal


def test_a_maze_that_is_not_square_is_drawn_in_the_middle() -> None:
    wide = PointMaze("wide", ((1, 1, 1, 1, 1), (1, 0, 0, 0, 1), (1, 1, 1, 1, 1)))
    picture = wide.render(state(0.0, 0.0), 64)[0]
    floor = (picture != WALL_COLOUR).any(axis=-1)
    assert np.flatnonzero(floor.any(axis=1)).tolist() == list(range(24, 40))
    assert np.flatnonzero(floor.any(axis=0)).tolist() == list(range(8, 56))
