"""
Liveness and readiness probes of one container: when to ask, and what the answers come to.

Pure. ACI says that its probes behave like Kubernetes', and its defaults are the kubelet's. A probe is
asked for by :class:`~aciflow.local.protocol.RunProbe`; one is under way at a time, and one whose answer
does not come is given up and counts for nothing, as in the kubelet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define

from aciflow.local.protocol import Probe, Probed, ProbeKind


__all__ = ["LOST_AFTER", "PROBE_FIELDS", "Prober", "probe_from", "probes_from"]


PROBE_FIELDS: Mapping[ProbeKind, str] = {"liveness": "livenessProbe", "readiness": "readinessProbe"}
"""ARM's names."""

LOST_AFTER = 10.0
"""Seconds beyond its own time-out after which a probe's answer is not waited for any more."""


def probes_from(container: Mapping[str, Any]) -> dict[ProbeKind, Probe]:
    """The probes of a container's ARM properties, which validation has accepted."""
    found: dict[ProbeKind, Probe] = {}
    for kind, name in PROBE_FIELDS.items():
        probe = probe_from(container.get(name) or {})
        if probe is not None:
            found[kind] = probe
    return found


def probe_from(given: Mapping[str, Any]) -> Probe | None:
    """
    ARM's ``ContainerProbe``, with the kubelet's defaults; a zero is a default too, except for the delay.

    Returns:
        ``None`` where it says neither what to run nor what to get.
    """
    command = tuple((given.get("exec") or {}).get("command") or ())
    get = given.get("httpGet") or {}
    if not command and not get:
        return None
    if command:
        get = {}
    return Probe(
        command=command,
        port=int(get["port"]) if get else None,
        path=get.get("path") or "/",
        scheme="https" if str(get.get("scheme") or "").lower() == "https" else "http",
        headers=tuple(
            (header["name"], header.get("value") or "") for header in get.get("httpHeaders") or ()
        ),
        initial_delay=float(given.get("initialDelaySeconds") or 0),
        period=float(given.get("periodSeconds") or 10),
        failure_threshold=int(given.get("failureThreshold") or 3),
        success_threshold=int(given.get("successThreshold") or 1),
        timeout=float(given.get("timeoutSeconds") or 1),
    )


@define
class Prober:
    """
    The probes of one kind of one container, for one run of it after the other.

    Attributes:
        probe: What to do, and how often.
        number: Of the last probe that was asked for in this run; -1 before the first.
        asked: When that was, as long as its answer is waited for.
        due: When the next one is due; ``None`` while the container does not run.
        failures: In a row.
        successes: In a row.
        passing: What the thresholds make of the answers; ``None`` before they do.
    """

    probe: Probe
    number: int = -1
    asked: float | None = None
    due: float | None = None
    failures: int = 0
    successes: int = 0
    passing: bool | None = None

    def begin(self, at: float) -> None:
        """Its container has started."""
        self.end()
        self.number = -1
        self.failures = self.successes = 0
        self.passing = None
        self.due = at + self.probe.initial_delay

    def end(self) -> None:
        """Its container does not run any more, or is not to."""
        self.asked = self.due = None

    @property
    def wake(self) -> float | None:
        """When :meth:`ask` has something to say."""
        if self.due is None:
            return None
        return self.due if self.asked is None else max(self.due, self._lost_at(self.asked))

    def ask(self, now: float) -> bool:
        """Whether a probe is to be run now; its number is :attr:`number`."""
        wake = self.wake
        if wake is None or wake > now:
            return False
        self.number += 1
        self.asked = now
        self.due = now + self.probe.period
        return True

    def answered(self, seen: Probed) -> bool:
        """
        Take in an answer.

        Returns:
            Whether it was the one that is waited for; others change nothing.
        """
        if self.asked is None or seen.number != self.number:
            return False
        self.asked = None
        if seen.ok:
            self.successes += 1
            self.failures = 0
            if self.successes >= self.probe.success_threshold:
                self.passing = True
        else:
            self.failures += 1
            self.successes = 0
            if self.failures >= self.probe.failure_threshold:
                self.passing = False
        return True

    def _lost_at(self, asked: float) -> float:
        return asked + self.probe.timeout + LOST_AFTER

    def dump(self) -> dict[str, Any]:
        """Everything but the probe itself, as JSON."""
        return {name: getattr(self, name) for name in _PLAIN}

    @classmethod
    def load(cls, probe: Probe, state: Mapping[str, Any]) -> Prober:
        """The inverse of :meth:`dump`."""
        return cls(probe=probe, **state)


_PLAIN = ("number", "asked", "due", "failures", "successes", "passing")
