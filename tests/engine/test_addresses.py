"""The three ways to an address, and picking free ones."""

from __future__ import annotations

import socket

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import pytest

from hypothesis import given
from hypothesis import strategies as st
from tests.engine.conftest import Rig, fetch, listening
from tests.images import Engine

from aciflow.local.protocol import Exited, SandboxFailed, SandboxReady, StopContainer
from aciflow.local.runtime.engine.addresses import direct_routes, loopback_addresses
from aciflow.local.runtime.engine.containers import Restarts
from aciflow.local.runtime.engine.groups import Group, Member


@pytest.mark.engine
def test_auto_is_a_bridge_where_this_machine_routes_to_it(rigs: Callable[..., Rig]) -> None:
    """On Linux with an engine of its own a group gets a real address."""
    rig = rigs(addresses="auto")
    uid = rig.open(80)
    rig.run(uid)
    assert not rig.ip(uid).startswith("127.")
    assert b"hello from a container\n" == fetch(rig.ip(uid), 80)


@pytest.mark.engine
def test_a_container_that_comes_back_has_its_address_again(rig: Rig, engine: Engine) -> None:
    """Also where one below has become free. On an engine that others use, they may be quicker."""
    assert any(_comes_back_to_its_address(rig, engine) for _ in range(5))


def _comes_back_to_its_address(rig: Rig, engine: Engine) -> bool:
    lower, uid = rig.open(80), rig.open(80, restarts="on-failure")
    rig.run(lower)
    container = rig.run(uid).container_id
    ip = rig.ip(uid)
    rig.close(lower)
    for attempt in (1, 2):
        engine.request("POST", f"/containers/{container}/kill")
        assert 137 == rig.wait(Exited, uid=uid, attempt=attempt - 1).exit_code
        container = rig.run(uid, attempt=attempt).container_id
        other = rig.open(80)
        rig.run(other)
        assert b"hello from a container\n" == fetch(rig.ip(uid), 80)
        assert rig.ip(uid) != rig.ip(other)
    assert 1 == sum("pause" in name for name in engine.labelled(f"aciflow.uid={uid}"))
    same = {None, ip} == _told(rig, uid)
    rig.close(uid)
    assert {} == engine.labelled(f"aciflow.uid={uid}")
    return same


def _told(rig: Rig, uid: str) -> set[str | None]:
    return {one.ip for one in rig.seen if isinstance(one, SandboxReady) and one.uid == uid}


@pytest.mark.engine
@pytest.mark.parametrize(
    ("restarts", "script"), [("never", "exit 1"), ("on-failure", "exit 0"), ("always", "sleep 60")]
)
def test_nobody_holds_the_address_of_what_has_ended_for_good(
    rig: Rig, engine: Engine, restarts: Restarts, script: str
) -> None:
    """Its policy says that it does not come back, or it was told to stop."""
    uid = rig.open(80, restarts=restarts)
    rig.shell(uid, script)
    if script.startswith("sleep"):
        rig.runtime.execute(StopContainer(uid=uid, container="c", grace=0.0))
    rig.wait(Exited, uid=uid)
    rig.shell(uid, "true", attempt=1)  # waits for a pause container that is on its way
    assert not any("pause" in name for name in engine.labelled(f"aciflow.uid={uid}"))


@pytest.mark.engine
def test_an_address_that_somebody_else_has_got_is_replaced_and_told(
    rig: Rig, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The container comes back at another address, and the endpoint hears of it before."""
    uid = rig.open(80, restarts="always")
    container = rig.run(uid).container_id
    old = rig.ip(uid)
    others = [rig.open(80) for _ in range(4)]
    hold = rig.runtime._sandboxes.hold

    def too_late(group: Group, ended: Member) -> None:
        for other in others:
            rig.run(other)
            if IPv4Address(rig.ip(other)) >= IPv4Address(old):
                break
        hold(group, ended)

    monkeypatch.setattr(rig.runtime._sandboxes, "hold", too_late)
    engine.request("POST", f"/containers/{container}/kill")
    rig.wait(Exited, uid=uid)
    started = rig.run(uid, attempt=1)
    assert old != rig.ip(uid)
    assert b"hello from a container\n" == fetch(rig.ip(uid), 80)
    told = [one for one in rig.seen if one in (started, rig.wait(SandboxReady, ip=rig.ip(uid)))]
    assert started is told[-1]


@pytest.mark.engine
def test_loopback_gives_each_group_the_port_it_asked_for(rigs: Callable[..., Rig]) -> None:
    """Two groups serve port 80, each on its own address of 127.0.0.0/8, also after a restart."""
    rig = rigs(addresses="loopback")
    first, second = rig.open(80), rig.open(80)
    rig.run(first)
    rig.run(second)
    assert rig.ip(first) != rig.ip(second)
    for uid in (first, second):
        assert rig.ip(uid).startswith("127.")
        assert b"hello from a container\n" == fetch(rig.ip(uid), 80)
    rig.runtime.execute(StopContainer(uid=first, container="c", grace=0.0))
    rig.wait(Exited, uid=first)
    rig.run(first, attempt=1)
    assert b"hello from a container\n" == fetch(rig.ip(first), 80)
    rig.close(first)
    assert not listening(rig.ip(first), 80)


@pytest.mark.engine
def test_loopback_names_the_port_that_somebody_holds(rigs: Callable[..., Rig]) -> None:
    """A listener on all addresses blocks every one of them."""
    rig = rigs(addresses="loopback")
    with socket.create_server(("0.0.0.0", 0)) as holder:
        port = holder.getsockname()[1]
        rig.ask("blocked", port)
        assert f"port {port}/TCP is taken" in rig.wait(SandboxFailed, uid="blocked").message


@pytest.mark.engine
def test_mapped_ports_are_told_and_outlive_a_restart(rigs: Callable[..., Rig]) -> None:
    """127.0.0.1 and a free port for each, also for a group of one container."""
    rig = rigs(addresses="mapped")
    uid = rig.open(80, 81)
    ready = rig.wait(SandboxReady, uid=uid)
    assert {80, 81} == set(ready.mapped)
    host, port = ready.mapped[80]
    assert "127.0.0.1" == host == ready.ip
    rig.run(uid)
    assert b"hello from a container\n" == fetch(host, port)
    rig.runtime.execute(StopContainer(uid=uid, container="c", grace=0.0))
    rig.wait(Exited, uid=uid)
    rig.run(uid, attempt=1)
    assert b"hello from a container\n" == fetch(host, port)


@given(st.text(max_size=12))
def test_loopback_addresses_are_loopback_and_nobodys(uid: str) -> None:
    """All are in 127.64.0.0/10, and different."""
    found = list(loopback_addresses(uid, set()))
    assert len(set(found)) == len(found) > 1
    assert all(IPv4Address(address) in IPv4Network("127.64.0.0/10") for address in found)
    assert found[1:] == list(loopback_addresses(uid, {found[0]}))


def test_routes_are_read_as_the_kernel_writes_them() -> None:
    """Hexadecimal in little-endian order; what is behind a gateway is not this machine's own."""
    table = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "eth0\t000012AC\t010200C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert [IPv4Network("172.17.0.0/16")] == direct_routes(table)
