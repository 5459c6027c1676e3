"""The sandbox's web page: ready-made rules, rules, reports in flight, latest calls, accounts."""

import json
from collections.abc import Iterable
from datetime import timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bidbeacon_sandbox.accounts import AdsAccount
from bidbeacon_sandbox.control_api import put_in_force
from bidbeacon_sandbox.names import find_account
from bidbeacon_sandbox.ready_made import READY_MADE, Link, ReadyMade, get_ready_made
from bidbeacon_sandbox.rulebook import RuleError
from bidbeacon_sandbox.state import SandboxState

_CALLS_OF = timedelta(minutes=5)
_MOST_CALLS = 200
_EXAMPLE = '{"rule": "answer", "status": 503, "account": "Acme Merch · US", "for_seconds": 600}'
_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox</title>
<meta name="viewport" content="width=device-width"><style>
:root { color-scheme: light dark }
body { background: Canvas; color: CanvasText; font: 15px/1.4 system-ui }
body { margin: 1rem auto; max-width: 70rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } th { text-align: left }
td, th, li { border-bottom: 1px solid #8886 }
td, th { padding: .2rem .6rem .2rem 0; vertical-align: top }
code { display: block; min-width: 14rem; white-space: pre-wrap; overflow-wrap: anywhere }
form { display: inline }
textarea { box-sizing: border-box; width: 100%; font-family: monospace }
a { color: light-dark(#0645ad, #8ab4f8) }
button, select { font: inherit; max-width: 100% } .scroll { overflow-x: auto }
ul { list-style: none; padding: 0 } li { display: flex; gap: 1rem; padding: .5rem 0 }
li div { flex: 1 } li button { align-self: start; white-space: nowrap }
.on { font-weight: bold } .wrong, .on { color: light-dark(#a00, #f99) }
</style>"""


async def show_page(sandbox: SandboxState, request: Request) -> Response:
    """Return the sandbox's web page; `GET /sandbox`. `account` chooses an ads account by name."""
    return _page(sandbox, chosen=request.query_params.get("account"))


async def switch_ready_made(sandbox: SandboxState, request: Request) -> Response:
    """Switch a ready-made rule `on`, for an `account` or for all, or `off`."""
    form = await _form(request)
    account = form.get("account", "")
    try:
        if "on" in form:
            accounts = sandbox.world.accounts.accounts
            get_ready_made(form["on"]).switch_on(sandbox.rules, account, accounts)
        else:
            sandbox.rules.switch_off_named(get_ready_made(form.get("off", "")).name)
    except RuleError as error:
        return _page(sandbox, str(error), status=400)
    return RedirectResponse(f"/sandbox?{urlencode({'account': account})}", 303)


async def change_by_form(sandbox: SandboxState, request: Request) -> Response:
    """Add, remove, enable or disable a rule from a form of the page; `POST /sandbox/change`."""
    form = await _form(request)
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


async def _form(request: Request) -> dict[str, str]:
    text = (await request.body()).decode(errors="replace")
    return {key: values[0] for key, values in parse_qs(text).items()}


def _page(
    sandbox: SandboxState,
    wrong: str = "",
    text: str = _EXAMPLE,
    status: int = 200,
    *,
    chosen: str | None = None,
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
        "<main><h1>Sandbox of the Amazon Ads API</h1>",
        f"<p>{now:%Y-%m-%d %H:%M:%S} UTC, seed {sandbox.config.seed}",
        f'<p class="wrong" role="status">{escape(wrong)}</p>',
        _ready_made(sandbox, chosen),
        _table("Rules", ("on", "rule", "matched", "struck", "change"), rules),
        '<form method="post" action="/sandbox/change">',
        f'<textarea name="rule" rows="3" aria-label="New rule">{escape(text)}</textarea>',
        '<button name="do" value="add">Add</button></form>',
        _table("Reports in flight", ("report", "account", "from", "to", "status"), reports),
        _table(
            "Calls of the last five minutes", ("time", "call", "path", "account", "status"), calls
        ),
        _table("Accounts", ("name", "id", "region", "countries", "status"), accounts),
    )
    return HTMLResponse(_HEAD + "".join(parts), status)


def _ready_made(sandbox: SandboxState, chosen: str | None) -> str:
    """Return the form of the ready-made rules; at first, the first ads account is chosen."""
    accounts = [one for one in sandbox.world.accounts.accounts if one.status != "DISABLED"]
    chosen = accounts[0].name if chosen is None and accounts else chosen or ""
    options = (_option(one, is_chosen=one.name == chosen) for one in accounts)
    by_name = {armed["rule"].get("name"): armed for armed in sandbox.rules.overview()}
    url = sandbox.config.page_url.rstrip("/")
    entries = []
    for one in READY_MADE:
        armed = by_name.get(one.name)
        account = find_account(armed["rule"].get("account", "") if armed else chosen, accounts)
        links = " · ".join(_link(link, url, account) for link in one.links)
        entries.append(_entry(one, armed, links))
    return (
        "<h2>Ready-made rules</h2>"
        '<form method="post" action="/sandbox/ready-made"><label>Ads account '
        f'<select name="account"><option value="">all{"".join(options)}</select></label>'
        "<p>A rule affects calls and reports from now on. To see its effect immediately, press "
        f'<i>Load again</i> on a day in <a href="{escape(url)}/coverage">Coverage</a>.'
        f"<ul>{''.join(entries)}</ul></form>"
    )


def _option(account: AdsAccount, *, is_chosen: bool) -> str:
    shown = escape(f"{account.name} ({', '.join(account.country_codes)})")
    selected = " selected" if is_chosen else ""
    return f'<option value="{escape(account.name)}"{selected}>{shown}'


def _link(link: Link, url: str, account: AdsAccount | None) -> str:
    return f'<a href="{escape(url + link.path_for(account))}">{escape(link.text)}</a>'


def _entry(one: ReadyMade, armed: dict[str, Any] | None, links: str) -> str:
    is_on = armed is not None and armed["on"]
    word, whose = ("off", "on") if is_on else ("on", "off")
    if armed is not None:
        whose += f" for {armed['rule'].get('account', 'all ads accounts')}" if is_on else ""
        whose += f", struck {armed['struck']:,} time{'' if armed['struck'] == 1 else 's'}"
    return (
        f'<li><div><b>{one.name}</b>: <span class="{"on" if is_on else "off"}">{escape(whose)}'
        f"</span><br>{escape(one.effect)}<br>{links}</div>"
        f'<button name="{word}" value="{one.name}" aria-label="switch {word}: {one.name}">'
        f"switch {word}</button>"
    )


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
    table = f"<table><tr>{head}{body or '<tr><td>none'}</table>"
    return (
        f'<h2>{title}</h2><div class="scroll" role="region" aria-label="{title}" tabindex="0">'
        f"{table}</div>"
    )


def _cell(value: object) -> str:
    return f"<td>{value if isinstance(value, _Html) else escape(str(value))}"
