"""The wire of a simulation: its connections to the sandbox, and each create of a report that went over them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

import httpx

from bidbeacon_pipelines.amazon_ads.rate_limits import RateLimiter
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_pipelines.windows.rules import due_at
from tests.faults.ads.accounting import SentCreate, count_at_amazon
from tests.support.world import World, open_context


class Wire(httpx.BaseTransport):
    """Connections that outlive the client of one run, since opening a pool takes longer than most runs.

    Attributes:
        creates: Every create of a report so far, in the order in which they went out.
    """

    def __init__(self, world: World) -> None:
        self.creates: list[SentCreate] = []
        self._world = world
        self._network = httpx.HTTPTransport(verify=False)
        self._limiter = RateLimiter(world.engine, now=world.context.clock)

    def open_context(self) -> AbstractContextManager[JobContext]:
        """Return the tools of one run: each run of the product has a client and a token of its own, and shares the rate limits."""
        world, limiter = self._world, self._limiter
        settings = world.context.settings
        return open_context(world.engine, world.sandbox, settings, transport=self, limiter=limiter)

    def end(self) -> None:
        """End the connections; `close` is what each client calls."""
        self._network.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; record it if it creates a report."""
        if not request.url.path.endswith("/create/reports"):
            return self._network.handle_request(request)
        create, reports = self._describe(request), self._world.sandbox.state.reports
        made_before = len(reports)
        try:
            response = self._network.handle_request(request)
            response.read()
            create = replace(create, **_read_answer(response))
        finally:
            made = next(islice(reports, made_before, None), None)
            self.creates.append(replace(create, made_id=made.id if made else None))
        return response

    def _describe(self, request: httpx.Request) -> SentCreate:
        """Return a create that is about to go out, with its windows and the state of its gate."""
        now = self._world.context.now()
        [sender] = self._world.query(_SENDER, now=now)
        windows = self._world.query(_WAITING, id=sender["request_id"])
        region, reports = request.url.path.split("/")[1].upper(), self._world.sandbox.state.reports
        assert region == sender["region"]
        return SentCreate(
            at=now,
            region=region,
            request_id=sender["request_id"],
            account_id=sender["account_id"],
            places=sender["places"],
            counted=sender["counted"],
            at_amazon=count_at_amazon(
                self.creates, region, reports, now, set(sender["others"] or ())
            ),
            due_windows=sum(
                _is_due(window, now) or _is_unanswered(window, sender["refused_at"])
                for window in windows
            ),
        )


def _read_answer(response: httpx.Response) -> dict[str, Any]:
    """Return what an answer to a create says: a refusal tells what became of it, and so does a success that can be read."""
    after = response.headers.get("retry-after", "")
    said = {
        "status": response.status_code,
        "retry_after": float(after) if after.isdigit() else None,
    }
    if not response.is_success:
        is_refusal = (
            response.is_client_error and response.status_code != httpx.codes.TOO_MANY_REQUESTS
        )
        return said | {"is_told": is_refusal}
    try:
        answer = response.json()
    except ValueError:
        return said
    codes = [error["code"] for item in answer.get("error") or () for error in item["errors"]]
    made = [item["report"]["reportId"] for item in answer.get("success") or ()]
    told = not any(code.startswith("5") for code in codes)
    return said | {"is_told": told, "report_id": made[0] if made else None}


# Runs follow one another, so only one request is being sent: the one that is stored as sent, in the
# hands of a run.
_SENDER = """
    SELECT r.id AS request_id, r.account_id, o.region, floor(g.in_flight_limit)::integer AS places,
           (SELECT count(*) FROM report_requests s JOIN ads_accounts a USING (account_id)
             WHERE (a.client_id, a.region) = (o.client_id, o.region) AND s.id <> r.id
               AND (s.status = 'in_flight' OR s.status = 'sent' AND s.next_step_at > :now)) AS counted,
           (SELECT s.sent_at FROM report_requests s WHERE s.id = r.narrows) AS refused_at,
           (SELECT array_agg(s.id) FROM report_requests s WHERE s.status IN ('sent', 'in_flight') AND s.id <> r.id) AS others
      FROM report_requests r JOIN ads_accounts o USING (account_id) JOIN report_gates g USING (client_id, region)
     WHERE r.status = 'sent' AND r.locked_by IS NOT NULL"""
_WAITING = """
    SELECT w.dataset, w.window_date, w.data_as_of, w.wanted_by, w.suspicious_digest, a.time_zone
      FROM report_windows w JOIN advertiser_accounts a USING (account_id, country_code) WHERE w.request_id = :id"""


def _is_due(window: Mapping[str, Any], now: datetime) -> bool:
    """Return whether a window needs a report: by hand, for the first time, once more for good, or since numbers are restated at an offset."""
    if window["wanted_by"] or window["suspicious_digest"] or window["data_as_of"] is None:
        return True
    offsets = get_dataset(window["dataset"]).refresh_offsets
    instants = [due_at(window["window_date"], offset, window["time_zone"]) for offset in offsets]
    return any(window["data_as_of"] < at <= now for at in instants)


def _is_unanswered(window: Mapping[str, Any], refused_at: datetime | None) -> bool:
    """Return whether no report has brought a window since a longer one was refused, of which this is a part: it shows what Amazon serves."""
    return refused_at is not None and window["data_as_of"] < refused_at
