"""The service behind Jupyter's login."""

from __future__ import annotations

from tests.extension.conftest import Fetch


def test_the_rest_interface_is_mounted_and_starts_the_service(fetch: Fetch) -> None:
    answer = fetch("health")
    assert answer.status == 200
    assert answer.json()["ok"]
