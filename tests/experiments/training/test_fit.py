"""The optimisation loop: a killed run goes on as if it had not been, and never on another run's files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from experiments.training import fit as fit_module
from experiments.training.fit import Trainer
from experiments.training.recipe import Stage
from linear_systems.errors import NonFiniteError, ParameterError

STAGE = Stage(steps=40, batch=16, learning_rate=1e-2)


class Killed(Exception):
    """Stands for a kill at some step."""


def model() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def run(
    folder: Path | None, linear: nn.Linear, *, killed_at: int | None = None, key: str = "key", seed: int = 0
):
    calls = 0

    def loss(rng: np.random.Generator):
        nonlocal calls
        if calls == killed_at:
            raise Killed
        calls += 1
        inputs = torch.from_numpy(rng.standard_normal((STAGE.batch, 3))).float()
        value = (linear(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean()
        return value, {"loss_again": float(value.detach())}

    trainer = Trainer(seed, torch.device("cpu"), folder, key)
    return trainer.fit("stage", linear, STAGE, loss)


def test_it_minimises():
    fitted = run(None, model())
    assert fitted.log[-1]["loss"] < 0.5 * fitted.log[0]["loss"]
    assert fitted.log[-1]["step"] == STAGE.steps
    assert fitted.wall_seconds > 0
    assert fitted.earlier_wall_seconds == fitted.earlier_cpu_seconds == 0


@pytest.mark.parametrize("killed_at", [1, 17, 39])
def test_a_killed_run_resumes_to_the_same_weights(tmp_path, monkeypatch, killed_at):
    monkeypatch.setattr(fit_module, "SAVE_EVERY", 0.0)
    whole = model()
    log = run(None, whole).log
    first = model()
    with pytest.raises(Killed):
        run(tmp_path, first, killed_at=killed_at)
    second = model()
    resumed = run(tmp_path, second)
    assert torch.equal(whole.weight, second.weight)
    assert [entry["loss"] for entry in resumed.log] == [entry["loss"] for entry in log]
    assert 0 < resumed.earlier_wall_seconds < resumed.wall_seconds
    assert 0 < resumed.earlier_cpu_seconds <= resumed.cpu_seconds


@pytest.mark.parametrize("content", [b"", b"half", None])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    run(tmp_path, model())
    path = tmp_path / "stage.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(ParameterError, match=r"stage\.pt.*trained anew"):
        run(tmp_path, model())


def test_a_finished_stage_is_not_trained_again(tmp_path):
    done = model()
    run(tmp_path, done)
    again = model()
    run(tmp_path, again, killed_at=0)
    assert torch.equal(done.weight, again.weight)


def test_another_seed_gives_other_weights():
    one, other = model(), model()
    run(None, one, seed=0)
    run(None, other, seed=1)
    assert not torch.equal(one.weight, other.weight)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    run(tmp_path, model())
    with pytest.raises(ParameterError, match="another recipe"):
        run(tmp_path, model(), key="other")


def test_a_loss_that_is_not_finite_stops_the_stage():
    linear = model()
    with pytest.raises(NonFiniteError, match="step 0 of stage 'stage'"):
        Trainer(0, torch.device("cpu"), None, "key").fit(
            "stage", linear, STAGE, lambda rng: (linear(torch.full((1, 3), torch.inf)).sum(), {})
        )
