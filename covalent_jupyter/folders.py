"""Folders of a store, made when something is first put into them; the store itself only its service makes."""

from __future__ import annotations

import errno
import os


class FolderGone(FileNotFoundError):
    """What a folder should be made in is not there: the store was moved or removed, and may come back."""

    def __init__(self, folder: str) -> None:
        super().__init__(errno.ENOENT, "the folder was moved or removed", folder)


def make_folder(folder: str | os.PathLike[str], levels: int = 1) -> None:
    """Make ``folder``, for this user alone whatever the umask, and of the folders above it at most ``levels - 1``.

    Never more: a store that was moved away while its processes run would come back as a folder with next to nothing
    in it, into which whoever moves the store back then moves it. FolderGone where more is missing.
    """
    path = os.fspath(folder)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    except FileNotFoundError as error:
        above = os.path.dirname(path)
        if levels <= 1:
            raise FolderGone(above) from error
        make_folder(above, levels - 1)
        make_folder(path)
