"""What a recording holds, and what it must not hold."""

import json
import stat
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bidbeacon_pipelines.probe.redaction import redacted
from bidbeacon_pipelines.recordings import (
    Exchange,
    Recording,
    RecordingError,
    read_recording,
    write_recording,
)

CUSTOMERS_FIELDS = (
    *("campaign.name", "adGroup.name", "searchTerm.value", "target.value"),
    *("advertisedProduct.id", "advertisedProduct.sku", "convertedProduct.id"),
)
AUTO_TARGETS = ("close-match", "loose-match", "substitutes", "complements")


def test_nothing_of_the_customer_is_in_a_recording(probed: Callable[..., Any]) -> None:
    """No account, profile, entity, campaign id, name, product, search term or token that was answered is written."""
    run = probed()
    recorded = _written(redacted(run.exchanges))
    private = {text for one in run.exchanges for text in _private_texts(one)}
    assert len(private) > 100
    assert [] == [
        text for text in private if f'"{text}"' in recorded or (len(text) > 8 and text in recorded)
    ]
    assert "Atza|" not in recorded
    assert "X-Amz-Signature" not in recorded


def test_the_same_value_has_the_same_stand_in(probed: Callable[..., Any]) -> None:
    """Campaigns of every report's rows are found among the exported ones as before, be they numbers or texts."""
    run = probed()
    joined = _campaigns(run.exchanges)
    recorded = _campaigns(redacted(run.exchanges).exchanges)
    assert [len(ids) for ids in joined] == [len(ids) for ids in recorded]
    assert len(joined[0] & joined[1]) == len(recorded[0] & recorded[1]) > 0


def test_amounts_keep_their_form_and_not_their_value(probed: Callable[..., Any]) -> None:
    """A number has as many digits as before on both sides of its point, a zero stays zero, and most values change."""
    run = probed()
    pairs = [
        (before, after)
        for one, other in zip(run.exchanges, redacted(run.exchanges).exchanges, strict=True)
        if one.is_file
        for row, clean in zip(one.body, other.body, strict=True)
        for before, after in zip(_metrics(row), _metrics(clean), strict=True)
    ]
    assert [] == [pair for pair in pairs if _form(pair[0]) != _form(pair[1])]
    large = [pair for pair in pairs if pair[0] is not None and pair[0] > 1000]
    assert sum(before == after for before, after in large) < len(large) / 20


def test_a_new_field_is_redacted_like_a_known_one() -> None:
    """A value under a name that nobody knows is replaced, a word of the contract is kept."""
    body = {
        "adsAccounts": [{"motto": "Dogs first", "status": "CREATED", "score": 12.5, "isNew": True}]
    }
    [clean] = redacted([_answer(body)]).exchanges
    [account] = clean.body["adsAccounts"]
    assert account == {
        "motto": "text-1",
        "status": "CREATED",
        "score": account["score"],
        "isNew": True,
    }


@pytest.mark.parametrize("name", ["query", "type", "code", "state", "countryCode", "anything"])
def test_a_text_is_kept_only_where_the_contract_has_a_vocabulary(name: str) -> None:
    """A customer's text is replaced under whatever name it comes, also one that has a vocabulary elsewhere."""
    body = {"adsAccounts": [{"creative": {name: "Dogs first"}, name: "Dogs first"}]}
    recorded = _written(redacted([_answer(body)]))
    assert "Dogs first" not in recorded


@pytest.mark.parametrize(
    ("message", "clean"),
    [
        (
            "400006: field metric.totalCost cannot be used without (budgetCurrency.value)",
            "400006: field metric.totalCost cannot be used without (budgetCurrency.value)",
        ),
        ("Campaign 'Dogs & Cats' of 300000000000002", "Campaign '…' of 900000000000001"),
        (
            "Account amzn1.ads-account.g.abc is locked",
            "Account amzn1.ads-account.g.standin0001 is locked",
        ),
        ("Write to jane@example.com", "Write to text-1"),
        ("Bearer Atza|IwEBIExampleExampleExample", "Bearer •••"),
    ],
)
def test_messages_keep_codes_and_fields(message: str, clean: str) -> None:
    """A message keeps what a check reads, and neither ids, quoted names, addresses nor tokens."""
    [exchange] = redacted([_answer({"code": "400000", "message": message}, status=400)]).exchanges
    assert {"code": "400000", "message": clean} == exchange.body


def test_a_recording_is_private_and_comes_back_as_it_was(tmp_path: Path) -> None:
    """The file is its owner's alone, also where it was everybody's, and numbers keep their digits."""
    file = tmp_path / "recording.json"
    file.touch(mode=0o666)
    recording = Recording(exchanges=(_answer({"bid": Decimal("0.4500"), "id": 2**63 - 1}),))
    write_recording(file, recording)
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert str(recording) == str(read_recording(file))


@pytest.mark.parametrize(
    "text", ["", "[]", '{"exchanges": []', '{"format": "other", "exchanges": []}']
)
def test_another_file_is_no_recording(tmp_path: Path, text: str) -> None:
    """A file that is something else is refused with its name."""
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(RecordingError, match=r"other\.json"):
        read_recording(file)


def _written(recording: Recording) -> str:
    from bidbeacon_pipelines.recordings import file_text

    return file_text(recording).decode()


def _answer(body: Any, status: int = 200) -> Exchange:
    return Exchange(
        step="accounts", method="POST", path="/na/adsAccounts/list", status=status, body=body
    )


def _private_texts(exchange: Exchange) -> Iterator[str]:
    """Yield what is private in an answer, by the names that the contract gives it."""
    names = {
        *(
            "adsAccountId",
            "advertiserAccountId",
            "accountName",
            "displayName",
            "name",
            "profileId",
            "entityId",
        ),
        *(
            "campaignId",
            "adGroupId",
            "adId",
            "targetId",
            "keyword",
            "asin",
            "productId",
            "reportId",
            "exportId",
        ),
        *("campaign.id", "adGroup.id", "ad.id", "access_token", *CUSTOMERS_FIELDS),
    }
    values = (str(value) for name, value in _pairs(exchange.body) if name in names and value)
    yield from (value for value in values if value not in AUTO_TARGETS)


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from _pairs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _pairs(inner)


def _campaigns(exchanges: Any) -> tuple[set[str], set[str]]:
    files = [one for one in exchanges if one.is_file]
    exported = {
        str(row["campaignId"]) for one in files if one.step == "campaigns" for row in one.body
    }
    reported = {
        str(row["campaign.id"]) for one in files for row in one.body if "campaign.id" in row
    }
    return exported, reported


def _metrics(row: dict[str, Any]) -> list[Any]:
    return [value for name, value in row.items() if name.startswith("metric.")]


def _form(value: Any) -> str:
    text = json.dumps(value, default=str)
    head = text.lstrip('"0.')
    return text[: len(text) - len(head)] + "".join("9" if char.isdigit() else char for char in head)
