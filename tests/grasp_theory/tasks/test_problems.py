"""Problem sets: invariants of every kind, the same for everyone, and nothing but a valid file loads."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grasp_theory.tasks import by_name, problems
from grasp_theory.tasks.problems import ProblemFileError, Problems, make_problems
from grasp_theory.tasks.task import FRAMESKIP
from linear_systems.errors import HorizonError, ParameterError, PathError

CASES = [
    ("wall_single", "random", 8),
    ("wall_single", "trajectory", 4),
    ("wall_single", "long", 5),
    ("wall_single_long", "long", 20),
    ("wall_single_long", "trajectory", 12),
    ("point_maze", "random", 12),
    ("point_maze", "trajectory", 6),
    ("point_maze_long", "long", 20),
    ("push_t", "random", 10),
    ("push_t", "trajectory", 2),
]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("problems") / "set.npz"
    make_problems("wall_single", "long", horizon=4, count=12, purpose="reporting", seed=7).save(path)
    return path


@pytest.mark.parametrize(("name", "kind", "horizon"), CASES)
def test_problems_are_open_and_within_their_horizon(
    name: str, kind: str, horizon: int, tmp_path: Path
) -> None:
    task = by_name(name)
    problems = make_problems(name, kind, horizon=horizon, count=20, purpose="tuning", seed=1)
    assert len(problems) == 20
    shape = (20, len(task.frame_offsets), task.state_dim)
    assert problems.start_history.shape == problems.goal_history.shape == shape
    assert not task.success(problems.starts, problems.goals).any()
    steps = task.shortest_steps(problems.starts, problems.goals)
    np.testing.assert_allclose(problems.shortest_steps, steps)
    assert (problems.horizon == horizon).all()
    assert (steps <= horizon).all()
    if kind == "long":
        assert (steps >= horizon / 2).all()
    assert len(np.unique(problems.starts, axis=0)) == 20
    problems.save(str(tmp_path / "set.npz"))  # a path in words is one too
    loaded = Problems.load(str(tmp_path / "set.npz"))
    np.testing.assert_array_equal(loaded.start_history, problems.start_history)
    np.testing.assert_array_equal(loaded.goal_history, problems.goal_history)


def test_a_trajectory_goal_is_reached_by_its_episode() -> None:
    """The same stream's episodes, replayed here: start and goal are the horizon apart."""
    problems = make_problems("point_maze", "trajectory", horizon=3, count=50, purpose="tuning")
    task = by_name("point_maze")
    assert task.frame_offsets == (0, FRAMESKIP)
    # The goal's older frame is one model step before it, so that bounds on the way there are two and one steps.
    older = problems.goal_history[:, 1]
    assert (task.shortest_steps(problems.starts, older) <= 2).all()
    assert (task.shortest_steps(older, problems.goals) <= 1).all()
    assert (task.shortest_steps(problems.start_history[:, 1], problems.starts) <= 1).all()
    moved = np.linalg.norm(problems.start_history[:, 0] - problems.start_history[:, 1], axis=1)
    assert (moved > 0).mean() > 0.9


def test_random_starts_were_simulated_and_goals_rest() -> None:
    problems = make_problems("point_maze", "random", horizon=15, count=30, purpose="tuning")
    task = by_name("point_maze")
    coasted = task.simulate(problems.start_history[:, 1], np.zeros((30, FRAMESKIP, 2)))[:, -1]
    np.testing.assert_array_equal(coasted, problems.starts)
    np.testing.assert_allclose(problems.goal_history[:, 0], problems.goal_history[:, 1], atol=1e-6)
    assert (np.abs(problems.goals[:, 2:]) < 1e-6).all()
    assert (np.abs(problems.starts[:, 2:]).max(axis=1) > 0).all()


def test_same_seed_same_bytes_and_a_larger_set_begins_with_the_smaller(tmp_path: Path) -> None:
    def make(count: int) -> Problems:
        return make_problems("wall_single", "random", horizon=8, count=count, purpose="tuning", seed=3)

    for k in range(2):
        make(30).save(tmp_path / f"{k}.npz")
    assert (tmp_path / "0.npz").read_bytes() == (tmp_path / "1.npz").read_bytes()
    np.testing.assert_array_equal(make(200).start_history[:30], make(30).start_history)


def test_purposes_kinds_and_seeds_draw_from_separate_streams() -> None:
    common = {"horizon": 8, "count": 100}
    sets = [
        make_problems("wall_single", kind, purpose=purpose, seed=seed, **common)
        for kind in ("random", "trajectory")
        for purpose in ("tuning", "reporting", "training")
        for seed in (0, 1)
    ]
    starts = np.concatenate([problems.starts for problems in sets])
    assert len(np.unique(starts, axis=0)) == len(starts)


def test_a_task_that_cannot_supply_the_problems_says_so() -> None:
    with pytest.raises(ParameterError, match=r"longest seen needs \d\.\d steps.*long variant") as caught:
        make_problems("wall_single", "long", horizon=100, count=1, purpose="tuning")
    assert caught.value.argument == "horizon"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"task": "wall"}, ParameterError),
        ({"kind": "hard"}, ParameterError),
        ({"purpose": "testing"}, ParameterError),
        ({"count": 0}, ParameterError),
        ({"seed": -1}, ParameterError),
        ({"horizon": 0}, HorizonError),
    ],
)
def test_bad_requests_are_refused(change: dict[str, object], error: type[Exception]) -> None:
    request = {
        "task": "wall_single",
        "kind": "random",
        "horizon": 8,
        "count": 1,
        "purpose": "tuning",
    } | change
    with pytest.raises(error):
        make_problems(**request)


def test_saving_never_overwrites(stored: Path) -> None:
    before = stored.read_bytes()
    with pytest.raises(ParameterError, match="new file"):
        Problems.load(stored).save(stored)
    assert stored.read_bytes() == before


def test_a_folder_that_is_missing_is_told(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(PathError, match=r"^path: expected a file that can be written.*make the folder first"):
        Problems.load(stored).save(tmp_path / "missing" / "set.npz")


def equal(a: Problems, b: Problems) -> bool:
    arrays = ("start_history", "goal_history", "horizon", "shortest_steps")
    words = ("task", "kind", "purpose", "seed")
    return all(np.array_equal(getattr(a, x), getattr(b, x)) for x in arrays) and all(
        getattr(a, x) == getattr(b, x) for x in words
    )


def test_a_truncated_file_is_refused(stored: Path, tmp_path: Path) -> None:
    whole = stored.read_bytes()
    for length in [0, 1, 30, *range(100, len(whole), 97), len(whole) - 1]:
        path = tmp_path / "cut.npz"
        path.write_bytes(whole[:length])
        with pytest.raises(ProblemFileError, match=r"cut\.npz"):
            Problems.load(path)


def test_a_changed_byte_is_refused_or_changes_nothing(stored: Path, tmp_path: Path) -> None:
    whole, original = stored.read_bytes(), Problems.load(stored)
    path, refused = tmp_path / "flipped.npz", 0
    rng = np.random.default_rng(0)
    for position in rng.choice(len(whole), 300, replace=False):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            loaded = Problems.load(path)
        except ProblemFileError:
            refused += 1
        else:  # dates and flags of the container
            assert equal(loaded, original)
    assert refused > 200


def rewrite(stored: Path, path: Path, header: dict[str, object], arrays: dict[str, object]) -> Path:
    with np.load(stored) as file:
        parts = {name: file[name] for name in file.files}
    parts |= arrays
    parts["header"] = np.array(json.dumps(json.loads(str(parts["header"])) | header))
    np.savez_compressed(path, **{name: part for name, part in parts.items() if part is not None})
    return path


@pytest.mark.parametrize(
    ("header", "arrays", "message"),
    [
        ({"version": 2}, {}, "version 2"),
        ({"seed": 8}, {}, "SHA-256"),
        ({"purpose": "tuning"}, {}, "SHA-256"),
        ({"note": 1}, {}, "the parts"),
        ({}, {"horizon": None}, "the parts"),
        ({}, {"horizon": np.full(12, 5)}, "SHA-256"),
        ({}, {"horizon": np.array([{}], dtype=object)}, "readable"),
    ],
)
def test_a_file_that_was_edited_is_refused(
    stored: Path, tmp_path: Path, header: dict[str, object], arrays: dict[str, object], message: str
) -> None:
    path = rewrite(stored, tmp_path / "edited.npz", header, arrays)
    with pytest.raises(ProblemFileError, match=message):
        Problems.load(path)


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


def test_no_code_of_a_file_runs(stored: Path, tmp_path: Path) -> None:
    evil = np.array([Evil(tmp_path / "ran")], dtype=object)
    path = rewrite(stored, tmp_path / "evil.npz", {}, {"horizon": evil})
    with pytest.raises(ProblemFileError):
        Problems.load(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("contents", [b"", b"problems", None])
def test_something_else_is_refused(contents: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(ProblemFileError, match=r"other\.npz"):
        Problems.load(path)


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("start_history", lambda p: p.goal_history, "no success"),
        ("start_history", lambda p: p.start_history[:, :, :1], "start_history"),
        ("start_history", lambda p: p.start_history.astype(np.float32), "float32"),
        ("goal_history", lambda p: np.full_like(p.goal_history, np.nan), "finite"),
        ("shortest_steps", lambda p: p.shortest_steps + 0.1, "lower bounds"),
        ("horizon", lambda p: p.horizon * 9, "fit the horizon"),
        ("horizon", lambda p: p.horizon // 9, "at least one step"),
        ("kind", lambda p: "hard", "one of 'random'"),
    ],
)
def test_a_set_that_breaks_an_invariant_cannot_be_made(
    stored: Path, field: str, change: object, message: str
) -> None:
    problems = Problems.load(stored)
    with pytest.raises((ProblemFileError, ParameterError), match=message):
        replace(problems, **{field: change(problems)})


SETS = sorted((Path(problems.__file__).parent / "problem_sets").glob("*.npz"))


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_a_stored_set_is_valid_and_named_for_what_it_is(path: Path) -> None:
    stored = Problems.load(path)
    assert path.stem == f"{stored.task}-{stored.kind}-{stored.horizon[0]}-{stored.purpose}"
    assert len(stored) == 200
    if stored.task == "wall_single":  # our own physics: the same on every machine
        again = make_problems(
            stored.task,
            stored.kind,
            horizon=int(stored.horizon[0]),
            count=200,
            purpose=stored.purpose,
            seed=stored.seed,
        )
        np.testing.assert_allclose(again.start_history, stored.start_history, rtol=0, atol=1e-9)
        np.testing.assert_allclose(again.goal_history, stored.goal_history, rtol=0, atol=1e-9)


def test_there_are_stored_sets_for_tuning_and_for_reporting_apart() -> None:
    stored = [Problems.load(path) for path in SETS]
    assert {(one.task, one.purpose) for one in stored} >= {
        (task, purpose)
        for task in ("wall_single", "point_maze", "push_t")
        for purpose in ("tuning", "reporting")
    }
    for one in stored:
        for other in stored:
            if one is not other and one.task == other.task:
                shared = {start.tobytes() for start in one.starts} & {
                    start.tobytes() for start in other.starts
                }
                assert not shared


@pytest.mark.parametrize(("kind", "horizon"), [("random", 6), ("long", 3)])
def test_random_problems_of_a_task_with_rooms_cross_a_wall(kind: str, horizon: int) -> None:
    task = by_name("wall_single")
    made = make_problems("wall_single", kind, horizon=horizon, count=50, purpose="training", seed=3)
    crosses = task.room(made.starts) != task.room(made.goals)
    assert crosses.all() if kind == "random" else not crosses.all()
