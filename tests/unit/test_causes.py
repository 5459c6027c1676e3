"""The table of causes, and how a stored cause is explained."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidbeacon_pipelines.causes import (
    CAUSE_KINDS,
    CauseKind,
    cause,
    cause_key,
    explain,
    invalid_fields,
)
from bidbeacon_pipelines.settings import PROJECT_ROOT

OF_FINDINGS = {
    "overdue",
    "late-at-amazon",
    "expired",
    "region-not-listed",
    "country-silent",
    "nothing-happens",
}
"""Causes that nothing stores: states and findings name them."""
SOURCES = {
    path: path.read_text()
    for folder in ("bidbeacon_pipelines", "bidbeacon_sessions")
    for path in (PROJECT_ROOT / folder).rglob("*.py")
    if path != PROJECT_ROOT / "bidbeacon_pipelines" / "causes.py"
}
WRITTEN = re.compile(r"""(?:\bcause\(\s*|cause_code = |"code": |'code', )["']([a-z-]+)["']""")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
each_kind = pytest.mark.parametrize("kind", CAUSE_KINDS.values(), ids=lambda kind: kind.code)


def test_the_table_has_exactly_the_codes_that_are_written() -> None:
    """A code that nothing writes is dead, and one that is not in the table can't be explained."""
    written = {code for text in SOURCES.values() for code in WRITTEN.findall(text)}
    named = {code for code in CAUSE_KINDS if any(f'"{code}"' in text for text in SOURCES.values())}
    assert written <= CAUSE_KINDS.keys()
    assert CAUSE_KINDS.keys() == named | written | OF_FINDINGS | {
        invalid_fields([{"field": "x"}])["code"]
    }


@each_kind
def test_a_cause_without_detail_is_one_sentence(kind: CauseKind) -> None:
    """With what helps in sentences of their own. A part in brackets names the value that it needs."""
    shown = explain({"code": kind.code, **dict.fromkeys(kind.parameters, "x")})
    assert re.fullmatch(r"[A-Zx][^.]*(\(\d+\))?\.", shown.sentence)
    assert not shown.advice or re.fullmatch(r"[A-Z].*\.", shown.advice)
    assert "  " not in shown.text
    templates = (one for one in (kind.sentence, kind.advice) if isinstance(one, str))
    assert all("{" in part for one in templates for part in re.findall(r"\[[^]]*", one))


def test_detail_is_told_where_it_is_known() -> None:
    """Amazon's words lose their full stop inside of a sentence; attempts that were made come before what helps."""
    detail = {"reason": "No such field.", "attempts": 5}
    refused = cause("field-refused", field="clicks", detail=detail)
    assert explain(refused).text == (
        "Amazon refused the field clicks: No such field. Given up after 5 attempts. "
        "If Amazon has another name for the field, store that name with `bidbeacon contract set`."
    )


def test_each_field_at_fault_is_told() -> None:
    """What was expected and what came, or that it is missing."""
    faults = [{"field": "clicks"}, {"field": "spend", "expected": "an amount", "got": "-1"}]
    assert explain(invalid_fields(faults)).sentence == (
        "clicks: missing; spend: expected an amount, got: -1."
    )


@settings(max_examples=40)
@given(
    code=st.sampled_from([*CAUSE_KINDS, "of-a-newer-version"]),
    values=st.dictionaries(st.sampled_from(["field", "status", "causes", "detail"]), JSON),
    detail=JSON | st.dictionaries(st.sampled_from(["bad", "rows", "share", "all", "faults"]), JSON),
)
def test_explain_never_raises(code: str, values: dict[str, Any], detail: Any) -> None:
    """Whatever is stored, a person reads something."""
    assert explain({"code": code, **values, "detail": detail}).sentence
    assert explain(values).sentence
    assert explain(detail).sentence


@pytest.mark.parametrize(("code", "parameters"), [("unknown", {}), ("throttled", {"field": "x"})])
def test_a_cause_that_the_table_lacks_is_refused(code: str, parameters: dict[str, Any]) -> None:
    """So is a parameter that its code does not have."""
    with pytest.raises(ValueError, match="expected"):
        cause(code, **parameters)


def test_causes_are_equal_whatever_their_detail() -> None:
    """But not those with other parameters."""
    first, second = (cause("field-refused", field="a", detail={"n": n}) for n in (1, 2))
    assert cause_key(first) == cause_key(second) != cause_key(cause("field-refused", field="b"))


def test_a_cause_can_be_stored() -> None:
    """PostgreSQL takes no NUL, and no lone surrogates."""
    stored = cause("other", detail={"reason": "a\x00b\ud800"})
    assert stored == {"code": "other", "detail": {"reason": "a␀b?"}}
