"""Wrong tokens of every kind, beside wrong keys: none is accepted, and none takes longer."""

import http.client
import statistics
import time
from collections import Counter
from pathlib import Path

from api.auth.keys import KeyStore
from fuzz.outcome import SUMMARY, Outcome, check_log
from fuzz.served import serving
from snapshot_fixture import ACME, publish, sample
from tokens_fixture import (
    COOKIE,
    MAKERS,
    SECRET,
    claims,
    jwks,
    public_jwk,
    signed,
    wrong_claims,
    wrongly_signed,
)

LONGEST_TIMED = 1_000
"""Characters: reading a longer token takes longer, whatever is wrong with it."""


def run(home: Path, *, requests: int) -> Outcome:
    """So many wrong tokens of one secret, and of a file with public keys; as header and cookie."""
    outcome = Outcome()
    publish(home, sample())
    KeyStore(home / "keys.db").create(ACME, "right")
    rsa = MAKERS["RS256"]()
    (home / "keys.json").write_text(jwks(public_jwk(rsa, "own")))
    for name, key, algorithm, settings in (
        ("secret", SECRET, "HS256", {"jwt_secret": SECRET}),
        ("public key", rsa, "RS256", {"jwt_jwks_file": home / "keys.json"}),
    ):
        tokens = {
            "wrong claims": [signed(each, key, algorithm) for each in wrong_claims().values()],
            "wrong signature or parts": list(wrongly_signed(MAKERS["RS256"]()).values()),
        }
        with serving(home, jwt_cookie=COOKIE, **settings) as served:
            connection = http.client.HTTPConnection("127.0.0.1", served.port)
            statuses: Counter[int] = Counter()
            right = {"Authorization": f"Bearer {signed(claims(), key, algorithm)}"}
            taken: dict[str, list[float]] = {"wrong key": [], **{kind: [] for kind in tokens}}

            def ask(
                headers: dict[str, str],
                connection: http.client.HTTPConnection = connection,
                statuses: Counter[int] = statuses,
            ) -> float:
                began = time.perf_counter()
                connection.request("GET", SUMMARY, headers=headers)
                answer = connection.getresponse()
                answer.read()
                statuses[answer.status] += 1
                return time.perf_counter() - began

            ask(right)
            outcome.claim(statuses.pop(200, 0) == 1, f"{name}: a right token was refused")
            sent = 0
            while sent < requests // 2:
                for kind, texts in tokens.items():
                    text = texts[sent % len(texts)].encode().decode("latin-1")
                    place = "Cookie" if sent % 3 == 0 and ";" not in text else "Authorization"
                    value = f"{COOKIE}={text}" if place == "Cookie" else f"Bearer {text}"
                    seconds = ask({place: value})
                    if len(text) <= LONGEST_TIMED:
                        taken[kind].append(seconds)
                    sent += 1
                taken["wrong key"].append(ask({"X-API-Key": f"cust_{sent:043}"}))
            check_log(outcome, served)
            outcome.claim("eyJ" not in served.log_text(), f"{name}: the log holds a token")
        medians = {kind: 1000 * statistics.median(times) for kind, times in taken.items()}
        spread = 100 * (max(medians.values()) / min(medians.values()) - 1)
        outcome.figures |= {
            f"{name}: wrong tokens": sent,
            f"{name}: by status": dict(statuses),
            f"{name}: median ms": {kind: round(each, 4) for kind, each in medians.items()},
            f"{name}: spread of medians, %": round(spread, 2),
        }
        outcome.claim(set(statuses) <= {401, 429}, f"{name}: a wrong token was not refused")
        if requests >= 10_000:
            outcome.claim(spread < 5, f"{name}: medians differ by 5 % or more")
    return outcome
