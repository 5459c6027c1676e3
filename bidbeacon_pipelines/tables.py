"""All tables of the pipelines: importing this module registers them in one `MetaData`.

`…_at` is an instant in UTC; `…_date` a calendar day in the account's time zone.

Tables of account data have `account_id` and `country_code`, since Amazon's ids are unique only
within an account and country. Ids are text with collation "C" (compared as bytes). Money is
`numeric(20, 6)` in the row's currency.
"""

from bidbeacon_pipelines.accounts import tables as accounts
from bidbeacon_pipelines.amazon_ads import tables as amazon_ads
from bidbeacon_pipelines.contract import tables as contract
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
    "contract",
    "database",
    "dataset_tables",
    "entities",
    "loading",
    "problems",
    "requests",
    "windows",
]
