"""Requests made by Schemathesis, with real values in their places.

Ids, fields and periods at random would nearly all be refused as unknown, so that a mistake beside
them would prove nothing. A real value never decides whether a request conforms.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core import NotSet

from tests.faults.contract.amazon_world import World
from tests.faults.contract.described_call import DescribedCall

Path = tuple[str | int, ...]


@st.composite
def requests(draw: st.DrawFn, call: DescribedCall, mode: GenerationMode, world: World) -> Case[Any]:
    """Return requests of a call; three of four have real values."""
    case = draw(call.cases(mode))
    if not draw(st.integers(0, 3)):
        return case
    real = draw(world.real_values())
    case.path_parameters.update({name: real[name] for name in case.path_parameters})
    if not isinstance(case.body, bytes | NotSet):
        case.body = _with_real_values(call, case.body, real)
    return case


def _with_real_values(call: DescribedCall, body: Any, real: Mapping[str, Any]) -> Any:
    """Return a body with real values, where it conforms to the document as before."""
    conforms = call.allows_body(body)
    for path in list(_places(body, real)):
        changed = _replaced(body, path, real[str(path[-1])])
        if call.allows_body(changed) == conforms:
            body = changed
    return body


def _places(value: Any, names: Container[str], path: Path = ()) -> Iterator[Path]:
    """Yield the path of each property with one of these names, outermost only."""
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
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
