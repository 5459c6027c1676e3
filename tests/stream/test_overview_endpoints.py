"""Requests of the page beside the list: histogram, values, surroundings, free text."""

from datetime import date

import pytest

from bidbeacon_sessions import Action
from tests.stream.reading import Stream
from tests.support.recorded_sessions import LoafBaked, LoafBurnt, record


class LoafSkipped(Action):
    """A loaf was left alone."""

    sentence = "Skipped {what}"

    what: str


def about(day: int) -> tuple[str, str, date]:
    """Return what an action refers to."""
    return ("US.a", "daily_targets", date(2026, 7, day))


def jobs(stream: Stream, **query: str) -> list[str]:
    """Return the jobs of the sessions that the list gives."""
    return [one["job_name"] for one in stream.load(**query)["sessions"]]


def test_the_histogram_counts_by_interval_and_status(stream: Stream) -> None:
    """Sessions of the stretch and of the filter only, in intervals without gaps."""
    for minute in (0, 1, 1, 59, 60):
        record(stream.store, minute=minute, fails=minute == 1)
    record(stream.store, "other", minute=2)
    query = {"since": "2026-07-25T12:00:00Z", "before": "2026-07-25T13:00:00Z", "job": "job"}
    told = stream.http.get("/api/job-sessions/histogram", params=query).json()
    assert ("2026-07-25T12:00:00+00:00", 60, 60) == (
        told["start"],
        told["seconds"],
        len(told["counts"]),
    )
    filled = {place: count for place, count in enumerate(told["counts"]) if count}
    assert {0: {"succeeded": 1}, 1: {"failed": 2}, 59: {"succeeded": 1}} == filled


def test_values_are_what_sessions_have(stream: Stream) -> None:
    """Each once and in order, by the name of the filter."""
    record(stream.store, "b", LoafBaked(what="x", about=[about(1)]))
    record(stream.store, "a", LoafSkipped(what="x"), account=None)
    told = stream.http.get("/api/job-sessions/values").json()
    expected = {
        "job": ["a", "b"],
        "account": ["US.a"],
        "type": ["loaf-baked", "loaf-skipped"],
        "dataset": ["daily_targets"],
    }
    assert expected == {name: told[name] for name in expected}
    assert "crashed" in told["status"]


def test_frequent_and_rare_words_are_found_alike(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the newest sessions have it or it is looked up in the index, the answer is the same."""
    odd = 'It was\nTHROTTLED at "Söhne & Ärzte", C:\\new_rows, daily_targets, 3,395.68 EUR, see https://amazon.com/Ads?x=1 ÇA'
    record(stream.store, "words", LoafBaked(what=odd))
    record(stream.store, "others", LoafBaked(what="nothing"))
    for wanted in [odd, *odd.split(), "throttled", "SÖHNE ärz", "3,395.68", "amazon.com", "new"]:
        found = jobs(stream, text=wanted)
        with monkeypatch.context() as frequent:
            frequent.setattr("bidbeacon_sessions.search.WALKED_FOR_TEXT", 1)
            assert found == jobs(stream, text=wanted), wanted
        assert found == (["words"] if any(letter.isalnum() for letter in wanted) else []), wanted


def test_a_session_that_only_skipped_says_so(stream: Stream) -> None:
    """One other action, no action, or a failure, and it does not."""
    record(stream.store, "only", LoafSkipped(what="x"), LoafSkipped(what="y"))
    record(stream.store, "also", LoafSkipped(what="x"), LoafBaked(what="y"))
    record(stream.store, "none")
    record(stream.store, "failed", LoafSkipped(what="x"), fails=True)
    marks = {one["job_name"]: one["mark"] for one in stream.load()["sessions"]}
    expected = {"only": "skipped", "also": "succeeded", "none": "succeeded", "failed": "failed"}
    assert expected == marks


def test_surroundings_tell_what_stands_around_a_session(stream: Stream) -> None:
    """The ones of the same job and account before and after, the last one without failure and problems, and what it refers to."""
    good = record(stream.store, "job", LoafBaked(what="x"), minute=1)
    record(stream.store, "job", LoafBurnt(what="x"), minute=1.5)
    bad = record(stream.store, "job", minute=2, fails=True)
    fetched = LoafBaked(what="x", about=[about(2), about(1)])
    here = record(stream.store, "job", fetched, fetched, minute=3, input={"why": "asked"})
    record(stream.store, "job", minute=4, account=None)
    later = record(stream.store, "job", minute=5)

    told = stream.http.get(f"/api/job-sessions/{here}/surroundings").json()
    assert [bad, later] == [told[name]["id"] for name in ("previous", "next")]
    assert good == told["last_good"]["session"]["id"]
    expected = [("action", "loaf-baked", 2, 1), ("input", "why", "asked", None)]
    assert expected == [tuple(one.values()) for one in told["last_good"]["differences"]]
    assert [
        {
            "account_key": "US.a",
            "account_label": "Shop A",
            "dataset": "daily_targets",
            "effect": "baked",
            "windows": ["2026-07-01", "2026-07-02"],
        }
    ] == told["references"]
