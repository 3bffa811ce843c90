"""Dispatches over REST: taken, listed, followed, changed, cancelled, forgotten."""

from __future__ import annotations

import http.client
import threading
import time
import uuid
from hashlib import sha256
from pathlib import Path

import pytest

from covalent_jupyter.model import INLINE, FunctionDef, Lit, Node, Ref, Val, wire
from covalent_jupyter.service.answers import given_text

from .conftest import Client, blob, framed, make_manifest, submit


def test_a_repeated_post_is_harmless_and_another_graph_is_a_conflict(ask: Client, idle_interpreter: str) -> None:
    manifest, blobs = make_manifest(idle_interpreter)
    first = submit(ask, manifest, blobs)
    assert (first.status, first.json()["created"]) == (201, True)
    again = submit(ask, manifest, blobs)
    assert (again.status, again.json()["created"]) == (200, False)
    assert again.json()["dispatch_id"] == manifest.dispatch_id
    manifest.key = "another"
    assert submit(ask, manifest, blobs).status == 409


def test_blobs_that_nobody_sent_are_named(ask: Client, idle_interpreter: str) -> None:
    manifest, blobs = make_manifest(idle_interpreter)
    absent, _ = blob(f"absent {uuid.uuid4()}")
    manifest.blobs[absent] = 9
    answer = submit(ask, manifest, blobs)
    assert answer.status == 422
    assert answer.json()["details"]["missing"] == [absent]


def test_blobs_that_are_not_what_they_claim_are_refused(ask: Client, idle_interpreter: str) -> None:
    for size in (10, INLINE + 10, 3_000_000):
        manifest, blobs = make_manifest(idle_interpreter)
        wrong = "f" * 64
        answer = submit(ask, manifest, {**blobs, wrong: b"x" * size})
        assert answer.status == 400
        assert "digest" in answer.json()["message"]
    body = framed(*make_manifest(idle_interpreter))
    for damaged in (body[:-1], body + b"x", body[:40]):
        assert ask("POST", "dispatches", damaged).status == 400


def test_large_bodies_go_through_a_file_and_leave_none(ask: Client, shared_store: Path, idle_interpreter: str) -> None:
    manifest, blobs = make_manifest(idle_interpreter)
    digest, data = blob("large" * 1_000_000)
    manifest.blobs[digest] = len(data)
    manifest.output = Val(digest)
    assert submit(ask, manifest, {**blobs, digest: data}).status == 201
    answer = ask("GET", f"values/{digest}")
    assert answer.data == data
    assert ask("GET", f"values/{digest}", headers={"If-None-Match": answer.headers["ETag"]}).status == 304
    assert not list((shared_store / "uploads").glob("*"))


@pytest.mark.parametrize("times", [100, 1_000_000])
def test_a_damaged_value_is_never_served_whole(
    ask: Client, shared_store: Path, idle_interpreter: str, times: int
) -> None:
    manifest, blobs = make_manifest(idle_interpreter)
    digest, data = blob("damage" * (10_000 + times))
    manifest.blobs[digest] = len(data)
    manifest.output = Val(digest)
    assert submit(ask, manifest, {**blobs, digest: data}).status == 201
    path = shared_store / "blobs" / digest[:2] / digest
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    try:
        answer = ask("GET", f"values/{digest}")
    except (http.client.HTTPException, OSError):
        assert len(data) > 1 << 20  # it had begun, and was broken off
    else:
        assert answer.status == 410 and digest in answer.json()["message"] and str(path) in answer.json()["message"]
    path.unlink()
    assert ask("PUT", f"values/{digest}", data).status == 201
    assert ask("GET", f"values/{digest}").data == data


def test_what_json_can_say_and_the_store_cannot_keep_is_refused(ask: Client, idle_interpreter: str) -> None:
    for changes in (
        {"seed": 1 << 70},
        {"created": 1e300},
        {"label": "x" * 20_000},
        {"dispatch_id": "../../x"},
        {"output": Ref(7)},
    ):
        manifest, blobs = make_manifest(idle_interpreter, **changes)
        assert submit(ask, manifest, blobs).status == 400, changes
    manifest, blobs = make_manifest(idle_interpreter)
    assert ask("POST", "dispatches", wire.pack_body(manifest, blobs.items(), {"A=B": "x"})).status == 400
    assert ask("GET", "health").json()["ok"]


def test_long_inputs_keep_their_ends() -> None:
    path = f"/data/{'long/' * 30}part-0007.csv"
    text = given_text(Node(0, "read", args=[Lit(path), Lit(3)], params=("path", "n")))
    assert text.startswith("path='/data/long/") and text.endswith("/part-0007.csv', n=3")
    assert len(text) == 72 + len(", n=3")


def test_rows_electrons_graph_manifest(ask: Client, idle_interpreter: str) -> None:
    manifest, blobs = make_manifest(idle_interpreter, nodes=3, label="a <b>label</b>\x00 ünï", tags=("one",))
    submit(ask, manifest, blobs)
    base = f"dispatches/{manifest.dispatch_id}"
    row = ask("GET", f"dispatches/{manifest.dispatch_id[:13]}").json()
    assert (row["dispatch_id"], row["counts"]["total"]) == (manifest.dispatch_id, 3)
    page = ask("GET", f"{base}/electrons?offset=1&limit=1").json()
    assert (page["total"], [e["node"] for e in page["electrons"]]) == (3, [1])
    assert [e["node"] for e in ask("GET", f"{base}/electrons?nodes=0,2").json()["electrons"]] == [0, 2]
    detail = ask("GET", f"{base}/electrons/1").json()
    assert detail["inputs"] == [{"name": "x", "kind": "node", "text": "node 0", "nodes": [0]}]
    assert detail["source"] == "def step(x): ..."
    graph = ask("GET", f"{base}/graph").json()
    assert graph["edges"] == [[0, 1, "x"], [1, 2, "x"]]
    assert [n[0] for n in graph["nodes"]] == [0, 1, 2]
    assert graph["inputs"] == {"0": "x='a value'"}
    result = ask("GET", f"{base}/result").json()
    assert (result["total"], result["whole"]) == (1, True)
    assert [(p["node"], p["path"], p["status"]) for p in result["parts"]] == [(2, "", graph["nodes"][2][3])]
    assert wire.decode_manifest(ask("GET", f"{base}/manifest").data).dispatch_id == manifest.dispatch_id
    log = ask("GET", f"{base}/electrons/0/stdout")
    assert (log.status, log.data, log.headers["X-Next-Offset"]) == (200, b"", "0")
    assert ask("GET", f"{base}/electrons/9").status == 404
    assert ask("GET", "dispatches?tag=one&parent=none").json()["total"] >= 1
    changed = ask("PATCH", base, {"label": "new", "tags": ["a", "b"], "note": "text"}).json()
    assert (changed["label"], changed["tags"], changed["note"]) == ("new", ["a", "b"], "text")


def test_pages_follow_one_another(ask: Client, idle_interpreter: str) -> None:
    for _ in range(5):
        submit(ask, *make_manifest(idle_interpreter, nodes=0, tags=("paged",)))
    seen: list[str] = []
    query = "dispatches?tag=paged&limit=2"
    page = ask("GET", query).json()
    while True:
        seen += [d["dispatch_id"] for d in page["dispatches"]]
        if page["next"] is None:
            break
        page = ask("GET", f"{query}&before={page['next']}").json()
    assert len(seen) == len(set(seen)) == page["total"] == 5


def test_ids_by_prefix(ask: Client, idle_interpreter: str) -> None:
    first, blobs = make_manifest(idle_interpreter, nodes=0, dispatch_id="aaaabbbb-0000-4000-8000-000000000001")
    second, _ = make_manifest(idle_interpreter, nodes=0, dispatch_id="aaaabbbb-0000-4000-8000-000000000002")
    assert submit(ask, first, blobs).status == submit(ask, second, blobs).status == 201
    answer = ask("GET", "dispatches/aaaabbbb")
    assert answer.status == 409
    assert set(answer.json()["details"]["candidates"]) == {first.dispatch_id, second.dispatch_id}
    assert ask("GET", "dispatches/AAAABBBB-0000-4000-8000-000000000001").status == 200
    unknown = ask("GET", "dispatches/0123-not-there").json()
    assert "the newest are" in unknown["message"]
    assert second.dispatch_id in {d["dispatch_id"] for d in unknown["details"]["newest"]}
    assert "4 characters" in ask("GET", "dispatches/aaa").json()["message"]


def fill_the_places(ask: Client, interpreter: str) -> None:
    """Afterwards the executor has no free place: what is dispatched next waits in the service."""
    for _ in range(6):
        submit(ask, *make_manifest(interpreter, nodes=1))


def wait_for_end(ask: Client, dispatch_id: str) -> None:
    assert ask("GET", f"events?dispatch={dispatch_id}&ended=1&electrons=0&wait=20").json()["dispatches"][0]["ended"]


def test_cancel_redispatch_delete(ask: Client, idle_interpreter: str) -> None:
    fill_the_places(ask, idle_interpreter)
    manifest, blobs = make_manifest(idle_interpreter)
    submit(ask, manifest, blobs)
    base = f"dispatches/{manifest.dispatch_id}"
    assert ask("DELETE", base).status == 409
    assert ask("POST", f"{base}/cancel", {"nodes": [99]}).status == 404
    assert ask("POST", f"{base}/cancel", {}).json()["cancelled"] == [0, 1]
    assert ask("GET", base).json()["status"] == "CANCELLED"
    again = ask("POST", f"{base}/redispatch", {"seed": 5})
    assert again.status == 201
    new = again.json()["dispatch_id"]
    assert ask("GET", f"dispatches/{new}").json()["redispatch_of"] == manifest.dispatch_id
    ask("POST", f"dispatches/{new}/cancel", {})
    assert ask("DELETE", f"dispatches/{manifest.dispatch_id[:8]}").status == 400
    assert ask("DELETE", base).json()["deleted"] == [manifest.dispatch_id]
    assert ask("GET", base).status == 404


def test_values(ask: Client, shared_store: Path) -> None:
    for text in ("", "small", "x" * 5_000_000):
        digest, data = blob(text + str(uuid.uuid4()))
        assert ask("POST", "values/missing", {"digests": [digest, digest]}).json() == {"missing": [digest]}
        assert ask("GET", f"values/{digest}").status == 404
        assert ask("PUT", f"values/{digest}", data[:-1]).status == 400
        assert ask("PUT", f"values/{digest}", data).status == 201
        assert ask("PUT", f"values/{digest}", data).status == 200
        assert ask("PUT", f"values/{digest}", iter([data[:7], data[7:]])).status == 200
        assert ask("GET", f"values/{digest}").data == data
        assert ask("POST", "values/missing", {"digests": [digest]}).json() == {"missing": []}
    assert ask("PUT", "values/nonsense", b"x").status == 400
    assert not [p for p in (shared_store / "blobs").iterdir() if p.name.startswith("tmp")]


def test_the_feed_tells_what_came_after_n(ask: Client, idle_interpreter: str) -> None:
    start = ask("GET", "events?after=0").json()["seq"]
    manifest, blobs = make_manifest(idle_interpreter, nodes=3)
    answers: list[dict] = []

    def wait() -> None:
        after = start
        while not answers or manifest.dispatch_id not in {d["dispatch_id"] for d in answers[-1]["dispatches"]}:
            answers.append(ask("GET", f"events?after={after}&wait=20").json())  # others have something to say, too
            after = answers[-1]["seq"]

    waiting = threading.Thread(target=wait)
    waiting.start()
    submit(ask, manifest, blobs)
    waiting.join(60)
    assert not waiting.is_alive() and answers[-1]["seq"] > start
    seq, electrons = start, {}
    while True:
        part = ask("GET", f"events?after={seq}&limit=1&dispatch={manifest.dispatch_id}").json()
        electrons.update({e["node"]: e for e in part["electrons"]})
        seq = part["seq"]
        if part["next"] is None:
            break
    assert set(electrons) == {0, 1, 2}
    assert ask("GET", f"events?after={seq + 10**6}").json()["reset"] is True
    ask("POST", f"dispatches/{manifest.dispatch_id}/cancel", {})


def test_dispatches_are_counted_by_state_and_in_groups(ask: Client, idle_interpreter: str) -> None:
    mark = uuid.uuid4().hex
    made = [
        make_manifest(
            idle_interpreter,
            label=f"{mark} {i}",
            lattice=FunctionDef("", "code", name),
            notebook=f"/home/me/{folder}/a.ipynb",
        )
        for i, (name, folder) in enumerate([("fit", "x"), ("fit", "y"), ("<b>load</b>", "y")])
    ]
    for manifest, blobs in made:
        submit(ask, manifest, blobs)
    ids = [manifest.dispatch_id for manifest, _ in made]
    ask("POST", f"dispatches/{ids[0]}/cancel", {})
    wait_for_end(ask, ids[0])
    told = ask("GET", f"summary?q={mark}&by=lattice&parent=none").json()
    assert told["states"].pop("CANCELLED") == 1 and sum(told["states"].values()) == 2
    assert {g["key"]: (g["total"], g["running"], g["failed"], g["cancelled"]) for g in told["groups"]} == {
        "fit": (2, 1, 0, 1), "<b>load</b>": (1, 1, 0, 0),
    }  # fmt: skip
    told = ask("GET", f"summary?q={mark}&by=notebook").json()
    assert [g["key"] for g in told["groups"]] == ["/home/me/y/a.ipynb", "/home/me/x/a.ipynb"]
    assert ask("GET", f"summary?q={mark}&notebook=y/a.ipynb").json()["groups"] == []
    assert ask("GET", f"dispatches?q={mark}&notebook=y/a.ipynb").json()["total"] == 2
    assert ask("GET", f"dispatches?q={mark}&notebook=/y/a.ipynb").json()["total"] == 0
    assert ask("GET", f"dispatches?q={mark}&notebook=none").json()["total"] == 0
    assert ask("GET", "dispatches?notebook=none").json()["total"] > 0
    assert ask("GET", "summary?by=colour").status == 400
    for dispatch_id in ids:
        ask("POST", f"dispatches/{dispatch_id}/cancel", {})


def test_named_dispatches_are_deleted_together_and_it_is_said_what_that_frees(
    ask: Client, idle_interpreter: str
) -> None:
    own, data = uuid.uuid4().bytes * 4000, []
    digest = sha256(own).hexdigest()
    assert ask("PUT", f"values/{digest}", own).status == 201
    for _ in range(2):
        manifest, blobs = make_manifest(idle_interpreter, nodes=1)
        manifest.nodes[0].args = [Val(digest, "'large'")]
        manifest.blobs[digest] = len(own)
        submit(ask, manifest, blobs)
        ask("POST", f"dispatches/{manifest.dispatch_id}/cancel", {})
        wait_for_end(ask, manifest.dispatch_id)
        data.append(manifest.dispatch_id)
    alone = ask("POST", "purge", {"dispatch_ids": data[:1], "dry_run": True}).json()
    assert alone["would_delete"] == data[:1] and alone["bytes"] < len(own)
    both = ask("POST", "purge", {"dispatch_ids": [*data, data[0]], "dry_run": True}).json()
    assert sorted(both["would_delete"]) == sorted(data) and both["bytes"] >= len(own)
    disk = ask("GET", "disk").json()
    assert any(d["dispatch_id"] == data[0] and d["bytes"] >= len(own) for d in disk["dispatches"])
    assert ask("POST", "purge", {"dispatch_ids": ["nonsense"]}).status == 404
    assert sorted(ask("POST", "purge", {"dispatch_ids": data}).json()["deleted"]) == sorted(data)
    assert ask("GET", f"dispatches/{data[0]}").status == 404


def test_one_question_tells_rows_of_all_and_electrons_of_some(ask: Client, idle_interpreter: str) -> None:
    start = ask("GET", "health").json()["seq"]
    made = [make_manifest(idle_interpreter, nodes=2) for _ in range(3)]
    for manifest, blobs in made:
        submit(ask, manifest, blobs)
    first, second, third = (manifest.dispatch_id for manifest, _ in made)
    told = ask("GET", f"events?after={start}&electrons_of={first},{third},no-such-id").json()
    assert {first, second, third} <= {row["dispatch_id"] for row in told["dispatches"]}
    assert {row["dispatch_id"] for row in told["electrons"]} == {first, third}
    assert ask("GET", f"events?after={start}&electrons=false").json()["electrons"] == []
    both = ask("GET", f"events?after={start}&electrons_of={first}&dispatch={first}")
    assert both.status == 400 and "not both" in both.json()["message"]
    for dispatch_id in (first, second, third):
        ask("POST", f"dispatches/{dispatch_id}/cancel", {})


def test_a_wait_for_one_dispatch_ends_with_it(ask: Client, idle_interpreter: str) -> None:
    fill_the_places(ask, idle_interpreter)
    manifest, blobs = make_manifest(idle_interpreter)
    submit(ask, manifest, blobs)
    seq = ask("GET", f"dispatches/{manifest.dispatch_id}").json()["seq"]
    timer = threading.Timer(0.2, lambda: ask("POST", f"dispatches/{manifest.dispatch_id}/cancel", {}))
    timer.start()
    deadline = time.monotonic() + 60
    status = ""
    while status != "CANCELLED" and time.monotonic() < deadline:
        answer = ask("GET", f"events?after={seq}&wait=5&dispatch={manifest.dispatch_id}&electrons=0").json()
        assert answer["electrons"] == []
        seq = answer["seq"]
        for row in answer["dispatches"]:
            status = row["status"]
    timer.join()
    assert status == "CANCELLED"


def test_sql_and_disk(ask: Client) -> None:
    table = ask("POST", "sql", {"query": "SELECT count(*) AS n FROM dispatches"}).json()
    assert table["columns"] == ["n"]
    refused = ask("POST", "sql", {"query": "DELETE FROM dispatch"})
    assert refused.status == 400
    assert ask("POST", "sql", {"query": "WITH x AS (DELETE FROM dispatch RETURNING *) SELECT * FROM x"}).status == 400
    usage = ask("GET", "disk").json()
    assert usage["total"] == sum(usage["parts"].values())
    assert "would_delete" in ask("POST", "purge", {"older_than": 0, "dry_run": True}).json()


def test_what_would_be_reused_is_asked_without_starting_anything(ask: Client, idle_interpreter: str) -> None:
    manifest, blobs = make_manifest(idle_interpreter)
    first = submit(ask, manifest, blobs).json()["dispatch_id"]
    again, _ = make_manifest(idle_interpreter, redispatch_of=first, reuse="changed")
    answer = ask("POST", "reuse", framed(again, {}))
    assert answer.status == 200 and answer.json() == {"reused": [], "gone": [], "unfit": []}
    assert ask("GET", f"dispatches/{again.dispatch_id}").status == 404
    again.redispatch_of = again.dispatch_id
    assert ask("POST", "reuse", framed(again, {})).status == 404
    again.nodes[0].function = 7
    assert ask("POST", "reuse", framed(again, {})).status in (400, 422)
    assert ask("POST", "reuse", b"nothing of ours").status in (400, 422)
