"""Queries of users: pleasant, read-only, bounded."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from covalent_jupyter.errors import InvalidRequest, StoreError
from covalent_jupyter.model import Counts, Error, Output, Preview, Status
from covalent_jupyter.store import Batch, Store

from .records import digest, dispatch, electron


@pytest.fixture
def filled(store: Store) -> Store:
    done = electron(
        "a",
        0,
        status=Status.COMPLETED,
        started=10.5,
        ended=12.0,
        duration=1.5,
        output=Output(digest(1), 77),
        preview=Preview("float", "0.75", scalar=0.75),
        rss=5,
    )
    failed = electron("a", 1, status=Status.FAILED, error=Error("ValueError", 'say "no"'), kind="operator")
    store.append(
        Batch(
            events=[("a", "submitted", b'{"secret": 1}')],
            dispatches=[dispatch("a", tags=["t"], started=1.0, ended=3.5, counts=Counts(total=2, failed=1))],
            electrons=[done, failed, electron("a", 2)],
            values=[(digest(1), b"bytes")],
            settings={"token": "hidden"},
        )
    ).result(20)
    return store


def test_rows_are_pleasant_to_query(filled: Store) -> None:
    table = filled.sql(
        "SELECT node, name, kind, status, duration, result_repr, scalar, number, size, error_type, error_message, "
        "lattice, reused, child, started FROM electrons ORDER BY node;"
    )
    assert table.rows == [
        [
            0,
            "train",
            "electron",
            "COMPLETED",
            1.5,
            "0.75",
            "0.75",
            0.75,
            77,
            None,
            None,
            "best_model",
            False,
            None,
            "1970-01-01T00:00:10.500000",
        ],
        [
            1,
            "train",
            "operator",
            "FAILED",
            None,
            None,
            None,
            None,
            None,
            "ValueError",
            'say "no"',
            "best_model",
            False,
            None,
            None,
        ],
        [
            2,
            "train",
            "electron",
            "NEW_OBJECT",
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            "best_model",
            False,
            None,
            None,
        ],
    ]
    assert table.columns[:2] == ["node", "name"] and table.types[:2] == ["INTEGER", "VARCHAR"] and not table.truncated
    table = filled.sql(
        "FROM dispatches SELECT name, tags, total, failed, running, duration, inputs->>'C', seed, created"
    )
    assert table.rows == [["run", ["t"], 2, 1, 0, 2.5, "1.0", 7, "1970-01-01T00:16:40"]]
    assert filled.sql("SELECT seq, dispatch_id, kind FROM events").rows == [[1, "a", "submitted"]]
    assert filled.sql("WITH x AS (SELECT count(*) AS n FROM electrons) SELECT n FROM x -- done").rows == [[3]]
    assert [c[0] for c in filled.sql("DESCRIBE dispatches").rows][:2] == ["dispatch_id", "root_id"]


def test_every_value_becomes_json(filled: Store) -> None:
    table = filled.sql(
        "SELECT now(), [now()], 1.5::DECIMAL(4,2), 'x'::BLOB, interval 1 day, 170141183460469231731687303715884105727, "
        "uuid(), {'a': 1, 'b': [1, NULL]}, 'nan'::DOUBLE, '-inf'::FLOAT, DATE '2020-01-02', TIME '10:00', "
        "MAP {1: 'a'}, true, NULL, 'ß', '0101'::BIT"
    )
    assert len(json.loads(json.dumps(table.rows, allow_nan=False))[0]) == len(table.columns) == 17
    assert table.rows[0][2:5] == [1.5, "78", 86400.0]


@pytest.mark.parametrize(
    "query",
    [
        "WITH gone AS (DELETE FROM electron RETURNING *) SELECT * FROM gone",
        "SELECT 1; DELETE FROM electron",
        "DELETE FROM electrons",
        "SELECT 1; SELECT 2",
        "INSERT INTO event VALUES (1, 'a', 'b', 'c')",
        "UPDATE dispatch SET status = 'COMPLETED'",
        "DROP VIEW electrons",
        "CREATE TEMP TABLE t (x INTEGER)",
        "CREATE OR REPLACE MACRO f(x) AS x",
        "COPY electron TO '/tmp/covalent_stolen.csv'",
        "COPY (SELECT 1) TO '/tmp/covalent_stolen.csv'",
        "EXPORT DATABASE '/tmp/covalent_stolen'",
        "ATTACH '/tmp/covalent_other.db' AS other",
        "ATTACH ':memory:' AS other",
        "DETACH store",
        "USE memory",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '100GB'",
        "SET GLOBAL enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA database_list",
        "PRAGMA enable_external_access",
        "CHECKPOINT",
        "VACUUM",
        "CALL force_checkpoint()",
        "SELECT * FROM force_checkpoint()",
        "EXPLAIN ANALYZE DELETE FROM electron",
        "PREPARE p AS DELETE FROM electron",
        "BEGIN; DELETE FROM electron; COMMIT",
        "COMMIT",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('http://127.0.0.1/x')",
        "SELECT * FROM query('DELETE FROM electron')",
        "SELECT * FROM query('SELECT * FROM setting')",
        "SELECT * FROM query_table('setting')",
        "SELECT value FROM setting",
        "SELECT (SELECT max(value) FROM main.setting)",
        "SELECT data FROM value",
        "SELECT * FROM store.main.manifest",
        "FROM dispatches, LATERAL (FROM value)",
        "SELECT getenv('HOME')",
        "SELECT ?",
        "SELECT $x",
        "SELECT * FROM nothing",
        "SELECT 1/",
        "SELECT '\ud800'",
        "",
        " ;; ",
        "-- nothing",
        "x" * 200_000,
    ],
)
def test_attacks_are_refused_and_change_nothing(filled: Store, query: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        filled.sql(query)
    assert str(filled.folder) not in str(refused.value) and str(refused.value)
    assert filled.electrons("a")[1] == 3 and len(filled.events("a")) == 1 and filled.setting("token") == "hidden"
    assert not list(Path("/tmp").glob("covalent_*"))
    assert filled.append(Batch(events=[("a", "x", b"")])).result(20) == 2


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM event",
        'SELECT * FROM "Event"',
        "SELECT * FROM main.dispatch",
        "SELECT * FROM store.main.electron",
        "SELECT data /* FROM dispatches */ FROM recent",
        "TABLE event",
        "FROM dispatches UNION ALL BY NAME FROM dispatch",
        "SELECT (SELECT count(*) FROM event)",
        "SELECT 1 WHERE EXISTS (FROM event)",
        "FROM dispatches POSITIONAL JOIN event",
        "FROM dispatches d, LATERAL (SELECT * FROM event e WHERE e.dispatch_id = d.dispatch_id)",
        "FROM dispatches JOIN event USING (dispatch_id)",
        "WITH a AS (FROM event) FROM a",
        "WITH event AS (FROM event) FROM event",
        "WITH RECURSIVE event AS (FROM event UNION ALL FROM event) FROM event",
        "WITH dispatches AS MATERIALIZED (FROM electron) FROM dispatches",
        "FROM (WITH event AS (SELECT 1) FROM event) a, event",
        "WITH a AS (FROM b), b AS (SELECT 1), event AS (SELECT 1) FROM main.event",
        "WITH a AS (FROM event), event AS (SELECT 1) FROM a",
        "PIVOT event ON kind IN ('submitted') USING count(*)",
        "PIVOT dispatches ON status USING count(*)",
        "UNPIVOT event ON kind INTO NAME n VALUE v",
        "DESCRIBE event",
        "SUMMARIZE event",
        "SHOW event",
        "SHOW TABLES",
        "SHOW ALL TABLES",
        "SHOW DATABASES",
        "SELECT * FROM (SHOW TABLES)",
        "SELECT * FROM (DESCRIBE event)",
        "SELECT * FROM query('SELECT * FROM dispatches')",
        "SELECT * FROM query_table('dispatch')",
        "SELECT * FROM query_table(['dispatches'])",
        "FROM histogram(dispatches, status)",
        "FROM duckdb_settings()",
        "FROM duckdb_databases()",
        "FROM duckdb_tables()",
        "FROM duckdb_secrets()",
        "FROM pragma_database_size()",
        "FROM pragma_table_info('event')",
        "FROM pg_timezone_names()",
        "FROM system.main.duckdb_settings()",
        "FROM information_schema.tables",
        "FROM pg_catalog.pg_tables",
        "FROM pg_tables",
        "FROM sqlite_master",
        "FROM duckdb_columns",
        "FROM 'file.csv'",
        'FROM "file.csv"',
        "SELECT current_setting('temp_directory')",
        "SELECT CURRENT_SETTING('temp_directory')",
        "SELECT main.current_setting('temp_directory')",
        "SELECT 'temp_directory'.current_setting()",
        "SELECT list_transform(['temp_directory'], lambda x: current_setting(x))",
        "SELECT count(*) FROM dispatches ORDER BY current_setting('temp_directory')",
        "SELECT get_block_size('store')",
        "SELECT pg_get_viewdef(1)",
        "SELECT getenv('HOME')",
        "SELECT json_serialize_plan('SELECT * FROM event')",
        "SELECT write_log('x')",
        "SELECT sleep_ms(1)",
        "FROM read_duckdb('x')",
    ],
)
def test_nothing_but_views_and_functions_that_compute_can_be_named(filled: Store, query: str) -> None:
    with pytest.raises(InvalidRequest, match=r"not for queries.*dispatches, electrons|PIVOT needs its values"):
        filled.sql(query)


@pytest.mark.parametrize(
    "query",
    [
        "FROM main.electrons",
        'FROM store.main."Dispatches"',
        "WITH event AS (SELECT 1 AS x) SELECT x FROM event",
        "WITH a AS (SELECT 1 AS x), b AS (FROM a) FROM b, (SELECT x + 1 FROM a)",
        "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t WHERE x < 5) SELECT * FROM t",
        "VALUES (1, 'a'), (2, 'b')",
        "FROM range(3) t(i), LATERAL (SELECT i + 1)",
        "FROM generate_series(1, 3)",
        "FROM unnest([1, 2])",
        "SELECT name, tag FROM dispatches, unnest(tags) t(tag)",
        "SELECT unnest(tags) FROM dispatches",
        "FROM dispatches d, json_each(d.inputs)",
        "PIVOT dispatches ON status IN ('COMPLETED', 'FAILED') USING count(*)",
        "UNPIVOT (SELECT total, failed FROM dispatches) ON total, failed INTO NAME n VALUE v",
        "DESCRIBE electrons",
        "SHOW electrons",
        "SUMMARIZE electrons",
        "DESCRIBE SELECT 1",
        "SELECT COLUMNS('d.*') FROM dispatches",
        "SELECT * EXCLUDE (seq) REPLACE (upper(name) AS name) FROM electrons QUALIFY row_number() OVER (ORDER BY node) = 1",
        "SELECT now() - created, today(), date_trunc('day', created), random() FROM dispatches USING SAMPLE 1",
        "SELECT list_transform([1], lambda x: x + 1), [x * 2 FOR x IN [1, 2]], pg_typeof(1)",
        "FROM dispatches POSITIONAL JOIN electrons",
        "SELECT name FROM electrons WHERE name IN (SELECT name FROM electrons) UNION SELECT lattice FROM dispatches",
        "SELECT " + " OR ".join(f"node = {n}" for n in range(500)) + " FROM electrons",
    ],
)
def test_what_only_computes_is_answered(filled: Store, query: str) -> None:
    assert filled.sql(query).columns


def test_rows_are_capped(filled: Store) -> None:
    table = filled.sql("SELECT range FROM range(5000)")
    assert len(table.rows) == 1000 and table.truncated
    table = filled.sql("SELECT range FROM range(5)", max_rows=5)
    assert len(table.rows) == 5 and not table.truncated
    assert filled.sql("SELECT 1", max_rows=-1).rows == []


def test_time_is_capped_and_others_go_on(filled: Store) -> None:
    heavy = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 7"
    failure: list[Exception] = []

    def run() -> None:
        try:
            filled.sql(heavy, timeout=4.0)
        except InvalidRequest as e:
            failure.append(e)

    start = time.monotonic()
    thread = threading.Thread(target=run)
    thread.start()
    answered = 0
    while thread.is_alive():
        assert filled.electrons("a")[1] == 3
        filled.append(Batch(events=[("b", "x", b"")])).result(20)
        answered += 1
    thread.join()
    assert time.monotonic() - start < 60 and "stopped after 4 s" in str(failure[0]) and answered > 3


def test_a_query_that_needs_too_much_memory_harms_nobody(filled: Store) -> None:
    with pytest.raises(InvalidRequest, match="[Mm]emory"):
        filled.sql("SELECT list(range) FROM range(300000000)", timeout=200)
    assert filled.check() and filled.electrons("a")[1] == 3


def test_a_long_query_does_not_hold_up_a_new_instance(filled: Store) -> None:
    heavy = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 7"
    stopped = threading.Event()

    def run() -> None:
        with pytest.raises((InvalidRequest, StoreError)):
            filled.sql(heavy, timeout=200)
        stopped.set()

    thread = threading.Thread(target=run)
    thread.start()
    database = filled._database
    while not database._active:
        thread.join(0.01)
    start = time.monotonic()
    database.reset(database.generation)
    assert time.monotonic() - start < 60
    assert stopped.wait(60) and filled.electrons("a")[1] == 3
    thread.join()
