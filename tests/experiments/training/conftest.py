"""One tiny trained model, shared by the tests that look at it."""

from pathlib import Path

import pytest
import torch

from experiments.training.recipe import recipe_for
from experiments.training.run import Run, Trained
from grasp_theory.tasks import by_name


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Data, frames and checkpoints of the runs below: a run that is finished costs no more training."""
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="session")
def offline(folder) -> Trained:
    """The model of `train wall_single --quick`."""
    recipe = recipe_for("wall_single", "flat", quick=True)
    return Run(by_name("wall_single"), recipe, 0, folder, torch.device("cpu")).offline()
