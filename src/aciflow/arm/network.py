"""httpx clients for the network, with the proxies and certificate authorities of the environment."""

from __future__ import annotations

import os
import ssl

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx

from aciflow.errors import ConfigurationError


if TYPE_CHECKING:
    from collections.abc import Mapping

    from aciflow.arm.settings import ArmSettings


__all__ = ["async_client", "ssl_context", "sync_client", "trusted"]

#: requests (and so az, msal and the SDKs' own transport) read the first two, httpx the others.
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def ssl_context(environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """
    A context that trusts what the environment says, so that ARM calls work where getting a token does.

    ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``, ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, each a file or a
    directory; all that are set are trusted, and they alone. None set: certifi's.

    Raises:
        ConfigurationError: A variable names what is not there, or no certificates.
    """
    named = {name: environ[name] for name in _BUNDLES if environ.get(name)}
    if not named:
        return httpx.create_ssl_context(trust_env=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # names checked, nobody trusted yet
    for name, path in named.items():
        directory = Path(path).is_dir()
        try:
            context.load_verify_locations(
                cafile=None if directory else path, capath=path if directory else None
            )
        except OSError as error:  # ssl.SSLError is one
            raise ConfigurationError(f"{name}={path}: no certificates there: {error}") from None
    return context


def trusted(settings: ArmSettings) -> ssl.SSLContext | Literal[False]:
    """Whose certificates an endpoint's settings accept; ``False``: anybody's."""
    if settings.verify is True:
        return ssl_context()
    if isinstance(settings.verify, str):
        return ssl.create_default_context(cafile=settings.verify)
    return settings.verify


def _arguments(settings: ArmSettings, wire: Any) -> dict[str, Any]:
    if wire is not None:
        return {"transport": wire, "trust_env": False}
    return {"verify": trusted(settings), "trust_env": True}


def _proxy_problem(error: Exception) -> ConfigurationError:
    # the text of these errors may hold the proxy's password
    if isinstance(error, ImportError):
        return ConfigurationError("a SOCKS proxy is configured, which needs: pip install socksio")
    return ConfigurationError(
        "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is no URL of a proxy (http://host:port)"
    )


def sync_client(settings: ArmSettings) -> httpx.Client:
    """
    A client over the settings' wire, or the network.

    Raises:
        ConfigurationError: The environment names a proxy or certificates that cannot be used.
    """
    arguments = _arguments(settings, settings.transport)
    problem: Exception
    try:
        return httpx.Client(follow_redirects=False, **arguments)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        problem = error
    raise _proxy_problem(problem)


def async_client(settings: ArmSettings) -> httpx.AsyncClient:
    """The same, async."""
    arguments = _arguments(settings, settings.async_transport)
    problem: Exception
    try:
        return httpx.AsyncClient(follow_redirects=False, **arguments)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        problem = error
    raise _proxy_problem(problem)
