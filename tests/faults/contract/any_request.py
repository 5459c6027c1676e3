"""Requests made by Schemathesis, with real values in their places.

Ids, fields and periods at random would nearly all be refused as unknown, so that a mistake beside
them would prove nothing. For the same reason most broken requests have one mistake only.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from functools import partial
from typing import Any

from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core import NotSet

from tests.faults.contract.described_call import DescribedCall
from tests.faults.contract.real_values import Known, real_values

Path = tuple[str | int, ...]


@st.composite
def conforming_requests(draw: st.DrawFn, call: DescribedCall, known: Known) -> Case[Any]:
    """Return requests of a call; three of four have real values."""
    case = draw(call.cases(GenerationMode.POSITIVE))
    if not draw(st.integers(0, 3)):
        return case
    real = draw(real_values(known))
    case.path_parameters.update({name: real[name] for name in case.path_parameters})
    if not isinstance(case.body, bytes | NotSet):
        case.body = _with_real_values(_completed(call, case.body, real), real)
    return case


def _completed(call: DescribedCall, body: Any, real: Mapping[str, Any]) -> Any:
    """Return a body with what Amazon requires, though its document does not say so."""
    report = {"format": real["format"], "periods": [{"datePeriod": real["datePeriod"]}]}
    query = {"fields": real["fields"], "filter": real["filter"]}
    required = {"reports": [report | {"query": query}], "reportIds": real["reportIds"]}
    return {name: one for name, one in required.items() if name in call.names} | body


def _with_real_values(body: Any, real: Mapping[str, Any]) -> Any:
    for path in list(_places(body, real)):
        body = _replaced(body, path, real[str(path[-1])])
    return body


@st.composite
def broken_requests(draw: st.DrawFn, call: DescribedCall, known: Known) -> Case[Any]:
    """Return requests of a call that do not conform, three of four in one place only."""
    good, bad = draw(conforming_requests(call, known)), draw(call.cases(GenerationMode.NEGATIVE))
    if draw(st.integers(0, 3)):
        bad.query = _with_one_mistake(dict(good.query), dict(bad.query), call.allows_query)
        bad.body = _with_one_mistake(good.body, bad.body, call.allows_body)
    return bad


def _with_one_mistake(good: Any, bad: Any, allows: Callable[[Any], bool]) -> Any:
    """Return what conforms with one mistake of what does not, as deep inside as it can be."""
    if isinstance(good, dict) and isinstance(bad, dict):
        for key in bad:
            here = partial(_allows_part, allows, good, key)
            if not here(bad[key]):
                return good | {key: _with_one_mistake(good.get(key), bad[key], here)}
    if isinstance(good, list) and isinstance(bad, list) and len(good) == len(bad) == 1:
        return [_with_one_mistake(good[0], bad[0], lambda one: allows([one]))]
    return bad


def _allows_part(allows: Callable[[Any], bool], good: Any, key: str, value: Any) -> bool:
    return allows(good | {key: value})


def _places(value: Any, names: Container[str], path: Path = ()) -> Iterator[Path]:
    """Yield the path of each property with one of these names, outermost only."""
    inside: dict[Any, Any] = dict(enumerate(value)) if isinstance(value, list) else {}
    for key, inner in (value if isinstance(value, dict) else inside).items():
        if key in names:
            yield (*path, key)
        else:
            yield from _places(inner, names, (*path, key))


def _replaced(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy
