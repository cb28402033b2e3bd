"""Sums that no signed 64-bit integer holds, of marts that each hold what one can."""

from pathlib import Path
from typing import Any

import pytest

from service_fixture import StartService
from snapshot_fixture import ACME, Marts, publish, usage

GREATEST = 2**63 - 1
BUCKETS = ("2026-03-09 00:00", "2026-03-10 00:00", "2026-03-08 09:00")


@pytest.mark.parametrize("rows_cache_mb", [0, 64])
def test_a_sum_over_a_window_has_no_greatest_value(
    start: StartService, tmp_path: Path, rows_cache_mb: int
) -> None:
    """Three dates with the greatest sums that a mart can hold: each answer is exact, as JSON and as
    CSV, whether rows are kept in memory or not."""
    sums: dict[str, Any] = {
        "input_tokens": GREATEST - 5,
        "output_tokens": 5,
        "timed_output_tokens": 5,
        "response_time_ms_sum": GREATEST,
        "response_time_count": GREATEST // 7,
    }
    scans = (1, 1, 0, 1, GREATEST)
    marts = Marts(
        usage=[
            usage(ACME, agent, 5, "m", bucket, (), message_count=1, **sums)
            for agent, bucket in zip((1, 2, 1), BUCKETS, strict=True)
        ],
        compliance=[(ACME, 5, *scans, bucket) for bucket in BUCKETS[:2]],
        pii=[(ACME, 5, "E", GREATEST, bucket) for bucket in BUCKETS[:2]],
    )
    publish(tmp_path, marts)
    service = start(rows_cache_mb=rows_cache_mb)
    summary = service.get("/api/stats/usage/summary?days=7").json()
    assert summary["total_tokens"] == 3 * GREATEST
    assert summary["total_input_tokens"] == 3 * (GREATEST - 5)
    assert summary["avg_response_time_ms"] == 7
    agents = service.get("/api/stats/usage/by-agent?days=7").json()
    assert [agent["total_tokens"] for agent in agents] == [2 * GREATEST, GREATEST]
    (model,) = service.get("/api/stats/usage/by-model?days=7").json()
    assert model["total_tokens"] == 3 * GREATEST
    for zone in ("UTC", "Asia/Kathmandu"):
        timeline = service.get(f"/api/stats/usage/timeline?days=7&tz={zone}").json()
        assert sum(timeline["tokens"]) == 3 * GREATEST
    (kind,) = service.get("/api/stats/agent-types/comparison?days=7").json()["agent_types"]
    assert kind["performance"]["total_tokens"] == 3 * GREATEST
    assert kind["performance"]["avg_tokens_per_message"] == GREATEST
    redactions = service.get("/api/stats/compliance/summary?days=7").json()["pii_redactions"]
    assert redactions == {"total": 2 * GREATEST, "by_type": {"E": 2 * GREATEST}}
    (scanned,) = service.get("/api/stats/compliance/by-agent-type?days=7").json()["agent_types"]
    assert scanned["pii_redactions_total"] == 2 * GREATEST
    text = service.get("/api/stats/usage/by-agent?days=7&format=csv").text
    assert text.splitlines()[1].split(",")[3] == str(2 * GREATEST)
