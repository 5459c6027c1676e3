"""Download urls that expire: the path, when it was signed, for how long, and a signature over all three."""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import parse_qs, urlencode

from bidbeacon_pipelines.sandbox.hashing import digest

_STAMP = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """A url and the instant (UTC) from which it is refused."""

    url: str
    expires_at: datetime


class Signer:
    """Signs download paths and tells whether a signature is right and fresh; the key comes from the seed."""

    def __init__(self, seed: int) -> None:
        self._key = digest(seed, "download key")
        self._first: dict[str, SignedUrl] = {}

    def sign(self, base_url: str, path: str, now: datetime, seconds: float) -> SignedUrl:
        """Sign a path for a number of seconds from now; no seconds make a url that is expired already."""
        expires_at = now + timedelta(seconds=seconds)
        stamp = expires_at.strftime(_STAMP)
        query = urlencode({"X-Amz-Expires": stamp, "X-Amz-Signature": self._signature(path, stamp)})
        signed = SignedUrl(f"{base_url}{path}?{query}", expires_at)
        self._first.setdefault(path, signed)
        return signed

    def find_first(self, path: str) -> SignedUrl | None:
        """Give what a path was signed as first; None where it never was (or not since a restart)."""
        return self._first.get(path)

    def find_expiry(self, path: str, query: str) -> datetime | None:
        """Give when a signed url expires (UTC); None where the signature isn't that of the path."""
        values = {key: items[0] for key, items in parse_qs(query).items()}
        stamp, signature = values.get("X-Amz-Expires", ""), values.get("X-Amz-Signature", "")
        if not hmac.compare_digest(signature.encode(), self._signature(path, stamp).encode()):
            return None
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)

    def _signature(self, path: str, stamp: str) -> str:
        return hmac.new(self._key, f"{path}\n{stamp}".encode(), sha256).hexdigest()
