"""Every public callable, every parameter, every kind of bad value, with valid values for the rest.

`python tests/support/sweep.py --share 1` counts what the package answers, and lists the worst.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import io
import json
import random
import re
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import jaxtyping
from bad_values import BAD
from valid_values import VALID, a_bootstrap, a_system, an_acceptance, gradient_steps_of, small_world_model

from linear_systems.errors import FloatOverflowError, InvalidInputError, PrecisionLossError, UndecidedError

LIMIT = 10.0
"""Seconds of processor time after which a call hangs."""

MODULES = (
    "linear_systems.system",
    *(f"linear_systems.conditioning.{name}" for name in ("shooting", "lifted", "reachability")),
    *(
        f"linear_systems.stop_gradient.{name}"
        for name in (
            "map", "transients", "acceleration", "basin", "fixed_end", "kreiss", "metrics", "parallel_iterations",
            "small_steps", "symbol_certificates", "sync", "uniform_bounds", "uniform_convergence",
        )
    ),
    *(f"linear_systems.noise.{name}" for name in ("joint", "langevin", "live", "state_chain", "tubes")),
    "linear_systems.exact.certificates",
    *(f"linear_systems.examples.{name}" for name in ("benchmarks", "facts", "random_systems")),
    *(f"grasp_theory.{name}" for name in ("action_sets", "compare", "control", "dynamics", "ensemble", "objectives", "problem")),
    *(f"grasp_theory.adapters.{name}" for name in ("history", "stable_worldmodel", "world_models")),
    *(
        f"grasp_theory.planners.{name}"
        for name in ("cem", "gradient_descent", "grasp", "hybrid", "latco", "mppi")
    ),
    *(
        f"grasp_theory.smoothing.{name}"
        for name in ("closed_forms", "constants", "extremal", "norms", "periodic", "polynomial", "quadrature", "radial")
    ),
    *(f"grasp_theory.statistics.{name}" for name in ("bootstrap", "intervals", "learn_then_test", "paired_trials", "proportions")),
    "grasp_theory.tasks",
    *(f"grasp_theory.tasks.{name}" for name in ("environment", "problems", "task")),
    *(
        f"grasp_theory.theorems.{name}"
        for name in (
            "appendix_a3", "corollary_1", "local_basin", "theorem_2", "theorem_3", "theorem_4", "theorem_5", "theorem_6",
            "theorem_6_uniform", "theorem_7", "theorem_8", "theorem_9",
        )
    ),
    *(
        f"grasp_theory.trust.{name}"
        for name in (
            "acceptance", "agreement", "checked", "density", "diagnosis", "evidence", "held_first", "linearisation", "shipped"
        )
    ),
    *(f"grasp_theory.world_models.{name}" for name in ("architecture", "card", "checkpoint", "model")),
)  # fmt: skip
"""Where the public functions and classes are defined; what a package keeps to itself is not among them."""
RECORDS = {
    "Benchmark",
    "Cards", "Certificate", "ChainLaw", "Comparison", "ControlRun", "Diagnosis", "Basin", "Expectation", "Extremal",
    "Facts", "Iteration", "KreissConstant", "Linearisation", "LiveLimits", "Measured", "Mode", "OrnsteinUhlenbeckLaw",
    "Pair", "Pairing", "Progress", "Result", "SmoothedRadialLoss", "SyncedPlan", "Trial", "Bin", "TheoremCheck",
    "UniformBound", "Estimate", "ActionStep", "Ridge", "CEMSearch", "StableWorldModelSolver", "ModelDynamics",
    "SwappedPair", "Surgery", "SurgeredModel",
}  # fmt: skip
"""Classes that functions return and nobody builds, and bases."""
INTERNAL = {
    # Inner loops, called with what their callers have checked.
    "log_of", "log_gaussian_slope", "exponent", "points_in", "squared_distance", "step_defects", "lifted_pulls",
    "untouched", "known_not_finite", "trajectory", "one_step_predictions", "coloured", "refine_around", "plain",
    "log_bound", "log_geometric_bound", "state_gradient", "lifted_value", "checked_actions", "end_distance",
    "smooth_step", "bump", "constant", "jacobian_pair", "separation", "depth", "with_goal", "stacked_frames",
    "sample_angles", "require_stable_greedy_loop", "time_invariant", "synchronised", "unbiasedness_by_sampling",
    "exact_update_blocks", "right_hand_side", "adapted", "asked", "next_states", "is_compiled",
    "broadcast", "gradient_steps", "said_p", "shown_p",
    "reached_by", "reaches_more", "again", "better", "seeded", "from_greedy_plans", "from_the_line",
    "by_diagnosis", "most_errors", "threshold_sequence",
}  # fmt: skip


class Hang(BaseException):
    """A call that does not end."""


@dataclass(frozen=True)
class Call:
    """A public callable with valid arguments.

    Arguments
        name: as a user knows it.
        function: what is called.
        arguments: valid ones, made anew.
    """

    name: str
    function: Callable[..., Any]
    arguments: Callable[[], Mapping[str, Any]]


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public functions and classes by name."""
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name, item in sorted(vars(module).items()):
            wrapped = inspect.unwrap(item) if callable(item) and not inspect.isclass(item) else item
            own = getattr(wrapped, "__module__", None) == module_name
            if not own or name.startswith("_") or name in RECORDS | INTERNAL:
                continue
            kept = inspect.isfunction(wrapped) or (
                inspect.isclass(item)
                and not getattr(item, "_is_protocol", False)
                and not issubclass(item, Exception)
            )
            if kept and inspect.signature(item).parameters:
                yield f"{module_name}.{name}", item


def calls() -> list[Call]:
    """Return all public callables with what makes valid arguments for them."""
    found = [Call(name, item, lambda n=name, i=item: valid(n, i)) for name, item in public()]
    found.append(
        Call("gradient_steps", gradient_steps_of, lambda: valid("gradient_steps", gradient_steps_of))
    )
    for owner, method in _methods():
        bound = getattr(owner(), method)
        name = f"{type(owner()).__name__ if not inspect.isclass(owner()) else owner().__name__}.{method}"
        found.append(Call(name, bound, lambda n=name, o=owner, m=method: valid(n, getattr(o(), m))))
    return found


def valid(name: str, item: Callable[..., Any]) -> dict[str, Any]:
    """Return valid arguments of a callable: those that it needs, and None or the default for the others."""
    parts = name.split(".")
    given = {}
    for parameter in inspect.signature(item).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        keys = [".".join([*parts[place:], parameter.name]) for place in range(len(parts) + 1)]
        for key in keys:
            if key in VALID and (parameter.default is parameter.empty or key != parameter.name):
                given[parameter.name] = VALID[key]()
                break
        else:
            if parameter.default is parameter.empty:
                raise LookupError(f"no valid value for {name}.{parameter.name}")
    return given


def _methods() -> list[tuple[Callable[[], Any], str]]:
    import grasp_theory as gt
    from grasp_theory.statistics.bootstrap import Bootstrap
    from grasp_theory.trust.held_first import HeldFirst

    few = {"iterations": 2}
    planners = [
        lambda: gt.GRASP(**few), lambda: gt.GradientDescent(**few), lambda: gt.CEM(**few, samples=5, elites=2),
        lambda: gt.MPPI(**few, samples=5), lambda: gt.LatCo(**few),
    ]  # fmt: skip
    return [
        *((planner, "plan") for planner in planners),
        (lambda: HeldFirst(planner=gt.CEM(**few, samples=5, elites=2), first=gt.MPPI(**few, samples=5), size=1), "plan"),
        (lambda: HeldFirst, "auto"),
        (lambda: gt.Box(-1.0, 1.0), "project"),
        (lambda: gt.Balls(1.0, 2), "project"),
        (lambda: gt.Held(gt.Box(-1.0, 1.0), 1), "project"),
        (a_system, "rollout"),
        (a_system, "step"),
        (a_system, "matrices"),
        (lambda: gt.Acceptance, "calibrate"),
        (lambda: gt.Acceptance, "load"),
        (an_acceptance, "accept"),
        (an_acceptance, "probability"),
        (a_bootstrap, "mean"),
        (a_bootstrap, "median"),
        *((small_world_model, name) for name in ("encode", "step", "decode", "probe")),
        (lambda: Bootstrap, "__call__"),
    ][:-1]  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What came of one call."""

    call: str
    parameter: str
    kind: str
    outcome: str
    detail: str


TYPED, UNNAMED, RAW, ACCEPTED, HUNG, OWN = (
    "typed",
    "typed without the name",
    "raw",
    "accepted",
    "hung",
    "the caller's own",
)


def answer(call: Call, parameter: str, kind: str) -> Answer:
    """Call with one bad value, in a folder of its own, and say what came of it."""
    arguments = {**call.arguments(), parameter: BAD[kind]()}

    def stop(*_: object) -> NoReturn:
        raise Hang

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
    try:
        with (
            warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _jaxtyping_off(),
            tempfile.TemporaryDirectory() as aside, contextlib.chdir(aside),
        ):  # fmt: skip
            warnings.simplefilter("ignore")
            found = call.function(**arguments)
            if inspect.isgenerator(found):
                next(found, None)
        outcome, detail = ACCEPTED, ""
    except InvalidInputError as error:
        named = re.search(rf"(?<!\w){parameter}(?!\w)", error.argument)
        outcome, detail = (TYPED if named else UNNAMED), str(error)
    except OSError as error:  # what `Raises` says of paths; it names the file
        outcome, detail = (TYPED if error.filename and parameter == "path" else RAW), str(error)[:200]
    except (FloatOverflowError, PrecisionLossError, UndecidedError) as error:
        outcome, detail = ACCEPTED, f"{type(error).__name__}"
    except Hang:
        outcome, detail = HUNG, ""
    except Exception as error:
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        where = f"{Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno}" if last else ""
        outcome, detail = RAW, f"{type(error).__name__} at {where}: {error}"[:200]
        if "raised by the function that was given" in str(error):
            outcome = OWN  # it comes through as it is
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return Answer(call.name, parameter, kind, outcome, detail)


@contextlib.contextmanager
def _jaxtyping_off() -> Iterator[None]:
    former = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", former)


def sweep(share: float, seed: int, only: str = "", kind: str | None = None) -> Iterator[Answer]:
    """Yield the answers to a sample of all bad values."""
    rng = random.Random(seed)
    for call in calls():
        for parameter in inspect.signature(call.function).parameters:
            for each in BAD if kind is None else [kind]:
                if rng.random() < share and only in call.name and _applies(call, parameter):
                    yield answer(call, parameter, each)


def _applies(call: Call, parameter: str) -> bool:
    kind = inspect.signature(call.function).parameters[parameter].kind
    return kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def main() -> None:
    """Print the counts of the sweep, and write every answer to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    begun = time.process_time()
    answers = list(sweep(arguments.share, arguments.seed, arguments.only))
    counts = Counter(each.outcome for each in answers)
    refused = sum(counts[each] for each in (TYPED, UNNAMED, RAW, HUNG))
    sys.stdout.write(f"{len(answers)} calls in {time.process_time() - begun:.0f} s: {dict(counts)}; ")
    sys.stdout.write(f"{counts[TYPED] / max(refused, 1):.2%} of {refused} refused are typed and named\n")
    if arguments.out is not None:
        arguments.out.write_text("\n".join(json.dumps(vars(each)) for each in answers), encoding="utf-8")


if __name__ == "__main__":
    main()
