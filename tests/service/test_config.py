"""Settings: where they come from, which one wins, and what is wrong with those that are wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from traitlets.config import Config

from covalent_jupyter import config
from covalent_jupyter.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path, jupyter_dirs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Jupyter's configuration folder, empty."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    config.reload_config()
    yield tmp_path
    monkeypatch.undo()
    config.reload_config()


def test_later_sources_win(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.get_config("executor") == "dask"
    (folder / "covalent_config.py").write_text('c.Covalent.executor = "from-python"\nc.Covalent.dask_n_workers = 2\n')
    config.reload_config()
    assert (config.get_config("executor"), config.get_config("dask_n_workers")) == ("from-python", 2)
    (folder / "covalent_config.json").write_text('{"Covalent": {"executor": "from-json"}}')
    config.reload_config()
    assert config.get_config("executor") == "from-json"
    monkeypatch.setenv("COVALENT_EXECUTOR", "from-environment")
    monkeypatch.setenv("COVALENT_JUPYTER_URL", "http://host:1/")
    assert config.get_config("executor") == "from-environment"
    assert config.load().sources["url"] == "COVALENT_JUPYTER_URL"
    config.set_config(executor="local", persist=False)
    assert config.load().executor == "local"
    config.reload_config()
    assert config.get_config("executor") == "from-environment"


def test_set_config_writes_privately_and_keeps_what_others_wrote(folder: Path) -> None:
    file = folder / "covalent_config.json"
    file.write_text('{"Other": {"a": 1}, "Covalent": {"idle_timeout": 5}}')
    config.set_config({"dask": {"num_workers": 3}, "token": "secret"})
    config.set_config("executor", "local")
    assert file.stat().st_mode & 0o077 == 0
    assert json.loads(file.read_text()) == {
        "Other": {"a": 1},
        "Covalent": {"idle_timeout": 5, "dask_n_workers": 3, "token": "secret", "executor": "local"},
    }
    config.reload_config()
    assert config.get_config("dask.n_workers") == 3
    assert config.load().public()["token"] == "***"
    config.set_config(executor=None)
    assert config.get_config("executor") == "dask"


def test_several_settings_at_once(folder: Path) -> None:
    assert config.get_config(["executor", "dask.num_workers"]) == {"executor": "dask", "dask.num_workers": None}
    with pytest.raises(ConfigError, match="Did you mean"):
        config.get_config(["executr"])


def test_mistakes_name_the_way_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'idle_timeout'"):
        config.get_config("idle_timout")
    with pytest.raises(ConfigError, match="no executor 'lcal'. Did you mean 'local'.*COVALENT_EXECUTOR"):
        config.set_config(executor="lcal")
    for wrong in (
        {"executor": "a/b"},
        {"executor": ""},
        {"idle_timeout": "x"},
        {"idle_timeout": -1},
        {"restart": "sometimes"},
        {"dask_cluster_kwargs": []},
        {"dask_address": "nowhere"},
    ):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            config.set_config(wrong)
    assert not (folder / "covalent_config.json").exists()
    monkeypatch.setenv("COVALENT_IDLE_TIMEOUT", "soon")
    with pytest.raises(ConfigError, match="COVALENT_IDLE_TIMEOUT"):
        config.load()
    monkeypatch.delenv("COVALENT_IDLE_TIMEOUT")
    for name, text in (("covalent_config.json", "{"), ("covalent_config.json", "[]"), ("covalent_config.py", "1/0")):
        (folder / name).write_text(text)
        with pytest.raises(ConfigError, match=name):
            config.reload_config()
        (folder / name).unlink()


def test_every_setting_survives_the_way_through_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "idle_timeout": 7.5,
        "dask_cluster_kwargs": {"a": [1]},
        "hub_activity": False,
        "executor": "local",
        "body_cap": 1 << 21,
    }
    variables = config.environment({**given, "token": "secret"})
    assert not [v for v in variables.values() if "secret" in v]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    loaded = config.load()
    assert {name: loaded[name] for name in given} == given


def test_traitlets_know_every_setting(folder: Path) -> None:
    configured = config.configurable()(config=Config({"Covalent": {"dask_n_workers": 4}}))
    assert configured.dask_n_workers == 4
    assert set(config.OPTIONS) <= set(configured.trait_names(config=True))
    assert config.from_traitlets(Config({"Covalent": {"restart": "never"}})) == {"restart": "never"}


def test_importing_is_light() -> None:
    code = (
        "import sys, covalent_jupyter.config, covalent_jupyter.launch; "
        "print([m for m in ('traitlets', 'tornado', 'duckdb') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
