"""What a run says of itself."""

from dataclasses import dataclass, field

from fuzz.served import Served

SUMMARY = "/api/stats/usage/summary"


@dataclass
class Outcome:
    """What a run saw, by name, and its claims that did not hold."""

    figures: dict[str, object] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def claim(self, holds: bool, text: str) -> None:
        """Note a claim that must hold."""
        if not holds:
            self.failures.append(text)


def check_log(outcome: Outcome, served: Served) -> None:
    log = served.log_text()
    found = log.count("cust_")
    outcome.figures["log lines"] = log.count("\n")
    outcome.figures["`cust_` in the log"] = found
    outcome.figures["tracebacks in the log"] = log.count("Traceback")
    outcome.claim(found == 0, "the log holds a key")
    outcome.claim("Traceback" not in log, "the log holds a traceback")
