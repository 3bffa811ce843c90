"""Lines of source for tracebacks: cells of a notebook are files that only the kernel has."""

from __future__ import annotations

import msgspec

from ..model import Error, Frame, FunctionDef, Manifest


def with_source(error: Error, manifest: Manifest) -> Error:
    """The error with its frames told from the recorded sources: the text where it is missing, the cell's number."""
    if all(frame.text and not frame.user for frame in error.frames):
        return error
    return msgspec.structs.replace(error, frames=[_told(frame, manifest) for frame in error.frames])


def _told(frame: Frame, manifest: Manifest) -> Frame:
    function: FunctionDef
    text, place = frame.text, frame.place
    for function in (*manifest.functions, manifest.lattice):
        if function.file == frame.file and function.line and function.source:
            place = place or function.place
            lines = function.source.splitlines()
            if not text and function.line <= frame.line < function.line + len(lines):
                text = lines[frame.line - function.line].strip()
    return (
        frame if (text, place) == (frame.text, frame.place) else msgspec.structs.replace(frame, text=text, place=place)
    )
