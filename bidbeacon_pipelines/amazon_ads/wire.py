"""Validates Amazon's response bodies; unknown fields are ignored."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

import httpx
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    WrapValidator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from bidbeacon_pipelines.amazon_ads.errors import MalformedAnswer, Unavailable, as_text
from bidbeacon_pipelines.amazon_ads.failures import find_json
from bidbeacon_sessions.masking import mask

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

STRICT: Final = {"strict": True}
"""Validation context of `bidbeacon probe`: every invalid field or undocumented word is an error."""


def _id_text(value: object) -> object:
    """Accept ids as text or whole numbers, but not as floats, which lose digits above 2^53."""
    if isinstance(value, float | Decimal):
        # The value isn't shown: it may have lost its last digits already.
        raise PydanticCustomError(
            "id_not_exact",
            "expected an id as text or a whole number, "
            "got a number with a decimal point or an exponent",
        )
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else value


def _as_utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("expected a time in the years 1 to 9999 (UTC)") from None


def _or_none(value: object, check: Callable[[object], Any], info: ValidationInfo) -> Any:
    try:
        return check(value)
    except ValidationError:
        if info.context == STRICT:
            raise
        return None


def _or_empty(value: object, check: Callable[[object], Any], info: ValidationInfo) -> Any:
    return _or_none(value, check, info) or ()


def _if_sent(value: object, check: Callable[[object], Any], info: ValidationInfo) -> Any:
    if value is None and info.context == STRICT:
        raise PydanticCustomError("not_sent", "Field required")
    return _or_none(value, check, info)


def _if_strict(value: object, check: Callable[[object], Any], info: ValidationInfo) -> Any:
    return check(value) if info.context == STRICT else value


def documented(expected: str, is_known: Callable[[str], object]) -> AfterValidator:
    """Return a validator of known words; it checks a word only in the context `STRICT`.

    `expected` describes the known words in the error message.
    """

    def check(word: str, info: ValidationInfo) -> str:
        if info.context == STRICT and not is_known(word):
            raise PydanticCustomError("word", "expected {expected}", {"expected": expected})
        return word

    return AfterValidator(check)


def one_of(*words: str) -> AfterValidator:
    """Return a validator that accepts only `words`; it checks only in the context `STRICT`."""
    *others, last = (repr(str(word)) for word in words)
    expected = f"{', '.join(others)} or {last}" if others else last
    return documented(expected, frozenset(words).__contains__)


Text = Annotated[str, AfterValidator(as_text)]
Id = Annotated[Text, BeforeValidator(_id_text), Field(min_length=1)]
# Data that the client doesn't read.
Unread = Annotated[Any, AfterValidator(mask)]
# An optional field must not fail the response when its form changes.
Lenient = Annotated[T | None, WrapValidator(_or_none)]
# Lenient, too, though Amazon always sends it.
Sent = Annotated[T | None, WrapValidator(_if_sent), Field(validate_default=True)]
# An item of a list whose items are read one by one: an invalid one doesn't fail the others.
Item = Annotated[T, WrapValidator(_if_strict)]
LenientItems = Annotated[tuple[T, ...], WrapValidator(_or_empty)]
Instant = Lenient[Annotated[datetime, AfterValidator(_as_utc)]]
Size = Lenient[Annotated[int, Field(ge=0)]]
Url = Annotated[SecretStr, Field(min_length=1)]


class WireModel(BaseModel):
    """A response body; Amazon's names are in camelCase, the Python fields in snake_case."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )


def read_json(response: httpx.Response) -> Any:
    """Return a response's JSON; raise `Unavailable` if it is truncated or not JSON."""
    body = find_json(response)
    if body is None:
        came = f"got: {as_text(response.text, 80)!r}" if response.text else "got an empty answer"
        raise Unavailable(f"expected JSON, {came}", cause_code="answer-unreadable")
    return body


def read_as(model: type[M], body: Any) -> M:
    """Validate a body; raise `MalformedAnswer` with the invalid fields and their faults."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        # `from None`: the original shows the values, which may be signed URLs.
        raise MalformedAnswer(
            f"the answer differs from its documentation: {_faults_of(error)}"
        ) from None


def read_each(model: type[M], items: Iterable[Any], what: str, problems: list[str]) -> Iterator[M]:
    """Yield the valid items; append a sentence to `problems` for each invalid item.

    The sentence begins with `what`, such as "Region EU, profile", and the number of the item.
    """
    for number, item in enumerate(items, start=1):
        try:
            yield model.model_validate(item)
        except ValidationError as error:
            faults = _faults_of(error)
            fault = f"{what} No. {number} differs from its documentation: {faults}."
            problems.append(as_text(fault))


def _faults_of(error: ValidationError) -> str:
    faults = [
        f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()
    ]
    return "; ".join(faults[:5])
