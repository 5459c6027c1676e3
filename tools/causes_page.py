"""The table of causes as a page: `python -m tools.causes_page` prints it."""

from bidbeacon_pipelines.causes import CAUSE_KINDS, CauseKind, explain

_HEAD = """# Causes

The cause of a failure or delay is stored as data, such as
`{"code": "field-refused", "field": "clicks", "detail": {"reason": "…"}}`, in column `cause` of
`report_windows`, `report_requests`, `quarantined_rows`, `entity_exports` and `entity_problems`, in
`ads_accounts.needs_attention`, in actions, and in the error of a session. Causes with the same code
and parameters are equal; `detail` has the facts of one occurrence, such as Amazon's own words
(`reason`), `amazon_code`, counts and ids. In SQL: `group by cause - 'detail'`.

Page, command line and alerts show the sentence, with values of `detail` if there are any, and the
advice. Severity is *error* if the problem lasts for days or until a person acts, *warning* if work
continues by itself after something unusual, *waiting* if it continues in the usual time.

This page is made by `make docs`; a test compares the two.

| code | sentence | advice | severity | button |
|---|---|---|---|---|"""


def make_page() -> str:
    """Return the page as Markdown with a final newline."""
    return "\n".join([_HEAD, *map(_row, CAUSE_KINDS.values()), ""])


def _row(kind: CauseKind) -> str:
    names = (name for name in kind.parameters if name != "causes")
    shown = explain({"code": kind.code, **{name: f"`{name}`" for name in names}})
    cells = (f"`{kind.code}`", shown.sentence, shown.advice, kind.severity, kind.action or "")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(make_page(), end="")
