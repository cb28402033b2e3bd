"""Dagster's home folder: what it must find there to run unattended."""

from __future__ import annotations

import json
import os
from pathlib import Path

from orchestration.settings import Settings
from orchestration.warehouse import dbt

_INSTANCE_YAML = """\
# Written by agentstats at each start: what is changed here by hand is lost.
telemetry:
  enabled: false
event_log_storage:
  module: orchestration.clock.event_log
  class: EventLog
  config:
    base_dir: {event_logs}
concurrency:
  runs:
    # One writer: the second run waits in the queue. (A file lock holds outside of Dagster.)
    max_concurrent_runs: 1
run_launcher:
  module: orchestration.clock.launcher
  class: RunLauncher
run_monitoring:
  # A worker that was killed, or hangs, gives its place back.
  enabled: true
  poll_interval_seconds: 30
  start_timeout_seconds: 180
  cancel_timeout_seconds: 180
  max_runtime_seconds: {run_timeout_seconds}
  free_slots_after_run_end_seconds: 60
run_retries:
  # A run whose worker died is run again. A step that failed would fail again: those that would
  # not ask for it themselves (orchestration/clock/retries.py).
  enabled: true
  max_retries: 2
  retry_on_asset_or_op_failure: false
code_servers:
  # `systemctl stop` lets a run that is under way end, for as long as the unit allows.
  wait_for_local_processes_on_shutdown: true
retention:
  schedule:
    purge_after_days: {dagster_history_days}
  sensor:
    purge_after_days:
      # Several a minute, and nothing happened.
      skipped: 1
      success: {dagster_history_days}
      failure: {dagster_history_days}
      started: {dagster_history_days}
"""


def prepare_dagster(settings: Settings) -> Path:
    """Make what Dagster needs before it can load the definitions. Returns its home folder."""
    dbt.prepare_manifest(settings)
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    config = _INSTANCE_YAML.format(
        # As JSON, which is YAML too, whatever is in the path.
        event_logs=json.dumps(str(home / "history" / "runs")),
        run_timeout_seconds=settings.run_timeout_seconds,
        dagster_history_days=settings.dagster_history_days,
    )
    path = home / "dagster.yaml"
    if not path.exists() or path.read_text() != config:
        # Whole or not at all: the daemon may be reading it.
        beside = home / f".dagster.yaml.{os.getpid()}.tmp"
        beside.write_text(config)
        beside.replace(path)
    return home
