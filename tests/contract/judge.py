"""Compare exchanges with Amazon's own OpenAPI documents; `openapi-core` validates."""

from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import httpx
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.deserializing.media_types.util import json_loads
from openapi_core.templating.media_types.exceptions import MediaTypeNotFound
from openapi_core.validation.request.exceptions import MissingRequiredParameter
from openapi_core.validation.schemas.exceptions import InvalidSchemaValue
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tools.amazon_documents import OPERATIONS, Operation, find_documents

_HOST = "https://advertising-api.amazon.com"
_REGIONS = ("/na/", "/eu/", "/fe/")
"""The paths below which the sandbox has what Amazon has on three hosts."""
_OF_ANY_CALL = frozenset({400, 401, 403, 404, 415, 425, 429})
"""Refusals that a call may get although its document doesn't list them.

Most come from the gateway. `/v2/profiles`, as an example, is described with its success alone.
"""
_IN_PIECES = frozenset({"export_targets"})
"""Calls whose body is described in several pieces, none of which knows the fields of the others."""
_LONGEST_MESSAGE = 200


def request_differences(request: httpx.Request) -> list[str]:
    """Return how a request differs from Amazon's documents, in sentences that name call and place.

    There are none where the documents are missing, and of what they don't describe: tokens, downloads.
    """
    call = _find_call(request)
    found = _judge_request(call, _Asked.of(request)) if call else ()
    return [f"{call}: request: {one}" for one in found]


def answer_differences(answer: httpx.Response) -> list[str]:
    """Return how an answer differs from Amazon's documents, as `request_differences` does."""
    call = _find_call(answer.request)
    found = _judge_answer(call, _Answered.of(answer)) if call else ()
    return [f"{call}: answer {answer.status_code}: {one}" for one in found]


def _find_call(request: httpx.Request) -> str | None:
    """Return the name of a request's call, as in `OPERATIONS`; None where nothing describes it."""
    if find_documents() is None:
        return None
    path, method = _path_of(request), request.method.lower()
    known = ((name, one) for name, one in OPERATIONS.items() if method == one.method)
    return next((name for name, one in known if _is_at(path, one.path)), None)


def _path_of(request: httpx.Request) -> str:
    path = request.url.raw_path.partition(b"?")[0].decode()
    return path[len("/na") :] if path.startswith(_REGIONS) else path


def _is_at(path: str, template: str) -> bool:
    beginning, has_id, _ = template.partition("{")
    return path.startswith(beginning) if has_id else path == template


@runtime_checkable
class _SchemaError(Protocol):
    """A difference that `jsonschema` found, and its place."""

    json_path: str
    message: str


class _Asked(NamedTuple):
    """The parts of a request that are judged; of headers their names, since values are secrets or ids."""

    path: str
    query: str
    headers: tuple[str, ...]
    content_type: str
    body: bytes

    @classmethod
    def of(cls, request: httpx.Request) -> "_Asked":
        return cls(
            _path_of(request),
            request.url.query.decode(),
            tuple(sorted(request.headers)),
            request.headers.get("content-type", ""),
            request.read(),
        )


class _Answered(NamedTuple):
    """The parts of an answer that are judged."""

    status: int
    content_type: str
    body: bytes

    @classmethod
    def of(cls, answer: httpx.Response) -> "_Answered":
        return cls(answer.status_code, answer.headers.get("content-type", ""), answer.read())


class _Request:
    """A request as `openapi-core` reads it."""

    host_url = _HOST

    def __init__(self, operation: Operation, asked: _Asked) -> None:
        self.method, self.path = operation.method, asked.path
        self.body, self.content_type = asked.body or None, asked.content_type
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(httpx.QueryParams(asked.query).multi_items()),
            header=Headers(dict.fromkeys(asked.headers, "1")),
        )


class _Response:
    """An answer as `openapi-core` reads it."""

    headers = Headers()

    def __init__(self, answered: _Answered) -> None:
        self.status_code, self.content_type = answered.status, answered.content_type
        self.data = answered.body


@lru_cache(maxsize=4096)
def _judge_request(call: str, asked: _Asked) -> tuple[str, ...]:
    operation = OPERATIONS[call]
    others: _Others = "allow" if call in _IN_PIECES else "forbid"
    validator = _openapi(operation.document, others).request_validator
    return _sentences(validator.iter_errors(_Request(operation, asked)))


@lru_cache(maxsize=4096)
def _judge_answer(call: str, answered: _Answered) -> tuple[str, ...]:
    operation = OPERATIONS[call]
    openapi = _openapi(operation.document, "allow")
    described = openapi.spec / "paths" / operation.path / operation.method / "responses"
    if answered.status in _OF_ANY_CALL and str(answered.status) not in described:
        return ()
    asked = _Asked(operation.path, "", (), "", b"")
    errors = openapi.response_validator.iter_errors(_Request(operation, asked), _Response(answered))
    return _sentences(errors)


_Others = Literal["allow", "forbid"]
"""What of fields that aren't described: answers may always have new ones, requests must not."""


@cache
def _openapi(document: str, others: _Others) -> OpenAPI:
    documents = find_documents()
    assert documents
    described = documents.openapi(document)
    media_types = [name for one in _media_types(described) for name in (one, one.lower())]
    config = Config(
        spec_validator_cls=None,  # Amazon's own; it takes seconds
        extra_media_type_deserializers=dict.fromkeys(media_types, json_loads),
        additional_properties_default_policy=others,
    )
    return OpenAPI.from_dict(described, config=config)


def _media_types(described: Any) -> Iterator[str]:
    """Yield the media types of JSON that a document, or a part of it, names."""
    if isinstance(described, dict):
        yield from (name for name in described.get("content", ()) if name.endswith("+json"))
    items = described.values() if isinstance(described, dict) else described
    for item in items if isinstance(described, dict | list) else ():
        yield from _media_types(item)


def _sentences(errors: Iterable[Exception]) -> tuple[str, ...]:
    return tuple(sentence for error in errors for sentence in _describe(error))


def _describe(error: Exception) -> Iterator[str]:
    """Yield what is wrong; of a value that is wrong in several ways the first."""
    match error, error.__cause__:
        case MissingRequiredParameter(), _:
            yield f"{error.location} {error.name} is missing"
        case _, MediaTypeNotFound(mimetype=came, availableMimetypes=known):
            yield f"content type is {came or 'missing'}, not {' or '.join(known)}"
        case _, InvalidSchemaValue(schema_errors=found):
            errors = [one for one in found if isinstance(one, _SchemaError)]
            wrong = {one.json_path.removeprefix("$").lstrip("."): one for one in reversed(errors)}
            for place, one in sorted(wrong.items()):
                yield f"{place or 'body'}: {one.message[:_LONGEST_MESSAGE]}"
        case _, cause:
            yield f"{cause or error}"[:_LONGEST_MESSAGE]
