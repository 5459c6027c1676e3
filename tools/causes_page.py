"""The page of causes: `python -m tools.causes_page` prints it."""

from collections.abc import Iterator

from bidbeacon_pipelines.causes import CAUSE_KINDS, CauseKind, explain_kind

_HEAD = """# Causes

Printed from the table of causes by `make docs`; a test compares them. The Event Stream shows the
same list at `/causes`.

Each problem has a cause. Home, alerts, the command line and sessions show the cause's sentence and
its advice, "What helps". If the advice only states what BidBeacon does by itself, nothing has to be
done. A name in braces stands for a value of the single case, such as the name of a credential.

The severity is *error* if the problem lasts for days or until a person acts. It is *warning* if
BidBeacon continues by itself after something unusual, and *waiting* if BidBeacon continues by
itself in the usual time.

A cause is stored as JSON, such as
`{"code": "field-refused", "field": "clicks", "detail": {"reason": "…"}}`. The tables
`report_windows`, `report_requests`, `quarantined_rows`, `entity_exports` and `entity_problems` have
causes in the column `cause`. The column `ads_accounts.needs_attention`, actions and the errors of
sessions also contain causes. Two causes are equal if their code and their parameters are equal.
`detail` has the facts of the single case, so group by `cause - 'detail'` in SQL.
"""


def make_page() -> str:
    """Return the page as Markdown with a final newline."""
    return "\n".join([_HEAD, *(line for kind in CAUSE_KINDS.values() for line in _entry(kind))])


def _entry(kind: CauseKind) -> Iterator[str]:
    shown = explain_kind(kind)
    button = f" Button: *{kind.action}*." if kind.action else ""
    yield f"## `{kind.code}`\n"
    yield f"{shown.sentence}\n"
    yield f"**What helps:** {shown.advice}\n"
    yield f"Severity: {kind.severity}.{button}\n"


if __name__ == "__main__":
    print(make_page(), end="")
