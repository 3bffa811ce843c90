"""Lines of source for tracebacks: cells of a notebook are files that only the kernel has."""

from __future__ import annotations

import msgspec

from ..model import Error, FunctionDef, Manifest


def with_source(error: Error, manifest: Manifest) -> Error:
    """The error with the text of its frames filled in from the recorded source, where it is missing."""
    if all(frame.text for frame in error.frames):
        return error
    frames = [
        frame if frame.text else msgspec.structs.replace(frame, text=_line(manifest, frame.file, frame.line))
        for frame in error.frames
    ]
    return msgspec.structs.replace(error, frames=frames)


def _line(manifest: Manifest, file: str, line: int) -> str:
    function: FunctionDef
    for function in (*manifest.functions, manifest.lattice):
        if function.file == file and function.line and function.source:
            lines = function.source.splitlines()
            if function.line <= line < function.line + len(lines):
                return lines[line - function.line].strip()
    return ""
