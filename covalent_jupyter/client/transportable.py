"""Covalent's ``TransportableObject``: a value with its bytes and what they need to be read."""

from __future__ import annotations

import base64
import json
import platform
from typing import Any

from .. import codec
from ..errors import InvalidRequest

TEXT = 2048  # characters of the short text


class TransportableObject:
    """A pickled value. ``get_deserialized()`` gives it back; ``attrs`` say what it was.

    Raises EncodeError, naming the path to the culprit, for what cannot be pickled.
    """

    def __init__(self, obj: Any) -> None:
        self._data = b"".join(codec.encode(obj))
        self._attrs = {
            "type": str(type(obj)),
            "doc": str(getattr(obj, "__doc__", None) or ""),
            "name": str(getattr(obj, "__name__", "")),
        }
        self._text = _short(obj)
        self._python = platform.python_version()

    @staticmethod
    def make_transportable(obj: Any) -> TransportableObject:
        """``obj`` itself if it is one already."""
        return obj if isinstance(obj, TransportableObject) else TransportableObject(obj)

    def get_deserialized(self) -> Any:
        """The value. Raises DecodeError under a Python that it does not fit."""
        return codec.decode(self._data)

    @property
    def attrs(self) -> dict[str, str]:
        """``type, doc, name`` of the value."""
        return dict(self._attrs)

    @property
    def python_version(self) -> str:
        return self._python

    @property
    def object_string(self) -> str:
        """A short text of the value."""
        return self._text

    def serialize(self) -> bytes:
        """It, as bytes for :meth:`deserialize`."""
        return json.dumps(self.to_dict()).encode()

    @staticmethod
    def deserialize(data: bytes) -> TransportableObject:
        return TransportableObject.from_dict(json.loads(data))

    def to_dict(self) -> dict[str, Any]:
        attributes = {
            "_object": base64.b64encode(self._data).decode(),
            "_object_string": self._text,
            "_python_version": self._python,
            "attrs": self._attrs,
        }
        return {"type": "TransportableObject", "attributes": attributes}

    @staticmethod
    def from_dict(found: dict[str, Any]) -> TransportableObject:
        """What :meth:`to_dict` gave. Raises InvalidRequest for anything else."""
        self = TransportableObject.__new__(TransportableObject)
        try:
            attributes = found["attributes"]
            self._data = base64.b64decode(attributes["_object"])
            self._attrs = {str(k): str(v) for k, v in attributes["attrs"].items()}
            self._text = str(attributes["_object_string"])
            self._python = str(attributes["_python_version"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidRequest("this is not the dict of a TransportableObject (see to_dict)") from error
        return self

    @staticmethod
    def deserialize_list(collection: list[Any]) -> list[Any]:
        """Values in the places of TransportableObjects, nested lists and dicts included."""
        return [_opened(item) for item in collection]

    @staticmethod
    def deserialize_dict(collection: dict[Any, Any]) -> dict[Any, Any]:
        return {key: _opened(item) for key, item in collection.items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TransportableObject) and other._data == self._data and other._attrs == self._attrs

    def __hash__(self) -> int:
        return hash(self._data)

    def __repr__(self) -> str:
        return f"<TransportableObject {self._text}>"


def _opened(item: Any) -> Any:
    if isinstance(item, TransportableObject):
        return item.get_deserialized()
    if isinstance(item, list):
        return TransportableObject.deserialize_list(item)
    return TransportableObject.deserialize_dict(item) if isinstance(item, dict) else item


def _short(obj: Any) -> str:
    try:
        return str(obj)[:TEXT]
    except Exception:  # border: a user's __str__
        return f"<{type(obj).__qualname__} whose __str__ raises>"
