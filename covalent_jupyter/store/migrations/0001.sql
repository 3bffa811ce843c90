-- No primary keys, foreign keys or secondary indexes on what changes: the one writer keeps rows unique, and
-- scans with zone maps are fast at our sizes. Rows are changed by deleting and appending them.
CREATE TABLE setting (name VARCHAR, value VARCHAR);

CREATE TABLE event (seq BIGINT, dispatch_id VARCHAR, kind VARCHAR, data BLOB);

CREATE TABLE dispatch (
    dispatch_id VARCHAR, root_id VARCHAR, parent_id VARCHAR, parent_node INTEGER, name VARCHAR, label VARCHAR,
    lattice VARCHAR, status VARCHAR, seq BIGINT, created DOUBLE, started DOUBLE, ended DOUBLE, notebook VARCHAR,
    key VARCHAR, seed HUGEINT, redispatch_of VARCHAR, error VARCHAR, note VARCHAR, tags VARCHAR[],
    total BIGINT, waiting BIGINT, queued BIGINT, running BIGINT, completed BIGINT, failed BIGINT, cancelled BIGINT,
    skipped BIGINT, reused BIGINT, inputs VARCHAR, environment VARCHAR, output VARCHAR
);

CREATE TABLE electron (
    dispatch_id VARCHAR, node INTEGER, name VARCHAR, kind VARCHAR, status VARCHAR, seq BIGINT, attempt INTEGER,
    executor VARCHAR, started DOUBLE, ended DOUBLE, duration DOUBLE, worker VARCHAR, child VARCHAR, reused BOOLEAN,
    key VARCHAR, rss BIGINT, error_type VARCHAR, error_message VARCHAR, result_repr VARCHAR, result_type VARCHAR,
    scalar VARCHAR, number DOUBLE, size BIGINT, data BLOB
);

-- Small manifests lie in `data`; large ones are blob files, named by `digest`.
CREATE TABLE manifest (dispatch_id VARCHAR, digest VARCHAR, size BIGINT, data BLOB);

-- `head` is the number in the first 16 hex digits of the digest: what a lookup scans.
CREATE TABLE value (head UBIGINT, digest VARCHAR, size BIGINT, created DOUBLE, data BLOB);

CREATE TABLE reference (dispatch_id VARCHAR, digest VARCHAR);

CREATE TABLE tombstone (seq BIGINT, dispatch_id VARCHAR);

-- What a user may query: no tokens, no bytes. Times are UTC.
CREATE VIEW dispatches AS SELECT
    dispatch_id, root_id, parent_id, parent_node, name, label, lattice, status, seq,
    make_timestamp((created * 1e6)::BIGINT) AS created, make_timestamp((started * 1e6)::BIGINT) AS started,
    make_timestamp((ended * 1e6)::BIGINT) AS ended, ended - started AS duration, notebook, key, seed, redispatch_of,
    error, note, tags, total, waiting, queued, running, completed, failed, cancelled, skipped, reused,
    inputs::JSON AS inputs, environment::JSON AS environment
FROM dispatch;

CREATE VIEW electrons AS SELECT
    e.dispatch_id, d.lattice, e.node, e.name, e.kind, e.status, e.seq, e.attempt, e.executor,
    make_timestamp((e.started * 1e6)::BIGINT) AS started, make_timestamp((e.ended * 1e6)::BIGINT) AS ended, e.duration,
    e.worker, e.child, e.reused, e.rss, e.error_type, e.error_message, e.result_type, e.result_repr, e.scalar,
    e.number, e.size, e.key
FROM electron e LEFT JOIN dispatch d ON d.dispatch_id = e.dispatch_id;

CREATE VIEW events AS SELECT seq, dispatch_id, kind FROM event;
