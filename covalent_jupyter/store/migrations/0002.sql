-- Attempts, metrics, inputs; the views as `views.py` describes them (version 1).
DROP VIEW dispatches;
DROP VIEW electrons;
DROP VIEW events;

ALTER TABLE electron ADD COLUMN queued DOUBLE;
ALTER TABLE electron ADD COLUMN host VARCHAR;

-- Attempts that another one followed; the last one is the electron's row. `data` is [error, stdout, stderr].
CREATE TABLE attempt (
    dispatch_id VARCHAR, node INTEGER, attempt INTEGER, name VARCHAR, status VARCHAR, executor VARCHAR, host VARCHAR,
    worker VARCHAR, queued DOUBLE, started DOUBLE, ended DOUBLE, duration DOUBLE, rss BIGINT, error_type VARCHAR,
    data VARCHAR
);

-- What electrons reported. `step` counts the reports of one attempt from 0.
CREATE TABLE metric (
    dispatch_id VARCHAR, node INTEGER, attempt INTEGER, step INTEGER, time DOUBLE, name VARCHAR, value DOUBLE,
    text VARCHAR
);

-- Inputs of electrons. `recent` holds them as they came, [[node, name, kind, text, number], ...], until there is time to
-- lay them out in `input`.
CREATE TABLE input (
    dispatch_id VARCHAR, node INTEGER, name VARCHAR, kind VARCHAR, text VARCHAR, number DOUBLE
);
CREATE TABLE recent (dispatch_id VARCHAR, data VARCHAR);

-- Of attempts that were recorded before, it is not known when they were handed to an executor: they count as handed over
-- when they began. What the log tells of attempts that others followed, and of reports, `history.py` brings over.
UPDATE electron SET queued = started
    WHERE started IS NOT NULL AND status NOT IN ('NEW_OBJECT', 'PENDING_REUSE', 'SKIPPED') AND (data->>'$[2]') = 'false';

-- What a user may query: no tokens, no bytes. Times are UTC.
CREATE VIEW dispatches AS SELECT
    dispatch_id, root_id, parent_id, (data->>'parent_node')::INTEGER AS parent_node, data->>'name' AS name,
    data->>'label' AS label, lattice, status, seq, make_timestamp((created * 1e6)::BIGINT) AS created,
    make_timestamp(((data->>'started')::DOUBLE * 1e6)::BIGINT) AS started,
    make_timestamp(((data->>'ended')::DOUBLE * 1e6)::BIGINT) AS ended,
    (data->>'ended')::DOUBLE - (data->>'started')::DOUBLE AS duration, notebook, key, (data->>'seed')::HUGEINT AS seed,
    data->>'redispatch_of' AS redispatch_of, data->>'error' AS error, data->>'note' AS note,
    from_json(data->'tags', '["VARCHAR"]') AS tags,
    coalesce((data->>'$.counts.total')::BIGINT, 0) AS total, coalesce((data->>'$.counts.waiting')::BIGINT, 0) AS waiting,
    coalesce((data->>'$.counts.queued')::BIGINT, 0) AS queued, coalesce((data->>'$.counts.running')::BIGINT, 0) AS running,
    coalesce((data->>'$.counts.completed')::BIGINT, 0) AS completed,
    coalesce((data->>'$.counts.failed')::BIGINT, 0) AS failed,
    coalesce((data->>'$.counts.cancelled')::BIGINT, 0) AS cancelled,
    coalesce((data->>'$.counts.skipped')::BIGINT, 0) AS skipped, coalesce((data->>'$.counts.reused')::BIGINT, 0) AS reused,
    data->'inputs' AS inputs, data->'results' AS results, data->'environment' AS environment
FROM dispatch;

CREATE VIEW electrons AS SELECT
    e.dispatch_id, d.lattice, e.node, e.name, e.data->>'$[0]' AS kind, e.status, e.seq, e.attempt, e.executor, e.host,
    e.worker, make_timestamp((e.queued * 1e6)::BIGINT) AS queued, make_timestamp((e.started * 1e6)::BIGINT) AS started,
    make_timestamp((e.ended * 1e6)::BIGINT) AS ended, e.duration, e.rss, e.data->>'$[1]' AS child,
    (e.data->>'$[2]')::BOOLEAN AS reused, e.error_type, e.data->>'$[5].message' AS error_message,
    e.data->>'$[4].type' AS result_type, e.data->>'$[4].repr' AS result_repr, e.data->>'$[4].scalar' AS scalar, e.number,
    TRY_CAST(e.data->>'$[3][2]' AS BIGINT) AS size, e.key
FROM electron e LEFT JOIN dispatch d ON d.dispatch_id = e.dispatch_id;

CREATE VIEW attempts AS SELECT
    dispatch_id, node, name, attempt, status, executor, host, worker,
    make_timestamp((queued * 1e6)::BIGINT) AS queued, make_timestamp((started * 1e6)::BIGINT) AS started,
    make_timestamp((ended * 1e6)::BIGINT) AS ended, duration, rss, error_type,
    data->>'$[0].message' AS error_message, coalesce(data->>'$[0].cause', CASE WHEN error_type IS NOT NULL THEN 'raised' END) AS cause,
    (data->>'$[0].exitcode')::INTEGER AS exit_code, data->>'$[0].signal' AS signal, false AS latest
FROM attempt
UNION ALL SELECT
    dispatch_id, node, name, attempt, status, executor, host, worker,
    make_timestamp((queued * 1e6)::BIGINT), make_timestamp((started * 1e6)::BIGINT),
    make_timestamp((ended * 1e6)::BIGINT), duration, rss, CASE WHEN status IN ('FAILED', 'CANCELLED') THEN error_type END,
    CASE WHEN status IN ('FAILED', 'CANCELLED') THEN data->>'$[5].message' END,
    CASE WHEN status IN ('FAILED', 'CANCELLED') AND error_type IS NOT NULL THEN coalesce(data->>'$[5].cause', 'raised') END,
    CASE WHEN status IN ('FAILED', 'CANCELLED') THEN (data->>'$[5].exitcode')::INTEGER END,
    CASE WHEN status IN ('FAILED', 'CANCELLED') THEN data->>'$[5].signal' END, true
FROM electron WHERE queued IS NOT NULL AND status <> 'NEW_OBJECT';

CREATE VIEW inputs AS SELECT
    dispatch_id, NULL::INTEGER AS node, pair.key AS name, 'value' AS kind,
    pair.value AS text,
    CASE pair.value WHEN 'True' THEN 1.0 WHEN 'False' THEN 0.0 ELSE TRY_CAST(pair.value AS DOUBLE) END AS number
FROM (SELECT dispatch_id, unnest(map_entries(from_json(data->'inputs', '"MAP(VARCHAR, VARCHAR)"'))) AS pair FROM dispatch)
UNION ALL SELECT dispatch_id, node, name, kind, text, number FROM input
UNION ALL SELECT
    dispatch_id, (item->>0)::INTEGER, item->>1, item->>2, item->>3, (item->>4)::DOUBLE
FROM (SELECT dispatch_id, unnest(from_json(data, '["JSON"]')) AS item FROM recent);

CREATE VIEW results AS
SELECT
    dispatch_id, NULL::INTEGER AS node, lattice AS name, NULL::VARCHAR AS key, data->>'$.preview.type' AS type,
    data->>'$.preview.repr' AS repr,
    CASE json_type(data->'$.preview.scalar') WHEN 'BOOLEAN' THEN ((data->>'$.preview.scalar')::BOOLEAN)::INTEGER::DOUBLE
        WHEN 'VARCHAR' THEN NULL ELSE TRY_CAST(data->>'$.preview.scalar' AS DOUBLE) END AS number,
    (data->>'$.preview.size')::BIGINT AS size
FROM dispatch WHERE status = 'COMPLETED' AND (data->>'$.preview.type') IS NOT NULL
UNION ALL SELECT
    dispatch_id, NULL, lattice, pair.key, NULL, pair.value->>'$',
    CASE json_type(pair.value) WHEN 'BOOLEAN' THEN (pair.value::BOOLEAN)::INTEGER::DOUBLE
        WHEN 'VARCHAR' THEN NULL ELSE TRY_CAST(pair.value->>'$' AS DOUBLE) END, NULL
FROM (SELECT dispatch_id, lattice, unnest(map_entries(from_json(data->'results', '"MAP(VARCHAR, JSON)"'))) AS pair
    FROM dispatch WHERE status = 'COMPLETED' AND (data->>'$.preview.scalar') IS NULL)
UNION ALL SELECT
    dispatch_id, node, name, NULL, data->>'$[4].type', data->>'$[4].repr', number, (data->>'$[4].size')::BIGINT
FROM electron WHERE status = 'COMPLETED'
UNION ALL SELECT
    dispatch_id, node, name, pair.key, NULL, pair.value->>'$',
    CASE json_type(pair.value) WHEN 'BOOLEAN' THEN (pair.value::BOOLEAN)::INTEGER::DOUBLE
        WHEN 'VARCHAR' THEN NULL ELSE TRY_CAST(pair.value->>'$' AS DOUBLE) END, NULL
FROM (SELECT dispatch_id, node, name, unnest(map_entries(from_json(data->'$[4].scalars', '"MAP(VARCHAR, JSON)"'))) AS pair
    FROM electron WHERE status = 'COMPLETED' AND number IS NULL AND contains(data, '"scalars"'));

CREATE VIEW metrics AS SELECT
    dispatch_id, node, attempt, step, make_timestamp((time * 1e6)::BIGINT) AS time, name, value, text
FROM metric;

CREATE VIEW logs AS SELECT
    dispatch_id, node, name, attempt, stream, log->>0 AS text, (log->>1)::BIGINT AS size,
    (log->>2) = '' AND (log->>3) = '0' AS whole
FROM (
    SELECT dispatch_id, node, name, attempt, 'stdout' AS stream, data->'$[6]' AS log FROM electron
        WHERE NOT contains(data, '["",0,"",0],["",0,"",0]')
    UNION ALL SELECT dispatch_id, node, name, attempt, 'stderr', data->'$[7]' FROM electron
        WHERE NOT contains(data, '["",0,"",0],["",0,"",0]')
    UNION ALL SELECT dispatch_id, node, name, attempt, 'stdout', data->'$[1]' FROM attempt
    UNION ALL SELECT dispatch_id, node, name, attempt, 'stderr', data->'$[2]' FROM attempt)
WHERE (log->>1)::BIGINT > 0;

CREATE VIEW events AS SELECT seq, dispatch_id, kind FROM event;
