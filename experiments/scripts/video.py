"""GIFs and MP4s of episodes, the goal a faint shadow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import imageio.v3 as iio
import numpy as np
import typer
from jaxtyping import Float, UInt8

from grasp_theory.command_line import expect_writable
from grasp_theory.files import atomic_file
from grasp_theory.tasks import TASKS, by_name
from grasp_theory.tasks.environment import VIEW_SIZE, with_goal
from grasp_theory.tasks.task import Task
from linear_systems.errors import ParameterError, ShapeError


def write_video(path: Path, pictures: UInt8[np.ndarray, "L size size 3"], fps: int = 10) -> None:
    """Write pictures as a GIF that repeats or as an MP4 (H.264), whole or not at all.

    Arguments
        path: ends in .gif or .mp4; the folder must exist and the file must not.
        pictures: (L, size, size, 3), L >= 1; H.264 needs an even size.
        fps: pictures a second, 1 to 50 (players show faster GIFs slowly).

    Raises
        ParameterError: for another ending, a file that exists, a bad rate or an odd size.
        ShapeError: if the pictures do not have the shape above.
    """
    if path.suffix not in (".gif", ".mp4"):
        raise ParameterError("path", "a name ending in .gif or .mp4", f"{path}", "change the ending")
    if path.exists():
        raise ParameterError(
            "path", "a new file", f"{path}, which exists", "remove it or choose another name"
        )
    if not 1 <= fps <= 50:
        raise ParameterError("fps", "1 to 50 pictures a second", f"{fps}", "10 is usual")
    if pictures.ndim != 4 or pictures.shape[3] != 3 or 0 in pictures.shape:
        raise ShapeError("pictures", "(L, size, size, 3)", f"{pictures.shape}", "use episode_pictures")
    if path.suffix == ".gif":
        encoded = iio.imwrite("<bytes>", pictures, extension=".gif", duration=1000 / fps, loop=0)
    else:
        if pictures.shape[1] % 2 or pictures.shape[2] % 2:
            found = f"{pictures.shape[1:3]}"
            raise ParameterError("pictures", "even sides", found, "choose an even size")
        # By default the encoder would stretch the pictures to multiples of 16.
        encoded = iio.imwrite(
            "<bytes>", pictures, extension=".mp4", plugin="FFMPEG", fps=fps, macro_block_size=2
        )
    with atomic_file(path) as file:
        file.write(encoded)


def episode_pictures(
    task: Task, states: Float[np.ndarray, "L S"], goal: Float[np.ndarray, " S"], size: int = VIEW_SIZE
) -> UInt8[np.ndarray, "L size size 3"]:
    """Return a picture of each state of an episode with its goal marked."""
    return with_goal(task, states, np.broadcast_to(goal, states.shape), size)


def episode(
    task: Annotated[str, typer.Argument(help=f"One of {', '.join(TASKS)}.")],
    out: Annotated[Path, typer.Option(help="The file to write, ending in .gif or .mp4.")],
    steps: Annotated[int, typer.Option(min=1, max=10_000, help="Environment steps.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the start and the behaviour.")] = 0,
    size: Annotated[int, typer.Option(min=16, max=2048, help="Side of the pictures in pixels.")] = VIEW_SIZE,
) -> None:
    """Write a video of one episode of a task's behaviour policies; its last state is marked as the goal."""
    chosen = by_name(task)
    expect_writable(out)
    rng = np.random.default_rng(seed)
    states, _ = chosen.behaviour(rng, chosen.sample_states(rng, 1), steps, mixture=chosen.mixtures["offline"])
    write_video(out, episode_pictures(chosen, states[0], states[0, -1], size))
    typer.echo(f"{out}: {steps} environment steps of {task}")
