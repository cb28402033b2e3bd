"""Tokens: JWTs that the platform signs for its users, verified with its secret or public keys.

Signatures are pyjwt's. Everything about time is decided here, because the clock of this product may
stand still (AGENTSTATS_NOW). Whatever is wrong with a token, the caller learns nothing but that.
"""

import base64
import hashlib
import json
import math
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import jwt
from jwt.exceptions import InvalidSubjectError

from api.auth.access import Access
from api.settings import ServingSettings

MOST_SECONDS_AHEAD = 3600
"""How far `exp` may be ahead, beside the leeway."""
MOST_AGENTS = 1000
MAX_TOKEN_CHARACTERS = 32_768  # a thousand ids of 19 digits take 27,000
MOST_VERIFIED = 512  # of 36 KB at most, where each has a thousand agents
READ_AGAIN_SECONDS = 60.0
MIN_RSA_BITS = 2048
MAX_FILE_BYTES = 1_000_000
SECRET_ALGORITHM = "HS256"
ALGORITHMS: dict[tuple[str, str | None], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""What each kind of public key may be used with, the first where the key does not say."""
CUSTOMER_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
FAMILY = re.compile(r"[A-Za-z0-9._:/-]{1,64}", re.ASCII)
MAX_ID = 2**63 - 1

_SIGNED = (jwt.InvalidSignatureError, jwt.MissingRequiredClaimError, jwt.InvalidAudienceError,
           jwt.InvalidIssuerError, InvalidSubjectError)  # fmt: skip
"""What is found wrong only after a signature was computed."""


class WrongToken(Exception):
    """A token is not valid. Why is for tests and people at a debugger, never for an answer."""


class KeysUnreadable(Exception):
    """There are no keys to verify tokens with; the message says why, and names the file."""


@dataclass(frozen=True)
class VerifyingKey:
    """A key and the one algorithm that it is used with."""

    key: Any
    algorithm: str
    signature_bytes: int


class KeySet(Protocol):
    """The keys that tokens are verified with."""

    @property
    def generation(self) -> int:
        """Grows when keys are replaced: what was verified before holds no more."""
        ...

    def key_of(self, header: Mapping[str, Any]) -> VerifyingKey:
        """The key of a token with this header. Raises WrongToken, KeysUnreadable."""
        ...

    def any_key(self) -> VerifyingKey | None:
        """One of the keys; None if there is none."""
        ...

    def refresh(self) -> None:
        """Read the keys again if they were replaced, not more than once a minute."""


class SecretKey:
    """One secret, shared with the platform, for HS256 alone."""

    generation = 0

    def __init__(self, secret: str) -> None:
        self._key = VerifyingKey(secret.encode(), SECRET_ALGORITHM, 32)

    def key_of(self, header: Mapping[str, Any]) -> VerifyingKey:
        """The secret. Raises WrongToken where the token is of another algorithm."""
        if header.get("alg") != SECRET_ALGORITHM:
            raise WrongToken("another algorithm")
        return self._key

    def any_key(self) -> VerifyingKey:
        """The secret."""
        return self._key

    def refresh(self) -> None:
        """A secret changes with the settings, by a restart."""


class KeyFile:
    """The public keys in a JWKS file, by `kid`.

    The file is read when the first token comes. It is read again, at most once a minute, when it
    was replaced: which is looked at for each unknown `kid`, and otherwise once a minute, so that a
    key that is gone from the file opens nothing any more. Where the file cannot be read again, the
    keys that were read stay.
    """

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._keys: dict[str | None, VerifyingKey] | None = None
        self._seen: tuple[int, int, int] | None = None
        self._looked_at = -math.inf
        self._read_again_at = -math.inf
        self.generation = 0
        self.problem: str | None = None
        """Why the file could not be read when that was tried last."""

    def key_of(self, header: Mapping[str, Any]) -> VerifyingKey:
        """The key that the header names; the only one where it names none.

        Raises WrongToken where there is no such key or the header has another algorithm than it,
        KeysUnreadable where no key was ever read.
        """
        kid = header.get("kid")
        found = self._named(kid)
        if found is None:
            self._read_if_replaced()
            found = self._named(kid)
        if self._keys is None:
            raise KeysUnreadable(self.problem or f"{self._path.name} has not been read")
        if found is None:
            raise WrongToken("unknown key")
        if header.get("alg") != found.algorithm:
            raise WrongToken("another algorithm")
        return found

    def any_key(self) -> VerifyingKey | None:
        """The first key."""
        return next(iter((self._keys or {}).values()), None)

    def refresh(self) -> None:
        """Look once a minute whether the file was replaced, and read it if it was."""
        if self._monotonic() >= self._looked_at + READ_AGAIN_SECONDS:
            self._read_if_replaced()

    def _named(self, kid: str | None) -> VerifyingKey | None:
        keys = self._keys or {}
        if kid is None:
            return next(iter(keys.values())) if len(keys) == 1 else None
        return keys.get(kid)

    def _read_if_replaced(self) -> None:
        with self._lock:
            now = self._looked_at = self._monotonic()
            try:
                status = self._path.stat()
                seen = (status.st_ino, status.st_mtime_ns, status.st_size)
                if seen == self._seen or now < self._read_again_at + READ_AGAIN_SECONDS:
                    return
                if self._keys is not None or self.problem is not None:
                    self._read_again_at = now
                if status.st_size > MAX_FILE_BYTES:
                    raise ValueError(f"it has more than {MAX_FILE_BYTES} bytes")
                keys = keys_of(self._path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                self.problem = f"{self._path.name} cannot be used: {error}"
                return
            self._keys, self._seen, self.problem = keys, seen, None
            self.generation += 1


def keys_of(text: str) -> dict[str | None, VerifyingKey]:
    """The usable public keys of a JWKS document, by `kid`.

    Left out is what signatures are not verified with: keys for encryption, symmetric ones, and
    kinds that are not known here. Raises ValueError where the document is no JWKS, has no usable
    key, two of one `kid`, a private key, or an RSA key of less than 2048 bits.
    """
    document = json.loads(text)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise ValueError("it is no JWKS: it needs a list `keys` of objects")
    found: dict[str | None, VerifyingKey] = {}
    for each in listed:
        kind = (str(each.get("kty")), None if each.get("kty") == "RSA" else each.get("crv"))
        if each.get("use", "sig") != "sig" or "verify" not in each.get("key_ops", ["verify"]):
            continue
        allowed = ALGORITHMS.get(kind)
        if allowed is None:
            continue
        algorithm = each.get("alg", allowed[0])
        if algorithm not in allowed:
            continue
        kid = each.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise ValueError("a kid is no text")
        if kid in found:
            raise ValueError(f"two keys have the kid {kid!r}")
        if "d" in each:
            raise ValueError(f"the key {kid!r} is private: only its public half belongs here")
        found[kid] = _verifying_key(each, algorithm)
    if not found:
        raise ValueError("it has no public key that signatures can be verified with")
    return found


def _verifying_key(each: dict[str, Any], algorithm: str) -> VerifyingKey:
    try:
        key = jwt.PyJWK(each, algorithm)
    except jwt.PyJWTError as error:
        raise ValueError(f"the key {each.get('kid')!r} is malformed") from error
    bits = getattr(key.key, "key_size", 256)
    if each["kty"] == "RSA":
        if bits < MIN_RSA_BITS:
            raise ValueError(f"the key {each.get('kid')!r} has less than {MIN_RSA_BITS} bits")
        return VerifyingKey(key, algorithm, bits // 8)
    return VerifyingKey(key, algorithm, 2 * bits // 8)


@dataclass(frozen=True)
class _Verified:
    """A token whose signature and claims are right, while its times are."""

    access: Access
    begins: float
    ends: float


class Tokens:
    """Verifies tokens. One that was verified is kept until it ends or keys are replaced."""

    def __init__(
        self,
        keys: KeySet,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        leeway_seconds: int = 60,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway_seconds
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._generation = keys.generation
        self._lock = threading.Lock()
        self._decoding = jwt.PyJWT()

    def verify(self, token: str | None, now: datetime) -> Access | None:
        """What a token opens at `now`, aware; None where anything about it is wrong.

        A wrong token takes as long as any other: a signature is computed for each. Raises
        KeysUnreadable where there are no keys to verify with.
        """
        if token is None or len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            self.compare_in_vain()
            return None
        self._keys.refresh()
        digest = hashlib.sha256(token.encode()).digest()
        verified = self._find(digest)
        try:
            if verified is None:
                verified = self._decoded(token)
                self._store(digest, verified)
            self._check_times(verified, now.timestamp())
        except WrongToken:
            return None
        return verified.access

    def compare_in_vain(self) -> None:
        """Verify a token that is wrong, for the time that takes."""
        key = self._keys.any_key()
        if key is None:
            return
        signature = os.urandom(key.signature_bytes)
        header = _part(json.dumps({"alg": key.algorithm}).encode())
        token = ".".join((header, _part(b'{"sub":"0","exp":0}'), _part(signature)))
        try:
            self._claims(token, key)
        except jwt.PyJWTError:
            return
        raise AssertionError("a random signature was right")

    def _find(self, digest: bytes) -> _Verified | None:
        with self._lock:
            if self._generation != self._keys.generation:
                self._verified.clear()
                self._generation = self._keys.generation
            found = self._verified.get(digest)
            if found is not None:
                self._verified.move_to_end(digest)
            return found

    def _store(self, digest: bytes, verified: _Verified) -> None:
        with self._lock:
            if self._generation != self._keys.generation:
                return  # the next look clears what was verified with keys of before
            self._verified[digest] = verified
            while len(self._verified) > MOST_VERIFIED:
                self._verified.popitem(last=False)

    def _decoded(self, token: str) -> _Verified:
        """The token, its signature verified and its claims read. Raises WrongToken."""
        try:
            key = self._keys.key_of(_header_of(token))
            claims = self._claims(token, key)
        except (jwt.PyJWTError, WrongToken, ValueError, RecursionError) as error:
            if not isinstance(error, _SIGNED):
                self.compare_in_vain()
            raise WrongToken(str(error)) from error
        return _verified_of(claims)

    def _claims(self, token: str, key: VerifyingKey) -> dict[str, Any]:
        claims: dict[str, Any] = self._decoding.decode(
            token,
            key=key.key,
            algorithms=[key.algorithm],
            audience=self._audience,
            issuer=self._issuer,
            options={
                "require": [
                    "exp",
                    "sub",
                    *(["aud"] if self._audience is not None else []),
                    *(["iss"] if self._issuer is not None else []),
                ],
                # By our own clock, below.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "enforce_minimum_key_length": True,
            },
        )
        return claims

    def _check_times(self, verified: _Verified, now: float) -> None:
        if verified.begins > now + self._leeway:
            raise WrongToken("not yet valid")
        if verified.ends <= now - self._leeway:
            raise WrongToken("expired")
        if verified.ends > now + MOST_SECONDS_AHEAD + self._leeway:
            raise WrongToken("valid for too long")


def tokens_of(settings: ServingSettings) -> Tokens | None:
    """What verifies tokens by these settings; None where tokens are not accepted."""
    keys: KeySet
    if settings.jwt_secret is not None:
        keys = SecretKey(settings.jwt_secret.get_secret_value())
    elif settings.jwt_jwks_file is not None:
        keys = KeyFile(settings.jwt_jwks_file)
    else:
        return None
    return Tokens(
        keys,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        leeway_seconds=settings.jwt_leeway_seconds,
    )


def _verified_of(claims: Mapping[str, Any]) -> _Verified:
    """Whose the claims are and when they hold. Raises WrongToken."""
    subject = claims["sub"]
    if not isinstance(subject, str) or not CUSTOMER_ID.fullmatch(subject):
        raise WrongToken("sub is no customer id")
    if int(subject) > MAX_ID:
        raise WrongToken("sub is no customer id")
    begins = [_instant(claims[name]) for name in ("nbf", "iat") if name in claims]
    return _Verified(
        Access(int(subject), _agents_of(claims), _scope_of(claims)),
        begins=max(begins, default=-math.inf),
        ends=_instant(claims["exp"]),
    )


def _instant(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongToken("a time is no number")
    if not -1e15 < value < 1e15:  # no NaN, nothing that a float cannot hold
        raise WrongToken("a time is out of range")
    return float(value)


def _agents_of(claims: Mapping[str, Any]) -> tuple[int, ...] | None:
    if "agent_ids" not in claims:
        return None
    ids = claims["agent_ids"]
    if not isinstance(ids, list) or not 1 <= len(ids) <= MOST_AGENTS:
        raise WrongToken("agent_ids is no list of 1 to 1000 ids")
    if not all(type(each) is int and 0 < each <= MAX_ID for each in ids):
        raise WrongToken("agent_ids has something that is no id")
    return tuple(sorted(set(ids)))


def _scope_of(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """The families of `scope`: a text with spaces between, as OAuth has it, or a list."""
    if "scope" not in claims:
        return None
    scope = claims["scope"]
    names = scope.split(" ") if isinstance(scope, str) else scope
    if not isinstance(names, list):
        raise WrongToken("scope is neither a text nor a list")
    if not all(isinstance(each, str) and (not each or FAMILY.fullmatch(each)) for each in names):
        raise WrongToken("scope has something that is no name")
    return frozenset(filter(None, names))


def _header_of(token: str) -> Mapping[str, Any]:
    """What a token says of its key, unverified: enough to choose one, by which pyjwt then reads all
    of the token, strictly. Raises WrongToken, ValueError."""
    part = token.partition(".")[0]
    header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(header, dict) or not isinstance(header.get("kid", ""), str):
        raise WrongToken("the header is no object, or its kid no text")
    return header


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
