"""Videos of episodes: read back, whole or not at all, never over an existing file."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from typer.testing import CliRunner

from experiments.scripts.video import episode, episode_pictures, write_video
from grasp_theory.command_line import add, new_app
from grasp_theory.tasks.environment import with_goal
from grasp_theory.tasks.wall_single.wall_single import WALL_SINGLE
from linear_systems.errors import ParameterError, ShapeError

STATES = WALL_SINGLE.simulate(np.array([[10.0, 50.0]]), np.full((1, 12, 2), (1.0, -1.0)))[0]
GOAL = np.array([20.0, 20.0])


# imageio's reader of MP4s leaves the pipes of its ffmpeg process to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize(("ending", "error"), [(".gif", 3.0), (".mp4", 12.0)])
def test_a_video_reads_back(tmp_path: Path, ending: str, error: float) -> None:
    pictures = episode_pictures(WALL_SINGLE, STATES, GOAL, 90)
    path = tmp_path / f"episode{ending}"
    write_video(path, pictures, fps=20)
    found = iio.imread(path)
    assert found.shape == pictures.shape == (13, 90, 90, 3)
    # Palettes and H.264 lose a little colour; a frame that is missing or out of order would lose the whole dot.
    assert np.sqrt(np.mean((found.astype(float) - pictures) ** 2, axis=(1, 2, 3))).max() < error
    if ending == ".gif":
        metadata = iio.immeta(path)
        assert (metadata["duration"], metadata["loop"]) == (50, 0)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_every_picture_shows_the_goal() -> None:
    pictures = episode_pictures(WALL_SINGLE, STATES, GOAL)
    assert pictures.shape == (13, 256, 256, 3)
    where = (256 * 20) // 65
    assert (pictures[:, where, where] == pictures[0, where, where]).all()
    assert (
        pictures[0, where, where].tolist()
        == with_goal(WALL_SINGLE, STATES[:1], GOAL[None])[0, where, where].tolist()
    )
    assert 0 < 255 - int(pictures[0, where, where, 1]) < 128


@pytest.mark.parametrize(
    ("name", "pictures", "fps", "error", "argument"),
    [
        ("a.avi", np.zeros((2, 16, 16, 3), np.uint8), 10, ParameterError, "path"),
        ("a.gif", np.zeros((2, 16, 16), np.uint8), 10, ShapeError, "pictures"),
        ("a.gif", np.zeros((0, 16, 16, 3), np.uint8), 10, ShapeError, "pictures"),
        ("a.gif", np.zeros((2, 16, 16, 3), np.uint8), 0, ParameterError, "fps"),
        ("a.mp4", np.zeros((2, 15, 15, 3), np.uint8), 10, ParameterError, "pictures"),
    ],
)
def test_bad_requests_write_nothing(
    tmp_path: Path, name: str, pictures: np.ndarray, fps: int, error: type[Exception], argument: str
) -> None:
    with pytest.raises(error) as caught:
        write_video(tmp_path / name, pictures, fps)
    assert caught.value.argument == argument
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "kept.gif"
    path.write_bytes(b"mine")
    with pytest.raises(ParameterError, match="exists"):
        write_video(path, episode_pictures(WALL_SINGLE, STATES, GOAL))
    assert path.read_bytes() == b"mine"


def test_command(tmp_path: Path) -> None:
    app = new_app()
    add(app, episode, "")
    paths = [tmp_path / f"{k}.gif" for k in range(2)]
    for path in paths:
        result = CliRunner().invoke(app, ["wall_single", "--out", str(path), "--steps", "6", "--size", "64"])
        assert result.exit_code == 0, result.output
    assert iio.imread(paths[0]).shape == (7, 64, 64, 3)
    assert paths[0].read_bytes() == paths[1].read_bytes()
