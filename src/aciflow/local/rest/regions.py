"""What ACI says of a region: usages that count, capabilities, cached images."""

from __future__ import annotations

from aciflow.local.protocol import ListImages, Question, Reply
from aciflow.local.rest import errors
from aciflow.local.rest.locations import normal_location
from aciflow.local.rest.quota import usage
from aciflow.local.rest.routing import Call, Route


__all__ = ["ROUTES"]


def _location(call: Call) -> str:
    name = normal_location(call.params["location"])
    if name not in call.state.locations:
        raise errors.location_unavailable(
            call.params["location"],
            "Microsoft.ContainerInstance/locations",
            call.state.locations,
        )
    return name


_USAGES = {
    "ContainerGroups": ("ContainerGroups", "Container Groups"),
    "StandardCores": ("standardCores", "Standard Cores"),
    "StandardSpotCores": ("standardSpotCores", "Standard Spot Cores"),
    "StandardK80Cores": ("standardK80Cores", "Standard K80 Cores"),
    "StandardP100Cores": ("standardP100Cores", "Standard P100 Cores"),
    "StandardV100Cores": ("standardV100Cores", "Standard V100 Cores"),
    "DedicatedContainerGroups": ("DedicatedContainerGroups", "Dedicated Container Groups"),
    "DedicatedCores": ("dedicatedCores", "Dedicated Cores"),
    "ConfidentialContainerGroups": ("ConfidentialContainerGroups", "Dedicated Container Groups"),
    "ConfidentialCores": ("confidentialCores", "Dedicated Cores"),
}
"""Last part of the id, and the localized name; the last two say Dedicated in the recording, too."""


def _usages(call: Call) -> Reply:
    location = _location(call)
    base = (
        f"/subscriptions/{call.state.subscription_id}/providers/Microsoft.ContainerInstance"
        f"/locations/{location}/usages"
    )
    counted = usage(call.state, location)
    return Reply(
        status=200,
        body={
            "value": [
                {
                    "id": f"{base}/{last}",
                    "unit": "Count",
                    "currentValue": int(counted[name][0]),
                    "limit": int(counted[name][1]),
                    "name": {"value": name, "localizedValue": localized},
                }
                for name, (last, localized) in _USAGES.items()
            ]
        },
    )


def _capabilities(call: Call) -> Reply:
    # Recorded, but for the third entry: its GPUs were retired in July 2025.
    location = _location(call)
    return Reply(
        status=200,
        body={
            "value": [
                {
                    "resourceType": "containerGroups",
                    "osType": "NotSpecified",
                    "location": location,
                    "ipAddressType": kind,
                    "gpu": "None",
                    "capabilities": {"maxMemoryInGB": 256.0, "maxCpu": 32.0, "maxGpuCount": 0},
                }
                for kind in ("Public", "Private")
            ]
        },
    )


def _cached_images(call: Call) -> Reply | Question:
    _location(call)
    if call.answer is None:
        return ListImages()
    return Reply(
        status=200,
        body={
            "value": [
                {"osType": "Linux", "osVersion": "NotSpecified", "image": image}
                for image in call.answer
            ]
        },
    )


_PLACE = "/subscriptions/{subscription}/providers/microsoft.containerinstance/locations/{location}"

ROUTES = [
    Route("GET", _PLACE + "/usages", _usages),
    Route("GET", _PLACE + "/capabilities", _capabilities),
    Route("GET", _PLACE + "/cachedimages", _cached_images),
]
