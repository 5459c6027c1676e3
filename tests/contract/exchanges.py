"""The exchanges of a test with Amazon or the sandbox, each judged by Amazon's own documents.

`watch_client` wraps the one function through which the client sends all its requests.
"""

from functools import wraps
from typing import Any

import httpx

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient

BENT_BY = "x-sandbox-bent-by"
"""The header of all answers of the sandbox: the rules that bent this one, empty as a rule."""
found: list[str] = []
"""How exchanges differ from the documents, since it was last emptied."""


def watch_client() -> None:
    """Have each exchange of the client judged, in this process."""
    exchange = AdsApiClient.exchange

    @wraps(exchange)
    def judged(self: Any, request: httpx.Request, *args: Any, **options: Any) -> httpx.Response:
        try:
            answer = exchange(self, request, *args, **options)
        except Exception as error:
            judge_request(getattr(error.__cause__, "request", request))
            raise
        judge_request(answer.request)
        judge_answer(answer)
        return answer

    AdsApiClient.exchange = judged  # type: ignore[method-assign] # each exchange is judged


def judge_request(request: httpx.Request) -> None:
    """Note how a request differs."""
    # It takes a second to import, which most tests need not pay.
    from tests.contract import judge

    found.extend(judge.request_differences(request))


def judge_answer(answer: httpx.Response) -> None:
    """Note how an answer of the sandbox differs, unless a rule has bent it; scripted answers are skipped."""
    if answer.headers.get(BENT_BY) == "":
        from tests.contract import judge

        found.extend(judge.answer_differences(answer))
