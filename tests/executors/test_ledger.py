"""What the host owes: every attempt answered once, PackEnded last."""

from __future__ import annotations

import asyncio
from pathlib import Path

from covalent_jupyter.executors.ledger import Ledger
from covalent_jupyter.executors.outbox import Outbox
from covalent_jupyter.executors.preload import Preload
from covalent_jupyter.model import Began, Error, Fact, LogGrew, Outcome, Pack, PackEnded, Returned

from .service import Work
from .test_contract import add


def opened(tmp_path: Path, count: int = 3) -> tuple[Ledger, Pack]:
    ledger, pack = Ledger(), Work(tmp_path).pack(add, *[(n, 1) for n in range(count)])
    assert ledger.open(pack) and not ledger.open(pack)
    return ledger, pack


def outcome(pack: Pack, node: int, status: str = "completed") -> Outcome:
    return Outcome(pack.dispatch_id, node, 1, status)  # type: ignore[arg-type]


def test_an_attempt_is_answered_once(tmp_path: Path) -> None:
    ledger, pack = opened(tmp_path)
    first, again = outcome(pack, 0), outcome(pack, 0, "interrupted")
    assert ledger.note([first, again]) == [first]
    assert ledger.note([Began(pack.dispatch_id, 0, 1, 1.0), LogGrew(pack.dispatch_id, 0, 1)]) == []
    assert ledger.attempts() == [(pack.dispatch_id, 1, 1), (pack.dispatch_id, 2, 1)]


def test_an_end_closes_what_nobody_answered(tmp_path: Path) -> None:
    ledger, pack = opened(tmp_path)
    ledger.note([Began(pack.dispatch_id, 0, 1, 1.0, "w")])
    cut, back, end = ledger.note([PackEnded(pack.pack_id)])
    assert isinstance(cut, Outcome) and (cut.node, cut.status, cut.worker) == (0, "interrupted", "w")
    assert back == Returned(pack.pack_id, pack.dispatch_id, [(1, 1), (2, 1)])
    assert end == PackEnded(pack.pack_id)
    assert len(ledger) == 0 and ledger.note([PackEnded(pack.pack_id), outcome(pack, 1)]) == []


def test_what_is_proposed_counts_when_it_is_noted(tmp_path: Path) -> None:
    ledger, pack = opened(tmp_path)
    proposed = ledger.interrupt(pack.pack_id, "why")
    done = outcome(pack, 1)
    assert ledger.note([done]) == [done]
    assert ledger.note(proposed) == [
        Returned(pack.pack_id, pack.dispatch_id, [(0, 1), (2, 1)]),
        PackEnded(pack.pack_id),
    ]
    assert ledger.interrupt(pack.pack_id, "why") == []
    assert ledger.give_back(pack.pack_id) == ledger.fail(pack.pack_id, Error("E", "e")) == []


def test_cancelled_and_given_back(tmp_path: Path) -> None:
    ledger, pack = opened(tmp_path)
    facts = ledger.note(ledger.give_back(pack.pack_id, [(pack.dispatch_id, 1, 1)]))
    assert [(f.node, f.status) for f in facts if isinstance(f, Outcome)] == [(1, "cancelled")]
    assert facts[1:] == [Returned(pack.pack_id, pack.dispatch_id, [(0, 1), (2, 1)]), PackEnded(pack.pack_id)]


def test_superseded_attempts_are_silent(tmp_path: Path) -> None:
    ledger, pack = opened(tmp_path, 2)
    ours = (pack.dispatch_id, 0, 1)
    assert ledger.silence([ours, ("other", 0, 1)]) == [ours]
    facts: list[Fact] = [
        Began(pack.dispatch_id, 0, 1, 1.0),
        outcome(pack, 0),
        outcome(pack, 1),
        PackEnded(pack.pack_id),
    ]
    assert ledger.note(facts) == facts[2:]


async def test_facts_are_kept_until_they_are_acknowledged() -> None:
    outbox = Outbox(asyncio.get_running_loop())
    outbox.put([Outcome("d", 0, 1, "completed"), PackEnded("p")])
    outbox.put([Returned("q", "d", [(1, 1)])])  # the same tick: the same frame
    assert outbox.pending() == ([("d", 0, 1)], [("d", 1, 1)], ["p"])
    outbox.put([PackEnded("q")])
    await asyncio.sleep(0)
    assert outbox.pending()[2] == ["p", "q"]
    outbox.acknowledge(1)
    assert outbox.pending() == ([], [], ["q"]) and not outbox.emptied.is_set()
    outbox.acknowledge(2)
    assert outbox.emptied.is_set() and len(outbox) == 0


def test_preloads_are_remembered_but_not_those_that_do_not_survive_a_fork(tmp_path: Path) -> None:
    path = tmp_path / "hosts" / "e.preload.json"
    preload = Preload(path)
    preload.add(["numpy", "torch", "a.b", "pandas"])
    preload.save()
    assert Preload(path).names() == ("numpy", "pandas")
    path.write_text("no list")
    assert Preload(path).names() == ()
