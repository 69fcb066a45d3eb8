"""What is not known about the service: each question is answered by a scenario, if it can be."""

from __future__ import annotations

from collections.abc import Mapping


__all__ = ["QUESTIONS"]


QUESTIONS: Mapping[str, str] = {
    "put-existing": "PUT on an existing group: 200 or 201?",
    "put-changes": "What may a PUT change in an existing group, and what needs delete and create?",
    "start-status": "start: 202 or 204, and which headers?",
    "delete-status": "DELETE: 200, 202 or 204; of a group that is gone?",
    "throttled": "ACI's own 429: code, body, Retry-After?",
    "refusals": "The HTTP statuses and codes of what the service refuses?",
    "fqdn-hash": "The hash in an FQDN with a reuse scope: its alphabet and length; the same again?",
    "size-limit": "31 or 32 vCPU, 240 or 256 GB at most?",
    "small-group": "Is a group below 1 vCPU or 1 GB refused?",
    "versions": "What do 2024-05-01-preview, 2025-09-01 and 2026-06-01-preview show beyond 2023-05-01?",
    "events": "The texts of Failed, FailedMount, Unhealthy, Killing and BackOff events?",
    "group-names": "Are names of groups with capitals taken, as in 2020?",
    "volume-names": "Are volume names of fewer than 5 characters taken?",
    "spot": "Is Spot to be had in this region?",
    "logs-early": "Logs before a container has started: status and code?",
    "logs-stopped": "How much of a log is left when a group is stopped?",
    "exec-arguments": "Does exec keep a command's arguments?",
    "exec-missing": "What does exec show for a command that is not there?",
    "attach-password": "Does attach take its password as the first message or as a header?",
    "ip-early": "When does a group's address show?",
    "start-times": "How long do starts take today?",
    "confidential": "Confidential containers: unit prices and regions?",
}
"""Id to question. Which are asked at all is the list in the reference of what nobody has verified."""
