"""Overrides of the registry: those of persons stay, whatever reports show."""

from datetime import timedelta

import pytest

from bidbeacon_pipelines.datasets.contract import LEARNED
from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS
from bidbeacon_pipelines.retention import LEARNED_FOR, delete_old_records
from bidbeacon_pipelines.windows.contracts import change_contract
from tests.support.reading import tuples
from tests.support.world import World


@pytest.mark.parametrize("learned_value", ["60", None])
def test_override_of_a_person_stays(world: World, learned_value: str | None) -> None:
    """A learned value neither replaces nor deletes it, and it is not forgotten after some weeks."""
    of = ("NA", DAILY_PRODUCTS.name, "period:SB")
    now = world.context.now()
    with world.session() as session, world.engine.begin() as connection:
        assert change_contract(connection, session, *of, "90", by="maria", at=now)
        assert not change_contract(connection, session, *of, learned_value, by=LEARNED, at=now)
    later = now + LEARNED_FOR + timedelta(days=1)
    with world.session() as session:
        delete_old_records(world.engine, session, world.context.settings, later)
    stored = tuples(world.engine, "SELECT what, value, set_by FROM registry_overrides")
    assert [("period:SB", "90", "maria")] == stored
    assert ["90"] == [one["value"] for one in world.actions("registry-overridden")]
