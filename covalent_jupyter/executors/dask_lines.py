"""The host's end of the lines from stations in Dask workers on this machine: one unix socket, one connection per worker."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable

import msgspec

from .dask_worker import LENGTH, Said, decode_said

log = logging.getLogger(__name__)


class Lines:
    """``said`` hears what stations say, ``gone`` the name of a worker whose process has ended. Both are called on the loop."""

    def __init__(self, said: Callable[[Said], None], gone: Callable[[str], None]) -> None:
        self._said = said
        self._gone = gone
        self._folder = ""
        self._server: asyncio.AbstractServer | None = None

    @property
    def path(self) -> str:
        return f"{self._folder}/s"

    async def open(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="covalent-")  # short: paths of sockets are; private: mode 0700
        self._server = await asyncio.start_unix_server(self._listen, self.path)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        worker = ""
        try:
            while True:
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                said = decode_said(await reader.readexactly(length))
                worker = said.worker
                self._said(said)
        except (asyncio.IncompleteReadError, OSError):
            pass
        except (ValueError, msgspec.DecodeError) as error:
            log.error("a Dask worker says what cannot be understood: %s", error)
        finally:
            writer.close()
        if worker:
            self._gone(worker)
