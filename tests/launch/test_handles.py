"""What a handle shows, and when it looks; on a simulated endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from tests.launch.test_books import azure, both

import aciflow

from aciflow.local import LocalAzure


__all__ = ["azure", "both"]


def test_the_timeline_is_the_launchs(both: Any) -> None:
    """What comes after it does not change it."""
    group = both.launch("nginx", name="web", public_ip=True)
    before = group.timeline.to_dict()
    assert "pull" in str(group.timeline)
    for change in (group.refresh, group.restart, group.stop, group.start, group.refresh):
        change()
        assert before == group.timeline.to_dict()


def test_a_restart_before_all_was_known(both: Any) -> None:
    """The times of containers that were started again are not the launch's."""
    group = both.launch("nginx", name="web", wait=False)
    group.wait(aciflow.Ready.running())
    before = group._facts.timeline().to_dict()
    group.restart()
    group.refresh()
    assert before["phases"] == group._facts.timeline().to_dict()["phases"]


def test_showing_one_reads_nothing(azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its repr is what was last seen, also where that is stale, and so is the end of ``delete()``."""
    with azure.client() as client:
        group = client.launch("nginx", name="web", public_ip=True)
        seen = group._state
        early = {"provisioningState": "Creating", "instanceView": {}}
        raw = {**seen.raw, "properties": {**seen.raw["properties"], **early}}
        group._state = type(seen).from_arm(raw)
        read: list[Any] = []
        with monkeypatch.context() as patch:
            patch.setattr(client, "_read", read.append)
            patch.setattr(client, "_delete", lambda _: None)
            assert "'web', Creating" in repr(group)
            group._owns_client = True
            group.delete()
        assert [] == read
        assert "Running" == group.state
