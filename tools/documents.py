"""The pages of the reference that are printed from the code: `python -m tools.documents`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tools import (
    actions_page,
    causes_page,
    commands_page,
    data_dictionary,
    http_page,
    settings_page,
    tables_page,
)

ROOT = Path(__file__).resolve().parent.parent
PRINTED: Mapping[Path, Callable[[], str]] = {
    ROOT / "docs" / "reference" / f"{name}.md": make_page
    for name, make_page in {
        "actions": actions_page.make_page,
        "causes": causes_page.make_page,
        "commands": commands_page.make_page,
        "data-dictionary": data_dictionary.make_dictionary,
        "http": http_page.make_page,
        "settings": settings_page.make_page,
        "tables": tables_page.make_page,
    }.items()
}
"""The function that makes each printed page, by the page's path."""

if __name__ == "__main__":
    for path, make_page in PRINTED.items():
        path.write_text(make_page(), encoding="utf-8")
