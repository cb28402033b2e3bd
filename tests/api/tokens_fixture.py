"""Tokens as a platform signs them, right ones and wrong ones, and its keys."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from snapshot_fixture import ACME, NOW

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
