"""Commands about what is known of dispatches: tag, note, rename, sql."""

from __future__ import annotations

import argparse
import sys

from ..client.annotating import annotated
from ..client.display import plain
from ..client.finding import find_dispatch
from ..client.rest import connect
from .output import Out, complain


def tag(options: argparse.Namespace, out: Out) -> int:
    rest = connect()
    row = find_dispatch(rest, options.id)
    change = {"remove" if options.remove else "add": options.tags}
    tags = annotated(rest, row.dispatch_id, **change)
    out.data({"dispatch_id": row.dispatch_id, "tags": tags})
    out.say(f"{plain(row.name)} {row.dispatch_id[:8]}: {plain(', '.join(tags)) or 'no tags'}")
    return 0


def note(options: argparse.Namespace, out: Out) -> int:
    rest = connect()
    row = find_dispatch(rest, options.id)
    text = row.note if options.text is None else options.text
    if options.text is not None:
        annotated(rest, row.dispatch_id, note=text)
    out.data({"dispatch_id": row.dispatch_id, "note": text})
    out.say(plain(text, lines=True) or f"There is no note on {plain(row.name)} {row.dispatch_id[:8]}.")
    return 0


def rename(options: argparse.Namespace, out: Out) -> int:
    rest = connect()
    row = find_dispatch(rest, options.id)
    annotated(rest, row.dispatch_id, name=options.name)
    name = options.name or row.lattice
    out.data({"dispatch_id": row.dispatch_id, "name": name})
    out.say(f"{row.dispatch_id[:8]} is called {plain(name)} now.")
    return 0


def sql(options: argparse.Namespace, out: Out) -> int:
    rest = connect()
    if options.schema:
        found = rest.get("sql/schema")
        out.data(found)
        for view in found["views"]:
            out.say(f"{view['name']}: {view['text']}")
            out.table(("column", "type", ""), [(c["name"], c["type"], c["text"]) for c in view["columns"]], limit=100)
            out.say()
        return 0
    query = sys.stdin.read() if options.query in (None, "-") else options.query
    answer = rest.sql(query, options.max_rows)
    out.data(answer)
    out.table(answer["columns"], [["" if v is None else str(v) for v in row] for row in answer["rows"]], limit=60)
    if answer["truncated"] and not out.json:
        complain(f"only the first {options.max_rows} rows are shown; -n N shows more")
    return 0
