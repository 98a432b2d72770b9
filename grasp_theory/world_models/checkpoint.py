"""World models in files: `NAME.safetensors` holds the weights, `NAME.json` the card.

Reading verifies the weights against the card's SHA-256 and every tensor against the architecture, and runs no code
of the files: there is no pickle in them.  Weights are stored in float32, or in half the bytes as float16; statistics
(the model's buffers) are in float32 always.  A file holds exactly the model that it was saved from: `round_weights`
comes first, so that a model is measured as it will be read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from grasp_theory.boundary import as_device
from grasp_theory.files import atomic_file, read_whole, told
from grasp_theory.world_models.architecture import BACKBONES
from grasp_theory.world_models.card import Card, Cards
from grasp_theory.world_models.model import WorldModel
from linear_systems.checked import checked
from linear_systems.errors import DTypeError, InvalidInputError, NonFiniteError, ParameterError

WEIGHTS, CARD = ".safetensors", ".json"
DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "float16": torch.float16}
"""The types that a card may name for the stored weights."""


class CheckpointError(InvalidInputError):
    """A stored world model is missing, damaged, mismatched or written by a newer version."""


@checked
def save(model: WorldModel, card: Card, path: str | Path, *, overwrite: bool = False) -> Card:
    """Write `path.safetensors` and `path.json`, each in one piece, and return the card with its digests.

    A reader of a half-written pair (a killed overwrite) gets a `CheckpointError`, never another model's card.

    Arguments
        model: in float32, on any device.
        card: what is known of it, and with its `dtype` how the weights are stored; its digests are filled in.
        path: the files' common path; a suffix .safetensors is left out.
        overwrite: whether files that are there may be replaced.

    Raises
        ParameterError: if the card's architecture is not the model's, or a file exists and may not be replaced.
        DTypeError, NonFiniteError: if the weights are not float32, or not finite; or if they are to be stored in
            float16 and that does not hold them exactly.
        PathError: if a file cannot be written; a folder that is missing is made.
    """
    weights_path, card_path = _paths(path)
    if card.architecture != model.architecture:
        raise ParameterError(
            "card", f"the model's {model.architecture}", str(card.architecture),
            "architecture=model.architecture",
        )  # fmt: skip
    present = [file.name for file in (weights_path, card_path) if file.exists()]
    if present and not overwrite:
        raise ParameterError(
            "path", "a new path", f"{present} there already", "another path, or overwrite=True"
        )
    # The file knows neither shared memory nor other orders of axes, such as channels_last.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32:
            raise DTypeError("model", "weights in float32", f"{tensor.dtype} in {name}", "model.float()")
        if not bool(torch.isfinite(tensor).all()):
            raise NonFiniteError("model", "finite weights", f"NaN or infinity in {name}", "train it anew")
    types = _stored_types(model, card)
    stored = {name: tensor.to(types[name]) for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        if not torch.equal(stored[name].float(), tensor):
            raise DTypeError(
                "model", f"weights that {card.dtype} holds exactly", f"others in {name}",
                "round_weights(model) before measuring it",
            )  # fmt: skip
    weights = safetensors.torch.save(stored)
    encoder = model.frozen_weights
    written = replace(
        card, sha256=_sha256(weights), encoder_sha256=None if encoder is None else fingerprint(encoder)
    )
    text = json.dumps(written.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    for file_path, content in ((weights_path, weights), (card_path, text.encode())):
        with told("path", file_path, "a file that can be written"):
            file_path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(file_path) as file:
                file.write(content)
    return written


@checked
def round_weights(model: WorldModel) -> None:
    """Round a model's weights to what float16 holds, in place; statistics (buffers) stay as they are.

    A weight moves by 2⁻¹¹ of itself at most, or by 2⁻²⁵ where it is smaller than 2⁻¹⁴.

    Raises
        NonFiniteError: if a weight is beyond the range of float16 (65504), or not finite.
    """
    with torch.no_grad():
        for name, weight in model.named_parameters():
            rounded = weight.half().to(weight.dtype)
            if not bool(torch.isfinite(rounded).all()):
                raise NonFiniteError(
                    "model", "weights within the range of float16, ±65504", f"a larger one in {name}",
                    "store it in float32",
                )  # fmt: skip
            weight.copy_(rounded)


@checked
def load_file(
    path: str | Path,
    encoder: nn.Module | None = None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> WorldModel:
    """Return the world model of two files, verified, in evaluation mode, its weights frozen, with its `card`.

    Arguments
        path: of the pair; the suffix .safetensors may be left out.
        encoder: the user's frozen encoder that the model was trained with, if it was; it stays on the device
            and in the type that it has.
        device: where the model goes; None for the CPU.
        dtype: float32 or float64; None for float32.

    Raises
        CheckpointError: if a file is missing, damaged, of a future version, or does not fit the other one; or
            if the encoder is not the one that the model was trained with.
        ParameterError: if an encoder is needed and not given, or given and not needed.
        DTypeError: for another dtype.
    """
    weights_path, card_path = _paths(path)
    return _load(weights_path, card_path, encoder, device, dtype)


@checked
def load(
    name: str,
    *,
    kind: str = "offline",
    seed: int = 0,
    latent: str | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> WorldModel:
    """Return a world model that comes with this package; nothing is downloaded.

    Arguments
        name: the task, such as "wall_single", "point_maze" or "push_t".
        kind: "offline" (behaviour data only) or "robust" (extra data where planners exploit the model).
        seed: of the training.
        latent: "flat", "colours" (centroids of colours), "bodies" (slow features of where the colours that move are), "patch",
            "frozen" (features of ImageNet) or "random" (of the same network, untrained); None for those to plan with:
            colours for push_t, flat for the others.
        device, dtype: as in `load_file`.

    Raises
        ParameterError: if there is no such model; the message names the closest ones.
        CheckpointError: if its files are damaged.
        MissingPackageError: if a frozen network is needed and its extra not installed; the message says which.
    """
    chosen, shipped = best_latent(name) if latent is None else latent, _shipped()
    wanted = f"{name}-{kind}-{chosen}-{seed}"
    names = _names(shipped)
    if wanted not in names:
        calls = " or ".join(_closest(name, wanted, names)) or "load_file for a model of your own"
        raise ParameterError(
            "name, kind, latent, seed",
            "a model that comes with this package, task-kind-latent-seed",
            f"{name!r}, so {wanted!r}",
            f"{calls}; print(available()) shows all {len(names)}",
        )
    return _load(shipped / (wanted + WEIGHTS), shipped / (wanted + CARD), None, device, dtype)


def _closest(name: str, wanted: str, names: list[str]) -> list[str]:
    """Return how the models closest to what was asked for are loaded: by a task's name, or among a known task's models."""
    tasks = sorted({each.rsplit("-", 3)[0] for each in names})
    if name in names:
        return [_call(name)]
    if name not in tasks:
        return [f"load({task!r})" for task in get_close_matches(name, tasks, n=2)]
    of_task = [each for each in names if each.rsplit("-", 3)[0] == name]
    return [_call(each) for each in get_close_matches(wanted, of_task, n=3, cutoff=0.0)]


def _call(name: str) -> str:
    """Return how a shipped model is loaded."""
    task, kind, latent, seed = name.rsplit("-", 3)
    usual = {"kind": "offline", "latent": best_latent(task), "seed": 0}
    given = {"kind": kind, "latent": latent, "seed": int(seed)}
    words = [f"{key}={value!r}" for key, value in given.items() if value != usual[key]]
    return f"load({', '.join([repr(task), *words])})"


@checked
def best_latent(task: str) -> str:
    """Return the latents whose plans are true most often: "colours" for push_t, "flat" for any other task.

    Arguments
        task: its name.
    """
    return "colours" if task == "push_t" else "flat"


def available() -> Cards:
    """Return the cards of the world models that come with this package, a tuple by name; `print` shows a table."""
    shipped = _shipped()
    return Cards(_read_card(shipped / (name + CARD)) for name in _names(shipped))


@checked
def read_card(path: str | Path) -> Card:
    """Return the card of a stored world model, whose weights are not looked at.

    Arguments
        path: of its files, with or without the suffix.

    Raises
        CheckpointError: if the card is missing, damaged or of a future version.
    """
    return _read_card(_paths(path)[1])


@checked
def fingerprint(module: nn.Module) -> str:
    """Return the SHA-256 of a module's `state_dict`: names, types, shapes and bytes, in order of the names.

    What a module keeps elsewhere (its code, for one) is not covered.

    Arguments
        module: any, in any state.

    Raises
        ParameterError: its `state_dict` holds something that is not a tensor.
    """
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if not isinstance(value, Tensor):
            raise ParameterError(
                "encoder", "a state_dict of tensors", f"{type(value).__name__} in {name!r}",
                "keep extra state out of state_dict",
            )  # fmt: skip
        digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _load(
    weights_file: Traversable,
    card_file: Traversable,
    encoder: nn.Module | None,
    device: torch.device | str | None,
    dtype: torch.dtype | None,
) -> WorldModel:
    if dtype not in (None, torch.float32, torch.float64):
        raise DTypeError("dtype", "torch.float32 or torch.float64", str(dtype), "leave it out for float32")
    where = None if device is None else as_device("device", device)
    card = _read_card(card_file)
    weights = _read(weights_file)
    if _sha256(weights) != card.sha256:
        raise CheckpointError(
            weights_file.name, f"SHA-256 {card.sha256}, as {card_file.name} says", _sha256(weights),
            "fetch both files again: one is damaged, or they are of different models",
        )  # fmt: skip
    try:
        tensors = safetensors.torch.load(weights)
    except (SafetensorError, KeyError) as error:
        raise CheckpointError(
            weights_file.name, "a file of safetensors", str(error), "a file as `save` writes it"
        ) from error
    # On "meta" no weight is drawn: the caller's random numbers are left alone.
    with torch.device("meta"):
        model = WorldModel(card.architecture, encoder)
    given = model.frozen_weights
    if given is not None and card.encoder_sha256 is not None:
        found = fingerprint(given)
        if found != card.encoder_sha256:
            raise CheckpointError(
                "encoder", f"the frozen encoder of the training, with fingerprint {card.encoder_sha256}", found,
                "the same weights in the same type as in the training",
            )  # fmt: skip
    _check_tensors(weights_file.name, tensors, model.state_dict(), _stored_types(model, card))
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    model.card = card
    return model.eval().requires_grad_(False).to(device=where, dtype=dtype)


def _stored_types(model: WorldModel, card: Card) -> dict[str, torch.dtype]:
    """Return the type in which each tensor lies in the file: the card's for weights, float32 for statistics."""
    weights = {name for name, _ in model.named_parameters()}
    return {name: DTYPES[card.dtype] if name in weights else torch.float32 for name in model.state_dict()}


def _check_tensors(
    file: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor], types: Mapping[str, torch.dtype]
) -> None:
    hint = "a card and weights of the same training"
    missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or unknown:
        raise CheckpointError(
            file, "the tensors of the card's architecture", f"missing {missing}, unknown {unknown}", hint
        )
    for name, tensor in expected.items():
        shape, dtype = tuple(found[name].shape), found[name].dtype
        if shape != tuple(tensor.shape) or dtype != types[name]:
            raise CheckpointError(
                file, f"{name} of shape {tuple(tensor.shape)} and {types[name]}",
                f"shape {shape} and {dtype}", hint,
            )  # fmt: skip
        if not bool(torch.isfinite(found[name]).all()):
            raise CheckpointError(file, f"finite entries in {name}", "NaN or infinity", hint)


def _read_card(file: Traversable) -> Card:
    text = _read(file)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(file.name, "a JSON card", str(error), "a card as `save` writes it") from error
    if not isinstance(values, dict):
        raise CheckpointError(
            file.name, "a JSON card", f"a {type(values).__name__}", "a card as `save` writes it"
        )
    try:
        card = Card.from_json(values)
    except InvalidInputError as error:
        raise CheckpointError(
            f"{error.argument} in {file.name}", error.expected, error.found, error.hint
        ) from error
    if card.sha256 is None or (card.encoder_sha256 is None) == (
        card.architecture.encoder in ("frozen", *BACKBONES)
    ):
        raise CheckpointError(file.name, "the digests of the weights", "none", "a card as `save` writes it")
    return card


def _read(file: Traversable) -> bytes:
    try:
        return read_whole(file) if isinstance(file, Path) else file.read_bytes()
    except OSError as error:
        raise CheckpointError(
            file.name, "a file that can be read", f"{type(error).__name__}: {error}",
            "the path of NAME.safetensors, with NAME.json beside it",
        ) from error  # fmt: skip


def _paths(path: str | Path) -> tuple[Path, Path]:
    stem = str(path).removesuffix(WEIGHTS)
    return Path(stem + WEIGHTS), Path(stem + CARD)


def _shipped() -> Traversable:
    return files("grasp_theory.world_models") / "shipped"


def _names(folder: Traversable) -> list[str]:
    return sorted(f.name.removesuffix(CARD) for f in folder.iterdir() if f.name.endswith(CARD))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
