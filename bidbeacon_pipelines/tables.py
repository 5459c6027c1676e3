"""All tables of the pipelines: importing this module puts them into one metadata.

`…_at` is an instant in UTC; `…_date` a calendar day of the account's own time zone.

Every table that holds an account's data has `account_id` and `country_code`: Amazon's ids are
unique in neither alone. Ids are text in "C" order (they sort and compare as bytes), money is
`numeric(20, 6)` in the row's own currency.
"""

from bidbeacon_pipelines.accounts import tables as accounts
from bidbeacon_pipelines.amazon_ads import tables as amazon_ads
from bidbeacon_pipelines.database import tables as database
from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.datasets import dataset_tables
from bidbeacon_pipelines.entities import tables as entities
from bidbeacon_pipelines.loading import tables as loading
from bidbeacon_pipelines.problems import tables as problems
from bidbeacon_pipelines.requests import tables as requests
from bidbeacon_pipelines.windows import tables as windows

__all__ = [
    "PipelinesBase",
    "accounts",
    "amazon_ads",
    "database",
    "dataset_tables",
    "entities",
    "loading",
    "problems",
    "requests",
    "windows",
]
