"""The source's URL: checked before libpq sees it, and never repeated with its password.

libpq quotes the part of a URL that it cannot read, and that may be the password; so whatever it
could stumble over is refused here, in words that repeat nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

# libpq's parameters that are secrets.
_SECRET_PARAMETERS = {"password", "sslpassword", "oauth_client_secret"}
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.%]*\]|[^:\[\]/@]*)(:\d+)?")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

# How long a silent network may keep a run waiting: a minute, as 30 s + 3 * 10 s.
_DEFAULT_PARAMETERS = {
    "application_name": "agentstats",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


@dataclass(frozen=True)
class SourceUrl:
    """A URL that libpq can read. `shown` names the server without any secret."""

    text: str
    shown: str
    secrets: tuple[str, ...]

    def with_defaults(self) -> str:
        """The URL for libpq, with what keeps a dead connection from hanging."""
        given = {name for name, _ in parse_qsl(urlsplit(self.text).query, keep_blank_values=True)}
        added = "&".join(
            f"{name}={value}" for name, value in _DEFAULT_PARAMETERS.items() if name not in given
        )
        if not added:
            return self.text
        return f"{self.text}{'&' if '?' in self.text else '?'}{added}"

    def hide(self, message: str) -> str:
        """`message` with `***` in place of every secret of the URL."""
        for secret in self.secrets:
            message = message.replace(secret, "***")
        return message


def parse_url(text: str) -> SourceUrl:
    """Read a `postgresql://` URL. Raises `ValueError`, which says nothing of it."""
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("must be a URL like postgresql://user:password@host:5432/database")
    escape = "write @ : / ? # % in user and password as %40 %3A %2F %3F %23 %25"
    if _BROKEN_ESCAPE.search(text):
        raise ValueError(f"has a % that is no escape; {escape}")
    if text != text.strip() or "\x00" in text or "#" in text:
        raise ValueError(f"has a character that no URL may have; {escape}")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(f"cannot be read as a URL; {escape}") from None
    user_and_password, at, hosts = parts.netloc.rpartition("@")
    if "@" in user_and_password or ("@" in parts.path + parts.query and not at):
        raise ValueError(f"has an @ that is no separator; {escape}")
    if not all(_HOST_AND_PORT.fullmatch(host) for host in hosts.split(",")):
        raise ValueError(f"has no host and port where they should be; {escape}")
    if any("=" not in pair for pair in parts.query.split("&") if pair):
        raise ValueError(f"has a parameter without a value; {escape}")
    user, _, password = user_and_password.partition(":")
    given = parse_qsl(parts.query, keep_blank_values=True)
    found = [
        password,
        *(value for name, value in given if name in _SECRET_PARAMETERS),
        # As they stand in the URL, still escaped.
        *(
            pair.partition("=")[2]
            for pair in parts.query.split("&")
            if pair.partition("=")[0] in _SECRET_PARAMETERS
        ),
    ]
    secrets = {secret for each in found for secret in (each, unquote(each)) if secret}
    name = unquote(parts.path.lstrip("/")) or "the default database"
    shown = f"{name} at {hosts or 'the local socket'}" + (f" as {unquote(user)}" if user else "")
    # The longest first: a secret may be a part of another.
    return SourceUrl(text, shown, tuple(sorted(secrets, key=lambda each: (-len(each), each))))
