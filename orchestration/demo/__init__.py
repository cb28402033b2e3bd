"""Believable landing files, with the flaws of real feeds. Imports no other room."""

from __future__ import annotations

from orchestration.demo.sample import DemoSample, generate

__all__ = ["DemoSample", "generate"]
