"""Seven years of one customer against 90 days of the same."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.api_client import Servers, keys_of, serving
from benchmarks.api_server import NOTHING, QUESTIONS, path_of
from benchmarks.measuring import ratio
from benchmarks.report import Report
from fuzz.load import publish_many

ROUNDS, SEVEN_YEARS = 5, 2557


def run(folder: Path, share: float) -> Report:
    """The same 90 days asked of both, and all seven years at once."""
    report = Report("api-history", "Seven years of one customer", share)
    days = max(180, round(SEVEN_YEARS * share))
    requests = max(100, round(1000 * share))
    with ExitStack() as until_the_end:
        servers: dict[int, Servers] = {}
        keys: dict[int, str] = {}
        for history in (90, days):
            home = folder / str(history)
            home.mkdir()
            publish_many(home, customers=1, days=history)
            keys[history] = keys_of(home, 1)[0]
            servers[history] = until_the_end.enter_context(
                serving(home, answer_cache_mb=0, rows_cache_mb=1024)
            )
        for question in QUESTIONS:
            path = path_of("agentstats", question)

            def cost(history: int, path: str, number: int = requests) -> Callable[[], float]:
                asked = [(path, keys[history])] * number
                return lambda: servers[history].ask(asked).cpu_seconds_each

            everything = path.replace("days=90", f"days={days}")
            contestants = {
                "nothing": cost(days, NOTHING),
                "90 of 90 days": cost(90, path),
                "90 of all days": cost(days, path),
                "all days": cost(days, everything, max(50, requests // 5)),
            }
            found: dict[str, list[float]] = {name: [] for name in contestants}
            for number in range(ROUNDS + 1):
                for name, measure in contestants.items():
                    seconds = measure()
                    if number > 0:  # the first are warm-up
                        found[name].append(seconds)
            report.measured[f"{question}, CPU ms a request"] = {
                name: [round(1000 * each, 3) for each in seconds] for name, seconds in found.items()
            }
            report.add(
                f"{question}, 90 of {days} days",
                "90 of 90 days",
                ratio(found["90 of all days"], found["90 of 90 days"]),
                1.3,
            )
            report.add(
                f"{question}, {days} days",
                "nothing",
                ratio(found["all days"], found["nothing"]),
                10,
            )
    return report
