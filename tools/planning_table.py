"""The table of docs/explanation/planning.md: `python -m tools.planning_table` writes it."""

import re
from typing import Final

from bidbeacon_pipelines.settings import PROJECT_ROOT
from tests.support.simulation import table

_PAGE: Final = PROJECT_ROOT / "docs" / "explanation" / "planning.md"

if __name__ == "__main__":
    old = _PAGE.read_text(encoding="utf-8")
    new = re.sub(r"^\| reports \|.*?(?=\n\n)", table(), old, flags=re.DOTALL | re.MULTILINE)
    _PAGE.write_text(new, encoding="utf-8")
