"""The host's end of the lines from stations in Dask workers on this machine: one unix socket, one connection per worker."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from ..errors import ExecutorError
from .dask_worker import LENGTH, Said, decode_said

log = logging.getLogger(__name__)

#: Bytes that the path of a unix socket may have: 108 with the zero on Linux, 104 on macOS (``sun_path`` in unix(7)).
_LONGEST = 100


def socket_folder() -> str:
    """A new folder, private to the user, whose path is short enough for a socket in it: below ``$TMPDIR`` or, where that is
    long or is gone, elsewhere. ExecutorError if there is no such place."""
    tried = []
    for parent in (None, os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp"):
        with suppress(OSError):
            folder = tempfile.mkdtemp(prefix="covalent-", dir=parent)  # mode 0700
            if len(os.fsencode(folder)) + len("/s") <= _LONGEST:
                return folder
            os.rmdir(folder)
        tried.append(parent or "$TMPDIR")
    raise ExecutorError(
        f"there is no place for a socket: none of {', '.join(tried)} can be written and has a path of less than "
        f"{_LONGEST - 20} bytes. The environment variable TMPDIR names another folder"
    )


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
        """Listen; nothing where that is done already."""
        if self._server is not None:
            return
        self._folder = self._folder or socket_folder()
        self._server = await asyncio.start_unix_server(self._listen, self.path)

    def note(self, scratch: Path) -> None:
        """Leave word there of where the socket is, for whoever clears up after this process."""
        with suppress(OSError):
            (scratch / f"socket-{Path(self._folder).name}").symlink_to(self._folder)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._folder:
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
