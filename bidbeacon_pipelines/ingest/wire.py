"""Rows as they are on the wire, decoded many at a time by a decoder that is compiled from the row model.

The decoder is no judge: it tells texts, whole numbers, other numbers (as their very digits, in bytes) and nulls apart, and finds
counts that are none; `ingest.quick_rows` puts each value before the row model's own check. What the decoder doesn't take may
still be a row to the standard library's decoder, which is asked then.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from bidbeacon_pipelines.ingest.field_types import HIGHEST_COUNT, Amount, Count
from bidbeacon_pipelines.ingest.rows import HourlyRow, ReportRow

COUNTS: Final = ("impressions", "clicks", "orders")
AMOUNTS: Final = ("sales", "spend")
UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What the decoder raises of a text that it doesn't take."""

_PLAIN = str | int | None
_COUNT = Annotated[int, Meta(ge=0, le=HIGHEST_COUNT)] | None
_HOUR = set(HourlyRow.model_fields) - set(ReportRow.model_fields)
_MAY_BE_MISSING = {"country_code"}
"""A report may not tell its country; the model is given the account's then."""


@dataclass(frozen=True)
class WireFormat:
    """How rows of one model are read in bulk: as structs whose fields are those of subject, times, `COUNTS`, `AMOUNTS`, in this order.

    Attributes:
        model: The row model.
        subject: The fields that say what a row is of: ad, entity, names, currency, country.
        times: Those that say when: the day, or day and hour.
        checks: The row model's own check of each field of subject and times.
        decoder: Makes structs of the text of an array.
    """

    model: type[ReportRow]
    subject: tuple[str, ...]
    times: tuple[str, ...]
    checks: Mapping[str, Callable[[Any], Any]]
    decoder: "msgspec.json.Decoder[list[Any]]"


def find_wire_format(model: type[ReportRow]) -> WireFormat | None:
    """Compile a row model; None where it has rules of its own, so that only the whole model can say what a row is."""
    if not _is_plain(model):
        return None
    fields = model.model_fields
    times = tuple(name for name in fields if name == "window_date" or name in _HOUR)
    subject = tuple(name for name in fields if name not in {*times, *COUNTS, *AMOUNTS})
    checks = {name: _check_of(fields[name]) for name in (*subject, *times)}
    return WireFormat(model, subject, times, checks, _decoder(model, (*subject, *times)))


def _is_plain(model: type[ReportRow]) -> bool:
    """Whether each field is checked by itself, metrics in the usual way, and the hour is told as `HourlyRow` tells it."""
    rules = model.__pydantic_decorators__
    whole = rules.field_validators or rules.model_validators or rules.validators or rules.root_validators
    usual: list[tuple[tuple[str, ...], Any]] = [(COUNTS, Count), (AMOUNTS, Amount)]
    metrics = all(
        _declared(model.model_fields[name]) == _declared(FieldInfo.from_annotation(kind))
        for names, kind in usual
        for name in names
    )
    defaults = all(field.is_required() or field.default is None for field in model.model_fields.values())
    return not whole and metrics and defaults and model.written_hour in _KNOWN_HOURS


_KNOWN_HOURS = (ReportRow.written_hour, HourlyRow.written_hour)


def _declared(field: FieldInfo) -> tuple[Any, ...]:
    return field.annotation, *field.metadata


def _check_of(field: FieldInfo) -> Callable[[Any], Any]:
    kind: Any = Annotated[(field.annotation, *field.metadata)]
    return TypeAdapter[Any](kind).validate_python


def _decoder(model: type[ReportRow], plain: tuple[str, ...]) -> "msgspec.json.Decoder[list[Any]]":
    kinds = dict.fromkeys(plain, _PLAIN) | dict.fromkeys(COUNTS, _COUNT) | dict.fromkeys(AMOUNTS, Any)
    fields = model.model_fields
    members: list[Any] = [
        (name, kind) if fields[name].is_required() and name not in _MAY_BE_MISSING else (name, kind, None)
        for name, kind in kinds.items()
    ]
    names = {name: str(field.alias) for name, field in fields.items()}
    struct = msgspec.defstruct(model.__name__, members, rename=names, kw_only=True, gc=False)
    return msgspec.json.Decoder(list[struct], float_hook=str.encode)  # type: ignore[valid-type] # made when the program runs
