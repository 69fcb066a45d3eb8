"""
Tokens: made once, kept, and asked for by one caller at a time.

The SDKs' own policies each keep a token of their own, and a credential like ``AzureCliCredential``
starts a process each time it is asked, so all clients of a gateway share one source.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from aciflow.errors import AciflowError, ConfigurationError, CredentialError


__all__ = [
    "AsyncTokenSource",
    "SecretCredential",
    "TokenSource",
    "async_source_of",
    "default_credential",
    "source_of",
]

#: Seconds before its end at which a token is renewed (azure-core's figure).
MARGIN = 300.0
#: Seconds until the next attempt, where a renewal failed and the token is good meanwhile: each may take a
#: while, and every request would wait for it.
PAUSE = 20.0
PUBLIC_AUTHORITY = "https://login.microsoftonline.com"
_TOKEN = re.compile(r"[\x21-\x7e]+")

_REMEDY = (
    "sign in with `az login`, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, "
    "or pass credential="
)


class TokenSource:
    """
    A credential that remembers.

    Args:
        make: Makes the credential behind it, at the first token.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._inner: Any = None
        self._tokens: dict[tuple[str, ...], Any] = {}
        self._paused: dict[tuple[str, ...], float] = {}  # until when, on the monotonic clock
        self._lock = threading.Lock()

    def cached(self, scopes: tuple[str, ...]) -> Any:
        """The token that is there and need not be renewed now, or ``None``."""
        paused = time.monotonic() < self._paused.get(scopes, 0.0)
        return self._lasting(scopes, 0.0 if paused else MARGIN)

    def spare(self, scopes: tuple[str, ...]) -> Any:
        """After a renewal that failed: the old token, as long as it is good, or ``None``."""
        self._paused[scopes] = time.monotonic() + PAUSE
        return self._lasting(scopes, 0.0)

    def _lasting(self, scopes: tuple[str, ...], seconds: float) -> Any:
        token = self._tokens.get(scopes)
        return token if token is not None and token.expires_on - time.time() > seconds else None

    def get_token(self, *scopes: str, claims: str | None = None, **kwargs: Any) -> Any:
        """
        A token, from memory where one is good for another five minutes, or for less and not to be renewed.

        Raises:
            CredentialError: The credential gave none, and none is left.
        """
        if claims is None and (token := self.cached(scopes)) is not None:
            return token
        with self._lock:  # who waited finds the token of who came first
            if claims is None and (token := self.cached(scopes)) is not None:
                return token
            failure: Exception
            try:
                if self._inner is None:
                    self._inner = self._make()
                extra = {} if claims is None else {"claims": claims}
                token = self._inner.get_token(*scopes, **extra, **kwargs)
            except AciflowError:
                raise
            except Exception as error:
                if claims is None and (token := self.spare(scopes)) is not None:
                    return token  # an outage is no reason to end what has run for hours
                failure = error
            else:
                if hasattr(token, "__await__"):
                    token.close()
                    raise ConfigurationError(
                        "credential= is an async one; give aciflow.aio that, and a sync one here"
                    )
                self.keep(scopes, token)
                return token
        raise CredentialError(explain(failure))

    def keep(self, scopes: tuple[str, ...], token: Any) -> None:
        """
        Remember a token.

        Raises:
            CredentialError: No header could carry it. (HTTP's own error would show it.)
        """
        if _TOKEN.fullmatch(token.token) is None:
            raise CredentialError(
                "the credential gave something that is no token: it is empty, or has spaces, line breaks "
                "or characters beyond ASCII, as where a file was read to its last line break"
            )
        self._tokens[scopes] = token
        self._paused.pop(scopes, None)

    def forget(self) -> None:
        """Drop what is remembered: the service refused it."""
        self._tokens.clear()


class SecretCredential:
    """
    An application's secret, shown to one authority alone.

    ``azure.identity.ClientSecretCredential`` asks login.microsoftonline.com whether it may trust an
    authority that it does not know; a local endpoint's it never knows.

    Args:
        authority: Scheme, host and port.
        tenant_id: The tenant.
        client_id: The application.
        client_secret: Its secret.
    """

    def __init__(
        self, authority: str, *, tenant_id: str, client_id: str, client_secret: str
    ) -> None:
        self._authority = authority
        self._tenant_id = tenant_id
        self._client_id = client_id
        self._client_secret = client_secret

    def get_token(self, *scopes: str, **_: Any) -> Any:
        """
        A new token (OAuth 2.0's client credentials, RFC 6749, 4.4).

        Raises:
            CredentialError: The authority cannot be reached, or refuses.
        """
        from urllib.parse import quote

        import httpx

        from azure.core.credentials import AccessToken

        from aciflow.arm.network import ssl_context

        asked = int(time.time())
        url = f"{self._authority}/{quote(self._tenant_id, safe='')}/oauth2/v2.0/token"
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "scope": " ".join(scopes),
        }
        # What httpx raises holds the request, and the request holds the secret.
        said = ""
        try:
            with httpx.Client(verify=ssl_context(), follow_redirects=False) as client:
                reply = client.post(url, data=form)
            body = reply.json()
            if reply.status_code == 200:
                return AccessToken(str(body["access_token"]), asked + int(body["expires_in"]))
            said = str(body.get("error_description") or body.get("error"))
        except (httpx.HTTPError, OSError) as error:
            said = f"it cannot be reached: {str(error) or type(error).__name__}"
        except (ValueError, LookupError, TypeError, AttributeError):
            said = "it answered with no token"
        raise CredentialError(f"no token from {self._authority}: {said.partition(' Trace ID:')[0]}")

    def close(self) -> None:
        """Nothing to close."""

    def __repr__(self) -> str:
        return f"<SecretCredential of {self._client_id} at {self._authority}>"


class AsyncTokenSource:
    """
    The same for async callers.

    A sync credential is asked in a thread, which makes ``azure.identity.aio`` (and its aiohttp)
    needless; an async one is awaited.
    """

    def __init__(self, source: TokenSource, credential: Any = None) -> None:
        self._source = source
        self._credential = credential
        self._lock = asyncio.Lock()

    def cached(self, scopes: tuple[str, ...]) -> Any:
        """The token that is there and need not be renewed now, or ``None``."""
        return self._source.cached(scopes)

    async def get_token(self, *scopes: str, claims: str | None = None, **kwargs: Any) -> Any:
        """
        A token, from memory where one is good for another five minutes, or for less and not to be renewed.

        Raises:
            CredentialError: The credential gave none, and none is left.
        """
        if claims is None and (token := self._source.cached(scopes)) is not None:
            return token
        async with self._lock:
            if self._credential is None:
                return await asyncio.to_thread(
                    self._source.get_token, *scopes, claims=claims, **kwargs
                )
            if claims is None and (token := self._source.cached(scopes)) is not None:
                return token
            extra = {} if claims is None else {"claims": claims}
            failure: Exception
            try:
                token = await self._credential.get_token(*scopes, **extra, **kwargs)
            except AciflowError:
                raise
            except Exception as error:
                if claims is None and (token := self._source.spare(scopes)) is not None:
                    return token
                failure = error
            else:
                self._source.keep(scopes, token)
                return token
        raise CredentialError(explain(failure))

    def forget(self) -> None:
        """Drop what is remembered: the service refused it."""
        self._source.forget()


_defaults: dict[str, TokenSource] = {}
_defaults_lock = threading.Lock()


def default_credential(authority: str = PUBLIC_AUTHORITY) -> TokenSource:
    """
    The process's ``DefaultAzureCredential``; azure.identity is imported at its first token.

    Args:
        authority: The cloud's sign-in host.
    """

    def make() -> Any:
        from azure.identity import DefaultAzureCredential

        return DefaultAzureCredential(authority=authority)

    with _defaults_lock:
        return _defaults.setdefault(authority, TokenSource(make))


def source_of(credential: Any) -> TokenSource:
    """The source that a credential is, or becomes; ``None`` is the process's default."""
    if credential is None:
        return default_credential()
    if isinstance(credential, TokenSource):
        return credential
    if not callable(getattr(credential, "get_token", None)):
        raise ConfigurationError(
            f"credential= needs an object with get_token(), as azure-identity has, "
            f"not {type(credential).__name__}"
        )
    return TokenSource(lambda: credential)


def async_source_of(credential: Any) -> AsyncTokenSource:
    """The same for async callers, of a sync or an async credential."""
    source = source_of(credential)
    if iscoroutinefunction(getattr(credential, "get_token", None)):
        return AsyncTokenSource(source, credential)
    return AsyncTokenSource(source)


#: "EnvironmentCredential authentication unavailable. " says nothing that its place in a list does not.
_SAME = re.compile(r"^\w+Credential (authentication )?unavailable\. *")
_TRIED = re.compile(r"^\t(\w+Credential): *(.*)$", re.MULTILINE)


def explain(error: Exception) -> str:
    """
    A credential's failure in a few lines.

    ``DefaultAzureCredential`` writes two lines and a link for each of the nine it tries; one short line
    each is kept.
    """
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    tried = _TRIED.findall(text)
    if tried:
        lines = [f"  {name}: {_sentence(_SAME.sub('', said), ends='. ')}" for name, said in tried]
        head = "no credential gave a token; tried"
        return "\n".join([f"{head}:", *lines, _REMEDY])
    return f"the credential gave no token: {_sentence(text, 300)}\n{_REMEDY}"


def _sentence(text: str, limit: int = 100, ends: str = "\n") -> str:
    first = text.strip().split(ends)[0].rstrip() or "no reason given"
    return first if len(first) <= limit else first[: limit - 1].rstrip() + "…"
