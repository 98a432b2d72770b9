"""Worker processes change nothing but the time, and survive whatever a check does."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest
import sample_claims

from linear_systems.errors import ParameterError
from paper_checks.engine import runner
from paper_checks.engine.records import Claim, Result, Verdict
from paper_checks.engine.run import STATISTICAL_TEST_LIMIT, Settings
from paper_checks.engine.runner import budget_problem, default_jobs, load_claims, run_claims

ALL = "sample_claims:CLAIMS"
FAULTY = "sample_claims:FAULTY"
IDS = [claim.id for claim in sample_claims.CLAIMS]


class Noting:
    """Takes down what it is told."""

    def __init__(self) -> None:
        self.titles: list[tuple[str, str]] = []
        self.results: list[Result] = []

    def examining(self, claim_id: str, title: str) -> None:
        self.titles.append((claim_id, title))

    def finished(self, result: Result) -> None:
        self.results.append(result)


def untimed(results: tuple[Result, ...]) -> list[Result]:
    return [replace(result, seconds=0.0) for result in results]


@pytest.fixture(scope="module")
def alone() -> list[Result]:
    """What one worker finds, quickly and with the seed 3."""
    return untimed(run_claims(IDS, Settings(quick=True, seed=3), jobs=1, registry=ALL))


def test_results_do_not_depend_on_the_number_of_jobs(alone: list[Result]) -> None:
    assert alone == untimed(run_claims(IDS, Settings(quick=True, seed=3), jobs=2, registry=ALL))
    assert {result.claim.id: str(result.verdict) for result in alone} == sample_claims.EXPECTED


def test_results_do_not_depend_on_which_claims_ran_before(alone: list[Result]) -> None:
    backwards = untimed(run_claims(IDS[::-1], Settings(quick=True, seed=3), jobs=1, registry=ALL))
    assert alone == backwards[::-1]


def test_the_seed_and_quick_reach_the_workers(alone: list[Result]) -> None:
    def found(settings: Settings) -> Result:
        return run_claims(["squares"], settings, jobs=1, registry=ALL)[0]

    results = [alone[IDS.index("squares")], found(Settings(quick=True)), found(Settings(seed=3))]
    assert len({result.sharpness[0].ratio for result in results}) == 3


def test_results_carry_the_claim_itself_and_progress_is_told_all() -> None:
    noting = Noting()
    results = run_claims(["loose", "squares"], Settings(), jobs=2, registry=ALL, progress=noting)
    assert [result.claim for result in results] == [sample_claims.CLAIMS[1], sample_claims.CLAIMS[0]]
    assert sorted(result.claim.id for result in noting.results) == ["loose", "squares"]
    expected = {(r.claim.id, e.title) for r in results for e in r.examinations}
    assert expected | {("loose", "the bound is a hundred times too large")} == set(noting.titles)


def test_whatever_a_check_does_the_other_claims_go_on() -> None:
    ids = [claim.id for claim in sample_claims.FAULTY]
    results = {r.claim.id: r for r in run_claims(ids, Settings(quick=True), jobs=2, registry=FAULTY)}
    broken = {name for name, result in results.items() if result.verdict is Verdict.BROKEN}
    assert broken == {"uncaught", "raises", "dies", "unpicklable"}
    assert "exit code 7" in results["dies"].problem
    assert "does not pickle" in results["unpicklable"].problem
    assert "on purpose" in results["raises"].problem
    assert results["loose"].verdict is Verdict.CAVEAT


def test_the_parent_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    (result,) = run_claims(["one-thread"], Settings(), jobs=1, registry=ALL)
    assert result.verdict is Verdict.HOLDS
    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert "PYTHONHASHSEED" not in os.environ


def test_the_budget_of_statistical_tests_is_for_the_whole_run() -> None:
    half = Result(sample_claims.CLAIMS[0], Verdict.HOLDS, statistical_tests=STATISTICAL_TEST_LIMIT // 2)
    assert budget_problem([half, half]) == ""
    one = replace(half, statistical_tests=1)
    assert f"{STATISTICAL_TEST_LIMIT + 1} statistical tests" in budget_problem([half, half, one])


def test_bad_arguments_have_their_own_errors() -> None:
    with pytest.raises(ParameterError, match="jobs"):
        run_claims(IDS, Settings(), jobs=0, registry=ALL)
    with pytest.raises(ParameterError, match="nonsense"):
        run_claims(["nonsense"], Settings(), jobs=1, registry=ALL)
    assert run_claims([], Settings(), jobs=1, registry=ALL) == ()


@pytest.mark.parametrize(
    ("ids", "found"),
    [(("twice", "twice"), "two named"), (("Upper",), "Upper"), (("a b",), "a b"), (("",), "''")],
)
def test_a_registry_with_bad_ids_is_refused(
    ids: tuple[str, ...], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = tuple(Claim(name, "t", "s", "x") for name in ids)
    monkeypatch.setattr(sample_claims, "CLAIMS", claims)
    with pytest.raises(ParameterError, match=found):
        load_claims(ALL)


def test_default_jobs_is_modest() -> None:
    assert 1 <= default_jobs() <= runner.JOBS_LIMIT


def test_hidden_generators_start_afresh_for_every_claim() -> None:
    runner._reseed(0, "a")
    first = random.random()
    runner._reseed(0, "b")
    assert random.random() != first
    runner._reseed(0, "a")
    assert random.random() == first
