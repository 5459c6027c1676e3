"""Alerts end to end: problems in a real database, messages at a real HTTP receiver and a real SMTP server."""

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine
from typer.testing import CliRunner

from bidbeacon_pipelines.cli import app
from bidbeacon_pipelines.database.processes import record_process
from bidbeacon_pipelines.problems import receivers as receivers_module
from bidbeacon_pipelines.problems.alert_rules import AlertMessage
from bidbeacon_pipelines.problems.alert_store import claim_receiver
from bidbeacon_pipelines.problems.alerts import AlertWatch
from bidbeacon_pipelines.problems.home import read_home
from bidbeacon_pipelines.problems.receivers import NotSentError, Receiver
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_pipelines.windows.tables import ReportWindow
from bidbeacon_sessions import SessionStore
from tests.support.recorded_sessions import database_away
from tests.support.rows import (
    add_account,
    add_windows,
    change_ads_accounts,
    change_windows,
    days_until,
    remove_windows,
)
from tests.support.waiting import wait_until
from tests.support.world import execute, query

NOW = datetime(2026, 7, 25, 12, 0, tzinfo=UTC)
FAILED = {"code": "report-failed", "status": "FAILED", "detail": {"reason": "Out of ink"}}
SAID = "Amazon reported FAILED (Out of ink)."
TITLE = f"Acme Merch · US: {SAID}"
AWAY = ["The database does not answer.", "Over: The database does not answer."]
SECRET = "s3cret-t0ken-of-acme"


class Place:
    """A database with one account, whose time a test moves on, and the processes that watch it."""

    def __init__(self, engine: Engine, **settings: Any) -> None:
        self.engine = engine
        names = {"name": "Acme Merch", "time_zone": "UTC"}
        seen = datetime(2026, 1, 1, tzinfo=UTC)
        self.account = add_account(engine, "US", "amzn1.acme", first_seen_at=seen, **names)
        self.now = NOW
        self._settings = settings

    def watch(self, *urls: str, **settings: Any) -> AlertWatch:
        """Return what a process does that was just started."""
        made = Settings(alert_urls=" ".join(urls) or None, **self._settings | settings)
        return AlertWatch(self.engine, made, clock=lambda: self.now, host_clock=lambda: self.now)

    def watch_for(self, watch: AlertWatch, *, minutes: int) -> None:
        """Let a process watch for some minutes."""
        for _ in range(minutes):
            watch.watch_once()
            self.pass_time(minutes=1)

    def look_for(self, watch: AlertWatch, *, minutes: int) -> None:
        """Let a process look once a minute for some minutes."""
        for _ in range(minutes):
            watch.check_once()
            self.pass_time(minutes=1)

    def pass_time(self, **duration: float) -> None:
        """Let time pass."""
        self.now += timedelta(**duration)

    def fail(self, days: int = 2) -> None:
        """Let the windows of the last days fail for one cause."""
        remove_windows(self.engine)
        past = days_until(NOW.date() - timedelta(days=1), days)
        failed: dict[str, Any] = {"status": "failed", "cause": FAILED, "cause_since": NOW}
        add_windows(self.engine, self.account, past, **failed)

    def refuse_account(self, cause: dict[str, str] | None) -> None:
        """Have Amazon refuse the account for a cause, or accept it again."""
        concerns = "account" if cause else None
        change_ads_accounts(self.engine, needs_attention=cause, needs_attention_for=concerns)

    def said_of_alerts(self) -> list[str]:
        """Return what Home says of alerts."""
        settings = Settings(alert_urls="json://127.0.0.1/")
        findings = read_home(SessionStore(self.engine), settings, self.now)["findings"]
        return [one["sentence"] for one in findings if "alerts-" in one["code"]]


@pytest.fixture
def place(engine: Engine) -> Place:
    """A database with one account, and no problem."""
    with engine.begin() as connection:
        record_process(connection, "stream", "here", 1, "1", is_start=True)
    return Place(engine)


class Inbox:
    """A real HTTP receiver, and what it got."""

    def __init__(self, server: HTTPServer) -> None:
        self._server = server
        self.url = f"json://127.0.0.1:{server.port}/hook/{SECRET}"
        self.answer(200)

    def answer(self, status: int) -> None:
        """Answer with a status from now on."""
        self._server.clear_all_handlers()
        hook = self._server.expect_request(f"/hook/{SECRET}", method="POST")
        hook.respond_with_data("", status=status)

    @property
    def received(self) -> list[dict[str, Any]]:
        """The messages that it took."""
        log = self._server.log
        return [dict(request.get_json()) for request, answer in log if answer.status_code == 200]

    @property
    def titles(self) -> list[str]:
        """The titles of the messages that it took."""
        return [message["title"] for message in self.received]


@pytest.fixture
def inbox(httpserver: HTTPServer) -> Inbox:
    """A real HTTP receiver that takes everything."""
    return Inbox(httpserver)


class Mailbox:
    """Takes mail at a real SMTP server."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


@pytest.fixture
def mail() -> Iterator[tuple[str, Mailbox]]:
    """A real SMTP server's address for apprise, and what it got."""
    mailbox = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield f"mailto://127.0.0.1:{port}?from=beacon@example.com&to=ops@example.com", mailbox
    controller.stop()


def test_a_cause_is_told_by_webhook_and_by_mail(
    place: Place, inbox: Inbox, mail: tuple[str, Mailbox]
) -> None:
    """Account and cause first, then how many, since when, what next, and a link to the view that shows them; then that it is over."""
    address, mailbox = mail
    watch = place.watch(inbox.url, address, stream_public_url="https://beacon.example")
    place.fail(days=3)
    watch.check_once()
    [message] = inbox.received
    assert (TITLE, "failure") == (message["title"], message["type"])
    assert [
        "Since 25 Jul 2026 12:00 UTC.",
        "3 windows failed, in daily_targets.",
        "What next: Load the days again, or wait until they are due.",
        "https://beacon.example/coverage?dataset=daily_targets&state=failed&days=731",
        "Cause: report-failed, see https://beacon.example/causes#report-failed",
    ] == message["message"].splitlines()
    [letter] = mailbox.mails
    assert TITLE == letter["Subject"]
    body = letter.get_body(("plain", "html"))
    assert body is not None
    assert "3 windows failed, in daily_targets" in body.get_content()

    change_windows(place.engine, status="missing", cause=None)
    for hours in (1, 3):
        place.pass_time(hours=hours)
        watch.check_once()
    assert [TITLE, f"Over: {TITLE}"] == inbox.titles
    assert ["failure", "success"] == [message["type"] for message in inbox.received]
    assert "What next" not in inbox.received[1]["message"]
    assert 2 == len(mailbox.mails)


def test_a_process_that_dies_while_it_sends_does_not_hold_up_the_others(
    place: Place, inbox: Inbox
) -> None:
    """The attempt is counted before it is made: five minutes later another process sends, and after each further death it takes longer."""
    watch = place.watch()
    place.fail()
    watch.check_once()
    with place.engine.begin() as connection:
        assert claim_receiver(connection, 1, place.now)  # and dies
    for minutes in (1, 3, 2):
        place.pass_time(minutes=minutes)
        place.watch(inbox.url).check_once()
    assert [TITLE] == inbox.titles
    with place.engine.begin() as connection:
        deaths = [claim_receiver(connection, 2, NOW + timedelta(minutes=n)) for n in range(24 * 60)]
    assert 90 < sum(deaths) < 110


def test_several_processes_send_each_message_once(place: Place, inbox: Inbox) -> None:
    """Four threads look at once, minute by minute; one of them does."""
    watches = [place.watch(inbox.url) for _ in range(4)]
    place.fail()
    with ThreadPoolExecutor(len(watches)) as pool:
        for _ in range(3):
            list(pool.map(AlertWatch.check_once, watches))
            place.pass_time(minutes=1)
    assert 1 == len(inbox.received)


def test_a_receiver_that_is_down_gets_its_message_later_and_others_at_once(
    place: Place, inbox: Inbox, mail: tuple[str, Mailbox]
) -> None:
    """What was sent to one is not sent to it again; Home says that alerts can't be delivered, and nothing of the address."""
    address, mailbox = mail
    inbox.answer(503)
    place.fail()
    watch = place.watch(inbox.url, address)
    place.look_for(watch, minutes=6)
    assert (0, 1) == (len(inbox.received), len(mailbox.mails))
    [said] = place.said_of_alerts()
    assert said.startswith("Alerts can't be delivered: 1. json://•••: ")
    assert "503" in said
    assert SECRET not in said

    inbox.answer(200)
    place.look_for(watch, minutes=15)
    assert (1, 1) == (len(inbox.received), len(mailbox.mails))
    assert [] == place.said_of_alerts()


def test_what_began_while_a_receiver_was_away_comes_as_one_digest(
    place: Place, inbox: Inbox
) -> None:
    """Only what is still so, the worst first."""
    inbox.answer(503)
    place.fail()
    watch = place.watch(inbox.url)
    watch.check_once()
    place.refuse_account({"code": "account-refused"})
    place.pass_time(minutes=2)
    watch.check_once()
    place.refuse_account(None)
    is_yesterday = ReportWindow.window_date == NOW.date() - timedelta(days=1)
    change_windows(place.engine, is_yesterday, cause=FAILED | {"status": "CANCELLED"})
    inbox.answer(200)
    place.pass_time(minutes=5)
    watch.check_once()
    [message] = inbox.received
    assert message["title"].endswith(" (and 1 more)")
    assert 2 == message["message"].count("1 window failed, in daily_targets")
    assert "refused" not in message["message"]


def test_a_receiver_that_never_answers_holds_nobody_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and says nothing: after its time the attempt is over, and the digest waits."""
    monkeypatch.setattr(receivers_module, "SENDING_TAKES_AT_MOST", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place.fail()
        began = time.monotonic()
        place.watch(f"json://127.0.0.1:{silent.getsockname()[1]}/x").check_once()
        assert time.monotonic() - began < 10
    [receiver] = query(place.engine, "SELECT error FROM alert_receivers")
    assert "did not finish" in receiver["error"]


def test_quiet_hours_keep_messages_until_they_are_over(place: Place, inbox: Inbox) -> None:
    """At noon in Berlin it is 14:00; what is over by the end of quiet hours was never told."""
    quiet = {"alert_quiet_hours": "13:00-16:00", "alert_time_zone": "Europe/Berlin"}
    watch = place.watch(inbox.url, **quiet)
    place.fail()
    watch.check_once()
    place.refuse_account({"code": "account-refused"})
    place.pass_time(hours=1)
    watch.check_once()
    place.refuse_account(None)
    place.pass_time(minutes=59)
    watch.check_once()
    assert [] == inbox.titles
    place.pass_time(minutes=1)
    watch.check_once()
    assert [TITLE] == inbox.titles


def test_a_database_that_is_away_is_told_and_ends(place: Place, inbox: Inbox) -> None:
    """After five minutes, once, with the reason; a moment's absence is not told.

    What was wrong meanwhile is told when it is back.
    """
    watch = place.watch(inbox.url)
    for minutes in (4, 20):
        watch.watch_once()
        place.fail()
        with database_away(SessionStore(place.engine)):
            place.watch_for(watch, minutes=minutes)
        watch.watch_once()
    assert AWAY == [title for title in inbox.titles if "database" in title]
    assert TITLE in inbox.titles
    [began] = [one for one in inbox.received if one["title"] == AWAY[0]]
    assert "failure" == began["type"]
    assert "not currently accepting connections" in began["message"]
    assert "Since 25 Jul 2026 12:04 UTC" in began["message"]


def test_an_outage_reaches_each_receiver_once(
    place: Place, inbox: Inbox, mail: tuple[str, Mailbox]
) -> None:
    """One that does not take it gets it later, and others not twice; in quiet hours nobody is told."""
    address, mailbox = mail
    watch = place.watch(inbox.url, address, alert_quiet_hours="12:00-12:10")
    with database_away(SessionStore(place.engine)):
        place.watch_for(watch, minutes=10)
        assert [] == mailbox.mails
        inbox.answer(503)
        place.watch_for(watch, minutes=3)
        inbox.answer(200)
        place.watch_for(watch, minutes=3)
    place.watch_for(watch, minutes=3)
    assert (AWAY, AWAY) == (inbox.titles, [each["Subject"] for each in mailbox.mails])


def test_a_look_that_fails_for_another_reason_is_told_too(place: Place, inbox: Inbox) -> None:
    """The database answers, and something is missing in it."""
    watch = place.watch(inbox.url)
    execute(place.engine, "ALTER TABLE ads_accounts RENAME TO renamed")
    place.watch_for(watch, minutes=7)
    [message] = inbox.received
    assert "The check for problems fails." == message["title"]
    assert "ads_accounts" in message["message"]


def test_a_watch_looks_in_a_thread_of_its_own(place: Place, inbox: Inbox) -> None:
    """It looks at once when it is started, also without receivers: then it remembers since when a finding is there."""
    place.fail()
    watch = place.watch(inbox.url)
    watch.start()
    wait_until(lambda: inbox.received)
    watch.stop()
    assert [TITLE] == inbox.titles
    assert [{"began_at": NOW}] == query(place.engine, "SELECT began_at FROM findings")


def test_home_says_when_nobody_watches(place: Place) -> None:
    """Receivers are set, and no stream runs."""
    assert [] == place.said_of_alerts()
    execute(place.engine, "UPDATE processes SET seen_at = now() - interval '2 minutes'")
    assert ["The stream, which sends alerts, is not running."] == place.said_of_alerts()


@pytest.mark.parametrize(
    "url",
    [
        f"json://user:{SECRET}@127.0.0.1:1/{SECRET}?+Authorization=Bearer%20{SECRET}",
        f"slack://{SECRET}",
        f"mailto://{SECRET}:{SECRET}@127.0.0.1:1?to=a@example.com",
        f"nothing-like-it://{SECRET}",
    ],
)
def test_an_address_is_never_shown(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither in a reason, nor in a label, nor in what is printed, whatever is logged."""
    receiver, root, shown = Receiver(1, url), logging.getLogger(), logging.StreamHandler()
    root.addHandler(shown)
    level = root.level
    root.setLevel("DEBUG")
    try:
        with pytest.raises(NotSentError) as raised:
            receiver.send(AlertMessage("title", "body"))
    finally:
        root.removeHandler(shown)
        root.setLevel(level)
    assert SECRET not in f"{receiver.label} {raised.value} {capfd.readouterr()}"
    assert "127.0.0.1" not in str(raised.value)


Command = Callable[..., str]


@pytest.fixture
def alerts(place: Place, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `bidbeacon alerts …` on the place's database; returns what it printed, where no address may be."""
    monkeypatch.setenv("BIDBEACON_DATABASE_URL", database_url)

    def run(*arguments: str, receivers: str = "", code: int = 0) -> str:
        monkeypatch.delenv("BIDBEACON_ALERT_URLS", raising=False)
        if receivers:
            monkeypatch.setenv("BIDBEACON_ALERT_URLS", receivers)
        get_settings.cache_clear()
        result = CliRunner().invoke(app, ["alerts", *arguments])
        assert code == result.exit_code, result.output
        assert SECRET not in result.output
        return result.output

    return run


def test_the_test_command_says_for_each_receiver_whether_it_went(
    alerts: Command, inbox: Inbox
) -> None:
    """It fails where one did not take the message, or where there is none."""
    assert "✔ 1. json://•••: sent\n" == alerts("test", receivers=inbox.url)
    assert ["BidBeacon: alerts arrive here"] == inbox.titles
    two = f"{inbox.url} json://127.0.0.1:1/{SECRET}"
    assert "✘ 2. json://•••: " in alerts("test", receivers=two, code=1)
    assert "BIDBEACON_ALERT_URLS is not set" in alerts("test", code=1)


def test_the_command_lists_what_is_open_and_what_was_sent(
    place: Place, alerts: Command, inbox: Inbox
) -> None:
    """With the receiver, and when."""
    nothing = "Nothing is wrong. No alerts are sent: BIDBEACON_ALERT_URLS is not set."
    assert nothing in alerts("list")
    place.fail()
    place.watch(inbox.url).check_once()
    output = alerts("list", receivers=inbox.url)
    assert f": {TITLE}" in output
    assert "  → Load the days again, or wait until they are due." in output
    address = "http://127.0.0.1:3030/coverage?dataset=daily_targets&state=failed&days=731"
    assert f"  {address}\n" in output
    assert "1. json://•••: “began” sent 2026-07-25 12:00 UTC" in output


def test_the_command_lists_what_is_open_without_receivers(place: Place, alerts: Command) -> None:
    """Nobody watches then, so it looks itself: as text and as JSON, and it stores nothing."""
    place.fail()
    output = alerts("list")
    assert f": {TITLE}" in output
    assert "Nothing is wrong" not in output
    assert "1 open finding. No alerts are sent: BIDBEACON_ALERT_URLS is not set." in output
    assert [SAID] == [one["sentence"] for one in json.loads(alerts("list", "--json"))]
    assert [] == query(place.engine, "SELECT FROM findings")


@pytest.mark.parametrize(
    ("scheme", "instead"), [("http", "json://host/path"), ("https", "jsons://host/path")]
)
def test_a_plain_web_address_is_refused_with_what_to_write(scheme: str, instead: str) -> None:
    """Apprise has a scheme of its own for webhooks; nothing of the address is shown."""
    with pytest.raises(NotSentError, match=instead) as raised:
        Receiver(1, f"{scheme}://hooks.example.com/{SECRET}").send(AlertMessage("title", "body"))
    assert SECRET not in str(raised.value)


def test_the_commands_acknowledge_and_take_that_back(place: Place, alerts: Command) -> None:
    """The list names who did so; a key of nothing that is wrong is refused."""
    place.fail()
    [key] = [one["key"] for one in json.loads(alerts("list", "--json"))]
    alerts("acknowledge", key, "--note", "known", "--by", "Bob")
    assert "Acknowledged by Bob" in alerts("list")
    alerts("unacknowledge", key)
    assert "Acknowledged" not in alerts("list")
    refused = "".join(alerts("acknowledge", "no-such-key", code=2).split())
    assert f"Expectedthekeyofafinding({key}),got:'no-such-key'." in refused
