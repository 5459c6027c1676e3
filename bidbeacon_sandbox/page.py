"""The sandbox's page: accounts, reports in flight, the latest calls, and the rules with a switch each."""

import json
from collections.abc import Iterable
from datetime import timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bidbeacon_sandbox.rulebook import RuleError, check_accounts, read_rules
from bidbeacon_sandbox.state import SandboxState

_CALLS_OF = timedelta(minutes=5)
_MOST_CALLS = 200
_EXAMPLE = '{"rule": "answer", "status": 429, "call": "create_report", "for_seconds": 600}'
_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox</title>
<meta name="viewport" content="width=device-width"><style>
body { font: 15px/1.4 system-ui; margin: 1rem auto; max-width: 70rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } th { text-align: left }
td, th { border-bottom: 1px solid #ccc; padding: .2rem .6rem .2rem 0; vertical-align: top }
code { white-space: pre-wrap; overflow-wrap: anywhere } form { display: inline }
textarea { width: 100%; font-family: monospace } .wrong { color: #a00 }
</style>"""


async def show_page(sandbox: SandboxState, _: Request) -> Response:
    """Return the page; `GET /sandbox`."""
    return _page(sandbox)


async def change_by_form(sandbox: SandboxState, request: Request) -> Response:
    """Add, switch or remove a rule as the page's forms ask; `POST /sandbox/change`."""
    form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
    rules, number = sandbox.rules, int(form.get("number", 0))
    try:
        match form.get("do"):
            case "add":
                added = read_rules(json.loads(form.get("rule", "")))
                check_accounts(added, sandbox.world.accounts.accounts)
                rules.add(*added)
            case "remove":
                rules.remove(number)
            case "on" | "off" as do:
                rules.switch(number, on=do == "on")
    except RuleError as error:
        return _page(sandbox, str(error), form.get("rule", ""), 400)
    except json.JSONDecodeError as error:
        return _page(sandbox, f"expected JSON, got: {error}", form.get("rule", ""), 400)
    return RedirectResponse("/sandbox", 303)


def _page(
    sandbox: SandboxState, wrong: str = "", text: str = _EXAMPLE, status: int = 200
) -> Response:
    now, config = sandbox.clock.now(), sandbox.config
    parts = (
        f"<h1>Sandbox of the Amazon Ads API</h1><p>{now:%Y-%m-%d %H:%M:%S} UTC, seed {config.seed}",
        "<h2>Rules</h2>",
        _table(("on", "rule", "matched", "struck", ""), map(_rule_cells, sandbox.rules.overview())),
        f'<p class="wrong">{escape(wrong)}</p><form method="post" action="/sandbox/change">',
        f'<textarea name="rule" rows="3" aria-label="New rule">{escape(text)}</textarea>',
        '<button name="do" value="add">Add</button></form>',
        "<h2>Reports in flight</h2>",
        _table(
            ("report", "account", "period", "created", "status"),
            (
                [
                    escape(one.report_id),
                    escape(one.request.account_id),
                    f"{one.request.start} – {one.request.end}",
                    f"{one.created_at:%H:%M:%S}",
                    escape(one.status(now)),
                ]
                for one in sandbox.reports
                if one.is_in_flight(now)
            ),
        ),
        "<h2>Calls of the last five minutes</h2>",
        _table(
            ("time", "call", "path", "account", "status"),
            (
                [
                    f"{one.time:%H:%M:%S}",
                    one.operation or "",
                    escape(one.path),
                    escape(one.account or ""),
                    str(one.status),
                ]
                for one in sandbox.ledger.calls()[: -_MOST_CALLS - 1 : -1]
                if one.time > now - _CALLS_OF
            ),
        ),
        "<h2>Accounts</h2>",
        _table(
            ("name", "id", "region", "countries", "status"),
            (
                [
                    escape(one.name),
                    escape(one.account_id),
                    one.region,
                    ", ".join(one.country_codes),
                    one.status,
                ]
                for one in sandbox.world.accounts.accounts
            ),
        ),
    )
    return HTMLResponse(_HEAD + "".join(parts), status)


def _rule_cells(armed: dict[str, Any]) -> list[str]:
    number, is_on = armed["number"], armed["on"]
    switch = _button(number, "off" if is_on else "on", "switch off" if is_on else "switch on")
    shown = f"<code>{escape(json.dumps(armed['rule'], ensure_ascii=False))}</code>"
    counts = [str(armed["matched"]), str(armed["struck"])]
    return ["on" if is_on else "off", shown, *counts, switch + _button(number, "remove", "remove")]


def _button(number: int, do: str, text: str) -> str:
    return (
        f'<form method="post" action="/sandbox/change"><input type="hidden" name="number" value="{number}">'
        f'<button name="do" value="{do}">{text}</button></form> '
    )


def _table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; the cells are HTML."""
    head = "".join(f"<th>{name}" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{cell}" for cell in row) for row in rows)
    return f"<table><tr>{head}{body or '<tr><td>none'}</table>"
