"""The connection between service and executor host: proof of the token, then frames.

Both sides hold the token of the connection file, and neither sends it: each answers the other's nonce with an HMAC.
A frame is its length (4 bytes, big-endian) and the msgpack of a message of :mod:`covalent_jupyter.model.work`.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import struct
from typing import Any

from .errors import CovalentError
from .model import wire

NONCE = 32
#: Largest frame in bytes.
LIMIT = 1 << 30
#: Bytes that a stream reads ahead.
BUFFER = 1 << 20

_LENGTH = struct.Struct(">I")


class BadPeer(CovalentError):
    """The other side does not hold the token, or does not keep to the protocol."""


def proof(token: str, role: bytes, first: bytes, second: bytes) -> bytes:
    """What ``role`` (``b"host"`` or ``b"service"``) answers: the nonce that it was given, then its own."""
    return hmac.new(token.encode(), role + first + second, "sha256").digest()


async def prove_service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
    """The service's side of the challenge. BadPeer if the host does not hold the token."""
    nonce = secrets.token_bytes(NONCE)
    writer.write(nonce)
    answer = await reader.readexactly(NONCE + 32)
    theirs, given = answer[:NONCE], answer[NONCE:]
    if not hmac.compare_digest(given, proof(token, b"host", nonce, theirs)):
        raise BadPeer("it does not hold this service's token")
    writer.write(proof(token, b"service", theirs, nonce))


async def prove_host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
    """The host's side of the challenge. BadPeer if whoever listens there does not hold the token."""
    theirs = await reader.readexactly(NONCE)
    nonce = secrets.token_bytes(NONCE)
    writer.write(nonce + proof(token, b"host", theirs, nonce))
    given = await reader.readexactly(32)
    if not hmac.compare_digest(given, proof(token, b"service", nonce, theirs)):
        raise BadPeer("it does not hold the token of the connection file")


def frame(message: Any) -> bytes:
    """A message as it goes over the wire. ValueError if it is larger than LIMIT."""
    body = wire.encode(message)
    if len(body) > LIMIT:
        raise ValueError(f"a message of {len(body)} bytes is too large; at most {LIMIT} bytes go in one")
    return _LENGTH.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame's body; None at the end of the stream. BadPeer if it is too large or torn."""
    try:
        head = await reader.readexactly(_LENGTH.size)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise BadPeer("the stream ended inside a frame") from None
        return None
    (length,) = _LENGTH.unpack(head)
    if length > LIMIT:
        raise BadPeer(f"a frame of {length} bytes; at most {LIMIT} are allowed")
    try:
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        raise BadPeer("the stream ended inside a frame") from None
