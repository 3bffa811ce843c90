"""What a user's query names: the documented views, tables of its own, and functions that only compute.

Looked at in the query as DuckDB has parsed it, so that quoting, schemas and comments do not matter.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb

from ..errors import InvalidRequest
from .views import VIEWS

Scope = frozenset[str]
Tree = Mapping[str, Any]

#: functions in FROM; all others read files, settings or the tables behind the views
_TABLES_OF = frozenset(
    {"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree", "regexp_split_to_table"}
)
#: functions elsewhere that tell of settings, of the process or of the catalogue, wait, or have effects
_HIDDEN = frozenset(
    "current_setting getenv getvariable current_query current_query_id current_connection_id current_transaction_id "
    "current_database current_catalog current_schema current_schemas txid_current in_search_path nextval currval setval "
    "setseed write_log sleep_ms stats vector_type get_block_size json_serialize_plan parse_duckdb_log_message "
    "format_pg_type format_type map_to_pg_oid obj_description col_description shobj_description query query_table".split()
)
_HIDDEN_STARTS = ("duckdb_", "pragma_", "pg_", "has_", "inet_", "read_", "__internal")
_HARMLESS = frozenset({"pg_typeof", "pg_size_pretty"})
_VIEWS = f"they may name the views {', '.join(VIEWS)} (ct.sql_schema() describes them)"
#: what stands before a view's name where its schema is written out
_SCHEMAS = ((), ("main",), ("store",), ("store", "main"))


def check_names(own: duckdb.DuckDBPyConnection, select: str) -> None:
    """InvalidRequest, naming the views, for anything else that a SELECT names."""
    found = own.execute("SELECT json_serialize_sql(?::VARCHAR)", [select]).fetchone()
    assert found is not None
    try:
        parsed = json.loads(found[0])
    except RecursionError:
        raise InvalidRequest("the query is nested too deeply") from None
    if parsed["error"]:
        raise InvalidRequest(f"the query cannot be checked: {parsed.get('error_message', 'it is no SELECT')}")
    left: list[tuple[Any, Scope]] = [(parsed["statements"], frozenset())]
    while left:
        tree, scope = left.pop()
        if isinstance(tree, list):
            left += [(part, scope) for part in tree]
        elif isinstance(tree, dict):
            _check(tree, scope)
            left += _parts(tree, scope)


def _parts(tree: Tree, scope: Scope) -> Iterator[tuple[Any, Scope]]:
    """What is inside, each with the names that WITH has given to tables for it."""
    for table in (tree.get("cte_map") or {}).get("map", ()):
        name, body = str(table["key"]).lower(), table["value"]
        query = body.get("query_node") or {}
        if query.get("type") == "RECURSIVE_CTE_NODE":
            yield {**query, "right": None}, scope
            yield query.get("right"), scope | {name}
        else:
            yield body, scope
        scope |= {name}
    for key, part in tree.items():
        if key != "cte_map":
            yield part, scope


def _check(tree: Tree, scope: Scope) -> None:
    kind = tree.get("type")
    if kind == "BASE_TABLE":
        _check_table(_path(tree), scope)
    elif kind == "SHOW_REF" and not tree.get("query"):
        if tree.get("show_type") == "SHOW_SPECIAL":
            raise InvalidRequest(f"SHOW {_path(tree)[-1].strip(chr(34)).upper()} is not for queries: {_VIEWS}")
        _check_table(_path(tree), frozenset())
    elif kind == "TABLE_FUNCTION":
        name = _path(tree["function"])[-1]
        if name.lower() not in _TABLES_OF:
            raise InvalidRequest(
                f"the function {name} is not for queries: {_VIEWS}, and {', '.join(sorted(_TABLES_OF))}"
            )
    elif "function_name" in tree:
        _check_function(str(tree["function_name"] or _path(tree)[-1]))


def _path(tree: Tree) -> list[str]:
    path = (tree.get("qualified_name") or {}).get("path") or [tree.get("table_name") or tree.get("function_name") or ""]
    return [str(part) for part in path]


def _check_table(path: list[str], scope: Scope) -> None:
    *schema, name = (part.lower() for part in path)
    if not schema and name in scope or name in VIEWS and tuple(schema) in _SCHEMAS:
        return
    close = difflib.get_close_matches(name, VIEWS, 1)
    meant = f" (did you mean {close[0]}?)" if close else ""
    raise InvalidRequest(f"{'.'.join(path)!r} is not for queries{meant}: {_VIEWS}")


def _check_function(name: str) -> None:
    lower = name.lower()
    if lower in _HIDDEN or (lower.startswith(_HIDDEN_STARTS) and lower not in _HARMLESS):
        raise InvalidRequest(f"the function {name} is not for queries, which reach no file and no setting: {_VIEWS}")
