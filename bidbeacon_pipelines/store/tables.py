"""The tables of the pipelines.

`…_at` is an instant in UTC; `…_date` a calendar day of the account's own time zone.

Every table that holds an account's data has `account_id` and `country_code`: Amazon's ids are
unique in neither alone. Ids are text in "C" order (they sort and compare as bytes), money is
`numeric(20, 6)` in the row's own currency.
"""

from bidbeacon_pipelines.entities import tables as entity_tables  # noqa: F401 - their classes belong to the same metadata
