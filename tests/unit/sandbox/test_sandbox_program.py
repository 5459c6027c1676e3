"""The sandbox as a program: its command and options, credentials, clock, and page."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.support.waiting import wait_until

COMMAND = (sys.executable, "-m", "bidbeacon_sandbox")
TWO_CLIENTS: list[dict[str, Any]] = [
    {"client_id": "one", "client_secret": "1", "refresh_token": "Atzr|1", "accounts": [0, 3]},
    {"client_id": "one", "client_secret": "1", "refresh_token": "Atzr|2", "accounts": [2]},
    {"client_id": "two", "client_secret": "2", "refresh_token": "Atzr|3"},
]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """Start the command in vain."""
    command = [*COMMAND, *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT, check=False)


def test_the_command_serves_until_it_is_stopped() -> None:
    """It says its address and credentials, answers there, and ends with 0 on SIGTERM."""
    rule = json.dumps([{"rule": "slow"}])
    options = ("--port", "0", "--accounts", "1", "--rules", rule, "--clock-frozen")
    environment = os.environ | {"SANDBOX_SEED": "7"}
    with subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, text=True, env=environment, cwd=PROJECT_ROOT
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(7)]
        said = re.search(r"(http://127\.0\.0\.1:\d+) \(seed 7, ads accounts: 1\)", lines[0])
        assert said is not None
        assert httpx.get(f"{said[1]}/healthz", trust_env=False).is_success
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(30)
    assert "sandbox-client, sandbox-secret, Atzr|sandbox" in lines[2]
    assert lines[4].endswith(" 1\n")


@pytest.mark.parametrize(
    ("options", "sentence", "code"),
    [
        (("--clock-start", "now"), "clock_start: ", 2),
        (("--accounts", "0"), "accounts: ", 2),
        (("--nonsense", "1"), "unrecognized arguments", 2),
        (("--rules", '[{"rule": "slwo"}]'), "The nearest is slow;", 2),
        (("--rules", '[{"rule": "slow", "account": "x"}]'), "There is no ads account 'x'", 2),
        (("--credentials", '[{"accounts": [9]}]'), "expected account numbers 0 to 3; got 9", 2),
        (("--host", "192.0.2.1"), "can't listen on 192.0.2.1:0", 1),
    ],
    ids=str,
)
def test_mistakes_are_one_line(options: tuple[str, ...], sentence: str, code: int) -> None:
    """With what was expected, and exit code 2, or 1 where it can't start."""
    done = run("--port", "0", *options)
    assert (code, 1) == (done.returncode, len(done.stderr.strip().splitlines())), done.stderr
    assert sentence in done.stderr


def test_several_clients_and_credentials(start: Callable[..., Any]) -> None:
    """Each lists its own ads accounts, sees no other's reports, and shows its own client id."""
    caller = start(credentials=TWO_CLIENTS)

    def use(number: int) -> None:
        one = TWO_CLIENTS[number]
        form = {key: str(one[key]) for key in ("client_id", "client_secret", "refresh_token")}
        caller.token, caller.client = caller.new_token(**form), form["client_id"]

    listed = {}
    for number in range(3):
        use(number)
        pages = [caller.post(f"/{region}/adsAccounts/list").json() for region in ("na", "eu", "fe")]
        listed[number] = [len(page["adsAccounts"]) for page in pages]
    assert {0: [2, 0, 0], 1: [0, 0, 1], 2: [2, 1, 1]} == listed
    use(1)
    assert 403 == caller.create().status_code
    use(0)
    report_id = caller.create_id()
    caller.breaks("answer", client="one", status=429)
    assert 429 == caller.create().status_code
    use(2)
    assert report_id == caller.report(report_id)["reportId"]
    caller.client = "one"
    caller.state.rules.clear()
    assert 403 == caller.create().status_code
    for secret, token, expected in (
        ("1", "Atzr|3", (401, "invalid_client")),
        ("2", "Atzr|1", (400, "invalid_grant")),
    ):
        wrong = caller.ask_token(client_id="two", client_secret=secret, refresh_token=token)
        assert expected == (wrong.status_code, wrong.json()["error"])
    caller.breaks("token", what="revoked", refresh_token="Atzr|2")
    asked = [
        caller.ask_token(client_id="one", client_secret="1", refresh_token=token)
        for token in ("Atzr|1", "Atzr|2")
    ]
    assert [200, 400] == [answer.status_code for answer in asked]


@pytest.mark.parametrize(
    ("change", "seconds"),
    [
        ({"advance_seconds": 60}, 60),
        ({"advance_seconds": -1, "frozen": True}, -1),
    ],
)
def test_the_clock_is_played(caller: Any, change: dict[str, Any], seconds: int) -> None:
    """It is moved on and frozen; a wrong change is a 400."""
    before = caller.state.clock.now()
    assert caller.http.post(f"{caller.url}/sandbox/clock", json=change).is_success
    assert seconds == (caller.state.clock.now() - before).total_seconds()
    wrong = caller.http.post(f"{caller.url}/sandbox/clock", json={"advance": 1})
    assert 400 == wrong.status_code


def test_a_clock_that_is_released_runs_on_from_where_it_stood(caller: Any) -> None:
    """A frozen one stands still."""
    began = caller.state.clock.now()
    assert caller.state.clock.now() == began
    assert caller.http.post(f"{caller.url}/sandbox/clock", json={"frozen": False}).is_success
    wait_until(lambda: caller.state.clock.now() > began)
    assert caller.state.clock.now() - began < timedelta(minutes=1)


def test_tokens_and_urls_expire(start: Callable[..., Any]) -> None:
    """By the sandbox's clock; a download shows no token, and is refused with one."""
    caller = start(token_seconds=5400, report_seconds=0)
    report = caller.report(caller.create_id())
    url = report["completedReportParts"][0]["url"]
    assert 400 == caller.http.get(url, headers={"Authorization": "x"}).status_code
    assert 403 == caller.http.get(url.replace("0.json", "1.json")).status_code
    assert 200 == caller.http.get(url).status_code
    caller.state.clock.advance(3600)
    assert "Request has expired" in caller.http.get(url).text
    caller.state.clock.advance(3600)
    assert 401 == caller.create().status_code


def test_limits(start: Callable[..., Any]) -> None:
    """Polls of a report, reports of an account and exports of an endpoint."""
    caller = start(poll_min_seconds=30)
    report_id = caller.create_id()
    assert [207, 429] == [caller.retrieve(report_id).status_code for _ in range(2)]
    assert [207, 429] == [caller.create().status_code for _ in range(2)]
    exports = [caller.export("ads", "POST", "/ads/export").status_code for _ in range(6)]
    assert [*[202] * 5, 429] == exports


def struck(caller: Any) -> list[int]:
    """Return how often each rule struck."""
    return [one["struck"] for one in caller.state.rules.overview()]


def test_the_page_shows_all_and_switches_rules(caller: Any) -> None:
    """Accounts, reports in flight, calls and rules; a rule is added, switched off, with its count, and on, and removed by its forms; `/` leads there."""
    report_id = caller.create_id()
    page, change = f"{caller.url}/sandbox", f"{caller.url}/sandbox/change"
    assert "/sandbox" == caller.http.get(caller.url).headers["location"]
    caller.http.post(change, data={"do": "add", "rule": '{"rule": "answer", "status": 503}'})
    assert 503 == caller.create().status_code
    text = caller.http.get(page).text
    assert all(part in text for part in (report_id, "Acme Merch", "&quot;answer&quot;", "503"))
    assert "Closed Shop &lt;b&gt;" in text
    caller.http.post(change, data={"do": "off", "number": "1"})
    assert 207 == caller.create().status_code
    assert [1] == struck(caller)
    caller.http.post(change, data={"do": "on", "number": "1"})
    assert [0] == struck(caller)
    assert 400 == caller.http.post(change, data={"do": "off", "number": "one"}).status_code
    caller.http.post(change, data={"number": "1"})
    assert 503 == caller.create().status_code
    caller.http.post(change, data={"do": "remove", "number": "1"})
    assert [] == caller.state.rules.overview()
    wrong = caller.http.post(change, data={"do": "add", "rule": '{"rule": "anser"}'})
    assert (400, True) == (wrong.status_code, "The nearest is answer." in wrong.text)


def test_the_page_switches_ready_made_rules(start: Callable[..., Any]) -> None:
    """For the chosen ads account; a rule that is off keeps its count, and one that is on again counts anew."""
    caller = start(page_url="https://bidbeacon.example/")
    ready, name = f"{caller.url}/sandbox/ready-made", "throttled account"

    def text(**form: str) -> str:
        answer = caller.http.post(ready, data=form, follow_redirects=True)
        assert answer.is_success
        return str(answer.text)

    assert "on for 株式会社さくら商店" in text(on=name, account="株式会社さくら商店")
    assert 207 == caller.create().status_code
    on = text(on=name, account="Acme Merch")
    assert 429 == caller.create().status_code
    queue = "https://bidbeacon.example/queue?cause=throttled&amp;account=Acme+Merch+%C2%B7+US"
    assert all(part in on for part in ("on for Acme Merch, struck 0 times", queue))
    assert [1] == struck(caller)
    assert "off, struck 1 time<" in text(off=name)
    assert 429 != caller.create().status_code
    assert "on for all ads accounts, struck 0 times" in text(on=name)
    for wrong in ({"on": "unthrottled"}, {}, {"on": name, "account": "Acme"}):
        assert 400 == caller.http.post(ready, data=wrong).status_code
