"""The time zones that there are: those that the pinned `tzdata` package lists, as for the API."""

from __future__ import annotations

import functools
import importlib.resources


@functools.cache
def zone_names() -> frozenset[str]:
    """Their IANA names, such as Europe/Paris; case matters."""
    zones = importlib.resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return frozenset(zones.split())
