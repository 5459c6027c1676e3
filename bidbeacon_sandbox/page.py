"""The sandbox's web page: accounts, reports in flight, latest calls and rules."""

import json
from collections.abc import Iterable
from datetime import timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bidbeacon_sandbox.control_api import put_in_force
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
    """Return the sandbox's web page; `GET /sandbox`."""
    return _page(sandbox)


async def change_by_form(sandbox: SandboxState, request: Request) -> Response:
    """Add, remove, enable or disable a rule from a form of the page; `POST /sandbox/change`."""
    text = (await request.body()).decode(errors="replace")
    form = {key: values[0] for key, values in parse_qs(text).items()}
    do = form.get("do")
    try:
        number = int(form.get("number", 0))
        if do == "add":
            put_in_force(sandbox, form.get("rule", ""))
        elif do == "remove":
            sandbox.rules.remove(number)
        elif do in {"on", "off"}:
            sandbox.rules.switch(number, on=do == "on")
    except ValueError as error:
        return _page(sandbox, str(error), form.get("rule", ""), 400)
    return RedirectResponse("/sandbox", 303)


def _page(
    sandbox: SandboxState, wrong: str = "", text: str = _EXAMPLE, status: int = 200
) -> Response:
    now = sandbox.clock.now()
    rules = (_rule_cells(armed) for armed in sandbox.rules.overview())
    reports = (
        (one.id, one.account_id, one.request.start, one.request.end, one.status(now))
        for one in sandbox.reports
        if one.is_in_flight(now)
    )
    calls = (
        (f"{one.time:%H:%M:%S}", one.operation, one.path, one.account or "", one.status)
        for one in sandbox.ledger.calls()[: -_MOST_CALLS - 1 : -1]
        if one.time > now - _CALLS_OF
    )
    accounts = (
        (one.name, one.account_id, one.region, ", ".join(one.country_codes), one.status)
        for one in sandbox.world.accounts.accounts
    )
    parts = (
        "<h1>Sandbox of the Amazon Ads API</h1>",
        f"<p>{now:%Y-%m-%d %H:%M:%S} UTC, seed {sandbox.config.seed}",
        _table("Rules", ("on", "rule", "matched", "struck", ""), rules),
        f'<p class="wrong">{escape(wrong)}</p><form method="post" action="/sandbox/change">',
        f'<textarea name="rule" rows="3" aria-label="New rule">{escape(text)}</textarea>',
        '<button name="do" value="add">Add</button></form>',
        _table("Reports in flight", ("report", "account", "from", "to", "status"), reports),
        _table(
            "Calls of the last five minutes", ("time", "call", "path", "account", "status"), calls
        ),
        _table("Accounts", ("name", "id", "region", "countries", "status"), accounts),
    )
    return HTMLResponse(_HEAD + "".join(parts), status)


class _Html(str):
    __slots__ = ()


def _rule_cells(armed: dict[str, Any]) -> tuple[object, ...]:
    number, word = armed["number"], "off" if armed["on"] else "on"
    shown = json.dumps(armed["rule"], ensure_ascii=False)
    buttons = _button(number, word, f"switch {word}") + _button(number, "remove", "remove")
    return (
        "on" if armed["on"] else "off",
        _Html(f"<code>{escape(shown)}</code>"),
        armed["matched"],
        armed["struck"],
        _Html(buttons),
    )


def _button(number: int, do: str, text: str) -> str:
    return (
        '<form method="post" action="/sandbox/change">'
        f'<input type="hidden" name="number" value="{number}">'
        f'<button name="do" value="{do}">{text}</button></form> '
    )


def _table(title: str, names: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f"<th>{name}" for name in names)
    body = "".join(f"<tr>{''.join(map(_cell, row))}" for row in rows)
    return f"<h2>{title}</h2><table><tr>{head}{body or '<tr><td>none'}</table>"


def _cell(value: object) -> str:
    return f"<td>{value if isinstance(value, _Html) else escape(str(value))}"
