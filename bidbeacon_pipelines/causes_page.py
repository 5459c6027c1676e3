"""The table of causes as a page, made from `causes`: `python -m bidbeacon_pipelines.causes_page` prints it."""

from bidbeacon_pipelines.causes import KINDS, Kind, explain

_HEAD = """# Causes

Why something failed, or waits, is stored as data: `{"code": "field-refused", "field": "clicks", "detail": {"reason": "…"}}`, in column `cause` of
`report_windows`, `report_requests`, `quarantined_rows`, `entity_exports` and `entity_problems`, in `ads_accounts.needs_attention`, in actions, and in the
error of a session. Code and parameters make causes equal; `detail` has what differs from one occurrence to the next, such as Amazon's own words
(`reason`), `amazon_code`, counts and ids. In SQL: `group by cause - 'detail'`.

Page, command line and alerts show the sentence, with the words of `detail` where there are any, and what helps. Severity is *error* where it stays so for days
or until a person acts, *warning* where it continues by itself after something unusual, *waiting* where it continues in the usual time.

This page is made by `make docs`; a test compares the two.

| code | sentence | what helps | severity | button |
|---|---|---|---|---|"""


def make_page() -> str:
    """Return the page as Markdown, ending in a line break."""
    return "\n".join([_HEAD, *map(_row, KINDS.values()), ""])


def _row(kind: Kind) -> str:
    names = (name for name in kind.parameters if name != "causes")
    shown = explain({"code": kind.code, **{name: f"`{name}`" for name in names}})
    cells = (f"`{kind.code}`", shown.sentence, shown.advice, kind.severity, kind.action or "")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(make_page(), end="")  # noqa: T201 - the page is its output
