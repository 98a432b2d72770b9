"""Files of world models: exact round trips, and a clear error for everything that is not what `save` wrote."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor
from world_model_cases import ARCHITECTURES, SMALL, card_for, encoder_of, frames_for, world_model

from grasp_theory.world_models import (
    Architecture,
    CheckpointError,
    WorldModel,
    fingerprint,
    load,
    load_file,
    read_card,
    round_weights,
    save,
)
from linear_systems.errors import DTypeError, NonFiniteError, ParameterError, PathError

every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
FROZEN = ARCHITECTURES["flat, frozen encoder"]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """The common path of a good pair of files."""
    save(world_model(), card_for(), tmp_path / "model")
    return tmp_path / "model"


def _weights(path: Path) -> Path:
    return path.with_name(path.name + ".safetensors")


def _card(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _seal(path: Path) -> None:
    """Put the SHA-256 of the weights as they are now in the card, as a forger would."""
    values = json.loads(_card(path).read_text())
    values["sha256"] = hashlib.sha256(_weights(path).read_bytes()).hexdigest()
    _card(path).write_text(json.dumps(values))


def _change_tensors(path: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    tensors = safetensors.torch.load(_weights(path).read_bytes())
    change(tensors)
    _weights(path).write_bytes(safetensors.torch.save(tensors))
    _seal(path)


class TestRoundTrip:
    @every_architecture
    def test_every_result_is_the_same_to_the_bit(self, architecture: Architecture, tmp_path: Path) -> None:
        # Frozen as a loaded model is: torch's attention has another kernel where no weight needs a gradient.
        model = world_model(architecture).eval().requires_grad_(False)
        written = save(model, card_for(architecture), tmp_path / "model")
        read = load_file(tmp_path / "model", encoder_of(architecture))
        assert read.card == written == read_card(tmp_path / "model")
        assert read.architecture == architecture
        assert list(read.state_dict()) == list(model.state_dict())
        for name, tensor in model.state_dict().items():
            assert torch.equal(read.state_dict()[name], tensor), name
        frames, action = frames_for(architecture, 2), torch.ones(2, 4)
        latent = model.encode(frames)
        assert torch.equal(read.encode(frames), latent)
        assert torch.equal(read.step(latent, action), model.step(latent, action))
        assert torch.equal(read.decode(latent), model.decode(latent))
        assert torch.equal(read.probe(latent), model.probe(latent))

    @every_architecture
    def test_a_loaded_model_is_ready_to_plan_with(self, architecture: Architecture, tmp_path: Path) -> None:
        save(world_model(architecture), card_for(architecture), tmp_path / "model")
        model = load_file(tmp_path / "model", encoder_of(architecture))
        assert not any(module.training for module in model.modules())
        assert not any(weight.requires_grad for weight in model.parameters())
        assert not any(tensor.is_meta for tensor in model.state_dict().values())
        state = model.encode(frames_for(architecture, 2)).requires_grad_()
        action = torch.zeros(2, 4, requires_grad=True)
        for gradient in torch.autograd.grad(model.step(state, action).sum(), (state, action)):
            assert torch.isfinite(gradient).all()
            assert gradient.any()

    def test_loaded_weights_may_be_written(self, stored: Path) -> None:
        model = load_file(stored)
        before = copy.deepcopy(model.state_dict())
        for tensor in model.state_dict().values():
            tensor += 1
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(tensor, before[name] + 1, msg=name)

    @every_architecture
    def test_float64(self, architecture: Architecture, tmp_path: Path) -> None:
        save(world_model(architecture), card_for(architecture), tmp_path / "model")
        encoder = encoder_of(architecture)
        model = load_file(tmp_path / "model", encoder, dtype=torch.float64, device="cpu")
        assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float64}
        latent = model.encode(frames_for(architecture, 2))
        assert latent.dtype == torch.float64
        assert model.step(latent, torch.zeros(2, 4, dtype=torch.float64)).dtype == torch.float64

    def test_the_same_model_gives_the_same_bytes(self, tmp_path: Path) -> None:
        first = save(world_model(), card_for(), tmp_path / "first")
        second = save(load_file(tmp_path / "first"), card_for(), tmp_path / "second")
        assert first == second
        assert _weights(tmp_path / "first").read_bytes() == _weights(tmp_path / "second").read_bytes()
        assert _card(tmp_path / "first").read_bytes() == _card(tmp_path / "second").read_bytes()

    def test_the_order_in_memory_does_not_matter(self, tmp_path: Path) -> None:
        plain, moved = world_model(), world_model().to(memory_format=torch.channels_last)
        assert not all(weight.is_contiguous() for weight in moved.parameters())
        assert save(plain, card_for(), tmp_path / "plain") == save(moved, card_for(), tmp_path / "moved")

    def test_loading_leaves_random_numbers_alone(self, stored: Path) -> None:
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        load_file(stored)
        assert torch.equal(torch.rand(3), expected)

    def test_names_with_dots_and_with_the_suffix(self, tmp_path: Path) -> None:
        save(world_model(), card_for(), tmp_path / "new" / "model-0.1.safetensors")
        assert sorted(os.listdir(tmp_path / "new")) == ["model-0.1.json", "model-0.1.safetensors"]
        for path in (tmp_path / "new" / "model-0.1", str(tmp_path / "new" / "model-0.1.safetensors")):
            assert load_file(path).card == read_card(path)


class TestHalf:
    """Weights in float16: half the bytes, and still exactly the model that was saved."""

    @pytest.fixture
    def model(self) -> WorldModel:
        model = world_model().eval().requires_grad_(False)
        round_weights(model)
        return model

    @pytest.fixture
    def stored(self, model: WorldModel, tmp_path: Path) -> Path:
        save(model, card_for(dtype="float16"), tmp_path / "half")
        return tmp_path / "half"

    @every_architecture
    def test_the_model_comes_back_to_the_bit(self, architecture: Architecture, tmp_path: Path) -> None:
        model = world_model(architecture)
        round_weights(model)
        written = save(model, card_for(architecture, dtype="float16"), tmp_path / "model")
        read = load_file(tmp_path / "model", encoder_of(architecture))
        assert read.card == written
        assert {tensor.dtype for tensor in read.state_dict().values()} == {torch.float32}
        for name, tensor in model.state_dict().items():
            assert torch.equal(read.state_dict()[name], tensor), name

    def test_weights_take_two_bytes_and_statistics_four(self, model: WorldModel, stored: Path) -> None:
        tensors = safetensors.torch.load(_weights(stored).read_bytes())
        weights = {name for name, _ in model.named_parameters()}
        for name, tensor in tensors.items():
            assert tensor.dtype == (torch.float16 if name in weights else torch.float32), name

    def test_rounding_is_to_nearest_and_leaves_statistics_alone(self) -> None:
        model, before = world_model(), world_model()
        round_weights(model)
        for (name, weight), old in zip(model.named_parameters(), before.parameters(), strict=True):
            allowed = (old.abs() * 2.0**-11).clamp_min(2.0**-25)
            assert bool(((weight - old).abs() <= allowed).all()), name
        assert any(
            not torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True)
        )
        for (name, buffer), old in zip(model.named_buffers(), before.buffers(), strict=True):
            assert torch.equal(buffer, old), name

    def test_weights_that_were_not_rounded_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DTypeError, match="round_weights"):
            save(world_model(), card_for(dtype="float16"), tmp_path / "model")
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("value", [65520.0, -1e6, float("nan"), float("inf")])
    def test_weights_beyond_the_range_are_refused(self, value: float) -> None:
        model = world_model()
        with torch.no_grad():
            next(model.parameters()).view(-1)[0] = value
        with pytest.raises(NonFiniteError, match="65504"):
            round_weights(model)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t: t.update({"predictor.enter.bias": torch.zeros(16)}), r"enter.bias .*float16.*float32"),
            (lambda t: t.update({"predictor.enter.bias": torch.zeros(16).bfloat16()}), r"float16.*bfloat16"),
            (lambda t: t.update(probe_mean=torch.zeros(3).half()), r"probe_mean .*float32.*float16"),
        ],
        ids=["float32 weights", "bfloat16 weights", "float16 statistics"],
    )
    def test_another_type_than_the_card_says(
        self, stored: Path, change: Callable[[dict[str, Tensor]], Any], message: str
    ) -> None:
        _change_tensors(stored, change)
        with pytest.raises(CheckpointError, match=message):
            load_file(stored)

    @pytest.mark.usefixtures("types_unchecked")
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16", 16])
    def test_a_card_that_says_another_type(self, stored: Path, dtype: object) -> None:
        values = json.loads(_card(stored).read_text())
        values["dtype"] = dtype
        _card(stored).write_text(json.dumps(values))
        with pytest.raises(CheckpointError, match=r"float32.*float16"):
            load_file(stored)


def test_a_file_of_version_1_is_read_as_it_was(stored: Path) -> None:
    before = load_file(stored).state_dict()
    values = json.loads(_card(stored).read_text())
    assert values.pop("dtype") == "float32"
    _card(stored).write_text(json.dumps(values | {"format": 1}))
    read = load_file(stored)
    assert read.card is not None
    assert read.card.dtype == "float32"
    for name, tensor in before.items():
        assert torch.equal(read.state_dict()[name], tensor), name


class TestSaving:
    @pytest.mark.parametrize("which", [_weights, _card])
    def test_nothing_is_overwritten_unasked(self, stored: Path, which: Callable[[Path], Path]) -> None:
        before = _weights(stored).read_bytes()
        (_card if which is _weights else _weights)(stored).rename(stored.parent / "aside")
        with pytest.raises(ParameterError, match=r"overwrite=True"):
            save(world_model(seed=1), card_for(), stored)
        assert which is _card or _weights(stored).read_bytes() == before

    def test_a_folder_that_cannot_be_made_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(PathError, match=r"^path: expected a file that can be written, found .* Try: "):
            save(world_model(), card_for(), tmp_path / "file" / "model")

    def test_overwriting_on_request(self, stored: Path) -> None:
        model = world_model(seed=1)
        save(model, card_for(seed=1), stored, overwrite=True)
        read = load_file(stored)
        assert read.card is not None
        assert read.card.seed == 1
        assert torch.equal(read.background, model.background)

    def test_an_overwrite_that_was_killed_half_way_is_noticed(
        self, stored: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace_file = os.replace

        def killed(source: Path, target: Path) -> None:
            if target == _card(stored):
                raise KeyboardInterrupt
            replace_file(source, target)

        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            save(world_model(seed=1), card_for(seed=1), stored, overwrite=True)
        with pytest.raises(CheckpointError, match="of different models"):
            load_file(stored)
        assert sorted(os.listdir(stored.parent)) == ["model.json", "model.safetensors"]

    def test_weights_that_are_not_finite(self, tmp_path: Path) -> None:
        model = world_model()
        model.probe_scale[1] = torch.nan
        with pytest.raises(NonFiniteError, match="probe_scale"):
            save(model, card_for(), tmp_path / "model")
        assert os.listdir(tmp_path) == []

    def test_weights_in_float64(self, tmp_path: Path) -> None:
        with pytest.raises(DTypeError, match=r"model\.float\(\)"):
            save(world_model().double(), card_for(), tmp_path / "model")
        assert os.listdir(tmp_path) == []

    def test_a_card_of_another_architecture(self, tmp_path: Path) -> None:
        with pytest.raises(ParameterError, match=r"architecture=model\.architecture"):
            save(world_model(), card_for(replace(SMALL, predictor_width=32)), tmp_path / "model")


class TestDamage:
    # The length of the header, the header, the first and the last weights.
    @pytest.mark.parametrize("where", [0, 9, 200, -1, -1000])
    def test_a_flipped_bit(self, stored: Path, where: int) -> None:
        content = bytearray(_weights(stored).read_bytes())
        content[where] ^= 1
        _weights(stored).write_bytes(content)
        with pytest.raises(CheckpointError, match=r"model\.safetensors: expected SHA-256"):
            load_file(stored)

    @pytest.mark.parametrize("sealed", [False, True])
    @pytest.mark.parametrize("length", [0, 4, 100, -1])
    def test_a_truncated_file(self, stored: Path, length: int, sealed: bool) -> None:
        _weights(stored).write_bytes(_weights(stored).read_bytes()[:length])
        if sealed:
            _seal(stored)
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            load_file(stored)

    def test_a_file_with_more_in_it(self, stored: Path) -> None:
        _weights(stored).write_bytes(_weights(stored).read_bytes() + b"\0")
        _seal(stored)
        with pytest.raises(CheckpointError, match="safetensors"):
            load_file(stored)

    def test_the_card_of_another_model(self, stored: Path) -> None:
        other = stored.with_name("other")
        save(world_model(seed=1), card_for(seed=1), other)
        _card(other).replace(_card(stored))
        with pytest.raises(CheckpointError, match="of different models"):
            load_file(stored)

    @pytest.mark.parametrize("which", [_weights, _card])
    def test_a_missing_file(self, stored: Path, which: Callable[[Path], Path]) -> None:
        which(stored).unlink()
        with pytest.raises(CheckpointError, match=which(stored).name):
            load_file(stored)

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'"card"'])
    def test_a_card_that_is_none(self, stored: Path, content: bytes) -> None:
        _card(stored).write_bytes(content)
        with pytest.raises(CheckpointError, match=r"model\.json: expected a JSON card"):
            load_file(stored)

    def test_a_card_that_is_cut_off(self, stored: Path) -> None:
        _card(stored).write_bytes(_card(stored).read_bytes()[:-20])
        with pytest.raises(CheckpointError, match=r"model\.json: expected a JSON card"):
            read_card(stored)

    def test_a_future_version(self, stored: Path) -> None:
        values = json.loads(_card(stored).read_text())
        _card(stored).write_text(json.dumps({"format": values["format"] + 1}))
        with pytest.raises(CheckpointError, match=r"format in model\.json.*upgrade grasp-theory"):
            load_file(stored)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda card: card.pop("licence"), r"missing \['licence'\]"),
            (lambda card: card.update(colour="red"), r"unknown \['colour'\]"),
            (lambda card: card.update(sha256=None), "digests"),
            (lambda card: card.update(kind="robust"), "name in"),
        ],
        ids=["missing field", "unknown field", "no digest", "another name"],
    )
    def test_a_card_with_other_fields(
        self, stored: Path, change: Callable[[dict[str, Any]], Any], message: str
    ) -> None:
        values = json.loads(_card(stored).read_text())
        change(values)
        _card(stored).write_text(json.dumps(values))
        with pytest.raises(CheckpointError, match=message):
            load_file(stored)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t: t.pop("action_scale"), r"missing \['action_scale'\], unknown \[\]"),
            (lambda t: t.update(extra=torch.zeros(1)), r"missing \[\], unknown \['extra'\]"),
            (
                lambda t: t.update(probe_mean=torch.zeros(4)),
                r"probe_mean of shape \(3,\).*found shape \(4,\)",
            ),
            (
                lambda t: t.update(latent_scale=torch.ones(1)),
                r"latent_scale of shape \(\).*found shape \(1,\)",
            ),
            (lambda t: t.update(probe_mean=torch.zeros(3).double()), r"probe_mean .*float32.*float64"),
            (lambda t: t.update(probe_mean=torch.zeros(3).half()), r"probe_mean .*float32.*float16"),
            (lambda t: t.update(probe_mean=torch.zeros(3).int()), r"probe_mean .*float32.*int32"),
        ],
        ids=["missing", "unknown", "length", "axes", "float64", "float16", "int32"],
    )
    def test_tensors_of_another_model_under_the_right_digest(
        self, stored: Path, change: Callable[[dict[str, Tensor]], Any], message: str
    ) -> None:
        _change_tensors(stored, change)
        with pytest.raises(CheckpointError, match=message):
            load_file(stored)

    def test_an_architecture_of_another_model(self, stored: Path) -> None:
        values = json.loads(_card(stored).read_text())
        values["architecture"]["predictor_width"] = 32
        _card(stored).write_text(json.dumps(values))
        with pytest.raises(CheckpointError, match=r"predictor\.enter\.weight of shape \(32, 7\)"):
            load_file(stored)


class TestNoPickle:
    class Payload:
        """Writes a file when it is unpickled."""

        def __init__(self, mark: Path) -> None:
            self.mark = mark

        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (self.mark,))

    @pytest.mark.parametrize("sealed", [False, True])
    @pytest.mark.parametrize("make", ["pickle", "torch"])
    def test_a_pickle_is_refused_and_never_run(
        self, stored: Path, tmp_path: Path, make: str, sealed: bool
    ) -> None:
        payload = self.Payload(tmp_path / "ran")
        if make == "pickle":
            _weights(stored).write_bytes(pickle.dumps(payload))
        else:
            torch.save(payload, _weights(stored))
        if sealed:
            _seal(stored)
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            load_file(stored)
        assert not payload.mark.exists()
        if make == "pickle":
            pickle.loads(_weights(stored).read_bytes())
            assert payload.mark.exists(), "the payload does nothing"

    def test_a_torch_file_without_a_card(self, tmp_path: Path) -> None:
        torch.save(world_model().state_dict(), tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=r"model\.pt\.json"):
            load_file(tmp_path / "model.pt")


class TestFrozenEncoder:
    @pytest.fixture
    def stored(self, tmp_path: Path) -> Path:
        save(world_model(FROZEN), card_for(FROZEN), tmp_path / "model")
        return tmp_path / "model"

    def test_is_not_in_the_file(self, stored: Path) -> None:
        tensors = safetensors.torch.load(_weights(stored).read_bytes())
        assert tensors.keys() == WorldModel(FROZEN, encoder_of(FROZEN)).state_dict().keys()

    def test_comes_back_as_the_object_that_was_given(self, stored: Path) -> None:
        encoder = encoder_of(FROZEN)
        model = load_file(stored, encoder)
        assert encoder is not None
        assert model.frozen_encoder is encoder
        assert model.card is not None
        assert model.card.encoder_sha256 == fingerprint(encoder)

    def test_is_needed(self, stored: Path) -> None:
        with pytest.raises(ParameterError, match="pass the frozen encoder"):
            load_file(stored)

    def test_is_refused_where_the_model_has_its_own(self, tmp_path: Path) -> None:
        save(world_model(), card_for(), tmp_path / "own")
        with pytest.raises(ParameterError, match="encoder='own'"):
            load_file(tmp_path / "own", encoder_of(FROZEN))

    @pytest.mark.parametrize("difference", ["seed", "buffer", "type"])
    def test_another_one_is_refused(self, stored: Path, difference: str) -> None:
        encoder = encoder_of(FROZEN, seed=1 if difference == "seed" else 0)
        assert encoder is not None
        if difference == "buffer":
            encoder.scale += 1e-6
        if difference == "type":
            encoder.half()
        with pytest.raises(CheckpointError, match="the frozen encoder of the training"):
            load_file(stored, encoder)

    def test_a_card_without_its_fingerprint_is_refused(self, stored: Path) -> None:
        values = json.loads(_card(stored).read_text())
        values["encoder_sha256"] = None
        _card(stored).write_text(json.dumps(values))
        with pytest.raises(CheckpointError, match="digests"):
            load_file(stored, encoder_of(FROZEN))


class TestNames:
    @pytest.mark.parametrize(
        ("name", "options", "hint"),
        [
            ("psh_t", {}, "load('push_t')"),
            ("push_t", {"seed": 9}, "load('push_t')"),
            ("push_t", {"latent": "falt", "seed": 1}, "load('push_t', latent='flat', seed=1)"),
            ("push_t-robust-colours-0", {}, "load('push_t', kind='robust')"),
            ("hopper", {}, "load_file"),
        ],
    )
    def test_a_name_that_is_none_gets_the_closest_and_no_list(
        self, name: str, options: dict[str, Any], hint: str
    ) -> None:
        with pytest.raises(ParameterError) as refused:
            load(name, **options)
        assert hint in str(refused.value)
        assert "print(available())" in str(refused.value)
        assert len(str(refused.value)) < 350


class TestFingerprint:
    def test_tells_values_names_types_and_shapes(self) -> None:
        class Holder(torch.nn.Module):
            def __init__(self, name: str, value: Tensor) -> None:
                super().__init__()
                self.register_buffer(name, value)

        holders = [
            Holder("a", torch.zeros(4)), Holder("b", torch.zeros(4)), Holder("a", torch.zeros(2, 2)),
            Holder("a", torch.zeros(4, dtype=torch.int32)), Holder("a", torch.ones(4)),
            Holder("a", torch.zeros(4, dtype=torch.bfloat16)), Holder("a", torch.zeros(())),
        ]  # fmt: skip
        assert len({fingerprint(holder) for holder in holders}) == len(holders)
        assert fingerprint(Holder("a", torch.zeros(4))) == fingerprint(holders[0])
        assert fingerprint(Holder("a", torch.zeros(8)[::2])) == fingerprint(holders[0])

    def test_state_that_is_no_tensor_is_refused(self) -> None:
        class Extra(torch.nn.Module):
            def get_extra_state(self) -> dict[str, int]:
                return {"version": 1}

        with pytest.raises(ParameterError, match="extra state"):
            fingerprint(Extra())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_other_types_are_refused(stored: Path, dtype: torch.dtype) -> None:
    with pytest.raises(DTypeError, match=r"float32 or torch\.float64"):
        load_file(stored, dtype=dtype)


@pytest.mark.gpu
def test_on_a_gpu(stored: Path) -> None:
    model = load_file(stored, device="cuda")
    latent = model.encode(frames_for(SMALL, 2).cuda())
    assert latent.is_cuda
    torch.testing.assert_close(latent.cpu(), load_file(stored).encode(frames_for(SMALL, 2)))
