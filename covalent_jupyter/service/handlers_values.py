"""Values: bytes under their digests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import msgspec

from .. import blobs
from ..crashpoint import crashpoint
from ..errors import InvalidRequest, NotFound
from ..store import Store
from . import queries as q
from .web import Handler, Refusal

_CHUNK = 1 << 20


class Value(Handler):
    def begin(self) -> None:
        check_digest(self.path_args[0])
        if self.request.method == "PUT":
            self.context.check_store()
        self._writer: blobs.BlobWriter | None = None
        self._present = False
        self._buffer = bytearray()

    def _check_length(self) -> None:
        if self.request.method == "PUT":
            self.body_cap = self.context.settings.value_cap
        super()._check_length()

    async def get(self, digest: str) -> None:
        """The bytes, streamed."""
        self.query(q.Nothing)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", "attachment")
        self.set_header("ETag", f'"{digest}"')
        self.set_header("Cache-Control", "private, max-age=31536000, immutable")
        if self.check_etag_header():
            self.set_status(304)
            await self.finish()
            return
        data, path = await self.context.read(_locate, self.context.store, self.context.blob_root, digest)
        if path is None:
            await self.finish(data)
            return
        await self._stream(path, digest)

    async def _stream(self, path: Path, digest: str) -> None:
        """The last piece goes when all have been compared with the digest: of a damaged value nobody gets the whole. The error
        says what to do where nothing was sent yet; else the answer is broken off."""
        file: BinaryIO = await self.context.file(open, path, "rb")
        state = hashlib.sha256()

        def read() -> bytes:
            chunk = file.read(_CHUNK)
            state.update(chunk)
            return chunk

        try:
            self.set_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            chunk = await self.context.file(read)
            while following := await self.context.file(read):
                self.write(chunk)
                await self.flush()  # waits while the other side is slow
                chunk = following
            if state.hexdigest() != digest:
                raise Refusal(
                    HTTPStatus.GONE,
                    f"value {digest} is damaged on the disk: remove {path} and run the electron that made it again",
                )
            self.write(chunk)
        finally:
            await self.context.file(file.close)
        await self.finish()

    def receive(self, chunk: bytes) -> Awaitable[None] | None:
        if self.request.method != "PUT" or self._present:
            return None
        self._buffer += chunk
        return self._write() if len(self._buffer) >= _CHUNK else None

    async def _write(self) -> None:
        data, self._buffer = self._buffer, bytearray()
        await self.keep(self._write_blocking, data)

    def _write_blocking(self, data: bytearray) -> None:
        if self._present:
            return
        if self._writer is None:
            self._present = _relied_on(self.context.store, self.context.blob_root, self.path_args[0])
            if self._present:
                return
            self._writer = blobs.BlobWriter(self.context.blob_root)
        self._writer.write(data)

    async def put(self, digest: str) -> None:
        """Keep bytes that have this digest."""
        self.query(q.Nothing)
        self.check_received()
        await self._write()
        self.check_received()
        if self._present:
            self.reply({"digest": digest, "created": False})
            return
        assert self._writer is not None
        try:
            crashpoint("upload.received")
            _, size = await self.work(self._writer.commit, digest)
            crashpoint("upload.named")
        except ValueError as error:
            raise InvalidRequest(f"value {digest[:12]}: {error}") from None
        self.reply({"digest": digest, "created": True, "size": size}, 201)

    def clean_up(self) -> None:
        writer, self._writer = getattr(self, "_writer", None), None
        if writer is not None:
            self.context.pools.files.submit(writer.abort)


class MissingValues(Handler):
    async def post(self) -> None:
        """Which of these digests are not here; the others are safe from collection for a day."""
        body = self.json_body(q.Digests)
        for digest in body.digests:
            check_digest(digest)
        self.reply(q.Missing(await self.context.read(self.context.store.missing, list(dict.fromkeys(body.digests)))))


class SmallValues(Handler):
    async def post(self) -> None:
        """Small values by their digests, as msgpack: a map of digest to bytes. Large ones are left out."""
        body = self.json_body(q.FewDigests)
        for digest in body.digests:
            check_digest(digest)
        found = await self.context.read(self.context.store.values, body.digests)
        self.set_header("Content-Type", "application/msgpack")
        await self.finish(await self.context.read(msgspec.msgpack.encode, found))


def _locate(store: Store, root: Path, digest: str) -> tuple[bytes, Path | None]:
    """The bytes of a small value, or the file of a large one."""
    path = blobs.blob_path(root, digest)
    if path.is_file():
        return b"", path
    found = store.values([digest])
    if digest not in found:
        raise NotFound(f"no value {digest[:12]}…: it was deleted, or never stored here", digest=digest)
    return found[digest], None


def _relied_on(store: Store, root: Path, digest: str) -> bool:
    return blobs.has_blob(root, digest, touch=True) or not store.missing([digest])


def check_digest(text: str) -> str:
    if not blobs.is_digest(text):
        raise InvalidRequest(f"{text[:80]!r} is not a digest: 64 lower-case hex digits are expected")
    return text
