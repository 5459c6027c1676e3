"""What can come of a lone fault of a report: the classes of consequences that most faults fall into.

Without a fault a report is asked for once, looked at once after 180 seconds, and its one file
fetched once.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from bidbeacon_sandbox.rules import Limits

RowsAre = Literal["true", "as delivered", "unchanged"]

ASKED = ("windows-queued", "report-requested")
LOADED = (*ASKED, "report-processed")
RESENT = ("windows-queued", "request-retried", "report-requested", "report-processed")
"""Nobody knew whether Amazon had accepted the first create; it was sent again later."""
ANEW = (*ASKED, "request-retried", "report-requested", "report-processed")
"""The first report was of no use; another was asked for."""
NEVER_ANSWERED = ("windows-queued", "request-retried", "report-failed")
SILENT = (*ASKED, "windows-unconfirmed", *ASKED)
FIVE_REPORTS = (*ASKED, *("request-retried", "report-requested") * 4)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault, and what must come of it.

    Attributes:
        faults: the rules, the first of which is the fault; more only where it can't strike without
            them.
        strikes: how often each rule struck.
        age: how many days ago the day is.
        loaded_before: the window was loaded, and the fault meets its next refresh.
        twin: somebody else has just asked for the same report.
        pause: the least time between two looks of ours.
        told: types of the actions in order, the same in a row once.
        creates: calls that Amazon saw; so are `retrieves`, `downloads`, and `tokens` where they
            matter.
        reports: reports that Amazon made since the fault, whether or not it said so.
        seconds: how long it took until all was at rest.
        ends: status of the window.
        rows: what the day's rows are; unchanged are none where nothing was loaded before.
        why: pattern of the code and text of why the window failed.
        person: the same of why the account needs attention.
        rests: whether the request stays open until a person has acted.
        quarantined: pattern that what is said of each quarantined row matches; None: there is none.
    """

    faults: tuple[Limits, ...]
    strikes: tuple[int, ...] = (1,)
    age: int = 3
    loaded_before: bool = False
    twin: bool = False
    pause: timedelta = timedelta(seconds=1)
    told: tuple[str, ...] = LOADED
    creates: int = 1
    retrieves: int = 1
    downloads: int = 1
    tokens: int | None = None
    reports: int = 1
    seconds: float = 180
    ends: str = "loaded"
    rows: RowsAre = "true"
    why: str | None = None
    person: str | None = None
    rests: bool = False
    quarantined: str | None = None


@dataclass(frozen=True, kw_only=True)
class Resent(Case):
    """After the create nobody knows whether there is a report: it is left alone for ten minutes, and sent again."""

    told: tuple[str, ...] = RESENT
    creates: int = 2
    seconds: float = 600 + 180


@dataclass(frozen=True, kw_only=True)
class Throttled(Resent):
    """Amazon refuses to make the report, which it may have made all the same; the gate is closed for less than the ten minutes."""

    told: tuple[str, ...] = (
        "windows-queued",
        "request-retried",
        "creates-paused",
        "report-requested",
        "report-processed",
    )


@dataclass(frozen=True, kw_only=True)
class PolledLater(Case):
    """The first poll brings nothing: the report is polled again."""

    told: tuple[str, ...] = (*ASKED, "report-pending", "report-processed")
    retrieves: int = 2
    seconds: float = 180 + 60


@dataclass(frozen=True, kw_only=True)
class LoadedLater(Case):
    """The first load fails: the same report is polled and fetched again."""

    told: tuple[str, ...] = (*ASKED, "request-retried", "report-processed")
    retrieves: int = 2
    downloads: int = 2
    seconds: float = 180 + 60


@dataclass(frozen=True, kw_only=True)
class Unanswered(Case):
    """No create is ever answered: five are sent, after 10, 20, 40, 80 and 120 minutes it is over."""

    strikes: tuple[int, ...] = (5,)
    told: tuple[str, ...] = NEVER_ANSWERED
    creates: int = 5
    retrieves: int = 0
    downloads: int = 0
    reports: int = 0
    seconds: float = (10 + 20 + 40 + 80 + 120) * 60
    ends: str = "failed"
    rows: RowsAre = "unchanged"
    why: str | None = r"^(amazon-unavailable|unreachable): .* Given up after 5 attempts"


@dataclass(frozen=True, kw_only=True)
class Confirmed(Case):
    """The create is refused, which is not believed: after five minutes it is sent again, and accepted."""

    told: tuple[str, ...] = RESENT
    creates: int = 2
    seconds: float = 300 + 180


@dataclass(frozen=True, kw_only=True)
class Refused(Case):
    """The create is refused for good: nothing more is asked."""

    told: tuple[str, ...] = ("windows-queued", "report-failed")
    retrieves: int = 0
    downloads: int = 0
    reports: int = 0
    seconds: float = 0
    ends: str = "failed"
    rows: RowsAre = "unchanged"


@dataclass(frozen=True, kw_only=True)
class RefusedTwice(Refused):
    """The create is refused, which is believed when it comes again five minutes later."""

    told: tuple[str, ...] = ("windows-queued", "request-retried", "report-failed")
    strikes: tuple[int, ...] = (2,)
    creates: int = 2
    seconds: float = 300


@dataclass(frozen=True, kw_only=True)
class NeedsAttention(Refused):
    """Three creates are refused, after pauses of five and ten minutes; then nothing is asked of the account until a person acts."""

    told: tuple[str, ...] = (
        "windows-queued",
        "request-retried",
        "account-needs-attention",
        "report-failed",
    )
    strikes: tuple[int, ...] = (3,)
    creates: int = 3
    seconds: float = 300 + 600
    ends: str = "missing"


@dataclass(frozen=True, kw_only=True)
class Anew(Case):
    """The report is of no use: after five minutes another is asked for, which is."""

    told: tuple[str, ...] = ANEW
    creates: int = 2
    retrieves: int = 2
    reports: int = 2
    seconds: float = 180 + 300 + 180


@dataclass(frozen=True, kw_only=True)
class NeedsDecision(Anew):
    """The report is doubted: after 15 minutes another is requested, which differs and is loaded."""

    told: tuple[str, ...] = (*SILENT, "report-processed")
    downloads: int = 2
    seconds: float = 180 + 900 + 180


@dataclass(frozen=True, kw_only=True)
class SaidTwice(NeedsDecision):
    """The second report says the same, which is loaded."""

    strikes: tuple[int, ...] = (2,)
    told: tuple[str, ...] = (*SILENT, "silence-accepted", "report-processed")
    rows: RowsAre = "as delivered"


@dataclass(frozen=True, kw_only=True)
class FiveInVain(Case):
    """Five reports are asked for, each after a longer pause (5, 10, 20, 40 minutes), and none is of use."""

    strikes: tuple[int, ...] = (5,)
    told: tuple[str, ...] = (*FIVE_REPORTS, "report-failed")
    creates: int = 5
    retrieves: int = 5
    downloads: int = 0
    reports: int = 5
    seconds: float = 5 * 180 + (5 + 10 + 20 + 40) * 60
    ends: str = "failed"
    rows: RowsAre = "unchanged"


@dataclass(frozen=True, kw_only=True)
class FifteenLoadsInVain(FiveInVain):
    """Each of the five is looked at and fetched three times, after pauses of 60 and 90 seconds."""

    told: tuple[str, ...] = (*FIVE_REPORTS, "request-retried", "report-failed")
    strikes: tuple[int, ...] = (15,)
    retrieves: int = 15
    downloads: int = 15
    seconds: float = 5 * (180 + 60 + 90) + (5 + 10 + 20 + 40) * 60


@dataclass(frozen=True, kw_only=True)
class Undone(Case):
    """The report is loaded as it came; it takes the next one, at the window's next offset, to put the rows right."""

    rows: RowsAre = "as delivered"


@dataclass(frozen=True, kw_only=True)
class TooManyBad(Case):
    """No row can be understood: the window is refused, and each row is kept aside with field and value."""

    told: tuple[str, ...] = (*ASKED, "report-failed")
    ends: str = "failed"
    rows: RowsAre = "unchanged"
    why: str | None = r"^rows-(invalid|undated): \d+ of \d+ rows \(100.0%\)"


@dataclass(frozen=True, kw_only=True)
class FewBad(Case):
    """A few rows can't be understood: they are kept aside with field and value, and all others are loaded."""

    rows: RowsAre = "as delivered"
