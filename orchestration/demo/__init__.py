"""Believable landing files for `agentstats demo`, with the flaws of real feeds."""

from __future__ import annotations

from orchestration.demo.sample import DemoSample, generate

__all__ = ["DemoSample", "generate"]
