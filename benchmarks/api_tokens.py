"""Questions by access tokens against the same questions by a key."""

import json
from datetime import UTC, datetime
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from benchmarks.api_client import Servers, keys_of, serving
from benchmarks.api_server import path_of
from benchmarks.measuring import ratio
from benchmarks.report import Report
from fuzz.load import publish_many

ROUNDS = 7
GOAL = 1.5
SECRET = "a secret of the platform, with more than 32 bytes"
ENDS_AT = datetime(2026, 3, 10, 12, 30, tzinfo=UTC).timestamp()
CUSTOMER, AGENTS = 1, list(range(1, 11))
Key = tuple[str | rsa.RSAPrivateKey, str, dict[str, str]]


def run(folder: Path, share: float) -> Report:
    """One customer's summary over and over, by a key and by tokens in turns."""
    report = Report("api-tokens", "Questions by access tokens", share)
    requests = max(200, round(2000 * share))
    publish_many(folder, customers=100, days=90)
    key = keys_of(folder, 1)[0]
    with serving(folder, jwt_secret=SECRET) as servers:
        _compare(report, servers, key, (SECRET, "HS256", {}), requests, "HS256")
    before, after = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    file = folder / "keys.json"
    file.write_text(_jwks({"before": before}))
    with serving(folder, jwt_jwks_file=file) as servers:
        path = path_of("agentstats", "summary")
        servers.ask([(path, _token((before, "RS256", {"kid": "before"}), 0))])
        file.write_text(_jwks({"before": before, "after": after}))
        rotated: Key = (after, "RS256", {"kid": "after"})
        _compare(report, servers, key, rotated, requests, "RS256 of a key that is new in the file")
    return report


def _compare(
    report: Report, servers: Servers, key: str, signing: Key, requests: int, kind: str
) -> None:
    """Tokens of one signing key against an API key: used again, never seen, of some agents."""
    path = path_of("agentstats", "summary")
    by_key: list[float] = []
    costs: dict[str, list[float]] = {"used again": [], "never seen": [], "of ten agents": []}
    number = 0
    for _ in range(ROUNDS):
        by_key.append(servers.ask([(path, key)] * requests).cpu_seconds_each)
        again = _token(signing, 0)
        costs["used again"].append(servers.ask([(path, again)] * requests).cpu_seconds_each)
        fresh = [(path, _token(signing, number + each + 1)) for each in range(requests)]
        number += requests
        costs["never seen"].append(servers.ask(fresh).cpu_seconds_each)
        narrow = _token(signing, 0, agent_ids=AGENTS)
        costs["of ten agents"].append(servers.ask([(path, narrow)] * requests).cpu_seconds_each)
    for what, cost in costs.items():
        report.add(f"summary by {kind}, {what}", "by a key", ratio(cost, by_key), GOAL)


def _token(signing: Key, number: int, **claims: object) -> str:
    """A token that differs from others by its number."""
    key, algorithm, header = signing
    content = {"sub": str(CUSTOMER), "exp": int(ENDS_AT), "jti": str(number), **claims}
    return "Bearer " + jwt.encode(content, key, algorithm, headers=header)


def _jwks(keys: dict[str, rsa.RSAPrivateKey]) -> str:
    made = [RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) for key in keys.values()]
    named = [{**each, "kid": kid} for kid, each in zip(keys, made, strict=True)]
    return json.dumps({"keys": named})
