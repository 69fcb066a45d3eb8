"""The load benchmark."""

from __future__ import annotations

import json

import pytest

from aciflow.cli import main


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_part_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """Polling, pauses, both servers in turns and the endpoint in process have their figures."""
    assert main(["bench", "load", "--seconds", "1", "--rounds", "1", "--json"]) == 0

    measured = json.loads(capsys.readouterr().out)
    polling = measured["polling"]
    assert (polling["clients"], polling["groups"]) == (50, 200)
    assert polling["requests"] >= 50
    assert 0 < polling["p50_ms"] <= polling["p99_ms"]
    assert measured["pauses"]["requests"] == 300
    assert len(measured["ready"]["samples"]["uvicorn_s"]) == 1
    assert len(measured["in_process"]["samples_s"]) == 1
