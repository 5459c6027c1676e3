"""The ready-made rules of the sandbox's page, and where BidBeacon's page shows their effects.

A ready-made rule is a plain rule; its `name` connects it with its entry on the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from bidbeacon_sandbox.accounts import AdsAccount
from bidbeacon_sandbox.rulebook import Rulebook, RuleError, check_names, read_rules

_DATASET = "daily_targets"
_TWO_HOURS = 7200


@dataclass(frozen=True, slots=True)
class Link:
    """A link to BidBeacon's page.

    Attributes:
        text: Its text.
        path: The path of the page, with a fragment if there is one.
        query: The parameters for any ads account.
        account: The name of the parameter that selects an account, if any.
    """

    text: str
    path: str = "/"
    query: dict[str, str] = field(default_factory=dict)
    account: str | None = None

    def path_for(self, account: AdsAccount | None) -> str:
        """Return the path for an account of an ads account, or for all accounts."""
        query = dict(self.query)
        if self.account and account:
            query[self.account] = f"{account.name} · {account.country_codes[0]}"
        return self.path + (f"?{urlencode(query)}" if query else "")


@dataclass(frozen=True, slots=True)
class ReadyMade:
    """A rule that one click switches on or off.

    Attributes:
        name: Its title, and the `name` of its rule.
        effect: A sentence on what it does.
        fields: The fields of its rule, except `name` and `account`.
        links: Where BidBeacon's page shows its effects.
        is_of_account: Whether it can be limited to an ads account.
    """

    name: str
    effect: str
    fields: dict[str, Any]
    links: tuple[Link, ...]
    is_of_account: bool = True

    def switch_on(self, rules: Rulebook, account: str, accounts: Sequence[AdsAccount]) -> None:
        """Add the rule, in place of an earlier one; without `account`, it is for all ads accounts.

        Raises:
            RuleError: there is no such ads account.
        """
        of = {"account": account} if account and self.is_of_account else {}
        made = read_rules({**self.fields, **of, "name": self.name})
        check_names(made, accounts, ())
        rules.remove_named(self.name)
        rules.add(*made)


def get_ready_made(name: str) -> ReadyMade:
    """Return the ready-made rule with this name, or raise `RuleError`."""
    found = next((one for one in READY_MADE if one.name == name), None)
    if found is None:
        raise RuleError(f"There is no ready-made rule {name!r}.")
    return found


def _cause(code: str) -> Link:
    return Link(f"cause {code}", f"/causes#{code}")


def _queue(**query: str) -> Link:
    return Link("Queue", "/queue", query, account="account")


def _coverage(**query: str) -> Link:
    return Link("Coverage", "/coverage", {"dataset": _DATASET, **query}, account="accounts")


_HOME = Link("Home")
READY_MADE: tuple[ReadyMade, ...] = (
    ReadyMade(
        "throttled account",
        "Amazon answers every call for the ads account with 429 and a pause of a minute.",
        {"rule": "answer", "status": 429, "retry_after": 60},
        (_HOME, _cause("throttled"), _queue(cause="throttled")),
    ),
    ReadyMade(
        "revoked token",
        "Amazon revokes the refresh token and all access tokens, so all ads accounts stop.",
        {"rule": "token", "what": "revoked", "ends_cached": True},
        (_HOME, _cause("token-revoked"), Link("Accounts", "/accounts")),
        is_of_account=False,
    ),
    ReadyMade(
        "refused field",
        f"Amazon refuses the field metric.clicks in reports of {_DATASET}.",
        {"rule": "refuse", "fields": ["metric.clicks"], "dataset": _DATASET},
        (_HOME, _cause("field-refused"), _coverage(state="failed")),
    ),
    ReadyMade(
        "empty reports",
        f"Reports of {_DATASET} are complete, but have no rows.",
        {"rule": "rows", "change": "vanish", "share": 1, "dataset": _DATASET},
        (_HOME, _cause("rows-lost"), _cause("rows-missing"), _coverage()),
    ),
    ReadyMade(
        "late at Amazon",
        "New reports take two hours, and count as late after half an hour.",
        {"rule": "report_ends", "status": "COMPLETED", "seconds": _TWO_HOURS},
        (_HOME, _cause("late-at-amazon"), _queue(state="late at Amazon")),
    ),
    ReadyMade(
        "negative numbers",
        f"Each row of {_DATASET} has a negative number.",
        {"rule": "rows", "change": "negative_metric", "share": 1, "dataset": _DATASET},
        (_HOME, _cause("rows-invalid"), _coverage(state="failed")),
    ),
)
