"""Tokens of the platform: what opens a customer's data, and what does not."""

import hashlib
import hmac
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.auth.access import Access
from api.auth.tokens import KeyFile, KeysUnreadable, SecretKey, Tokens, keys_of
from service_fixture import Service, StartService
from snapshot_fixture import ACME, BOREAL, NOW, publish, sample
from tokens_fixture import (
    COOKIE,
    MAKERS,
    MINUTES,
    SECRET,
    PrivateKey,
    assembled,
    bearer,
    claims,
    in_cookie,
    jwks,
    part,
    pem_of,
    public_jwk,
    signed,
    token,
    wrong_claims,
    wrongly_signed,
)

SUMMARY = "/api/stats/usage/summary"
WRONG_KEY = {
    "error": "The API key is missing or not valid. Send it as X-API-Key.",
    "error_code": "INVALID_API_KEY",
    "details": {},
}


@pytest.fixture(scope="module")
def private_keys() -> dict[str, PrivateKey]:
    """A key for each algorithm."""
    return {algorithm: make() for algorithm, make in MAKERS.items()}


@pytest.fixture
def with_secret(start: StartService, tmp_path: Path) -> Service:
    """An app over the sample that takes tokens of the secret, also in a cookie."""
    publish(tmp_path, sample())
    return start(jwt_secret=SECRET, jwt_cookie=COOKIE)


def answered(service: Service, headers: dict[str, str]) -> tuple[int, Any]:
    """Status and body of the summary."""
    answer = service.client.get(SUMMARY, headers=headers)
    return answer.status_code, answer.json()


def test_a_token_opens_its_customers_data_in_either_place(with_secret: Service) -> None:
    """By Authorization and by cookie it gets what a key gets, byte for byte."""
    for customer_id in (ACME, BOREAL):
        by_key = with_secret.get(SUMMARY, customer_id)
        for headers in (bearer(token(customer_id)), in_cookie(token(customer_id))):
            by_token = with_secret.client.get(SUMMARY, headers=headers)
            assert by_token.content == by_key.content
            assert by_token.headers["ETag"] == by_key.headers["ETag"]
            assert by_token.headers["X-RateLimit-Limit"] == "10000"


def test_no_token_is_taken_where_none_is_set_up(service: Service) -> None:
    """A right signature of an empty or a well-known secret opens nothing; and a key goes on working
    beside a header that is not for this server."""
    for secret in ("", "secret", SECRET):
        digest = hmac.new(secret.encode(), b"", hashlib.sha256).digest()
        for text in (assembled({"alg": "HS256"}, claims(), digest), token()):
            assert answered(service, bearer(text)) == (401, WRONG_KEY)
            assert answered(service, in_cookie(text)) == (401, WRONG_KEY)
    beside = {"X-API-Key": service.key(ACME), **bearer("of another server")}
    assert answered(service, beside)[0] == 200


@pytest.mark.parametrize("name", wrong_claims())
def test_claims_that_are_missing_or_odd_open_nothing(with_secret: Service, name: str) -> None:
    """All of it is the one 401 of a wrong key."""
    wrong = signed(wrong_claims()[name])
    assert answered(with_secret, bearer(wrong)) == (401, WRONG_KEY)
    assert answered(with_secret, in_cookie(wrong)) == (401, WRONG_KEY)


def test_signatures_that_are_not_the_platforms_open_nothing(
    with_secret: Service, private_keys: dict[str, PrivateKey]
) -> None:
    """Nor do parts that no token has; all of it is the one 401, and nothing gets into the log."""
    for name, wrong in wrongly_signed(private_keys["RS256"]).items():
        headers = {b"Authorization": f"Bearer {wrong}".encode()}
        answer = with_secret.client.get(SUMMARY, headers=headers)
        assert (answer.status_code, answer.json()) == (401, WRONG_KEY), name
    log = with_secret.log.getvalue()
    assert "eyJ" not in log and "exc_info" not in log.replace('"exc_info": null', "")


@pytest.mark.parametrize("algorithm", MAKERS)
def test_each_kind_of_public_key_verifies_its_own_algorithm_alone(
    start: StartService, tmp_path: Path, private_keys: dict[str, PrivateKey], algorithm: str
) -> None:
    """A token of another key, another algorithm or the public key as a secret opens nothing."""
    publish(tmp_path, sample())
    file = tmp_path / "keys.json"
    own = private_keys[algorithm]
    file.write_text(jwks(public_jwk(own, "own", algorithm)))
    service = start(jwt_jwks_file=file)
    assert answered(service, bearer(signed(claims(), own, algorithm, kid="own")))[0] == 200
    # The only key needs no name.
    assert answered(service, bearer(signed(claims(), own, algorithm)))[0] == 200
    wrong = [signed(claims(), own, algorithm, kid="other"), signed(claims(), kid="own")]
    for other, key in private_keys.items():
        if other != algorithm:
            wrong.append(signed(claims(), key, other, kid="own"))
    if algorithm == "RS256":
        wrong += [signed(claims(), own, other, kid="own") for other in ("PS256", "RS512")]
    for secret in (pem_of(own), file.read_bytes(), b""):
        text = f"{part({'alg': 'HS256', 'kid': 'own'})}.{part(claims())}"
        digest = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        wrong.append(f"{text}.{part(digest)}")
    for text in wrong:
        assert answered(service, bearer(text)) == (401, WRONG_KEY), text


def test_keys_are_rotated_without_a_restart(
    tmp_path: Path, private_keys: dict[str, PrivateKey]
) -> None:
    """A new key counts with the first token that names it, and one that is gone from the file opens
    nothing a minute later; nonsense makes nothing be read, and the file is read once a minute."""
    file, clock = tmp_path / "keys.json", [1000.0]
    old, new = private_keys["ES256"], private_keys["EdDSA"]
    old_token = signed(claims(), old, "ES256", kid="old")
    new_token = signed(claims(), new, "EdDSA", kid="new")
    file.write_text(jwks(public_jwk(old, "old")))
    keys = KeyFile(file, monotonic=lambda: clock[0])
    tokens = Tokens(keys)
    assert tokens.verify(old_token, NOW) == Access(ACME)
    for number in range(100):
        assert tokens.verify(signed(claims(), old, "ES256", kid=str(number)), NOW) is None
    assert keys.generation == 1
    file.write_text(jwks(public_jwk(old, "old"), public_jwk(new, "new")))
    clock[0] += 1
    assert tokens.verify(new_token, NOW) == Access(ACME)
    assert tokens.verify(old_token, NOW) == Access(ACME)
    assert keys.generation == 2
    file.write_text(jwks(public_jwk(new, "new")))
    clock[0] += 59
    assert tokens.verify(signed(claims(), old, "ES256", kid="none"), NOW) is None
    assert keys.generation == 2
    clock[0] += 60
    assert tokens.verify(old_token, NOW) is None
    assert tokens.verify(new_token, NOW) == Access(ACME)
    assert keys.generation == 3
    # A file that cannot be used leaves the keys as they are.
    file.write_text("{}")
    clock[0] += 120
    assert tokens.verify(new_token, NOW) == Access(ACME)
    assert "no JWKS" in str(keys.problem)


def test_without_any_key_tokens_wait_and_keys_work(start: StartService, tmp_path: Path) -> None:
    """A JWKS file that is not there yet is said, without its place, and API keys go on."""
    publish(tmp_path, sample())
    service = start(jwt_jwks_file=tmp_path / "not there.json")
    status, body = answered(service, bearer(token()))
    assert (status, body["error_code"]) == (503, "NOT_READY")
    assert "not there" not in json.dumps(body)
    assert "not there.json" in service.log.getvalue()
    assert service.get(SUMMARY).status_code == 200


def test_a_key_file_has_public_keys_of_a_known_kind(
    tmp_path: Path, private_keys: dict[str, PrivateKey]
) -> None:
    """Others are left out; private halves, two of one name and weak ones are refused."""
    own = private_keys["ES256"]
    public = public_jwk(own, "own")
    others = [
        {"kty": "oct", "k": part(b"0" * 64), "kid": "symmetric"},
        public_jwk(private_keys["RS256"], "for encryption") | {"use": "enc"},
        public | {"kid": "wrapping", "key_ops": ["wrapKey"]},
        public | {"kid": "odd", "alg": "HS256"},
        public | {"kid": "curve", "crv": "secp256k1"},
        {"kty": "lattice", "kid": "future"},
    ]
    assert list(keys_of(jwks(public, *others))) == ["own"]
    weak = MAKERS["RS256"].__globals__["rsa"].generate_private_key(65537, 1024)
    for wrong in (
        jwks(*others), jwks(public, public), jwks(public_jwk(weak, "weak")), "[]", "{}", "", "nul",
        jwks(public | {"d": part(b"1" * 32)}), jwks(public | {"x": "AAAA"}), '{"keys": ["text"]}',
        jwks(public | {"kid": 1}),
    ):  # fmt: skip
        with pytest.raises(ValueError):  # noqa: PT011
            keys_of(wrong)
    with pytest.raises(KeysUnreadable):
        Tokens(KeyFile(tmp_path / "missing")).verify(signed(claims(), own, "ES256"), NOW)


def test_times_are_those_of_the_one_clock_with_the_leeway() -> None:
    """`exp` may be an hour ahead; a minute more or less is a difference between two clocks."""
    for leeway in (0, 60):
        tokens = Tokens(SecretKey(SECRET), leeway_seconds=leeway)
        for seconds, is_right in (
            (-leeway, False), (-leeway + 1, True), (3600 + leeway, True), (3601 + leeway, False)
        ):  # fmt: skip
            found = tokens.verify(token(seconds=seconds), NOW)
            assert (found is not None) is is_right, (leeway, seconds)
        kept = token(seconds=5 * MINUTES, nbf=NOW.timestamp() - 10)
        for later, is_right in ((0, True), (299 + leeway, True), (300 + leeway, False), (1, True)):
            found = tokens.verify(kept, NOW + timedelta(seconds=later))
            assert (found is not None) is is_right, (leeway, later)
        assert tokens.verify(kept, NOW - timedelta(seconds=11 + leeway)) is None


def test_issuer_and_audience_are_as_they_are_set(start: StartService, tmp_path: Path) -> None:
    """Where they are set a token needs both; of many audiences one is enough."""
    publish(tmp_path, sample())
    service = start(jwt_secret=SECRET, jwt_issuer="the platform", jwt_audience="statistics")
    right = {"iss": "the platform", "aud": "statistics"}
    for given, status in (
        (right, 200),
        (right | {"aud": ["billing", "statistics"]}, 200),
        (right | {"aud": "billing"}, 401),
        (right | {"aud": []}, 401),
        (right | {"iss": "another"}, 401),
        (right | {"iss": ["the platform"]}, 401),
        ({"iss": "the platform"}, 401),
        ({"aud": "statistics"}, 401),
        ({}, 401),
    ):
        assert answered(service, bearer(token(**given)))[0] == status, given


def test_credentials_that_contradict_each_other_open_nothing(with_secret: Service) -> None:
    """A key or a bearer token beats a cookie, and what is sent on purpose has to be right."""
    own, other = with_secret.key(ACME), with_secret.key(BOREAL)
    of_acme, of_boreal = token(ACME), token(BOREAL)
    narrow = token(ACME, agent_ids=[43])
    all_messages, some_messages = (
        with_secret.client.get(SUMMARY, headers=bearer(text)).json()["total_messages"]
        for text in (of_acme, narrow)
    )
    assert some_messages < all_messages
    key = {"X-API-Key": own}
    ended = token(seconds=-120)
    for headers, expected in (
        (key | in_cookie(narrow), all_messages),
        (key | in_cookie(ended), all_messages),
        (key | in_cookie("nonsense"), all_messages),
        (bearer(of_acme) | in_cookie(narrow), all_messages),
        (bearer(narrow) | in_cookie(of_acme), some_messages),
        (key | bearer(narrow), some_messages),
        (key | bearer(of_acme), all_messages),
        (key | {"Authorization": "Basic dTpw"}, all_messages),
        (key | in_cookie(of_boreal), None),
        (bearer(of_acme) | in_cookie(of_boreal), None),
        (key | bearer(of_boreal), None),
        ({"X-API-Key": other} | bearer(of_acme), None),
        (key | bearer("nonsense"), None),
        (key | bearer(ended), None),
        ({"X-API-Key": "cust_wrong"} | bearer(of_acme), None),
        ({"X-API-Key": "cust_wrong"} | in_cookie(of_acme), None),
        (bearer("nonsense") | in_cookie(of_acme), None),
        ({"Authorization": "Bearer"} | in_cookie(of_acme), None),
        ({"Cookie": f"{COOKIE}={of_acme}; {COOKIE}={of_boreal}"}, None),
        ({"Cookie": f"{COOKIE}={of_acme}; {COOKIE}={of_acme}"}, all_messages),
        ({"Cookie": f"x{COOKIE}={of_acme}"}, None),
        ({"Authorization": of_acme}, None),
        ({"Authorization": f"bearer {of_acme}"}, all_messages),
    ):
        status, body = answered(with_secret, headers)
        if expected is None:
            assert (status, body) == (401, WRONG_KEY), headers
        else:
            assert (status, body["total_messages"]) == (200, expected), headers


def test_a_token_counts_as_its_customer(start: StartService, tmp_path: Path) -> None:
    """Keys and tokens of a customer share one rate limit, and wrong tokens count as wrong keys."""
    publish(tmp_path, sample())
    service = start(jwt_secret=SECRET, rate_limit=2, wrong_keys_limit=2)
    assert service.get(SUMMARY).status_code == 200
    assert answered(service, bearer(token()))[0] == 200
    assert answered(service, bearer(token(agent_ids=[42])))[0] == 429
    assert answered(service, bearer(token(BOREAL)))[0] == 200
    statuses = [answered(service, bearer(os.urandom(8).hex()))[0] for _ in range(3)]
    assert statuses == [401, 401, 429]


@pytest.mark.parametrize(
    ("scope", "families", "stated"),
    [
        ("usage", {"usage"}, "usage"),
        ("usage  feedback openid", {"usage", "feedback"}, "feedback openid usage"),
        (["query", "metrics"], {"query", "metrics"}, "metrics query"),
        ("", set(), ""),
        ([], set(), ""),
        ("usage/summary", set(), "usage/summary"),
    ],
)
def test_a_scope_opens_its_families_alone(
    with_secret: Service, scope: Any, families: set[str], stated: str
) -> None:
    """Any other endpoint is 403 FORBIDDEN, whatever was answered to others before; every answer
    says what the scope is."""
    asked = {
        "usage": SUMMARY,
        "feedback": "/api/stats/feedback/summary",
        "query": "/api/stats/query?metrics=total_messages",
        "metrics": "/api/stats/metrics",
        "account": "/api/stats/account",
        "agent-types": "/api/stats/agent-types/comparison",
        "receipt": "/api/stats/receipt?metric=total_messages",
    }
    narrowed = signed(claims() | {"scope": scope})
    for family, path in asked.items():
        by_key = with_secret.get(path)
        assert (by_key.status_code, "X-Scope" in by_key.headers) == (200, False)
        answer = with_secret.client.get(path, headers=bearer(narrowed))
        assert answer.headers["X-Scope"] == stated
        if family in families:
            assert answer.status_code == 200
            continue
        assert (answer.status_code, answer.json()["error_code"]) == (403, "FORBIDDEN")
        # Before anything is said about the parameters.
        odd = with_secret.client.get(f"{path}?x=1", headers=bearer(narrowed))
        assert odd.status_code == 403


def test_secrets_and_key_files_are_checked_at_the_start(
    start: StartService, tmp_path: Path
) -> None:
    """A short secret, or both ways at once, is an error of the settings."""
    for wrong in (
        {"jwt_secret": "x" * 31},
        {"jwt_secret": SECRET, "jwt_jwks_file": tmp_path / "keys.json"},
        {"jwt_cookie": "a;b"},
        {"jwt_leeway_seconds": -1},
    ):
        with pytest.raises(ValueError, match=next(reversed(wrong))):
            start(**wrong)
    assert SECRET not in repr(start(jwt_secret=SECRET).settings)
