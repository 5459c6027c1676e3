"""The digests of what databases store: functions and views, and row keys of datasets.

`record` appends what is new to two files, with which tests compare the code: a changed view needs a
new version, and stored rows are only found again by the same keys.
"""

from hashlib import sha256
from pathlib import Path
from typing import Final

from bidbeacon_pipelines.database.schema import VIEWS
from bidbeacon_pipelines.datasets.digests import row_key_of
from bidbeacon_pipelines.datasets.fields import DimensionKind
from bidbeacon_pipelines.datasets.registry import ALL_DATASETS, Dataset
from bidbeacon_pipelines.migrations.create import list_views
from bidbeacon_pipelines.settings import PROJECT_ROOT

ROW_KEYS: Final = PROJECT_ROOT / "tests" / "unit" / "reports" / "row_keys.txt"
"""The key of a sample row of each dataset."""
_SAMPLES: Final[dict[DimensionKind, str]] = {
    "id": "9223372036854775807",
    "text": "Hunde Hemd ü",
    "product": "B0EXAMPLE1",
    "marketplace": "GB",
    "placement": "TOP_OF_SEARCH",
}


def digest_views() -> str:
    """Return the digest of the SQL of all functions and views."""
    return sha256("".join(list_views().values()).encode()).hexdigest()[:16]


def sample_row_key(dataset: Dataset) -> str:
    """Return the key of a row that has a sample value in each key dimension of a dataset."""
    samples = (_SAMPLES[dimension.kind] for dimension in dataset.keys)
    return row_key_of(dataset)(["USD", "SPONSORED_PRODUCTS", *samples])


def read_recorded(file: Path) -> dict[str, str]:
    """Return the digests of a file by version or dataset, in the order of its lines."""
    return dict(line.split() for line in file.read_text().splitlines()) if file.exists() else {}


def record(views: Path = VIEWS, row_keys: Path = ROW_KEYS) -> None:
    """Append a version of changed functions and views, and the row keys of new datasets."""
    versions, keys = read_recorded(views), read_recorded(row_keys)
    if list(versions.values())[-1:] != [digest_views()]:
        _append(views, str(len(versions) + 1), digest_views())
    for dataset in ALL_DATASETS:
        if dataset.name not in keys:
            _append(row_keys, dataset.name, sample_row_key(dataset))


def _append(file: Path, name: str, digest: str) -> None:
    with file.open("a") as opened:
        opened.write(f"{name} {digest}\n")
    print(f"{file.name}: added {name}")
