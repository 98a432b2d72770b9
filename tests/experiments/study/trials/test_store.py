"""The store: whole units or nothing, the same rows after any interruption, clear refusals."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from study_cases import fake_rows

from experiments.study.trials import store as store_module
from experiments.study.trials.store import Layout, Store, StoreError, existing
from linear_systems.errors import ParameterError


def test_rows_come_back_and_compacting_changes_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in ("b", "a"):
        store.write(name, fake_rows(name, loss=0.1))
    before = store.rows()
    assert before["key"].to_list() == ["a-0", "b-0", "a-1", "b-1"]
    assert store.units() == {"a", "b"}
    assert store.compact() == 4
    assert not list(store.parts.glob("*"))
    assert store.units() == {"a", "b"}
    assert_frame_equal(store.rows(), before)
    store.write("c", fake_rows("c"))
    assert store.units() == {"a", "b", "c"}
    assert len(store.rows()) == 6
    assert len(store.unit_rows("c")) == len(store.unit_rows("a")) == 2


def test_a_unit_written_again_replaces_itself(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("a", fake_rows("a", loss=0.1))
    store.compact()
    store.write("a", fake_rows("a", loss=0.2))
    assert store.rows()["loss"].to_list() == [0.2, 0.2]


def test_a_compaction_killed_before_it_removed_the_parts_loses_and_doubles_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("a", fake_rows("a"))
    part = next(store.parts.glob("*"))
    content = part.read_bytes()
    store.compact()
    part.write_bytes(content)
    assert len(store.rows()) == 2
    assert store.compact() == 2


def test_units_that_share_trials_keep_all_their_rows(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("few", fake_rows("few", 2).with_columns(key=pl.Series(["k0", "k1"])))
    store.write("many", fake_rows("many", 3).with_columns(key=pl.Series(["k0", "k1", "k2"])))
    for _ in range(2):
        assert len(store.rows()) == 5
        assert len(store.unit_rows("few")) == 2
        assert len(store.unit_rows("many")) == 3
        assert store.units() == {"few", "many"}
        store.compact()


def test_reading_goes_on_where_a_compaction_moves_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.write("a", fake_rows("a"))
    read, calls = store_module._read, []

    def moved_once(path: Path, layout: Layout) -> pl.DataFrame:
        calls.append(path.name)
        if len(calls) == 1:
            monkeypatch.setattr(store_module, "_read", read)
            store.compact()
        return read(path, layout)

    monkeypatch.setattr(store_module, "_read", moved_once)
    assert len(store.rows()) == 2


def test_an_unfinished_file_is_no_result(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("a", fake_rows("a"))
    (store.parts / "b.parquet.17.partial").write_bytes(b"PAR1")
    assert store.units() == {"a"}
    assert len(store.rows()) == 2


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("a", fake_rows("a"))
    path = store.parts / "a.parquet"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(StoreError, match=r"a\.parquet"):
        store.rows()


def test_rows_of_other_columns_or_units_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="unit b"):
        store.write("b", fake_rows("a"))
    with pytest.raises(StoreError, match="columns"):
        store.write("a", fake_rows("a").drop("loss"))
    store.parts.mkdir(parents=True)
    pl.DataFrame({"unit": ["a"]}).write_parquet(store.parts / "a.parquet")
    with pytest.raises(StoreError, match="columns of this version"):
        store.rows()


def test_nothing_is_compacted_under_a_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("a", fake_rows("a"))
    with store.lock(), store.lock():
        with pytest.raises(StoreError, match="another process"):
            store.compact()
        assert store.units() == {"a"}
    assert store.compact() == 2


def test_a_folder_must_be_there_to_be_shown(tmp_path: Path) -> None:
    assert Store(tmp_path / "new").rows().is_empty()
    with pytest.raises(ParameterError, match="folder of results"):
        existing(tmp_path / "new")


def test_the_rows_of_a_unit_are_found_where_a_compaction_moves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, read = Store(tmp_path), store_module._read
    store.write("a", fake_rows("a"))

    def compact_first(path: Path, layout: Layout) -> pl.DataFrame:
        monkeypatch.setattr(store_module, "_read", read)
        store.compact()
        return read(path, layout)

    monkeypatch.setattr(store_module, "_read", compact_first)
    assert len(store.unit_rows("a")) == 2


def test_rows_of_another_layout_are_told_before_any_join_them(tmp_path: Path) -> None:
    Store(tmp_path).write("a", fake_rows("a"))
    other = Layout({"unit": pl.String}, ("unit",), ("unit",))
    with pytest.raises(StoreError, match="columns of this version"):
        Store(tmp_path, other).units()
