-- No primary keys, foreign keys or secondary indexes on what changes: the one writer keeps rows unique, and
-- scans with zone maps are fast at our sizes. Rows are changed by deleting and appending them.
CREATE TABLE setting (name VARCHAR, value VARCHAR);

CREATE TABLE event (seq BIGINT, dispatch_id VARCHAR, kind VARCHAR, data BLOB);

-- Few columns, because each costs 50 microseconds per transaction: those that are searched and grouped by. The rest
-- is JSON in `data`. `search` is what people look for, in lower case.
CREATE TABLE dispatch (
    dispatch_id VARCHAR, root_id VARCHAR, parent_id VARCHAR, lattice VARCHAR, status VARCHAR, seq BIGINT,
    created DOUBLE, notebook VARCHAR, key VARCHAR, search VARCHAR, data VARCHAR
);

-- `data` is the array [kind, child, reused, output, preview, error, stdout, stderr, warnings, progress].
CREATE TABLE electron (
    dispatch_id VARCHAR, node INTEGER, seq BIGINT, name VARCHAR, status VARCHAR, attempt INTEGER, executor VARCHAR,
    started DOUBLE, ended DOUBLE, duration DOUBLE, worker VARCHAR, error_type VARCHAR, number DOUBLE, rss BIGINT,
    key VARCHAR, data VARCHAR
);

-- Small manifests lie in `data`; large ones are blob files, named by `digest`.
CREATE TABLE manifest (dispatch_id VARCHAR, digest VARCHAR, size BIGINT, data BLOB);

-- `head` is the number in the first 16 hex digits of the digest: what a lookup scans.
CREATE TABLE value (head UBIGINT, digest VARCHAR, size BIGINT, created DOUBLE, data BLOB);

CREATE TABLE reference (dispatch_id VARCHAR, digest VARCHAR);

CREATE TABLE tombstone (seq BIGINT, dispatch_id VARCHAR);

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
    data->'inputs' AS inputs, data->'environment' AS environment
FROM dispatch;

CREATE VIEW electrons AS SELECT
    e.dispatch_id, d.lattice, e.node, e.name, e.data->>'$[0]' AS kind, e.status, e.seq, e.attempt, e.executor,
    make_timestamp((e.started * 1e6)::BIGINT) AS started, make_timestamp((e.ended * 1e6)::BIGINT) AS ended, e.duration,
    e.worker, e.data->>'$[1]' AS child, (e.data->>'$[2]')::BOOLEAN AS reused, e.rss, e.error_type,
    e.data->>'$[5].message' AS error_message, e.data->>'$[4].type' AS result_type, e.data->>'$[4].repr' AS result_repr,
    e.data->>'$[4].scalar' AS scalar, e.number, TRY_CAST(e.data->>'$[3][2]' AS BIGINT) AS size, e.key
FROM electron e LEFT JOIN dispatch d ON d.dispatch_id = e.dispatch_id;

CREATE VIEW events AS SELECT seq, dispatch_id, kind FROM event;
