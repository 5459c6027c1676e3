"""Checks a gzip file (RFC 1952) while it passes by: whole, undamaged, within bounds; never holds more than a step of it unpacked."""

import zlib

from bidbeacon_pipelines.amazon_ads.download_rules import OPERATION, DownloadLimits
from bidbeacon_pipelines.amazon_ads.errors import (
    DownloadIncomplete,
    DownloadRefused,
    MalformedAnswer,
)

STEP_BYTES = 256 * 1024
_GZIP = 31  # zlib's `wbits`: a window of 2^15 bytes, with gzip's header, checksum and length around the data
_MAGIC = b"\x1f\x8b"
_HEAD_BYTES = 16


class GzipCheck:
    """Follows one file, fed chunk by chunk; several gzip members one after another are one file.

    Attributes:
        compressed: Bytes fed so far.
        inflated: Bytes that they unpack to.
    """

    def __init__(self, limits: DownloadLimits) -> None:
        self.compressed = 0
        self.inflated = 0
        self._limits = limits
        self._head = b""
        self._members = 0
        self._inside = False
        self._inflater = zlib.decompressobj(_GZIP)

    def feed(self, chunk: bytes) -> None:
        """Check the next bytes.

        Raises:
            DownloadRefused: The file is larger than the limits allow, or unpacks to more.
            MalformedAnswer: It is no gzip.
            DownloadIncomplete: It is damaged, or something follows after its end.
        """
        self._head += chunk[: _HEAD_BYTES - len(self._head)]
        self.compressed += len(chunk)
        if self.compressed > self._limits.compressed_bytes:
            raise _refused(f"the file is larger than {self._limits.compressed_bytes} bytes")
        while chunk:
            chunk = self._step(chunk)

    def finish(self) -> None:
        """Check that the file has ended where a gzip file may end.

        Raises:
            DownloadIncomplete: It hasn't.
        """
        if not self.compressed:
            raise _incomplete("the file is empty")
        if self._inside:
            raise _incomplete(f"the file is truncated after {self.compressed:,} bytes")

    def _step(self, data: bytes) -> bytes:
        """Unpack one step of the data and throw it away; return the data that is left."""
        self._inside = True
        try:
            self.inflated += len(self._inflater.decompress(data, STEP_BYTES))
        except zlib.error as error:
            raise self._failure_of(error) from error
        self._check_inflated()
        if not self._inflater.eof:
            return self._inflater.unconsumed_tail
        left = self._inflater.unused_data
        self._members += 1
        self._inside = False
        self._inflater = zlib.decompressobj(_GZIP)
        return left

    def _check_inflated(self) -> None:
        limits = self._limits
        if self.inflated > limits.inflated_bytes:
            raise _refused(f"the file unpacks to more than {limits.inflated_bytes} bytes")
        if self.inflated > max(limits.ratio_free_bytes, limits.ratio * self.compressed):
            raise _refused(f"the file unpacks to more than {limits.ratio} times its size")

    def _failure_of(self, error: zlib.error) -> DownloadIncomplete | MalformedAnswer:
        if self._members:
            return _incomplete(f"the file is damaged, or something follows after its end ({error})")
        if not _MAGIC.startswith(self._head[: len(_MAGIC)]):
            return MalformedAnswer(
                f"the file was to be gzipped and begins with {self._head!r}", operation=OPERATION
            )
        return _incomplete(f"the file is damaged after {self.inflated} unpacked bytes ({error})")


def _incomplete(reason: str) -> DownloadIncomplete:
    return DownloadIncomplete(reason, operation=OPERATION)


def _refused(reason: str) -> DownloadRefused:
    return DownloadRefused(reason, operation=OPERATION)
