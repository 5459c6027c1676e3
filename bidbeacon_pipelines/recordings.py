"""The file in which `bidbeacon probe` records its exchanges with Amazon."""

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

FILE_HOST = "https://replay.invalid"
"""The host of download URLs in a recording."""
NOT_RECORDED = "NOT_RECORDED"
"""The error code of a replayed answer to a call that was not recorded."""
RECORDED_SECONDS_HEADER = "x-sandbox-recorded-seconds"
"""The header that says how long a replayed answer took when it was recorded."""
FORMAT = "bidbeacon-probe-1"


class RecordingError(ValueError):
    """A file is not a recording; the message says which file and what is wrong with it."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One request and its answer.

    Attributes:
        step: What the probe was doing: a dataset, a kind of entity, a refusal, a list.
        path: Region and path, as the sandbox has them: `/na/adsAccounts/list`; a file's path for a
            download.
        request: The JSON body sent; None where there was none, and for credentials.
        request_headers: Those that choose an answer, in small letters.
        headers: Those that the contract speaks of, in small letters.
        body: The JSON answer, or the rows of a downloaded file, numbers with a point as `Decimal`.
        text: The beginning of an answer that is not JSON.
        seconds: Time from sending to the whole answer.
        is_file: Whether it is a download.
        row_count: Rows of a downloaded file; `body` has only one of each form.
        announced: The size in bytes that Amazon announced for a downloaded file.
        sizes: The sizes that it has: as transferred, and unpacked.
    """

    step: str
    method: str
    path: str
    request: Any = None
    request_headers: dict[str, str] = {}
    status: int
    headers: dict[str, str] = {}
    body: Any = None
    text: str | None = None
    seconds: float = 0.0
    is_file: bool = False
    row_count: int | None = None
    announced: int | None = None
    sizes: tuple[int, int] | None = None

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the class of HTTP's successes

    @property
    def endpoint(self) -> str:
        """The path without its region: `/adsAccounts/list`."""
        return "/" + self.path.split("/", 2)[-1]


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """All exchanges of one probe, redacted, in their order."""

    format: str = FORMAT
    exchanges: tuple[Exchange, ...]


def create_private(path: Path) -> None:
    """Create an empty file, or empty the one that is there, and let only its owner read it.

    Raises:
        OSError: The file can't be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def write_recording(path: Path, recording: Recording) -> None:
    """Write a recording that only its owner can read.

    Raises:
        OSError: The file can't be written.
    """
    encoder = msgspec.json.Encoder(decimal_format="number")
    create_private(path)
    path.write_bytes(msgspec.json.format(encoder.encode(recording), indent=1) + b"\n")


def read_recording(path: Path) -> Recording:
    """Read a recording.

    Raises:
        RecordingError: The file can't be read, or is not a recording.
    """
    decoder = msgspec.json.Decoder(Recording, float_hook=Decimal)
    try:
        recording = decoder.decode(path.read_bytes())
    except OSError as error:
        raise RecordingError(f"{path} can't be read: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path} is not a recording of `bidbeacon probe`: {error}.") from error
    if recording.format != FORMAT:
        raise RecordingError(f"{path}: expected the format {FORMAT}, got: {recording.format!r}.")
    return recording


def file_text(rows: Any) -> bytes:
    """Return the unpacked content of a downloaded file with these rows."""
    return msgspec.json.Encoder(decimal_format="number").encode(rows)
