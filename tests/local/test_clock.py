"""The endpoint's clock: real time, unless it is stopped or set forward; and whoever follows it."""

from __future__ import annotations

import json
import math
import threading
import time

from collections.abc import Iterator
from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st
from tests.local.world import TRACE, group

from aciflow.errors import ConfigurationError
from aciflow.local import LocalAzure
from aciflow.local.clock import LocalClock, SharedClock
from aciflow.local.protocol import Request


class _Time:
    """Real time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def local() -> Iterator[LocalAzure]:
    """Pulls at 4 s, starts at 15 s, for ever after."""
    with LocalAzure("simulated", traces=[TRACE]) as made:
        yield made


def ask(local: LocalAzure, method: str, path: str, body: Any = None) -> Any:
    """One request with a new token; path below the subscription."""
    version = "2023-05-01" if "containergroups" in path.lower() else "2021-04-01"
    reply = local.handle(
        Request(
            method=method,
            path=f"/subscriptions/{local.subscription_id}{path}",
            query={"api-version": version},
            headers={"authorization": f"Bearer {local.credential().get_token().token}"},
            body=b"" if body is None else json.dumps(body).encode(),
        )
    )
    assert reply.status < 300, reply.body
    return reply.body


GROUP = "/resourceGroups/rg/providers/Microsoft.ContainerInstance/containerGroups/web"


def _launch(local: LocalAzure, body: Any = None) -> None:
    ask(local, "PUT", "/resourcegroups/rg", {"location": "westus"})
    ask(local, "PUT", GROUP, body or group())


def _state(local: LocalAzure) -> str:
    state: str = ask(local, "GET", GROUP)["properties"]["instanceView"]["state"]
    return state


def test_it_is_real_time_until_it_is_touched() -> None:
    """The same value, and nothing that a runtime reports is changed."""
    real = _Time()
    clock = LocalClock(real)
    assert (clock(), clock.ahead, clock.frozen, clock.changed) == (1000.0, 0.0, False, False)
    real.now += 5
    assert clock() == 1005.0


@given(
    st.lists(
        st.one_of(
            st.just(("freeze", 0.0)),
            st.just(("resume", 0.0)),
            st.tuples(st.just("advance"), st.floats(0, 1e6)),
            st.tuples(st.just("real"), st.floats(0, 1e6)),
        )
    )
)
def test_it_never_goes_back_and_loses_nothing(steps: list[tuple[str, float]]) -> None:
    """Real time counts while it runs, what it was advanced by always, and nothing else."""
    real = _Time()
    clock = LocalClock(real)
    expected, running = 1000.0, True
    for what, seconds in steps:
        before = clock()
        if what == "real":
            real.now += seconds
            expected += seconds if running else 0.0
        elif what == "advance":
            clock.advance(seconds)
            expected += seconds
        else:
            getattr(clock, what)()
            running = what == "resume"
        assert clock() >= before or math.isclose(clock(), before, rel_tol=1e-12)
        assert math.isclose(clock(), expected, rel_tol=1e-9)
        assert clock.frozen is not running


@given(st.floats(0, 1e5), st.floats(0, 1e5))
def test_what_was_is_put_into_its_time(ahead: float, ago: float) -> None:
    """What a real container did a while ago, it did as long ago by this clock, and never in its future."""
    real = _Time()
    clock = LocalClock(real)
    clock.advance(ahead)
    assert math.isclose(clock.instant(real.now - ago), clock() - ago, abs_tol=1e-6)
    clock.freeze()
    real.now += 50
    assert clock.instant(real.now) == clock()


@pytest.mark.parametrize("seconds", [-1, -0.001, math.nan, math.inf])
def test_it_does_not_go_back(seconds: float) -> None:
    """Nothing that was decided can be undone."""
    with pytest.raises(ConfigurationError, match="goes forward"):
        LocalClock().advance(seconds)


def test_the_shared_endpoints_clock_cannot_be_set() -> None:
    """Other programs use that endpoint, too."""
    clock = SharedClock()
    for change in (clock.freeze, clock.resume, lambda: clock.advance(1)):
        with pytest.raises(ConfigurationError, match="LocalAzure"):
            change()
    assert abs(clock() - time.time()) < 60


def test_a_group_starts_while_the_clock_is_set_forward(local: LocalAzure) -> None:
    """One call takes it through pull and start, at the times that it would have had."""
    local.clock.freeze()
    began = local.clock()
    _launch(local)
    states = []
    for _ in range(4):
        local.clock.advance(5)
        states.append(_state(local))
    view = ask(local, "GET", GROUP)["properties"]["containers"][0]["properties"]["instanceView"]

    assert states == ["Pending", "Running", "Running", "Running"]
    assert local.clock() == began + 20
    started = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began + TRACE["started"]))
    assert view["currentState"]["startTime"].startswith(started)


def test_nothing_happens_while_it_stands_still(local: LocalAzure) -> None:
    """However much real time passes; and it goes on from there."""
    with LocalAzure("simulated", traces=[TRACE], speed=500.0) as fast:
        fast.clock.freeze()
        _launch(fast)
        time.sleep(0.2)  # a hundred simulated seconds
        assert _state(fast) == "Pending"
        fast.clock.resume()
        limit = time.monotonic() + 10
        while _state(fast) != "Running":
            assert time.monotonic() < limit
            time.sleep(0.005)


def test_back_off_follows_it(local: LocalAzure) -> None:
    """Ten minutes of a crash loop in no time: each restart waits longer, as on Azure."""
    crash = {**TRACE, "exits_after": 1.0, "exit_code": 3}
    with LocalAzure("simulated", traces=[crash]) as crashing:
        crashing.clock.freeze()
        _launch(crashing)
        counts = []
        for _ in range(4):
            crashing.clock.advance(150)
            body = ask(crashing, "GET", GROUP)
            view = body["properties"]["containers"][0]["properties"]["instanceView"]
            counts.append(view["restartCount"])
    more = [after - before for before, after in zip([0, *counts], counts, strict=False)]
    assert counts == sorted(counts)
    assert more[0] > more[-1] >= 0  # 10, 20, 40, ... seconds
    assert counts[-1] >= 4


def test_provisioning_times_out_after_half_an_hour(local: LocalAzure) -> None:
    """By the clock, not by the wall."""
    endless = {"pulling": 4.0, "pulled": 1e7, "started": 1e7 + 1}
    with LocalAzure("simulated", traces=[endless]) as never:
        never.clock.freeze()
        _launch(never)
        never.clock.advance(1799)
        before = ask(never, "GET", GROUP)["properties"]["provisioningState"]
        never.clock.advance(2)
        after = ask(never, "GET", GROUP)["properties"]["provisioningState"]
    assert (before, after) == ("Creating", "Failed")


def test_tokens_expire_by_it(local: LocalAzure) -> None:
    """An hour later, one is as good as none; a new one is good."""
    token = local.credential().get_token().token
    request = Request(
        method="GET",
        path=f"/subscriptions/{local.subscription_id}/resourcegroups",
        query={"api-version": "2021-04-01"},
        headers={"authorization": f"Bearer {token}"},
    )
    before = local.handle(request).status
    local.clock.advance(3601)
    assert (before, local.handle(request).status) == (200, 401)
    ask(local, "GET", "/resourcegroups")


def test_a_client_goes_on_after_it_was_set_forward(local: LocalAzure) -> None:
    """Its token is of an hour ago by then; it gets a new one by itself."""
    local.clock.freeze()
    with local.client() as client:
        group = client.launch("nginx", public_ip=True, wait=False)
        local.clock.advance(4000)
        assert group.refresh().state == "Running"
        local.clock.resume()
        local.clock.advance(4000)
        group.delete()
        assert client.list() == ()


def test_a_delete_is_not_held_while_it_stands_still(local: LocalAzure) -> None:
    """What is simulated cannot end then, and nobody should wait for it."""
    local.clock.freeze()
    _launch(local)
    local.clock.advance(20)
    done = threading.Event()

    def delete() -> None:
        ask(local, "DELETE", GROUP)
        done.set()

    threading.Thread(target=delete, daemon=True).start()
    assert done.wait(10)


def test_two_at_once_do_not_disturb_each_other(local: LocalAzure) -> None:
    """Each advance counts once."""
    local.clock.freeze()
    began = local.clock()
    _launch(local)
    threads = [threading.Thread(target=local.clock.advance, args=(10,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert local.clock() == pytest.approx(began + 80)
    assert _state(local) == "Running"


def test_a_closed_endpoint_does_not_hold_its_clock(local: LocalAzure) -> None:
    """Setting it forward has nobody to wait for."""
    _launch(local)
    clock = local.clock
    local.close()
    clock.advance(100_000)
    assert clock.ahead > 99_000
