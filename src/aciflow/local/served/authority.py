"""
A certificate authority that lives as long as its endpoint.

The CA's private key is never written anywhere: it is in this process's memory, signs two leaves, and is
gone with the endpoint. So whoever comes to trust the CA's certificate trusts this one endpoint, and
nobody after it. A leaf's key has to be a file for a moment, since Python's ``ssl`` reads no other.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


__all__ = ["INTERCEPTED", "Authority", "write_bundle"]


INTERCEPTED = ("management.azure.com", "login.microsoftonline.com", "login.windows.net")
"""Hosts of Azure's public cloud that an intercepting endpoint has a leaf for."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LIFETIME = timedelta(days=397)
"""What Apple's and the browsers' clients accept at the most."""

_SKEW = timedelta(hours=1)
"""Clocks of other machines and containers differ a little."""

_PEM = re.compile(
    "-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----.+?-----END (?:TRUSTED |X509 )?CERTIFICATE-----",
    re.DOTALL,
)


class Authority:
    """
    Makes the certificates of one endpoint.

    Attributes:
        pem: The CA's own certificate, PEM.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("aciflow local endpoint")
        self._begin = datetime.now(UTC) - _SKEW
        self._end = self._begin + _LIFETIME
        usage = _usage(sign_certificates=True)
        certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self._key.public_key()
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def context(self, directory: Path, hosts: Sequence[str], *, intercept: bool) -> ssl.SSLContext:
        """
        What a server needs to speak TLS with our leaf.

        Args:
            directory: Private; a leaf's key is there while it is read.
            hosts: Names and addresses beside those of loopback.
            intercept: Also have a leaf for :data:`INTERCEPTED`, for who asks for those by SNI.
        """
        context = self._context(directory, tuple(dict.fromkeys([*_LOOPBACK, *hosts])))
        if intercept:
            others = self._context(directory, INTERCEPTED)

            def choose(
                connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: object
            ) -> None:
                if name is not None and name.lower() in INTERCEPTED:
                    connection.context = others

            context.sni_callback = choose
        return context

    def _context(self, directory: Path, hosts: Sequence[str]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # Tickets come after the handshake, as bytes that are no data: a client that looks whether there
        # is something to read, and then reads (websockets' own does), waits for ever. They only save
        # a later handshake, and clients keep their connections.
        context.num_tickets = 0
        path = directory / f"leaf-{os.urandom(8).hex()}.pem"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self._leaf(hosts))
            context.load_cert_chain(path)
        finally:
            path.unlink()
        return context

    def _leaf(self, hosts: Sequence[str]) -> bytes:
        """Key and certificate, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(_name(hosts[0]), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(self._identifier, critical=False)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return private + certificate.public_bytes(serialization.Encoding.PEM)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._begin)
            .not_valid_after(self._end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


def write_bundle(path: Path, own: str, environment: Mapping[str, str]) -> None:
    """
    Write what this machine trusts, and ``own``, into one file.

    A client that is told of a file of certificates trusts nothing else, so it gets the roots that it
    would have had: those the user has named in ``SSL_CERT_FILE`` or the like, else the system's.

    Args:
        path: Is made, 0600.
        own: PEM.
        environment: Where the user's variables are looked up.
    """
    found: dict[str, None] = {}
    for source in _roots(environment):
        try:
            text = source.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found.update(dict.fromkeys(_PEM.findall(text)))
    content = "\n".join([*found, own.strip(), ""])
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)


def _roots(environment: Mapping[str, str]) -> list[Path]:
    """The files of trusted certificates."""
    named = []
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        value = environment.get(variable)
        if value and (path := Path(value)).exists():
            named += sorted(path.iterdir()) if path.is_dir() else [path]
    if named:
        return named
    system = ssl.get_default_verify_paths().cafile
    if system and Path(system).exists():
        return [Path(system)]
    import certifi  # httpx brings it

    return [Path(certifi.where())]


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
