"""Claims of every verdict, for the tests of the machinery around the engine.

They are looked up by id in worker processes as "sample_claims:CLAIMS" and so on.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from paper_checks.engine.records import Claim, Curve, Evidence, Grade, Sharpness
from paper_checks.engine.run import STATISTICAL_TEST_LIMIT, Run


def at_most(bound: float) -> Evidence:
    """Decide "the square of every x in [0, 1] is at most `bound`"."""
    xs = np.linspace(0.0, 1.0, 11)
    worst = float(np.max(xs**2))
    return Evidence(
        Grade.NUMERICAL,
        worst <= bound,
        f"x² on {xs.size} points is at most {worst:g}, against {bound:g}",
        {"largest": worst, "points": xs.size, "<script>": "a & b"},
        instance="import numpy as np\nx = np.float64(1.0)",
    )


def check_holds(run: Run) -> None:
    def equal(offset: int) -> Evidence:
        return Evidence(Grade.SYMBOLIC, offset == 0, "(a + b)² expanded", {"identities": 1})

    drawn = run.rng("instances").random(run.size(8, 4))
    run.examine("the square is bounded", at_most, 1.0, false_variants={"half": 0.5}, equations=(1, 2))
    run.examine("the square expands", equal, 0, false_variants={"off by one": 1}, equations=(3,))
    run.sharpness(
        Sharpness("x² ≤ 1", float(drawn.max()), "random draws", f"x = {drawn.max()!r}", "none is better")
    )
    horizons = list(range(1, 41))
    run.curve(
        Curve(
            "Growth of the square and of its exponential, with a title that is long enough to need two lines",
            "horizon T (steps)", "largest square (1)",
            {
                "squares of the horizon": (horizons, [float(T**2) for T in horizons]),
                "1.5 to the power of the horizon": (horizons, [1.5**T for T in horizons]),
                "constant": (horizons, [2.0] * 40),
            },
            log_y=True,
            note="The second is straight on this scale.",
        )
    )  # fmt: skip
    run.curve(Curve("A short one", "x", "y", {"only": ([0.0, 0.5, 1.0], [0.0, 0.25, 1.0])}))


def check_caveat(run: Run) -> None:
    run.examine("loose", at_most, 100.0, false_variants={"half": 0.5}, equations=(4,))
    run.caveat("the bound is a hundred times too large", at_most, 1.0, false_variants={"half": 0.5})


def check_fails(run: Run) -> None:
    run.examine(
        "x² ≤ 1/2 on [0, 1]", at_most, 0.5,
        false_variants={"a quarter": 0.25}, true_variants={"x² ≤ 1": 1.0}, equations=(5,),
    )  # fmt: skip


def check_statistical(run: Run) -> None:
    def mean_is(value: float) -> Evidence:
        sample = run.rng("sample").normal(0.0, 1.0, 4000)
        level = run.level()
        # Chebyshev would do: the mean's deviation of 4000 draws exceeds 0.1 with probability 2.5e-10.
        return Evidence(
            Grade.STATISTICAL, abs(sample.mean() - value) < 0.1, f"level {level:.1e}", {"n": 4000}
        )

    run.examine("the mean is 0", mean_is, 0.0, false_variants={"1": 1.0})


def check_uncaught(run: Run) -> None:
    run.examine("anything goes", at_most, 2.0, false_variants={"also true": 3.0})


def check_raises(run: Run) -> None:
    raise ZeroDivisionError("on purpose")


def check_dies(run: Run) -> None:
    os._exit(7)


def check_unpicklable(run: Run) -> None:
    run.examine("fine", at_most, 1.0, false_variants={"half": 0.5})
    run.curve(Curve("c", "x", "y", _Closure({"s": ([1.0], [1.0])})))


class _Closure(dict[str, tuple[list[float], list[float]]]):
    def __reduce__(self) -> str:
        raise TypeError("this does not pickle")


def check_threads(run: Run) -> None:
    def limited(value: str) -> Evidence:
        return Evidence(Grade.REPORTED, os.environ["OMP_NUM_THREADS"] == value, "one thread a worker")

    run.examine("one thread", limited, "1", false_variants={"two": "2"})


def check_greedy(run: Run) -> None:
    run.level(STATISTICAL_TEST_LIMIT + 1)
    run.examine("fine", at_most, 1.0, false_variants={"half": 0.5})


def check_sleeps(run: Run) -> None:
    """Say that it has begun, by a file with its process id as name, and stay busy."""
    (Path(os.environ["SAMPLE_CLAIMS_STARTED"]) / str(os.getpid())).touch()
    time.sleep(300)


def claim(name: str, check: object = None, **fields: object) -> Claim:
    return Claim(
        name, f"The claim called {name}", f"Section {name}", "x² ≤ 1 for every x in [0, 1]",
        check=check, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


CLAIMS = (
    claim(
        "squares", check_holds, equations=(1, 2, 3), others=("Theorem 1",), assumptions=("x ≥ 0", "x ≤ 1"),
        latex=r"\begin{aligned} x^2 &\le 1 \\ (a+b)^2 &= a^2 + 2ab + b^2 \end{aligned}",
        definitions={7: "defines x"},
    ),
    claim("loose", check_caveat, equations=(4,), tables=(1,), latex=r"x^2 \le 100"),
    claim("wrong", check_fails, equations=(5,), figures=(1,), latex=r"\lVert x \rVert^2 \le \tfrac{1}{2}"),
    claim("sampled", check_statistical, latex="+".join(f"x_{{{i}}}^2" for i in range(60)) + r" \le 60"),
    claim("one-thread", check_threads),
    claim("unseen", equations=(6,), missing="the authors' checkpoints"),
    claim("notation", definitions={8: "defines y"}, figures=(2,)),
)  # fmt: skip

FAULTY = (
    claim("squares", check_holds, equations=(1, 2, 3)),
    claim("uncaught", check_uncaught),
    claim("raises", check_raises),
    claim("dies", check_dies),
    claim("unpicklable", check_unpicklable),
    claim("greedy", check_greedy),
    claim("loose", check_caveat, equations=(4,)),
)

SLEEPY = (claim("sleeps", check_sleeps), claim("sleeps-too", check_sleeps))
EXPECTED = {
    "squares": "holds",
    "loose": "holds with caveat",
    "wrong": "fails",
    "sampled": "holds",
    "one-thread": "holds",
    "unseen": "not checkable here",
    "notation": "definition",
}
"""The verdict of every sample, for the record."""
