"""World models: shapes, what step computes, gradients, frozen encoders, and planning on them."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from world_model_cases import ARCHITECTURES, SMALL, FrozenEncoder, frames_for, world_model

from grasp_theory import GRASP, Dynamics, PlanningProblem, rollout
from grasp_theory.world_models import Architecture, WorldModel
from grasp_theory.world_models.architecture import LATER
from grasp_theory.world_models.encoders import KeypointEncoder, Standardise, moments
from grasp_theory.world_models.predictors import GatedBlock, PatchTransformer
from linear_systems.errors import DTypeError, ParameterError, ShapeError

every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
own_architectures = pytest.mark.parametrize(
    "architecture", [ARCHITECTURES["flat"], ARCHITECTURES["patch"]], ids=["flat", "patch"]
)


def _randn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 2) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@every_architecture
@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3), (0,)], ids=str)
def test_shapes_with_any_leading_axes(architecture: Architecture, batch: tuple[int, ...]) -> None:
    model = world_model(architecture)
    latent = model.encode(frames_for(architecture, *batch))
    assert latent.shape == (*batch, *architecture.state_shape)
    assert model.step(latent, torch.zeros(*batch, 4)).shape == latent.shape
    assert torch.equal(model(latent, torch.ones(*batch, 4)), model.step(latent, torch.ones(*batch, 4)))
    assert model.decode(latent).shape == (*batch, 16, 16, 3)
    assert model.probe(latent).shape == (*batch, 3)
    assert model.distance(latent, latent).shape == batch


@every_architecture
def test_leading_axes_are_only_a_grouping(architecture: Architecture) -> None:
    model = world_model(architecture)
    frames = frames_for(architecture, 2, 3)
    latent = model.encode(frames)
    actions = _randn(2, 3, 4)
    for method, arguments in (
        (model.encode, (frames,)), (model.decode, (latent,)), (model.probe, (latent,)),
        (model.step, (latent, actions)), (model.distance, (latent, latent.flip(0))),
    ):  # fmt: skip
        grouped = method(*arguments)
        torch.testing.assert_close(
            grouped.flatten(0, 1), method(*(argument.flatten(0, 1) for argument in arguments))
        )


@every_architecture
def test_step_broadcasts_states_against_actions(architecture: Architecture) -> None:
    model = world_model(architecture)
    state, actions = _randn(*architecture.state_shape), _randn(5, 4)
    together = model.step(state, actions)
    assert together.shape == (5, *architecture.state_shape)
    for i in range(5):
        torch.testing.assert_close(together[i], model.step(state, actions[i]))


@every_architecture
def test_step_adds_the_predicted_change_for_the_scaled_action(architecture: Architecture) -> None:
    model = world_model(architecture)
    state, action = _randn(3, *architecture.state_shape), _randn(3, 4, seed=3)
    assert model.action_scale != 1
    change = model.predictor(state, action / model.action_scale)
    torch.testing.assert_close(model.step(state, action), state + change)
    assert not torch.allclose(model.step(state, action), state + model.predictor(state, action))


@every_architecture
def test_latents_are_centred_and_scaled_and_heads_undo_their_scaling(architecture: Architecture) -> None:
    model = world_model(architecture)
    frames = frames_for(architecture, 3)
    latent = model.encode(frames)
    raw = model.encode_raw(frames)
    torch.testing.assert_close(latent, ((raw - model.latent_mean) / model.latent_scale) @ model.latent_map)
    torch.testing.assert_close(
        (model.probe(latent) - model.probe_mean) / model.probe_scale, model.probe_head(latent)
    )
    drawn = model.decoder(latent)
    assert drawn.shape == (3, architecture.frames, 3, 16, 16)
    newest = torch.einsum("ij,njhw->nhwi", model.unwhitening, drawn[:, 0]) + model.background
    torch.testing.assert_close(model.decode(latent), newest.clamp(0, 1))


@every_architecture
def test_other_coordinates_change_latents_and_distances_but_nothing_that_is_told(
    architecture: Architecture,
) -> None:
    model, frames = world_model(architecture).to(torch.float64), frames_for(architecture, 3)
    model.tell_centroids()  # was told in float32
    action = _randn(3, architecture.action_dim, dtype=torch.float64)
    before = model.encode(frames)
    following, pictures, told = model.step(before, action), model.decode(before), model.probe(before)
    d = architecture.latent_dim
    transform = torch.eye(d, dtype=torch.float64) + 0.5 * _randn(d, d, dtype=torch.float64)
    model.change_coordinates(transform)
    after = model.encode(frames)
    exact = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(after, before @ transform, **exact)
    torch.testing.assert_close(model.step(after, action), following @ transform, **exact)
    torch.testing.assert_close(model.decode(after), pictures, **exact)
    torch.testing.assert_close(model.probe(after), told, **exact)
    assert not torch.allclose(model.distance(after[:1], after[1:]), model.distance(before[:1], before[1:]))


def test_distance_is_the_root_mean_square() -> None:
    model = world_model(ARCHITECTURES["patch"])
    zero = torch.zeros(2, *model.architecture.state_shape)
    goal = torch.zeros_like(zero)
    goal[1, 0, 0] = 6.0
    torch.testing.assert_close(model.distance(zero, goal), torch.tensor([0.0, (36 / 12) ** 0.5]))


@every_architecture
def test_a_row_does_not_depend_on_the_others(architecture: Architecture) -> None:
    model = world_model(architecture).to(torch.float64)
    if model.frozen_encoder is not None:
        model.frozen_encoder.to(torch.float64)
    frames = frames_for(architecture, 4)
    others = torch.cat([frames[:1], 255 - frames[1:]])
    torch.testing.assert_close(model.encode(frames)[0], model.encode(frames[0]))
    torch.testing.assert_close(model.encode(frames)[0], model.encode(others)[0])
    state = _randn(4, *architecture.state_shape, dtype=torch.float64)
    action = _randn(4, 4, dtype=torch.float64)
    for i in range(4):
        torch.testing.assert_close(model.step(state, action)[i], model.step(state[i], action[i]))
        torch.testing.assert_close(model.decode(state)[i], model.decode(state[i]))
        torch.testing.assert_close(model.probe(state)[i], model.probe(state[i]))


@own_architectures
@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_step_are_its_derivatives(architecture: Architecture, training: bool) -> None:
    # Evaluation mode with frozen weights is how a loaded model is planned on; torch has faster kernels for it.
    model = world_model(architecture).train(training).requires_grad_(training).to(torch.float64)
    state = _randn(2, *architecture.state_shape, dtype=torch.float64).requires_grad_()
    action = _randn(2, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(model.step, (state, action))
    for gradient in torch.autograd.grad(model.step(state, action).sum(), (state, action)):
        assert (gradient.abs() > 0).any(dim=-1).all()


@own_architectures
def test_every_weight_is_trained_by_what_uses_it(architecture: Architecture) -> None:
    model = world_model(architecture)
    latent = model.step(model.encode(frames_for(architecture, 3)), _randn(3, 4))
    # The decoder clips to [0, 1], where nothing is learned: its own output is what training sees.
    (model.decoder(latent).square().sum() + model.probe(latent).square().sum()).backward()
    still = {
        name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()
    }
    # A softmax over the picture does not see what is added to a whole heat map.
    assert still <= {"encoder.heat_maps.6.bias"}


@every_architecture
def test_float64_agrees_with_float32(architecture: Architecture) -> None:
    single = world_model(architecture)
    double = copy.deepcopy(single).to(torch.float64)
    frames, action = frames_for(architecture, 3), _randn(3, 4)
    latents = single.encode(frames), double.encode(frames)
    assert latents[1].dtype == double.encode_raw(frames).dtype == torch.float64
    for narrow, wide in (
        latents,
        (single.step(latents[0], action), double.step(latents[1], action.double())),
        (single.decode(latents[0]), double.decode(latents[1])),
        (single.probe(latents[0]), double.probe(latents[1])),
    ):
        assert wide.dtype == torch.float64
        torch.testing.assert_close(narrow.double(), wide, rtol=1e-4, atol=1e-4)


@own_architectures
def test_float64_frames_have_the_digits_of_float64(architecture: Architecture) -> None:
    model = world_model(architecture).to(torch.float64)
    frames = frames_for(architecture, 2)
    assert model.encoder is not None
    difference = frames.double() / 255 - model.background
    by_hand = model.encoder(torch.einsum("ij,nkhwj->nkihw", model.whitening, difference))
    torch.testing.assert_close(model.encode_raw(frames), by_hand, rtol=1e-13, atol=1e-13)


def test_key_points_are_where_the_heat_is_and_how_far_it_moved() -> None:
    class Peaks(nn.Module):
        """A heat map of 4 x 4 pixels with one hot pixel: at (1, 2) in a newest frame, at (3, 0) in an older one."""

        def forward(self, frames: Tensor) -> Tensor:
            maps = frames.new_zeros(len(frames), 1, 4, 4)
            maps[0::2, 0, 1, 2] = maps[1::2, 0, 3, 0] = 1e3
            return maps

    assert SMALL.frames == 2
    encoder = KeypointEncoder(SMALL).to(torch.float64)
    encoder.heat_maps, encoder.head, encoder.standardise = Peaks(), nn.Identity(), nn.Identity()  # type: ignore[assignment]
    points = encoder(torch.zeros(3, SMALL.frames, 3, 16, 16, dtype=torch.float64))
    newest, older = torch.tensor([-1 / 3, 1 / 3]), torch.tensor([1.0, -1.0])
    expected = torch.cat([newest, newest - older, torch.zeros(7)]).double().expand(3, -1)
    torch.testing.assert_close(points, expected, rtol=1e-7, atol=1e-7)


def test_moments_are_those_of_the_distribution() -> None:
    weights = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = weights / weights.sum(dim=(2, 3), keepdim=True)
    points, shape = moments(weights)
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, n, dtype=torch.float64) for n in (5, 4)), indexing="ij")
    for n in range(2):
        for c in range(3):
            mean_y, mean_x = (float((weights[n, c] * axis).sum()) for axis in (y, x))
            assert points[n, [c, 3 + c]].tolist() == pytest.approx([mean_y, mean_x], rel=1e-6)
            orders = [(2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3)]
            central = [
                float((weights[n, c] * (y - mean_y) ** i * (x - mean_x) ** j).sum()) for i, j in orders
            ]
            assert shape[n, c::3].tolist() == pytest.approx(central, abs=1e-6)


def test_standardised_features_have_mean_0_and_variance_1_in_training_and_are_remembered() -> None:
    layer = Standardise(3).to(torch.float64).train()
    values = _randn(50, 3, dtype=torch.float64) * torch.tensor([1e-3, 1.0, 7.0]) + 5
    for _ in range(400):
        out = layer(values)
    torch.testing.assert_close(out.mean(dim=0), torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0)
    # The floor of 1e-8 beside a variance of 1e-6 is what is missing in the first feature.
    torch.testing.assert_close(out.var(dim=0), torch.ones(3, dtype=torch.float64), atol=2e-2, rtol=0)
    torch.testing.assert_close(layer.eval()(values[:1]), out[:1], atol=1e-6, rtol=1e-6)


def test_a_gated_block_multiplies() -> None:
    block = GatedBlock(2).to(torch.float64)
    with torch.no_grad():
        block.enter.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]))
        block.enter.bias.copy_(torch.tensor([0.0, 0.0, 20.0, 20.0]))  # gelu is the identity there
        block.leave.weight.copy_(torch.eye(2))
        block.leave.bias.copy_(torch.tensor([0.5, 0.0]))
    hidden = torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    x, y = block.norm(hidden)[0]
    wanted = torch.stack([x * (y + 20) + 0.5, y * (x + 20)])[None]
    torch.testing.assert_close(block(hidden), wanted)


def test_patches_are_told_apart_by_their_positions_alone() -> None:
    architecture = ARCHITECTURES["patch"]
    predictor = PatchTransformer(architecture).to(torch.float64)
    state = _randn(2, *architecture.state_shape, dtype=torch.float64)
    action = _randn(2, 4, dtype=torch.float64)
    order = torch.tensor([2, 0, 3, 1])
    assert not torch.allclose(predictor(state[:, order], action), predictor(state, action)[:, order])
    torch.nn.init.zeros_(predictor.position)
    torch.testing.assert_close(predictor(state[:, order], action), predictor(state, action)[:, order])


@every_architecture
def test_autocast_leaves_latents_in_float32(architecture: Architecture) -> None:
    model = world_model(architecture)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.encode(frames_for(architecture, 2)).dtype == torch.float32


class TestFrozenEncoder:
    ARCHITECTURE = ARCHITECTURES["flat, frozen encoder"]

    def test_is_not_the_models_own(self) -> None:
        encoder = FrozenEncoder(self.ARCHITECTURE)
        model = WorldModel(self.ARCHITECTURE, encoder)
        assert model.frozen_encoder is encoder
        assert not any(name.startswith("encoder") for name in model.state_dict())
        assert not {id(tensor) for tensor in (*model.parameters(), *model.buffers())} & {
            id(tensor) for tensor in (*encoder.parameters(), *encoder.buffers())
        }

    def test_stays_as_it_is(self) -> None:
        encoder = FrozenEncoder(self.ARCHITECTURE)
        before = copy.deepcopy(encoder.state_dict())
        model = WorldModel(self.ARCHITECTURE, encoder).to(torch.float64).train().requires_grad_(True)
        assert model.encode(frames_for(self.ARCHITECTURE, 2)).dtype == torch.float64
        assert not encoder.training
        assert not any(weight.requires_grad for weight in encoder.parameters())
        for name, value in encoder.state_dict().items():
            assert value.dtype == before[name].dtype
            assert torch.equal(value, before[name])

    def test_sees_pixels_between_0_and_1_frame_by_frame(self) -> None:
        class Corners(nn.Module):
            """The upper left pixel's colours of each frame: no weights."""

            def forward(self, pixels: Tensor) -> Tensor:
                return pixels[:, :, 0, 0]

        architecture = replace(self.ARCHITECTURE, latent_dim=6)
        frames = frames_for(architecture, 3)
        latent = WorldModel(architecture, Corners()).encode(frames)
        torch.testing.assert_close(latent, frames[:, :, 0, 0].flatten(1).float() / 255)

    def test_is_needed_exactly_when_the_architecture_says_so(self) -> None:
        with pytest.raises(ParameterError, match="frozen encoder that the model was trained with"):
            WorldModel(self.ARCHITECTURE)
        with pytest.raises(ParameterError, match="encoder='own'"):
            WorldModel(SMALL, FrozenEncoder(SMALL))


class TestRefusals:
    MODEL = world_model()

    def test_frames_that_are_not_bytes(self) -> None:
        with pytest.raises(DTypeError, match="uint8"):
            self.MODEL.encode(frames_for(SMALL, 2).float())

    @pytest.mark.parametrize("axis", [-4, -3, -2, -1])
    def test_frames_of_another_shape(self, axis: int) -> None:
        frames = frames_for(SMALL, 2)
        with pytest.raises(ShapeError, match=r"\(2, 16, 16, 3\)"):
            self.MODEL.encode(torch.cat([frames, frames], dim=axis))

    @pytest.mark.parametrize("method", ["decode", "probe", "step"])
    @pytest.mark.parametrize("size", [1, 4])
    def test_latents_of_another_length(self, method: str, size: int) -> None:
        # A length of 1 would broadcast in silence.
        rest = (torch.zeros(2, 4),) if method == "step" else ()
        with pytest.raises(ShapeError, match=r"trailing axes \(3,\)"):
            getattr(self.MODEL, method)(torch.zeros(2, size), *rest)

    @pytest.mark.parametrize("size", [1, 5])
    def test_actions_of_another_length(self, size: int) -> None:
        with pytest.raises(ShapeError, match="a last axis of 4"):
            self.MODEL.step(torch.zeros(2, 3), torch.zeros(2, size))

    @pytest.mark.usefixtures("types_unchecked")
    @pytest.mark.parametrize(
        ("method", "argument", "given"),
        [
            ("encode", "frames", (np.zeros((1, 2, 16, 16, 3), np.uint8),)),
            ("encode_raw", "frames", (np.zeros((1, 2, 16, 16, 3), np.uint8),)),
            ("normalise", "pictures", (np.zeros((16, 16, 3), np.uint8),)),
            ("normalise_latents", "raw", (np.zeros((1, 3)),)),
            ("change_coordinates", "transform", (np.eye(3),)),
            ("change_coordinates", "transform", (torch.eye(2),)),
            ("decode", "state", (np.zeros((1, 3)),)),
            ("decode", "state", (torch.zeros(1, 3, dtype=torch.int64),)),
            ("probe", "state", (np.zeros((1, 3)),)),
            ("step", "state", (np.zeros((1, 3)), torch.zeros(1, 4))),
            ("step", "action", (torch.zeros(1, 3), np.zeros((1, 4)))),
            ("step", "action", (torch.zeros(1, 3), torch.zeros(1, 4, dtype=torch.int64))),
            ("step", "action", (torch.zeros(1, 3), torch.tensor(0.0))),
            ("distance", "state", (np.zeros((1, 3)), torch.zeros(1, 3))),
            ("distance", "goal", (torch.zeros(1, 3), np.zeros((1, 3)))),
            ("distance", "state, goal", (torch.zeros(1, 3), torch.zeros(1, 2))),
        ],
    )
    def test_what_is_no_tensor_of_the_model_s_is_told_in_words(
        self, method: str, argument: str, given: tuple[Any, ...]
    ) -> None:
        with pytest.raises((DTypeError, ShapeError)) as refused:
            getattr(self.MODEL, method)(*given)
        assert refused.value.argument == argument
        assert "*batch" not in str(refused.value)


class TestArchitecture:
    @every_architecture
    def test_round_trip(self, architecture: Architecture) -> None:
        assert Architecture.from_json(architecture.to_json()) == architecture

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("latent", "round"), ("encoder", "theirs"), ("encoder", "colours"), ("image_size", 40), ("latent_dim", 0),
            ("frames", True), ("encoder_width", 3), ("predictor_depth", -1), ("predictor_block", "square"),
        ],
    )  # fmt: skip
    @pytest.mark.usefixtures("types_unchecked")
    def test_impossible_values(self, field: str, value: object) -> None:
        with pytest.raises(ParameterError, match=field):
            Architecture.from_json({**SMALL.to_json(), field: value})

    @pytest.mark.parametrize(("field", "value"), [("bodies", 4), ("bodies", 0), ("latent", "patch")])
    def test_sizes_that_do_not_fit_an_encoder_of_bodies(self, field: str, value: object) -> None:
        with pytest.raises(ParameterError, match="bodies"):
            replace(ARCHITECTURES["flat, bodies"], **{field: value})

    @pytest.mark.parametrize(("field", "value"), [("patches", 3), ("predictor_width", 18)])
    def test_sizes_that_do_not_fit_a_patch_latent(self, field: str, value: int) -> None:
        with pytest.raises(ParameterError, match=field):
            replace(ARCHITECTURES["patch"], **{field: value})
        assert replace(SMALL, **{field: value})

    def test_a_field_that_older_cards_lack_has_its_default(self) -> None:
        values = SMALL.to_json()
        for name in LATER:
            del values[name]
        assert Architecture.from_json(values) == SMALL
        assert SMALL.predictor_block == "plain"

    def test_missing_and_unknown_fields(self) -> None:
        values = SMALL.to_json()
        with pytest.raises(ParameterError, match="exactly the fields"):
            Architecture.from_json({**values, "attention": 3})
        del values["frames"]
        with pytest.raises(ParameterError, match="exactly the fields"):
            Architecture.from_json(values)


class TestPlanning:
    @every_architecture
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
    def test_grasp_comes_closer_to_goals_that_the_model_can_reach(
        self, architecture: Architecture, dtype: torch.dtype
    ) -> None:
        model = world_model(architecture).eval().requires_grad_(False).to(dtype)
        assert isinstance(model, Dynamics)
        start = model.encode(frames_for(architecture, 3))
        wanted = _randn(3, 4, 4, dtype=dtype).clamp(-1.8, 1.8)
        goal = rollout(model, start, wanted)[:, -1]
        problem = PlanningProblem(
            model, start, goal, horizon=4, action_dim=4, action_bounds=(-1.8, 1.8), seeds=torch.arange(3)
        )
        plan = GRASP(iterations=60, sync_every=20, sync_steps=5).plan(problem)
        idle = rollout(model, start, torch.zeros_like(wanted))[:, -1]
        assert plan.actions.dtype == dtype
        assert (plan.loss < 0.5 * (idle - goal).flatten(1).square().sum(dim=1)).all()
        assert all(weight.grad is None for weight in model.parameters())
