"""Receivers of alerts: the URLs in `BIDBEACON_ALERT_URLS`; apprise sends the messages.

URLs may contain secrets, so messages and logs show only their scheme.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from bidbeacon_pipelines.problems.alert_rules import AlertMessage
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions.errors import ExpectedError
from bidbeacon_sessions.masking import MASK, mask_text

SENDING_TAKES_AT_MOST = 20.0
"""Timeout in seconds of one message to one receiver."""
_SHORTEST_SECRET = 3
_APP: Mapping[str, Any] = {
    "app_id": "BidBeacon",
    "app_desc": "BidBeacon alerts",
    "app_url": "",
    "image_url_mask": False,
    "image_url_logo": "",
}


class NotSentError(ExpectedError):
    """A receiver did not accept a message; the reason contains no part of its URL."""


@dataclass(frozen=True)
class Receiver:
    """A URL to which alerts are sent; `number` is its position in the setting, starting at 1."""

    number: int
    url: str = field(repr=False)

    @property
    def label(self) -> str:
        """The receiver's number and its URL's scheme, without URL parts that may be secret."""
        return f"{self.number}. {self.url.partition('://')[0].lower()}://{MASK}"

    def send(self, message: AlertMessage) -> None:
        """Send a message; some receivers show its kind by a color.

        Raises:
            NotSentError: The message was not accepted within `SENDING_TAKES_AT_MOST` seconds.
        """
        _silence_apprise()
        from apprise import Apprise, AppriseAsset, LogCapture, NotifyFormat

        service = Apprise(asset=AppriseAsset(service_timeout=SENDING_TAKES_AT_MOST, **_APP))
        with LogCapture(level=logging.WARNING, fmt="%(message)s") as warnings:  # type: ignore[no-untyped-call] # apprise's types have this gap
            is_understood = service.add(self.url)
        if not is_understood:
            reason = self._masked(" ".join(warnings.getvalue().split()))
            if (scheme := self.url.partition("://")[0].lower()) in ("http", "https"):
                webhook = f"{scheme.replace('http', 'json')}://host/path"
                reason = f"it belongs to no known service. For a webhook, write {webhook}."
            raise NotSentError(f"apprise can't use the receiver's URL: {reason}")
        title, body, kind = message.title, message.body, message.kind
        result = service.notify(
            title=title, body=body, notify_type=kind, body_format=NotifyFormat.TEXT
        )
        if not result:
            messages = [entry.message for sent in result.results for entry in sent.logs()]
            reason = " ".join(messages) or "the service did not accept the message"
            raise NotSentError(self._masked(reason))

    def _masked(self, text: str) -> str:
        """Return a text without any part of the URL, since each part may be a secret."""
        rest = self.url.partition("://")[2]
        text = re.sub(r"\S*://\S*", MASK, text)
        words = re.findall(r"[\w.-]+", f"{rest} {unquote(rest)}")
        for word in words + re.split(r"[/:@?&=]", unquote(rest)):
            if len(word) >= _SHORTEST_SECRET:
                text = text.replace(word, MASK)
        return mask_text(text)


def list_receivers(settings: Settings) -> Sequence[Receiver]:
    """Return the receivers of alerts, in the order of `BIDBEACON_ALERT_URLS`."""
    urls = "" if settings.alert_urls is None else settings.alert_urls.get_secret_value()
    return [Receiver(number, url) for number, url in enumerate(urls.split(), 1)]


def _silence_apprise() -> None:
    """Silence apprise's log, since it contains parts of URLs; `send` reports failures."""
    log = logging.getLogger("apprise")
    log.setLevel(logging.WARNING)
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
