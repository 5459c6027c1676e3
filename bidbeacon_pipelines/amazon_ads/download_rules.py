"""Limits of downloads, their owner, and the errors that only downloads have."""

import errno
from dataclasses import dataclass
from pathlib import Path

from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, DownloadIncomplete
from bidbeacon_pipelines.settings import Region

OPERATION = "download a file"

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class DownloadLimits:
    """Limits of a download.

    Deflate packs 1,032 to 1 at best, which only a bomb does. Rows of a report that are all zeros,
    each with ids of its own, come to 110 to 1; the very same row 100,000 times over, to 230 to 1.
    Small files are not limited.

    Attributes:
        compressed_bytes: Largest file as it is transferred, gzipped.
        inflated_bytes: Largest file unpacked; it is never unpacked onto the disk, so this bounds
            time.
        ratio: Most unpacked bytes to one transferred.
        ratio_free_bytes: The ratio doesn't count before so many unpacked bytes.
        seconds: Longest time of transferring, all tries of a file together, by the client's clock.
    """

    compressed_bytes: int = 2 * 1024**3
    inflated_bytes: int = 64 * 1024**3
    ratio: int = 500
    ratio_free_bytes: int = 10 * 1024**2
    seconds: float = 1800.0


DEFAULT_LIMITS = DownloadLimits()


@dataclass(frozen=True)
class FileOwner:
    """The account of a file, for the log of calls; a report of all countries has no country."""

    region: Region
    account_id: str | None = None
    country_code: str | None = None


class DownloadTooSlow(DownloadIncomplete):
    """A download took longer than it may; it isn't tried again, since its time is used up."""

    transient = False


class DownloadCancelled(AdsApiError):  # noqa: N818 - named as the other errors of the client are
    """A download was ended because another one, without which it is of no use, had failed."""

    cause_code = "file-incomplete"


class NotWritten(AdsApiError):  # noqa: N818 - the same
    """The file could not be written to disk: it is full or not writable."""

    cause_code = "file-not-written"


def not_written(error: OSError, path: Path) -> NotWritten:
    """Return the error for a file that could not be written."""
    what = "the disk is full" if error.errno in _FULL else "the disk refuses"
    return NotWritten(
        f"{what}, {path.name} can't be written to {path.parent}: {error.strerror}",
        operation=OPERATION,
    )
