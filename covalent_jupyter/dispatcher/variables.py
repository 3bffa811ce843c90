"""Environment variables of unfinished dispatches. They live outside the store, in files of mode 0600 in
Jupyter's runtime directory, until the root dispatch ends."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from ..paths import variables_folder

log = logging.getLogger(__name__)


class Variables:
    """The values, by root dispatch."""

    def __init__(self, store_dir: Path) -> None:
        self._folder = variables_folder(Path(store_dir))
        self._values: dict[str, dict[str, str]] = {}
        self.lost: dict[str, tuple[str, ...]] = {}  # root -> names that are gone

    def _file(self, root: str) -> Path:
        return self._folder / f"{root}.env"

    def remember(self, root: str, values: dict[str, str]) -> None:
        """In memory, until the dispatch ends."""
        self._values[root] = values

    def keep(self, root: str, values: dict[str, str]) -> None:
        """In a file that only the user can read, for a service that comes after this one. Blocks."""
        path = self._file(root)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as f:
            f.write(msgspec.json.encode(values))

    def load(self, root: str, names: tuple[str, ...]) -> None:
        """After a restart; what cannot be found is listed in ``lost``."""
        try:
            data = self._file(root).read_bytes()
            self._values[root] = msgspec.json.decode(data, type=dict[str, str])
        except (OSError, ValueError) as e:
            log.warning("the environment variables of dispatch %s are gone: %s", root, e)
            self._values[root] = {}
        self.miss(root, names, self._values[root])

    def miss(self, root: str, names: tuple[str, ...], values: dict[str, str]) -> None:
        """Notes which of ``names`` have no value any more: first those that this process does not have either."""
        missing = [n for n in names if n not in values]
        if missing:
            self.lost[root] = tuple(sorted(missing, key=lambda n: (n in os.environ, n)))

    def get(self, root: str) -> dict[str, str]:
        return self._values.get(root, {})

    def drop(self, root: str) -> None:
        self._values.pop(root, None)
        self.lost.pop(root, None)
        self._file(root).unlink(missing_ok=True)
