"""Push-T against gym-pusht itself, against closed forms, and what its pictures and behaviour data hold."""

from __future__ import annotations

import subprocess
import sys
from ast import literal_eval

import numpy as np
import pytest
from gym_pusht.envs.pusht import PushTEnv
from numpy.testing import assert_allclose, assert_array_equal

from grasp_theory.tasks.push_t.physics import (
    BOARD,
    FRICTION,
    OUTLINE,
    PHYSICS_STEP,
    PHYSICS_STEPS,
    PUSHER_RADIUS,
    STIFFNESS,
    WALL,
    Board,
    distance_to_block,
    to_block,
    to_world,
)
from grasp_theory.tasks.push_t.policies import POLICIES
from grasp_theory.tasks.push_t.push_t import BAR_COLOUR, PUSH_T, PUSHER_COLOUR, STEM_COLOUR, angle_between
from grasp_theory.tasks.task import FRAMESKIP, Task
from linear_systems.errors import HorizonError, InvalidInputError, NonFiniteError, ParameterError, ShapeError


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _state(pusher=(100.0, 100.0), block=(256.0, 256.0), angle=0.0, velocity=(0.0, 0.0)) -> np.ndarray:
    return np.array([[*pusher, *block, angle, *velocity]])


@pytest.fixture(scope="module")
def pushes():
    """Sixty contact-rich episodes of 60 steps."""
    rng = _rng(1)
    return PUSH_T.behaviour(rng, PUSH_T.sample_states(rng, 60), 60, mixture={"push": 1.0})


def _reference_episode(seed: int, length: int):
    """An episode of gym-pusht, from its own reset: states (L+1, 7), relative actions (L, 2), targets (L, 2)."""
    reference, rng = PushTEnv(), _rng(seed)
    observation, _ = reference.reset(seed=seed)
    states, actions, targets = [np.array([*observation, 0.0, 0.0])], [], []
    for t in range(length):
        pusher, block = states[-1][:2], states[-1][2:4]
        aim = block if t % 20 < 14 else rng.uniform(50, 450, 2)
        action = np.clip((aim + rng.uniform(-80, 80, 2) - pusher) / 100, -1, 1)
        target = np.clip(pusher + 100 * action, PUSHER_RADIUS, BOARD - PUSHER_RADIUS)
        observation, *_, info = reference.step(target)
        states.append(np.array([*observation, *info["vel_agent"]]))
        actions.append(action)
        targets.append(target)
    return np.array(states), np.array(actions), np.array(targets)


# The reference's physics


@pytest.mark.parametrize("seed", range(4))
def test_simulate_equals_the_reference(seed):
    states, actions, targets = _reference_episode(seed, 60)
    assert PUSH_T.block_moved(states[None]).all()
    ours = PUSH_T.simulate(states[:1], actions[None])[0]
    assert_allclose(ours, states, rtol=0, atol=1e-9)
    board = Board(states[0])
    for target, expected in zip(targets, states[1:], strict=True):
        board.step(*target.tolist())
        # The pusher's motion is the same arithmetic, bit for bit.
        assert_array_equal(np.array(board.state())[[0, 1, 5, 6]], expected[[0, 1, 5, 6]])


def test_the_reference_has_the_constants_that_we_assume():
    reference = PushTEnv()
    reference._setup()
    assert (reference.k_p, reference.k_v, reference.dt) == (STIFFNESS, FRICTION, PHYSICS_STEP)
    assert int(1 / (reference.dt * reference.control_hz)) == PHYSICS_STEPS
    assert reference.space.damping == 0
    assert tuple(reference.block.center_of_gravity) == (0, 45)
    (circle,) = reference.agent.shapes
    assert circle.radius == PUSHER_RADIUS
    for segment in reference.space.static_body.shapes:
        ends = np.array([segment.a, segment.b])
        assert segment.radius == 2
        assert ((ends == WALL - 2) | (ends == 506)).all()


def test_geometry_is_the_reference_block():
    reference = PushTEnv()
    reference._setup()
    pose = np.array([230.0, 270.0, 0.7])
    reference.block.angle, reference.block.position = pose[2], tuple(pose[:2])
    reference.space.reindex_shapes_for_body(reference.block)
    points = _rng().uniform(100, 400, (300, 2))
    found = distance_to_block(points, np.broadcast_to(pose, (300, 3)))
    expected = [
        max(min(s.point_query(tuple(p)).distance for s in reference._block_shapes), 0) for p in points
    ]
    assert_allclose(found, expected, atol=1e-9)
    assert 0 < np.count_nonzero(found == 0) < 300
    vertices = {tuple(v) for s in reference._block_shapes for v in s.get_vertices()}
    assert {tuple(corner) for corner in OUTLINE} == vertices
    assert_allclose(to_world(to_block(points, pose[None])[:, None], pose)[:, 0], points)


def test_the_free_pusher_follows_its_linear_control():
    state, target = np.array([120.0, 400.0]), np.array([180.0, 330.0])
    velocity = np.array([90.0, -40.0])
    step = np.array([[1 - FRICTION * PHYSICS_STEP, -STIFFNESS * PHYSICS_STEP], [0, 1]])
    step[1] += PHYSICS_STEP * step[0]
    later = np.linalg.matrix_power(step, PHYSICS_STEPS) @ np.array([velocity, state - target])
    start = _state(state, velocity=velocity, block=(400.0, 100.0))
    end = PUSH_T.simulate(start, ((target - state) / 100)[None, None])[0, 1]
    assert_allclose(end[:2], later[1] + target, atol=1e-9)
    assert_allclose(end[5:], later[0], atol=1e-9)
    assert_allclose(end[2:5], start[0, 2:5], atol=1e-12)


def test_the_actuator_keeps_the_disc_in_the_picture():
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    starts = np.repeat(_state((256.0, 60.0), velocity=(300.0, 300.0)), 4, axis=0)
    ends = PUSH_T.simulate(starts, np.repeat(corners[:, None], 30, axis=1))
    assert ends[..., :2].min() >= PUSHER_RADIUS - 1e-9
    assert ends[..., :2].max() <= BOARD - PUSHER_RADIUS + 1e-9
    assert_allclose(ends[:, -1, :2], np.where(corners > 0, BOARD - PUSHER_RADIUS, PUSHER_RADIUS), atol=0.01)


# Settable states


def test_a_state_that_is_set_reads_back(pushes):
    states = pushes[0][:, ::7].reshape(-1, 7)
    read = np.array([Board(state).state() for state in states])
    assert_array_equal(read[:, [0, 1, 5, 6]], states[:, [0, 1, 5, 6]])
    assert_allclose(read[:, 2:4], states[:, 2:4], rtol=0, atol=1e-10)
    assert_allclose(angle_between(read[:, 4], states[:, 4]), 0, atol=1e-12)
    # The reference's own way moves the block: here it would be off by tens of px.
    reference, asked = PushTEnv(), np.array([100.0, 100.0, 256.0, 256.0, 2.0])
    assert np.abs(reference.reset(options={"reset_to_state": asked})[0] - asked).max() > 30


def test_a_trajectory_goes_on_from_any_of_its_states(pushes):
    states, actions = pushes
    for steps in (1, FRAMESKIP, 20):
        cuts = range(3, 60 - steps, 5)
        starts = np.concatenate([states[:, t] for t in cuts])
        ends = np.concatenate([states[:, t + steps] for t in cuts])
        again = PUSH_T.simulate(starts, np.concatenate([actions[:, t : t + steps] for t in cuts]))[:, -1]
        assert_array_equal(again[:, [0, 1, 5, 6]], ends[:, [0, 1, 5, 6]])
        off = np.linalg.norm(again[:, 2:4] - ends[:, 2:4], axis=-1)
        gap = distance_to_block(starts[:, :2], starts[:, 2:5]) - PUSHER_RADIUS
        # No contact within the last three physics steps, over which pymunk remembers impulses.
        fresh = (gap > 15) & (_overlap_with_walls(starts[:, 2:5]) < -15)
        assert np.count_nonzero(fresh) > 100
        # Exact, but for the order in which pymunk's search tree, which has a history, meets two contacts at once.
        assert (off[fresh] < 1e-9).mean() > 0.98
        assert off[fresh].max() < 0.3
        assert np.count_nonzero(gap < 0) > 50
        # Without the step that gives the block its pending velocity the mean is 0.3 to 0.5 px.
        assert off[gap < 0].mean() < 0.05
        assert np.quantile(off[gap < 0], 0.9) < 0.05
        assert np.abs(angle_between(again[:, 4], ends[:, 4]))[gap < 0].mean() < 1e-3


def _overlap_with_walls(poses: np.ndarray) -> np.ndarray:
    corners = to_world(OUTLINE, poses)
    return np.maximum(WALL - corners, corners - (BOARD - WALL)).max(axis=(-2, -1))


def test_rows_do_not_depend_on_each_other_or_on_earlier_calls(pushes):
    starts, actions = pushes[0][:6, 10], pushes[1][:6, 10:30]
    whole = PUSH_T.simulate(starts, actions)
    assert_array_equal(PUSH_T.simulate(starts[4:5], actions[4:5])[0], whole[4])
    assert_array_equal(PUSH_T.simulate(starts[::-1], actions[::-1]), whole[::-1])
    assert_array_equal(whole[:, 0], starts)


# States and behaviour


def test_sampled_states_are_valid_and_seeded():
    states = PUSH_T.sample_states(_rng(), 2000)
    assert_array_equal(states, PUSH_T.sample_states(_rng(), 2000))
    assert (distance_to_block(states[:, :2], states[:, 2:5]) > PUSHER_RADIUS).all()
    assert _overlap_with_walls(states[:, 2:5]).max() <= -2 * PUSHER_RADIUS + 1e-9
    assert states[:, :2].min() >= PUSHER_RADIUS
    assert states[:, :2].max() <= BOARD - PUSHER_RADIUS
    assert (states[:, 5:] == 0).all()
    assert np.histogram(states[:, 4], bins=8, range=(0, 2 * np.pi))[0].min() > 200
    still = PUSH_T.simulate(states[:50], np.zeros((50, 3, 2)))
    assert_allclose(still, np.repeat(states[:50, None], 4, axis=1), atol=1e-9)


def test_the_default_behaviour_moves_the_block_often_and_keeps_it_on_the_board():
    rng = _rng()
    states, actions = PUSH_T.behaviour(rng, PUSH_T.sample_states(rng, 200), 100)
    windows = np.concatenate([states[:, t : t + FRAMESKIP + 1] for t in range(0, 100, FRAMESKIP)])
    assert PUSH_T.block_moved(windows).mean() > 0.35
    assert PUSH_T.block_moved(states).mean() > 0.85
    # As often late in an episode as early: the block is not stuck.
    assert PUSH_T.block_moved(windows[-10 * 200 :]).mean() > 0.35
    assert (_overlap_with_walls(states[:, :, 2:5].reshape(-1, 3)) > 5).mean() < 0.002
    assert np.abs(actions).max() <= 1
    assert_array_equal(PUSH_T.simulate(states[:3, 0], actions[:3]), states[:3])


def test_behaviour_is_seeded():
    starts = PUSH_T.sample_states(_rng(), 8)
    once, again = (PUSH_T.behaviour(_rng(5), starts, 20) for _ in range(2))
    other = PUSH_T.behaviour(_rng(6), starts, 20)
    for k in range(2):
        assert_array_equal(once[k], again[k])
        assert np.abs(once[k] - other[k]).max() > 0.1


@pytest.mark.parametrize("policy", POLICIES)
def test_policies_are_what_they_are_called(policy):
    rng = _rng(3)
    states, actions = PUSH_T.behaviour(rng, PUSH_T.sample_states(rng, 40), 60, mixture={policy: 1.0})
    moved = PUSH_T.block_moved(states).mean()
    memory = np.mean(actions[:, 1:] * actions[:, :-1]) / np.mean(actions**2)
    if policy == "saturated":
        assert (np.abs(actions) == 1).all()
    if policy == "random":
        assert abs(memory) < 0.05
        assert_allclose(actions.var(), 1 / 3, rtol=0.05)
    if policy == "correlated":
        assert 0.8 < memory < 0.95
    if policy == "shaken":  # jerkier than a push, and each row as jerky as it drew
        calm = PUSH_T.behaviour(rng, PUSH_T.sample_states(rng, 40), 60, mixture={"push": 1.0})[1]
        jerk, calmer = (np.diff(each, axis=1).std(axis=(1, 2)) for each in (actions, calm))
        assert jerk.mean() > 2 * calmer.mean()
        assert jerk.max() > 3 * jerk.min()
    assert (moved > 0.8) == (policy in ("push", "saturated", "shaken"))


def test_mixtures_draw_each_policy_by_its_weight():
    starts = PUSH_T.sample_states(_rng(), 200)
    _, actions = PUSH_T.behaviour(_rng(), starts, 2, mixture={"saturated": 3.0, "random": 1.0, "push": 0.0})
    assert 0.65 < (np.abs(actions) == 1).all(axis=(1, 2)).mean() < 0.85
    for mixture in PUSH_T.mixtures.values():
        assert sum(mixture.values()) == pytest.approx(1)
        assert set(mixture) <= set(POLICIES)


def test_block_moved_sees_shifts_and_turns_anywhere_in_a_window():
    still = np.repeat(_state(angle=6.28), 4, axis=0)
    windows = np.stack([still] * 6)
    windows[1, 2, 2] += 2.1
    windows[2, 2, 3] -= 1.9
    windows[3, 3, 4] += 0.019
    windows[4, 3, 4] = 0.03
    windows[5, :, :2] += 10 * np.arange(8).reshape(4, 2)
    assert PUSH_T.block_moved(windows).tolist() == [False, True, False, False, True, False]


# Pictures


def test_pictures_show_pusher_and_block_where_they_are():
    states = PUSH_T.sample_states(_rng(2), 20)
    pictures = PUSH_T.render(states, 512).astype(float)
    grid = np.stack(np.meshgrid(np.arange(512) + 0.5, np.arange(512) + 0.5), axis=-1)

    def centres(colour):
        masks = (pictures == np.array(colour)).all(axis=-1)
        return np.array([grid[mask].mean(axis=0) for mask in masks])

    # Only wholly covered pixels have the pure colour: their mean is off by a fraction of a pixel, less for larger shapes.
    assert_allclose(centres(PUSHER_COLOUR), states[:, :2], atol=0.2)
    bar, stem = centres(BAR_COLOUR), centres(STEM_COLOUR)
    poses = states[:, 2:5]
    assert_allclose(bar, to_world(np.array([[0.0, 15.0]]), poses)[:, 0], atol=0.1)
    assert_allclose(stem, to_world(np.array([[0.0, 75.0]]), poses)[:, 0], atol=0.1)
    angle = np.arctan2(*(stem - bar).T[::-1]) - np.pi / 2
    assert_allclose(angle_between(angle, poses[:, 2]), 0, atol=0.01)


def test_small_pictures_tell_positions_to_a_fraction_of_a_pixel():
    states = PUSH_T.sample_states(_rng(2), 30)
    far = distance_to_block(states[:, :2], states[:, 2:5]) > PUSHER_RADIUS + 24
    states = states[far]
    pictures = PUSH_T.render(states).astype(float)
    grid = np.stack(np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5), axis=-1) * 8
    # Blue is far from grey only in its excess over red: what the pusher covers, in proportion.
    excess = pictures[..., 2] - pictures[..., 0]
    near = np.linalg.norm(grid - states[:, None, None, :2], axis=-1) < 24
    weights = excess * near
    pusher = (weights[..., None] * grid).sum(axis=(1, 2)) / weights.sum(axis=(1, 2))[:, None]
    # A pixel is 8 px of the board: 1/16 of one for the pusher; the block's two shades meet in shared pixels, 1/12.
    assert_allclose(pusher, states[:, :2], atol=0.5)
    dark = (255 - pictures[..., 0]) * ~near
    block = (dark[..., None] * grid).sum(axis=(1, 2)) / dark.sum(axis=(1, 2))[:, None]
    bar, stem = ((255 - colour[0]) * area for colour, area in ((BAR_COLOUR, 3600), (STEM_COLOUR, 2700)))
    middle = np.array([[0.0, (15 * bar + 75 * stem) / (bar + stem)]])
    assert_allclose(block, to_world(middle, states[:, 2:5])[:, 0], atol=8 / 12)


def test_a_golden_picture():
    picture = PUSH_T.render(_state((100.0, 100.0), (256.0, 200.0)))[0]
    assert picture.shape == (64, 64, 3)
    assert tuple(picture[12, 12]) == PUSHER_COLOUR
    assert tuple(picture[26, 32]) == BAR_COLOUR
    assert tuple(picture[34, 31]) == STEM_COLOUR
    assert tuple(picture[24, 32]) == tuple(picture[40, 32]) == (255, 255, 255)
    assert_array_equal(PUSH_T.render(np.empty((0, 7)), 32), np.empty((0, 32, 32, 3), dtype=np.uint8))


# Goals, distances, errors


def test_success_is_symmetric_and_wraps_the_angle():
    here = np.repeat(_state(angle=0.05), 6, axis=0)
    there = here.copy()
    there[0, 4] = 2 * np.pi - 0.05
    there[1, 4] += np.pi / 9 + 1e-9
    there[2, :4] += 9.99
    there[3, :4] += 10.01
    there[4, 4] += 6 * np.pi
    there[5, 5:] = 400
    expected = [True, False, True, False, True, True]
    assert PUSH_T.success(here, there).tolist() == expected
    assert PUSH_T.success(there, here).tolist() == expected
    assert_allclose(PUSH_T.distance(here, there), PUSH_T.distance(there, here))
    assert_allclose(PUSH_T.distance(here, there)[:4], [0.9 / np.pi, 1, 0.999, 1.001], atol=1e-6)


def test_shortest_steps_never_exceed_what_trajectories_take(pushes):
    rng = _rng(4)
    fast, _ = PUSH_T.behaviour(rng, PUSH_T.sample_states(rng, 60), 60, mixture={"saturated": 1.0})
    for states in (pushes[0], fast):
        for first in (0, 17, 30):
            for steps in (1, 2, 5, 12, 25):
                bound = PUSH_T.shortest_steps(states[:, first], states[:, first + steps])
                assert (bound * FRAMESKIP <= steps + 1e-9).all()


def test_shortest_steps_are_tight_for_the_free_pusher_at_full_speed():
    start = _state((20.0, 20.0))
    path = PUSH_T.simulate(start, np.ones((1, 10, 2)))[0]
    bounds = PUSH_T.shortest_steps(np.repeat(start, 11, axis=0), path) * FRAMESKIP
    # The last environment step ends within the 20 px that success allows, or one step earlier.
    assert_allclose(bounds, np.arange(11), atol=1)


def test_shortest_steps_count_the_way_over_the_block():
    start = _state((30.0, 30.0), (400.0, 380.0))
    goal = _state((40.0, 40.0), (300.0, 380.0))
    free = _state((40.0, 40.0), (400.0, 380.0))
    assert PUSH_T.shortest_steps(start, free) == 0
    assert PUSH_T.shortest_steps(start, start) == 0
    assert PUSH_T.shortest_steps(start, goal) * FRAMESKIP > 10
    turned = _state((40.0, 40.0), (400.0, 380.0), angle=0.5)
    assert PUSH_T.shortest_steps(start, turned) * FRAMESKIP > 10


def test_probe_targets_have_no_error_and_errors_have_units():
    states = PUSH_T.sample_states(_rng(), 5)
    states[:, 5:] = 30
    targets = PUSH_T.probe_targets(states)
    assert targets.shape == (5, 8)
    for error in PUSH_T.state_errors(targets, states).values():
        assert_allclose(error, 0, atol=1e-9)
    off = states + np.array([3.0, 4.0, 6.0, 8.0, 2 * np.pi - 0.1, 5.0, 12.0])
    # A decoded cosine and sine need not be of length 1.
    decoded = PUSH_T.probe_targets(off) * np.array([1, 1, 1, 1, 0.3, 0.3, 1, 1])
    for name, size in {"pusher": 5, "block": 10, "angle": 0.1, "velocity": 13}.items():
        assert_allclose(PUSH_T.state_errors(decoded, states)[name], size)


# Interface


def test_it_is_a_task():
    assert isinstance(PUSH_T, Task)
    assert len(PUSH_T.state_names) == PUSH_T.state_dim == 7


def test_bad_input_is_refused():
    states = PUSH_T.sample_states(_rng(), 2)
    with pytest.raises(ShapeError, match="states"):
        PUSH_T.simulate(states[0], np.zeros((1, 3, 2)))
    with pytest.raises(ShapeError, match="actions"):
        PUSH_T.simulate(states, np.zeros((1, 3, 2)))
    with pytest.raises(InvalidInputError, match=r"actions: expected components in \[-1, 1\], found 1.5"):
        PUSH_T.simulate(states, np.full((2, 3, 2), -1.5))
    with pytest.raises(NonFiniteError, match="actions"):
        PUSH_T.simulate(states, np.full((2, 3, 2), np.nan))
    with pytest.raises(NonFiniteError, match="goals"):
        PUSH_T.success(states, np.full((2, 7), np.inf))
    with pytest.raises(HorizonError, match="length"):
        PUSH_T.behaviour(_rng(), states, 0)
    for mixture in ({"teleport": 1.0}, {"push": -1.0, "random": 2.0}, {"push": 0.0}, {}):
        with pytest.raises(ParameterError, match="mixture"):
            PUSH_T.behaviour(_rng(), states, 5, mixture=mixture)


def test_the_import_is_silent():
    command = [sys.executable, "-W", "error", "-c", "import grasp_theory.tasks.push_t.push_t"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_a_machine_on_which_opencv_does_not_load_runs_the_same_physics():
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "import numpy as np; from grasp_theory.tasks.push_t.push_t import PUSH_T\n"
        "assert sys.modules.get('cv2') is None\n"
        "start = PUSH_T.sample_states(np.random.default_rng(0), 2)\n"
        "print(repr(PUSH_T.simulate(start, np.full((2, 3, 2), 0.5)).tolist()))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    start = PUSH_T.sample_states(_rng(0), 2)
    assert literal_eval(printed) == PUSH_T.simulate(start, np.full((2, 3, 2), 0.5)).tolist()
