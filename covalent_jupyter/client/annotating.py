"""What people write on a dispatch: its name, tags, a note."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InvalidRequest
from ..model.wire import sendable
from .rest import Rest

#: characters that the service takes
LONGEST = {"name": 1000, "note": 100_000}


def annotated(
    rest: Rest,
    dispatch_id: str,
    *,
    name: str | None = None,
    note: str | None = None,
    tags: Iterable[str] | None = None,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
) -> list[str]:
    """Change what is given and leave the rest; the tags afterwards. ``tags`` replaces all of them."""
    added, removed = tag_list(add), tag_list(remove)
    wanted = None if tags is None else tag_list(tags)
    if added or removed:
        before = rest.dispatch(dispatch_id).tags if wanted is None else wanted
        wanted = [tag for tag in dict.fromkeys([*before, *added]) if tag not in removed]
    body = {"label": _text("name", name), "note": _text("note", note), "tags": wanted}
    given = {key: value for key, value in body.items() if value is not None}
    if not given:
        return list(rest.dispatch(dispatch_id).tags)
    return [str(tag) for tag in rest.annotate(dispatch_id, **given).tags]


def tag_list(tags: Iterable[str]) -> list[str]:
    """One tag or several as a list. InvalidRequest for what is none."""
    if not isinstance(tags, Iterable):
        raise InvalidRequest(f"tags are a text or a list of texts, not {tags!r}")
    found = [tags] if isinstance(tags, str) else list(tags)
    for tag in found:
        if not isinstance(tag, str) or not tag.strip():
            raise InvalidRequest(f"a tag is a text that is not empty, not {tag!r}")
    return [sendable(tag.strip()) for tag in found]


def _text(what: str, value: str | None) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"the {what} is a text, not {type(value).__name__}")
    if value is not None and len(value) > LONGEST[what]:
        raise InvalidRequest(f"the {what} has at most {LONGEST[what]:,} characters, not {len(value):,}")
    return None if value is None else sendable(value)
