"""A line that is too long is found wherever it is, though most files get a few glances only."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.landing import files
from orchestration.landing.files import LandedFile, UnreadableFile, check_text
from orchestration.landing.streams import AGENT_USAGE_EVENTS

LONGEST, GLANCE = 64, 8


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(0, LONGEST + 8), max_size=30),
    ends=st.booleans(),
    chunk=st.integers(1, LONGEST),
)
def test_what_glances_pass_has_no_line_that_is_too_long(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lengths: list[int],
    ends: bool,
    chunk: int,
) -> None:
    """And a line that is too long is named by its number."""
    monkeypatch.setattr(files, "MAX_LINE_BYTES", LONGEST)
    monkeypatch.setattr(files, "_GLANCE_BYTES", GLANCE)
    monkeypatch.setattr(files, "_CHUNK_BYTES", chunk)
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\n".join(b"x" * length for length in lengths) + b"\n" * ends)
    too_long = [number for number, length in enumerate(lengths, start=1) if length > LONGEST]
    landed = LandedFile(path, AGENT_USAGE_EVENTS, "ndjson", is_gzipped=False)
    if not too_long:
        check_text(landed, unpacked_limit=10**9)
        return
    with pytest.raises(UnreadableFile, match=f"^line {too_long[0]} is longer than"):
        check_text(landed, unpacked_limit=10**9)
