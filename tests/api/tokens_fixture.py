"""Tokens as a platform signs them, right ones and wrong ones, and its keys."""

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from snapshot_fixture import ACME, BOREAL, NOW

SECRET = "a secret of the platform, with more than 32 bytes"
COOKIE = "platform_session"
MINUTES = 60

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
MAKERS: dict[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "PS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def claims(
    customer_id: object = ACME,
    *,
    now: datetime = NOW,
    seconds: float = 10 * MINUTES,
    agent_ids: Sequence[int] | None = None,
    scope: str | None = None,
    **more: object,
) -> dict[str, Any]:
    """The claims of a token that ends so many seconds after `now`; one that is None is left out."""
    found: dict[str, Any] = {"sub": str(customer_id), "exp": int(now.timestamp() + seconds)}
    found |= {"agent_ids": None if agent_ids is None else list(agent_ids), "scope": scope, **more}
    return {name: value for name, value in found.items() if value is not None}


def signed(
    content: dict[str, Any],
    key: str | PrivateKey = SECRET,
    algorithm: str = "HS256",
    **header: Any,
) -> str:
    """A token with these claims, odd ones too."""
    payload = json.dumps(content).encode()
    return jwt.PyJWS().encode(payload, key, algorithm, headers=header or None)


def token(customer_id: object = ACME, **given: Any) -> str:
    """A token of the platform's secret; see `claims`."""
    return signed(claims(customer_id, **given))


def bearer(text: str) -> dict[str, str]:
    """The header that a token is sent in."""
    return {"Authorization": f"Bearer {text}"}


def in_cookie(text: str) -> dict[str, str]:
    """The header that a token is sent in as a cookie."""
    return {"Cookie": f"theme=dark; {COOKIE}={text}; last=1"}


def public_jwk(key: PrivateKey, kid: str | None, algorithm: str | None = None) -> dict[str, Any]:
    """A key's public half as a JWKS has it."""
    public = key.public_key()
    made: dict[str, Any]
    if isinstance(public, rsa.RSAPublicKey):
        made = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        made = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        made = OKPAlgorithm.to_jwk(public, as_dict=True)
    return made | {
        name: value for name, value in (("kid", kid), ("alg", algorithm)) if value is not None
    }


def jwks(*keys: dict[str, Any]) -> str:
    """A JWKS document."""
    return json.dumps({"keys": keys})


def pem_of(key: PrivateKey) -> bytes:
    """A key's public half as text: what algorithm confusion takes for a secret."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def part(content: object) -> str:
    """A part of a token, of bytes or of what JSON can say."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def assembled(header: object, payload: object, signature: bytes = b"") -> str:
    """A token of any parts, signed or not."""
    return f"{part(header)}.{part(payload)}.{part(signature)}"


def wrong_claims() -> dict[str, dict[str, Any]]:
    """Claims that open nothing, though they are signed with the right secret."""
    right = claims()

    def without(name: str) -> dict[str, Any]:
        return {each: value for each, value in right.items() if each != name}

    now = NOW.timestamp()
    subjects: tuple[object, ...] = (
        1, None, True, "", "0", "-1", "+1", "01", " 1", "1 ", "1.0", "1e0", "１", "one",
        "9223372036854775808", "1\n", ["1"], {"id": "1"},
    )  # fmt: skip
    ends: tuple[object, ...] = (
        None, True, "soon", str(int(now + 60)), math.nan, math.inf, -math.inf, 10**400, [],
        now - 61, now - 3600, 0, -1, now + 3600 + 61, now + 86_400,
    )  # fmt: skip
    agents: tuple[object, ...] = (
        [], None, 42, "42", ["42"], [0], [-1], [1.5], [True], [None], [[42]], {"42": 1},
        [2**63], list(range(1, 1002)), [42, "43"],
    )  # fmt: skip
    scopes: tuple[object, ...] = (
        None, 1, True, {"usage": 1}, ["usage", 1], "usage\tquery", "é",
    )  # fmt: skip
    return {
        "no sub": without("sub"),
        "no exp": without("exp"),
        **{f"sub {value!r}": right | {"sub": value} for value in subjects},
        **{f"exp {value!r}": right | {"exp": value} for value in ends},
        **{f"agents {str(value)[:20]}": right | {"agent_ids": value} for value in agents},
        **{f"scope {value!r}": right | {"scope": value} for value in scopes},
        "not yet": right | {"nbf": now + 61},
        "issued later": right | {"iat": now + 61},
        "nbf is text": right | {"nbf": "0"},
        "iat is nothing": right | {"iat": None},
        "audience where none is set": right | {"aud": "somebody else"},
    }


def wrongly_signed(rsa: PrivateKey) -> dict[str, str]:
    """Tokens whose claims are right and whose signature is not."""
    right = claims()
    header, payload, signature = token().split(".")
    secret = SECRET.encode()
    signing_input = f"{part({'alg': 'HS256'})}.{part(right)}".encode()
    digest = hmac.new(secret, signing_input, hashlib.sha256).digest()
    public = pem_of(rsa)
    confused = hmac.new(public, signing_input, hashlib.sha256).digest()
    found = {
        "another secret": signed(right, SECRET + "!"),
        "no signature": f"{header}.{payload}.",
        "short signature": f"{header}.{payload}.{signature[:-4]}",
        "long signature": f"{header}.{payload}.{signature}AAAA",
        "signature of other claims": f"{header}.{part(claims(BOREAL))}.{signature}",
        "padded": f"{token()}==",
        "two tokens": f"{token()}.{token()}",
        "one part": header,
        "two parts": f"{header}.{payload}",
        "empty": "",
        "dots": "..",
        "blanks": "   ",
        "a key": "cust_" + "a" * 43,
        "HS512": signed(right, SECRET + SECRET, "HS512"),
        "RS256": signed(right, rsa, "RS256"),
        "its public key as secret": assembled({"alg": "HS256"}, right, confused),
        "too long": token(padding="x" * 40_000),
        "not ASCII": token() + "é",
        "header is no object": f"{part(['HS256'])}.{payload}.{signature}",
        "header is no JSON": f"{part(b'HS256')}.{payload}.{signature}",
        "deep header": f"{part(b'[' * 20_000)}.{payload}.{signature}",
        "kid is a number": assembled({"alg": "HS256", "kid": 1}, right, digest),
        "critical": signed(right, crit=["exp"]),
        "detached": f"{part({'alg': 'HS256', 'b64': False, 'crit': ['b64']})}..{signature}",
        "encrypted": assembled({"alg": "dir", "enc": "A256GCM"}, right, digest),
        "no algorithm": assembled({"typ": "JWT"}, right, digest),
    }
    for algorithm in ("none", "None", "NONE", "nOnE", "", None, ["HS256"], "HS256 ", "hs256"):
        found[f"algorithm {algorithm!r}"] = assembled({"alg": algorithm}, right, digest)
        found[f"algorithm {algorithm!r}, unsigned"] = assembled({"alg": algorithm}, right)
    for payload_of in (b"", b"null", b"[]", b'"1"', b"{", b"[" * 20_000, b"\xff"):
        text = f"{part({'alg': 'HS256'})}.{part(payload_of)}".encode()
        signed_all_the_same = hmac.new(secret, text, hashlib.sha256).digest()
        found[f"payload {payload_of[:8]!r}"] = f"{text.decode()}.{part(signed_all_the_same)}"
    return found
