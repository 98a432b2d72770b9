"""A task whose physics is missing, or of another version, says what to install."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import pytest

from grasp_theory.tasks import by_name
from linear_systems.errors import InvalidInputError, MissingPackageError


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tasks' modules be imported anew, and bring the old ones back afterwards."""
    for name in list(sys.modules):
        if name.startswith(("grasp_theory.tasks.push_t", "grasp_theory.tasks.point_maze")):
            monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("package", ["gym_pusht", "pymunk"])
def test_push_t_without_its_physics(package: str, unloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(
        MissingPackageError, match=rf"no package {package}.*pip install 'grasp-theory\[tasks\]'"
    ):
        by_name("push_t")


def test_push_t_with_a_pymunk_that_gym_pusht_does_not_know(
    unloaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pymunk = importlib.import_module("pymunk")
    monkeypatch.delattr(pymunk.Space, "add_collision_handler")
    with pytest.raises(MissingPackageError, match=r"pymunk below 7.*found pymunk"):
        by_name("push_t")


def test_a_maze_without_mujoco(unloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(MissingPackageError, match=r"the physics of point_maze.*no package mujoco"):
        by_name("point_maze")


def test_what_is_missing_is_a_typed_error_and_an_import_error() -> None:
    assert issubclass(MissingPackageError, InvalidInputError)
    assert issubclass(MissingPackageError, ImportError)
