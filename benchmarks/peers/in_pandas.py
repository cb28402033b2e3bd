"""The usage tables with pandas, as Parquet files: `python -m … <landing file> <folder>`."""

import sys
from pathlib import Path

import numpy
import pandas

from benchmarks.peers.usage import DAILY, EVENT, MEASURES, QUARTER_HOUR, QUARTER_HOURLY, stretches

IDENTITY = ["customer_id", "event_id"]


def main(landed: Path, target: Path) -> None:
    """Read, keep the newest of each event, group twice, write."""
    target.mkdir(parents=True)
    events = pandas.read_parquet(landed, columns=list(EVENT), dtype_backend="pyarrow")
    comes_again = events.duplicated(IDENTITY, keep=False)
    # Nearly every event came once: only the others are sorted.
    newest = (
        events[comes_again]
        .sort_values(["received_at", *EVENT], na_position="first")
        .drop_duplicates(IDENTITY, keep="last")
    )
    events = pandas.concat([events[~comes_again], newest], ignore_index=True)
    names = events["model_used"].str.strip()
    timed = events["response_time_ms"].notna().to_numpy()
    milliseconds = events["response_time_ms"].fillna(0).to_numpy("int64")
    spent = events["output_tokens"].to_numpy("int64")
    prepared = pandas.DataFrame(
        {
            "customer_id": events["customer_id"].to_numpy("int64"),
            "agent_id": events["agent_id"].to_numpy("int64"),
            "agent_type_id": events["agent_type_id"].to_numpy("int64"),
            "model": names.where(names != "").fillna("unknown").astype("category"),
            "bucket_start": events["occurred_at"].to_numpy("datetime64[us]"),
            "message_count": 1,
            "input_tokens": events["input_tokens"].to_numpy("int64"),
            "output_tokens": spent,
            "total_tokens": events["input_tokens"].to_numpy("int64") + spent,
            "response_time_ms_sum": milliseconds,
            "response_time_count": timed.astype("int64"),
            "timed_output_tokens": numpy.where(timed & (milliseconds > 0), spent, 0),
            "bucket": _buckets(milliseconds),
        }
    )
    del events
    prepared["bucket_start"] = prepared["bucket_start"].dt.floor("15min")
    prepared = prepared.sort_values([*QUARTER_HOUR, "bucket"], ignore_index=True)
    quarter_hours = (
        prepared.groupby(list(QUARTER_HOUR), observed=True, sort=True)[list(MEASURES)]
        .sum()
        .reset_index()
    )
    quarter_hours["model"] = quarter_hours["model"].astype("str")
    # The rows are in the order of the groups, so each list is a stretch of one array.
    has_time = prepared["response_time_count"].to_numpy() > 0
    ends = quarter_hours["response_time_count"].to_numpy().cumsum()
    parts = numpy.split(prepared["bucket"].to_numpy()[has_time], ends[:-1])
    quarter_hours["response_time_buckets"] = parts
    quarter_hours["occurred_date"] = quarter_hours["bucket_start"].dt.date
    quarter_hours.to_parquet(target / f"{QUARTER_HOURLY}.parquet", index=False)
    for name, groups in DAILY.items():
        days = quarter_hours.groupby([*groups, "occurred_date"])[list(MEASURES)].sum()
        days.reset_index().to_parquet(target / f"{name}.parquet", index=False)


def _buckets(milliseconds: "numpy.typing.NDArray[numpy.int64]") -> object:
    table = list(stretches())
    starts = numpy.array([stretch.from_ms for stretch in table])
    found = numpy.searchsorted(starts, milliseconds, side="right") - 1
    widths = numpy.array([stretch.width for stretch in table])
    first = numpy.array([stretch.bucket for stretch in table])
    return (first[found] + (milliseconds - starts[found]) // widths[found]).astype("int32")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
