"""Files that arrive in an electron's folder."""

from __future__ import annotations

from contextvars import copy_context
from pathlib import Path

import pytest

import covalent_jupyter as ct
from covalent_jupyter import codec
from covalent_jupyter.errors import DecodeError
from covalent_jupyter.worker import context


def test_a_file_in_the_place_of_their_folder_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("content")
    data = b"".join(codec.encode(ct.File(source)))
    (tmp_path / "work" / "d" / "0.1").mkdir(parents=True)

    def arrive() -> str:
        context.enter(context.ElectronContext("d", 0, 1, 0, str(tmp_path / "work")), everywhere=False)
        return Path(codec.decode(data)).read_text()

    assert copy_context().run(arrive) == "content"
    folder = tmp_path / "work" / "d" / "0.1" / "files"
    folder.rename(tmp_path / "arrived")
    folder.write_text("the electron's own")
    with pytest.raises(DecodeError, match="File exists"):
        copy_context().run(arrive)
