"""The Jupyter server extension: the service's REST interface at ``<base_url>covalent/``, and a service that is there.

Settings are those of :mod:`covalent_jupyter.config`, in Jupyter's configuration as ``c.Covalent.name`` (or
``c.CovalentApp.name``).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp

from . import config
from ._version import __version__
from .errors import ConfigError
from .paths import default_store_dir
from .server_extension.handlers import ProxyHandler, unprotected
from .server_extension.link import ServiceLink


class CovalentApp(ExtensionApp, config.configurable()):  # type: ignore[misc]
    """Lattices of electrons: starts or attaches to the service of the store, and puts it behind Jupyter's login."""

    name = "covalent_jupyter"
    version = __version__
    description = "covalent-jupyter: lattices of electrons, dispatched from a notebook"
    load_other_extensions = True
    _link: ServiceLink | None = None
    _tasks: tuple[asyncio.Future[Any], ...] = ()

    def initialize_handlers(self) -> None:
        """Mounts the proxy, having made sure that it cannot be used without logging in."""
        bare = unprotected(ProxyHandler)
        if bare:
            raise RuntimeError(f"these handlers are open to everybody: {', '.join(bare)}")
        link = self._make_link()
        self._link = link
        self.handlers.append((r"covalent/((?!challenge$)[A-Za-z0-9._~%/+:,@-]*)", ProxyHandler, {"link": link}))
        assert self.serverapp is not None
        self._tell_root()
        self.serverapp.io_loop.add_callback(self._begin)

    def _tell_root(self) -> None:
        """Pages hear which folder the server's files lie in: kernels record whole paths of notebooks, pages have what
        is below it, and JupyterLab's own ``serverRoot`` may begin with ``~``."""
        assert self.serverapp is not None
        root = getattr(self.serverapp.contents_manager, "root_dir", self.serverapp.root_dir)
        page: dict[str, Any] = self.serverapp.web_app.settings.setdefault("page_config_data", {})
        page["covalentRoot"] = Path(root).expanduser().absolute().as_posix()

    def given_settings(self) -> dict[str, Any]:
        """Settings that Jupyter's configuration gives, checked."""
        defaults = {name: option.default for name, option in config.OPTIONS.items()}
        given = {name: getattr(self, name) for name in defaults if name in self.trait_names()}
        return {
            name: config.check(name, value, "c.Covalent") for name, value in given.items() if value != defaults[name]
        }

    def _make_link(self) -> ServiceLink:
        try:
            given = self.given_settings()
            settings = {**config.load(), **given}
        except ConfigError as error:
            self.log.error("covalent: %s. The defaults are used.", error)
            given, settings = {}, {name: option.default for name, option in config.OPTIONS.items()}
        self._settings = settings
        store_dir = settings["store_dir"]
        folder = Path(store_dir).expanduser().absolute() if store_dir else default_store_dir()
        variables = config.environment({k: v for k, v in given.items() if k != "store_dir"})
        return ServiceLink(folder, self.log, variables=variables, restart=settings["restart"] == "always")

    def _begin(self) -> None:
        link = self._link
        if link is None or self.serverapp is None:
            return
        activity = (
            self.serverapp.web_app.settings.get("last_activity_times") if self._settings["hub_activity"] else None
        )
        self._tasks = (
            asyncio.ensure_future(link.begin(self._settings["start_at_load"])),
            asyncio.ensure_future(link.watch(activity)),
        )

    async def stop_extension(self) -> None:
        """Lets go of the service and leaves it running."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._link is not None:
            self._link.close()


def extension_points() -> list[dict[str, Any]]:
    """What ``_jupyter_server_extension_points`` gives."""
    return [{"module": "covalent_jupyter", "app": CovalentApp}]


def labextension_paths() -> list[dict[str, str]]:
    """What ``_jupyter_labextension_paths`` gives."""
    return [{"src": "labextension", "dest": "covalent-jupyter"}]
