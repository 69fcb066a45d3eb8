"""The three ways to an address, and picking free ones."""

from __future__ import annotations

import socket

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

import pytest

from hypothesis import example, given
from hypothesis import strategies as st
from tests.engine.conftest import Rig, fetch, listening

from aciflow.local.protocol import Exited, SandboxFailed, SandboxReady, StopContainer
from aciflow.local.runtime.engine import subnets


@pytest.mark.engine
def test_auto_is_a_bridge_where_this_machine_routes_to_it(rigs: Callable[..., Rig]) -> None:
    """On Linux with an engine of its own a group gets a real address."""
    rig = rigs(addresses="auto")
    uid = rig.open(80)
    rig.run(uid)
    assert not rig.ip(uid).startswith("127.")
    assert b"hello from a container\n" == fetch(rig.ip(uid), 80)


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


networks = st.builds(
    lambda number, length: IPv4Network((number, length), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(8, 30),
)


@given(st.lists(networks, max_size=20), st.text(max_size=8))
def test_a_candidate_is_private_and_overlaps_nothing(taken: list[IPv4Network], seed: str) -> None:
    """Whatever is taken, no candidate touches it."""
    for network, _ in zip(subnets.candidates(taken, seed), range(5), strict=False):
        assert network.is_private
        assert not any(network.overlaps(other) for other in taken)


def test_there_is_a_candidate_although_a_vpn_takes_all_of_10() -> None:
    """Another private range is used then."""
    taken = [IPv4Network("10.0.0.0/8")]
    assert not next(subnets.candidates(taken, "x")).overlaps(taken[0])


@given(st.sets(st.integers(2, 14)), st.integers(1, 14))
@example(set(range(2, 15)), 5)
def test_addresses_go_round_and_skip_what_is_used(used: set[int], after: int) -> None:
    """The next free number behind the last one; the gateway and the broadcast never."""
    network = IPv4Network("10.9.8.0/28")
    taken = {f"10.9.8.{number}" for number in used}
    if len(used) == 13:
        with pytest.raises(LookupError, match="in use"):
            subnets.host_address(network, taken, after)
        return
    address, number = subnets.host_address(network, taken, after)
    assert address not in taken
    assert address == f"10.9.8.{number}"
    assert 2 <= number <= 14


def test_every_address_of_a_network_can_be_given_out() -> None:
    """As many groups as the network has addresses, less its own three."""
    network = IPv4Network("10.9.8.0/29")
    used: list[str] = []
    last = 1
    for _ in range(5):
        address, last = subnets.host_address(network, used, last)
        used.append(address)
    assert {f"10.9.8.{number}" for number in range(2, 7)} == set(used)


@given(st.text(max_size=12))
def test_loopback_addresses_are_loopback_and_nobodys(uid: str) -> None:
    """All are in 127.64.0.0/10, and different."""
    found = list(subnets.loopback_addresses(uid, set()))
    assert len(set(found)) == len(found) > 1
    assert all(IPv4Address(address) in IPv4Network("127.64.0.0/10") for address in found)
    assert found[1:] == list(subnets.loopback_addresses(uid, {found[0]}))


def test_routes_are_read_as_the_kernel_writes_them() -> None:
    """Hexadecimal in little-endian order; the default route is left out."""
    table = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert [IPv4Network("172.17.0.0/16")] == subnets.parse_routes(table)
