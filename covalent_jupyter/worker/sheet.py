"""What a runner is told when it starts, before any pack."""

from __future__ import annotations

import msgspec


class RunnerSheet(msgspec.Struct):
    """Names and places of one runner; its descriptors (control, tokens, page) travel beside it."""

    name: str
    spool: str  # file
    record: str  # file with pid, start time and boot id
    scratch: str  # folder of its own


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(RunnerSheet)


def encode_sheet(sheet: RunnerSheet) -> bytes:
    return _encoder.encode(sheet)


def decode_sheet(data: bytes) -> RunnerSheet:
    return _decoder.decode(data)
