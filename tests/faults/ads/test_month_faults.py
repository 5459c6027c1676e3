"""The faults of the month are what the month says that they are."""

from bidbeacon_pipelines.sandbox.fault_rules import FAULTS
from tests.faults.ads.month import PROBABILITY
from tests.faults.ads.month_faults import costs_a_create, month_faults


def test_every_fault_has_a_rule() -> None:
    """No fault of the sandbox is left out of the month."""
    assert set(FAULTS) == {rule.fault for rule in month_faults(PROBABILITY)}


def test_no_fault_of_an_export_excuses_a_create() -> None:
    """A strike on an export's calls says nothing of how often a report is asked for; one on a report's file may."""
    excuses = {(rule.fault, rule.operation) for rule in month_faults(PROBABILITY) if costs_a_create(rule)}
    assert [] == [excuse for excuse in excuses if excuse[1] in {"create_export", "get_export"}]
    assert {
        ("throttle_accepted", "create_report"),
        ("expired_url", "retrieve_report"),
        ("no_resign", "retrieve_report"),
        ("wrong_size", "retrieve_report"),
        ("too_old", None),
    } <= excuses
