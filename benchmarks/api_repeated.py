"""A question asked again, and one whose answer the client has: against a route of nothing."""

from pathlib import Path

from benchmarks.api_client import keys_of, serving
from benchmarks.api_server import NOTHING, QUESTIONS, path_of
from benchmarks.measuring import ratio
from benchmarks.report import Report
from fuzz.load import publish_many

ROUNDS = 7


def run(folder: Path, share: float) -> Report:
    """Each question of one customer over and over, in turns with the route that does nothing."""
    report = Report("api-repeated", "Repeated questions to the API", share)
    requests = max(200, round(2000 * share))
    publish_many(folder, customers=100, days=90)
    key = keys_of(folder, 1)[0]
    with serving(folder) as servers:
        for question in QUESTIONS:
            path = path_of("agentstats", question)
            etag, _ = servers.answer((path, key))
            kept, unmodified, nothing = [], [], []
            for _ in range(ROUNDS):
                nothing.append(servers.ask([(NOTHING, key)] * requests).cpu_seconds_each)
                kept.append(servers.ask([(path, key)] * requests).cpu_seconds_each)
                asked = servers.ask([(path, key)] * requests, etag=etag)
                unmodified.append(asked.cpu_seconds_each)
            report.add(f"{question}, again", "nothing", ratio(kept, nothing), 1.2)
            report.add(f"{question}, 304", "nothing", ratio(unmodified, nothing), 1.2)
    return report
