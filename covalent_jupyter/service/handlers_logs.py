"""What electrons print and display, while they run and afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import InvalidRequest, NotFound
from ..model import ElectronRow, Log
from . import outputs
from . import queries as q
from .attempts import attempts_of
from .handlers_dispatches import DispatchHandler


class LogOf(DispatchHandler):
    async def get(self, given: str, node: str, stream: str) -> None:
        query = self.query(q.ReadLog)
        row = await self.electron(given, node)
        recorded: Log = row.stdout if stream == "stdout" else row.stderr
        attempt = query.attempt or row.attempt
        if attempt < row.attempt:
            recorded = await self._earlier(row, attempt, stream)
        if recorded.text and not recorded.file:
            data = recorded.text.encode("utf-8", "surrogateescape")
            piece = data[query.offset : query.offset + query.limit]
        else:
            path = self._live(row, attempt, stream)
            if path is None:
                name = f"{row.node}.{attempt}.{'out' if stream == 'stdout' else 'err'}"
                path = self.context.log_root / row.dispatch_id / name
            piece = await self.context.file(_read_piece, path, query.offset, query.limit)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("X-Next-Offset", str(query.offset + len(piece)))
        self.set_header("X-Ended", "1" if row.status.ended or attempt < row.attempt else "0")
        self.finish(piece)

    async def _earlier(self, row: ElectronRow, attempt: int, stream: str) -> Log:
        return await earlier_log(self.context, row, attempt, stream)

    def _live(self, row: ElectronRow, attempt: int, stream: str) -> Path | None:
        """The file into which a running attempt prints, where its host has told."""
        grown = self.context.dispatcher.live_logs.get((row.dispatch_id, row.node))
        if grown is None or grown.attempt != attempt:
            return None
        path = grown.stdout if stream == "stdout" else grown.stderr
        return Path(path) if path else None


class OutputsOf(DispatchHandler):
    async def get(self, given: str, node: str) -> None:
        query = self.query(q.ReadOutputs)
        row = await self.electron(given, node)
        attempt = query.attempt or row.attempt
        out, err = row.stdout, row.stderr
        if attempt < row.attempt:
            out = await earlier_log(self.context, row, attempt, "stdout")
            err = await earlier_log(self.context, row, attempt, "stderr")
        ended = row.status.ended or attempt < row.attempt
        cursor = outputs.parse_cursor(query.after)
        found, after = await self.context.file(self._read, row, attempt, out, err, cursor, query.limit)
        self.reply(q.Outputs(found, str(after), bool(found) and after != cursor, ended))

    def _read(
        self, row: ElectronRow, attempt: int, out: Log, err: Log, cursor: outputs.Cursor, limit: int
    ) -> tuple[list[dict[str, Any]], outputs.Cursor]:
        grown = self.context.dispatcher.live_logs.get((row.dispatch_id, row.node))
        live = ("", "", "")
        if grown is not None and grown.attempt == attempt and not row.status.ended:
            live = (grown.stdout, grown.stderr, grown.displays)
        stem = self.context.log_root / row.dispatch_id / f"{row.node}.{attempt}"

        def source(text: str, path: str, ending: str) -> outputs.Source:
            if text:
                return outputs.source_of_text(text)
            return outputs.source_of_file(Path(path or f"{stem}{ending}"), _read_piece)

        printed = source(out.text, live[0], ".out"), source(err.text, live[1], ".err")
        return outputs.outputs_after(cursor, *printed, lambda: source(out.shown, live[2], ".dsp"), limit)


async def earlier_log(context: Any, row: ElectronRow, attempt: int, stream: str) -> Log:
    """The log of an attempt before the last one."""
    for info in await context.read(attempts_of, context.store, row.dispatch_id, row.node):
        if info.attempt == attempt:
            return info.stdout if stream == "stdout" else info.stderr
    raise NotFound(f"electron {row.node} of dispatch {row.dispatch_id[:8]} has had no attempt {attempt}")


def _read_piece(path: os.PathLike[str], offset: int, limit: int) -> bytes:
    """Bytes of a log; b"" where nothing was printed. A character cut in two at the end is left for the next time."""
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            piece = file.read(limit)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise InvalidRequest(f"the log cannot be read at {offset}: {error.strerror}") from None
    for back in range(1, min(4, len(piece))):
        byte = piece[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:  # first byte of a character: is all of it there?
            wanted = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return piece if back >= wanted else piece[:-back]
    return piece
