"""Bytes on the wire: the framed body of a submission, and messages between service and host.

A *framed body* is ``b"CJ1\\n"``, the length of the JSON part as 8 bytes big-endian, the JSON part, then raw
blobs one after another. The JSON part is ``{"manifest": {...}, "blobs": [[digest, size], ...],
"variables": {...}}`` and says which blobs follow, in order. Blobs that are not in the body must have been
uploaded before.

Texts of users may hold what UTF-8 cannot carry: a lone surrogate, as Python makes of a file name that is no UTF-8. On
the wire such a character is written out (``\\udce9``), so that nothing is lost by it. Values are pickled, and keep it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import msgspec

from .graph import Digest, Manifest
from .work import HostMessage, ServiceMessage

MAGIC = b"CJ1\n"
HEAD = len(MAGIC) + 8


class Head(msgspec.Struct):
    """The JSON part of a framed body."""

    manifest: Manifest
    blobs: list[tuple[Digest, int]] = []
    variables: dict[str, str] = {}  # environment variables; never stored with the manifest


_head_encoder = msgspec.json.Encoder()
_head_decoder = msgspec.json.Decoder(Head)
_manifest_decoder = msgspec.json.Decoder(Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    return _head_encoder.encode(manifest)


def decode_manifest(data: bytes) -> Manifest:
    """Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError`` (both ``ValueError``)."""
    return _manifest_decoder.decode(data)


def pack_body(
    manifest: Manifest, blobs: Iterable[tuple[Digest, bytes]], variables: dict[str, str] | None = None
) -> bytes:
    """A framed body with these blobs inside."""
    items = list(blobs)
    head = _encoded(_head_encoder, Head(manifest, [(d, len(b)) for d, b in items], variables or {}))
    return b"".join([MAGIC, struct.pack(">Q", len(head)), head, *(b for _, b in items)])


def head_length(prefix: bytes) -> int:
    """Length of the JSON part, from the first ``HEAD`` bytes; ValueError if they are none of ours."""
    if len(prefix) < HEAD or not prefix.startswith(MAGIC):
        raise ValueError("not a covalent submission: the body must start with CJ1")
    (length,) = struct.unpack(">Q", prefix[len(MAGIC) : HEAD])
    return int(length)


def decode_head(data: bytes) -> Head:
    """The JSON part, validated; ValueError says what is wrong."""
    return _head_decoder.decode(data)


def unpack_body(body: bytes) -> tuple[Head, dict[Digest, bytes]]:
    """A whole framed body in memory; ValueError if it is malformed. Digests are not checked here."""
    length = head_length(body)
    if len(body) < HEAD + length:
        raise ValueError("the body ends inside its JSON part")
    head = decode_head(body[HEAD : HEAD + length])
    at, blobs = HEAD + length, {}
    for digest, size in head.blobs:
        if size < 0 or at + size > len(body):
            raise ValueError(f"the body ends inside blob {digest[:8]}")
        blobs[digest] = body[at : at + size]
        at += size
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes too many after the last blob")
    return head, blobs


_to_service = msgspec.msgpack.Decoder(HostMessage)
_to_host = msgspec.msgpack.Decoder(ServiceMessage)
_encoder = msgspec.msgpack.Encoder()


def encode(message: Any) -> bytes:
    """Any struct of :mod:`.work` as msgpack."""
    return _encoded(_encoder, message)


def encode_json(message: Any) -> bytes:
    """A struct as JSON."""
    return _encoded(_head_encoder, message)


def decode_from_host(data: bytes) -> HostMessage:
    return _to_service.decode(data)


def decode_from_service(data: bytes) -> ServiceMessage:
    return _to_host.decode(data)


def sendable(text: str) -> str:
    """The text as it is on the wire: with characters that UTF-8 cannot carry written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _encoded(encoder: msgspec.json.Encoder | msgspec.msgpack.Encoder, message: Any) -> bytes:
    try:
        return encoder.encode(message)
    except UnicodeEncodeError:
        return encoder.encode(_written_out(msgspec.to_builtins(message, builtin_types=(bytes,))))


def _written_out(plain: Any) -> Any:
    """Plain data with all its texts sendable."""
    if isinstance(plain, str):
        return sendable(plain)
    if isinstance(plain, dict):
        return {_written_out(key): _written_out(value) for key, value in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [_written_out(item) for item in plain]
    return plain
