"""Whom a client of the endpoint trusts, and for how long."""

from __future__ import annotations

import os
import re
import socket
import ssl
import stat

from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import pytest

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from aciflow.local import LocalAzure
from aciflow.local.served.authority import Authority, write_bundle
from aciflow.local.served.server import Served


def _leaf(served: Served, name: str) -> x509.Certificate:
    """What the server shows a client that asks for ``name``, checked as a strict client does."""
    context = ssl.create_default_context(cafile=str(served.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # Python's own from 3.13 on
    with (
        socket.create_connection(("127.0.0.1", served.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


def _names(certificate: x509.Certificate) -> set[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {
        *found.get_values_for_type(x509.DNSName),
        *map(str, found.get_values_for_type(x509.IPAddress)),
    }


def _certificates(path: Path) -> list[str]:
    return re.findall("-----BEGIN CERTIFICATE-----[^-]+", path.read_text())


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_the_leaf_is_good_for_loopback(served: Served, name: str) -> None:
    """By each of its names, for servers only, for at most 397 days, and already valid."""
    leaf = _leaf(served, name)

    assert _names(leaf) == {"localhost", "127.0.0.1", "::1"}
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=397)
    assert leaf.not_valid_before_utc < datetime.now(UTC) - timedelta(minutes=30)


@pytest.mark.parametrize("name", ["management.azure.com", "login.microsoftonline.com"])
def test_azures_names_are_answered_for_only_when_told_to(local: LocalAzure, name: str) -> None:
    """Without ``intercept`` the client is shown another name and refuses."""
    with local.serve() as plain, pytest.raises(ssl.SSLCertVerificationError):
        _leaf(plain, name)
    with local.serve(intercept=True) as served:
        assert name in _names(_leaf(served, name))
        assert "localhost" in _names(_leaf(served, "localhost"))


def test_a_named_host_is_in_the_leaf(local: LocalAzure) -> None:
    """With the secret that it needs."""
    with local.serve("0.0.0.0", secret="s3cret") as served:
        assert {"0.0.0.0", socket.gethostname().lower()} <= _names(_leaf(served, "localhost"))


def test_nothing_follows_the_handshake_but_what_was_asked_for(served: Served) -> None:
    """No session tickets: clients that select() before they read would wait for what is none."""
    context = ssl.create_default_context(cafile=str(served.ca_file))
    with (
        socket.create_connection(("127.0.0.1", served.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 ")
        assert connection.version() == "TLSv1.3"
        assert connection.session is None or not connection.session.has_ticket


def test_nobody_else_is_trusted(served: Served, local: LocalAzure) -> None:
    """The system's roots alone do not accept it, nor does another endpoint's CA."""
    with local.serve() as other:
        for stranger in (Path(certifi.where()), other.ca_file):
            context = ssl.create_default_context(cafile=str(stranger))
            with (
                socket.create_connection(("127.0.0.1", served.port), timeout=30) as plain,
                pytest.raises(ssl.SSLCertVerificationError),
            ):
                context.wrap_socket(plain, server_hostname="localhost")


def test_no_key_is_written(served: Served) -> None:
    """What is on disk is private to the user, and has certificates only."""
    directory = served.ca_file.parent

    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in directory.iterdir():
        if path.is_file():
            assert "PRIVATE KEY" not in path.read_text()
    assert stat.S_IMODE(served.ca_file.stat().st_mode) == 0o600


def test_the_bundle_has_what_the_machine_trusts(tmp_path: Path) -> None:
    """The system's roots, or those that the user has named, and ours once."""
    own = Authority().pem
    system, named = tmp_path / "system.pem", tmp_path / "named.pem"
    mine = tmp_path / "mine.pem"
    mine.write_text(Authority().pem + Authority().pem)

    write_bundle(system, own, {})
    write_bundle(named, own, {"REQUESTS_CA_BUNDLE": str(mine), "SSL_CERT_FILE": str(mine)})

    assert len(_certificates(system)) > 50
    assert own.strip() in system.read_text()
    assert len(_certificates(named)) == 3
    assert ssl.create_default_context(cafile=str(named)).cert_store_stats()["x509_ca"] == 3


def test_a_bundle_that_is_not_there_is_no_trust(tmp_path: Path) -> None:
    """A variable that names nothing does not leave the client with us alone."""
    path = tmp_path / "bundle.pem"

    write_bundle(path, Authority().pem, {"SSL_CERT_FILE": os.fspath(tmp_path / "nowhere")})

    assert len(_certificates(path)) > 50
