"""A store that an earlier schema wrote opens, is backed up first, and shows everything."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from covalent_jupyter.model import Status
from covalent_jupyter.store import Batch, Store
from covalent_jupyter.store.rows import SEARCHED

from .records import dispatch

OLD = Path(__file__).with_name("data") / "schema-1.duckdb.xz"


@pytest.fixture
def old(folder: Path) -> Path:
    """Two real dispatches of schema 1: one with a retry and a sublattice, one whose electron crashed three times."""
    folder.mkdir(mode=0o700)
    (folder / "store.duckdb").write_bytes(lzma.decompress(OLD.read_bytes()))
    return folder


def test_everything_is_shown(old: Path) -> None:
    with Store.open(old) as store:
        rows, total = store.dispatches()
        assert total == 3 and [row.status for row in rows].count(Status.FAILED) == 1
        first = next(row for row in rows if row.label == "first")
        assert (first.tags, first.inputs["gamma"], first.results, first.notices) == (["old", "grid"], "0.5", {}, [])
        electrons, _ = store.electrons(first.dispatch_id)
        assert [e.name for e in electrons] == ["train", "train", "best", "inner"]
        assert all(e.queued is not None and e.started is not None and e.queued <= e.started for e in electrons)
        assert electrons[0].stdout.text == "training 1.0\n"


def test_attempts_come_from_the_log(old: Path) -> None:
    with Store.open(old) as store:
        ids = {row.label: row.dispatch_id for row in store.dispatches()[0]}
        first, total = store.attempts(ids["first"])
        assert total == 5 == len(first)
        assert [(a.node, a.attempt, a.status) for a in first][:3] == [
            (0, 1, "COMPLETED"), (1, 1, "FAILED"), (1, 2, "COMPLETED")
        ]  # fmt: skip
        failed = first[1]
        assert failed.error is not None and failed.error.message == "unstable at the first attempt"
        assert failed.stdout.text == "training 2.0\n" and failed.executor == "local"
        assert failed.queued and failed.started and failed.ended and failed.queued <= failed.started <= failed.ended
        assert failed.worker and failed.rss > 0
        table = store.sql(
            "SELECT attempt, status, signal, latest FROM attempts WHERE error_type = 'ElectronCrashed' ORDER BY attempt"
        )
        assert table.rows == [[n, "FAILED", "SIGSEGV", n == 3] for n in (1, 2, 3)]


def test_reports_become_metrics(old: Path) -> None:
    with Store.open(old) as store:
        table = store.sql(
            "SELECT step, value FROM metrics JOIN dispatches d USING (dispatch_id) "
            "WHERE d.label = 'first' AND node = 1 AND attempt = 2 AND metrics.name = 'loss' ORDER BY step"
        )
        assert table.rows == [[step, pytest.approx(1 / (step + 2))] for step in range(5)]


def test_a_backup_of_the_old_schema_stays(old: Path, tmp_path: Path) -> None:
    before = (old / "store.duckdb").read_bytes()
    with Store.open(old) as store:
        store.append(Batch(settings={"x": "y"})).result(20)
    (backup,) = old.glob("store.duckdb.before-*")
    assert backup.read_bytes() == before and backup.stat().st_mode & 0o777 == 0o600
    with Store.open(old) as store:  # once more: nothing is left to do
        assert store.setting("x") == "y"
    assert len(list(old.glob("store.duckdb.before-*"))) == 1


def test_what_was_stored_before_is_found_by_its_inputs(old: Path) -> None:
    with Store.open(old) as store:
        before, _ = store.dispatches(text="gamma=0.5")
        assert before == []
        total = store.dispatches()[1]
        assert store.renew_search(most=1) == total  # in as many steps
        (found,) = store.dispatches(text="GAMMA=0.5", parent=None)[0]
        assert found.label == "first" and store.dispatches(text="old")[1] >= 1
        assert store.renew_search() == 0
    with Store.open(old) as store:
        assert store.renew_search() == 0


def test_the_renewal_goes_on_where_it_was_interrupted(old: Path) -> None:
    with Store.open(old) as store:
        total = store.dispatches()[1]
        (first, *_) = sorted(row.dispatch_id for row in store.dispatches()[0])
        store.append(Batch(settings={"search": f"{SEARCHED}:{first}"})).result(20)
        assert store.renew_search() == total - 1


def test_a_new_store_has_nothing_to_renew(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append(Batch(dispatches=[dispatch("a")])).result(20)
        assert store.renew_search() == 0 and store.dispatches(text="c=1.0")[1] == 1
