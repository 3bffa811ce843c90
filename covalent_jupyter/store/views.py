"""The views over which users query the store: names, columns, and what each means. The migrations create them."""

from __future__ import annotations

from msgspec import Struct

#: Grows when a column or a view is renamed, removed, or comes to mean something else; not when one is added.
VERSION = 1


class Column(Struct):
    name: str
    type: str
    text: str  # one sentence


class View(Struct):
    name: str
    text: str
    columns: list[Column]


def _view(name: str, text: str, columns: str) -> View:
    """From lines ``name TYPE what it means``."""
    lines = [line.split(None, 2) for line in columns.strip().splitlines()]
    return View(name, text, [Column(*line) for line in lines])


_VIEWS = (
    _view(
        "dispatches",
        "One row per dispatch, sublattices included.",
        """
        dispatch_id VARCHAR Its id.
        root_id VARCHAR The dispatch at the top: its own id unless it is a sublattice's run.
        parent_id VARCHAR Of a sublattice's run: the dispatch that it belongs to.
        parent_node INTEGER Of a sublattice's run: the electron that it belongs to.
        name VARCHAR Label, or name of the lattice.
        label VARCHAR The name that it was given, or empty.
        lattice VARCHAR Name of the lattice function.
        status VARCHAR RUNNING, COMPLETED, FAILED or CANCELLED.
        seq BIGINT Number of its last change; grows over the whole store.
        created TIMESTAMP When it was dispatched.
        started TIMESTAMP When its first electron was handed to an executor.
        ended TIMESTAMP When it ended.
        duration DOUBLE Seconds from start to end.
        notebook VARCHAR The notebook that dispatched it, where known.
        key VARCHAR Digest of code and inputs: equal for equal work.
        seed HUGEINT Seed of its random numbers.
        redispatch_of VARCHAR The dispatch that it repeats.
        error VARCHAR Which electrons failed and why, or empty.
        note VARCHAR What was noted on it.
        tags VARCHAR[] Its tags.
        total BIGINT Number of its electrons.
        waiting BIGINT Electrons that wait for others or for a place.
        queued BIGINT Electrons that an executor has and that have not begun.
        running BIGINT Electrons that run.
        completed BIGINT Electrons that completed.
        failed BIGINT Electrons that failed.
        cancelled BIGINT Electrons that were cancelled.
        skipped BIGINT Electrons that were skipped because of others.
        reused BIGINT Completed electrons whose value came from an earlier dispatch.
        inputs JSON Parameter of the lattice and its value as text.
        results JSON Scalars in what it returned, by name.
        environment JSON Python, prefix, host and folder of the kernel that dispatched it.
        """,
    ),
    _view(
        "electrons",
        "One row per electron, with its latest attempt.",
        """
        dispatch_id VARCHAR Its dispatch.
        lattice VARCHAR Name of the lattice function.
        node INTEGER Its number in the dispatch.
        name VARCHAR Its name.
        kind VARCHAR electron, sublattice or operator.
        status VARCHAR NEW_OBJECT, DISPATCHING, RUNNING, COMPLETED, FAILED, CANCELLED or SKIPPED.
        seq BIGINT Number of its last change.
        attempt INTEGER Number of the latest attempt, from 1.
        executor VARCHAR Name of its executor.
        host VARCHAR Executor host that got the latest attempt.
        worker VARCHAR Machine and process that ran it.
        queued TIMESTAMP When it was handed to the executor.
        started TIMESTAMP When it began.
        ended TIMESTAMP When it ended.
        duration DOUBLE Seconds in the user's function.
        rss BIGINT Highest memory of its process, in bytes.
        child VARCHAR Of a sublattice: the dispatch that runs its electrons.
        reused BOOLEAN Whether its value came from an earlier dispatch.
        error_type VARCHAR Type of the exception that ended it.
        error_message VARCHAR Message of that exception.
        result_type VARCHAR Type of what it returned.
        result_repr VARCHAR Short text of what it returned.
        scalar VARCHAR What it returned, where that is a number, a truth value or a short text.
        number DOUBLE What it returned, where that is a number.
        size BIGINT Bytes of what it returned.
        key VARCHAR Digest of its code and inputs.
        """,
    ),
    _view(
        "attempts",
        "One row per attempt of an electron: the latest, and those before it that failed or were cut off.",
        """
        dispatch_id VARCHAR Its dispatch.
        node INTEGER The electron's number.
        name VARCHAR The electron's name.
        attempt INTEGER Number of the attempt, from 1.
        status VARCHAR DISPATCHING, RUNNING, COMPLETED, FAILED, CANCELLED or INTERRUPTED.
        executor VARCHAR Name of its executor.
        host VARCHAR Executor host that got it.
        worker VARCHAR Machine and process that ran it.
        queued TIMESTAMP When it was handed to the executor.
        started TIMESTAMP When it began.
        ended TIMESTAMP When it ended.
        duration DOUBLE Seconds in the user's function.
        rss BIGINT Highest memory of its process, in bytes.
        error_type VARCHAR Type of the exception that ended it.
        error_message VARCHAR Message of that exception.
        cause VARCHAR raised, crashed, timeout, memory, interrupted, encode, decode, deps or executor.
        exit_code INTEGER Exit status of its process, where that ended.
        signal VARCHAR The signal that ended its process, such as SIGKILL.
        latest BOOLEAN Whether no other attempt followed.
        """,
    ),
    _view(
        "inputs",
        "One row per parameter of a lattice (node is NULL) and of an electron.",
        """
        dispatch_id VARCHAR The dispatch.
        node INTEGER The electron's number, or NULL: an argument of the lattice.
        name VARCHAR The parameter.
        kind VARCHAR literal or value, node (the output of another electron), or template (a container with such outputs).
        text VARCHAR Short text of the value, or which electron it comes from.
        number DOUBLE The value, where it is a number or a truth value.
        """,
    ),
    _view(
        "results",
        "What dispatches (node is NULL) and electrons that completed returned; one row more per scalar of a dict.",
        """
        dispatch_id VARCHAR The dispatch.
        node INTEGER The electron's number, or NULL: what the lattice returned.
        name VARCHAR Name of the electron or the lattice.
        key VARCHAR NULL for the whole value, or the name of a scalar inside it.
        type VARCHAR Type of the value.
        repr VARCHAR Short text of the value.
        number DOUBLE The value, where it is a number or a truth value.
        size BIGINT Bytes of the whole value.
        """,
    ),
    _view(
        "metrics",
        "One row per value that an electron reported with ct.report.",
        """
        dispatch_id VARCHAR The dispatch.
        node INTEGER The electron's number.
        attempt INTEGER The attempt that reported it.
        step INTEGER Number of the report in this attempt, from 0.
        time TIMESTAMP When it was reported.
        name VARCHAR Name of the value.
        value DOUBLE The value, where it is a number or a truth value.
        text VARCHAR The value, where it is a text.
        """,
    ),
    _view(
        "logs",
        "What attempts printed, one row per stream that is not empty.",
        """
        dispatch_id VARCHAR The dispatch.
        node INTEGER The electron's number.
        name VARCHAR The electron's name.
        attempt INTEGER The attempt that printed it.
        stream VARCHAR stdout or stderr.
        text VARCHAR The text, as far as it lies in the database: what is longer than 4 kB lies in a file.
        size BIGINT Bytes that were printed.
        whole BOOLEAN Whether text is all of it.
        """,
    ),
    _view(
        "events",
        "The log: one row per recorded fact.",
        """
        seq BIGINT Its number; grows over the whole store.
        dispatch_id VARCHAR The dispatch.
        kind VARCHAR submitted, launched, started, finished, given_back, skipped, cancelled, closed, and others.
        """,
    ),
)

VIEWS: dict[str, View] = {view.name: view for view in _VIEWS}
#: The tables behind the views that a query may name (DuckDB tells the tables that a query ends in).
READABLE = frozenset({"dispatch", "electron", "event", "attempt", "metric", "input", "recent"})
