"""The page of settings: `python -m tools.settings_page` prints it."""

from collections.abc import Iterator
from pathlib import Path

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from bidbeacon_pipelines.settings import PROJECT_ROOT, Settings

_SECTIONS = {
    "database_url": "Database, sessions and stream",
    "ads_api_client_id": "Amazon",
    "home": "Folders and addresses",
    "partition_months": "Windows and reports",
    "alert_urls": "Alerts",
    "api_call_days": "Retention",
    "user_header": "Users",
}
"""The title of each section by its first setting; the order is that of the classes."""

_HEAD = """# Settings

Printed from the settings classes by `make docs`; a test compares them.

Settings come from environment variables, or from the file `.env` in the project's folder. The
project's folder is the one with `workspace.yaml`. If a variable is set in both places, the
environment has priority. `.env` is in UTF-8, and only its owner should be able to read it: run
`chmod 600 .env`.

When `bidbeacon dev` or `bidbeacon db start` starts, it writes the settings that it uses to
`.bidbeacon/env`: the database's address, ports, public addresses and Dagster's home. Every command
reads this file, with the lowest priority.

An invalid setting ends every command with exit code 2. One line names the variable, the expected
value, the given value (never a secret), and where the variable is set:

```text
BIDBEACON_STREAM_PORT: expected less than or equal to 65535; got '99999', set in the environment.
```

An empty value is invalid: remove the variable to use the default. Unknown names that begin with
`BIDBEACON_` are invalid in `.env`, and ignored in the environment. Dagster's command `dagster dev`
also reads `.env` in its working directory, and gives this file priority over the environment.

This command prints a random token for `BIDBEACON_STREAM_TOKEN` or `BIDBEACON_STREAM_CHANGES_TOKEN`:

```text
python3 -c "import secrets; print(secrets.token_urlsafe(32))"
```
"""


def make_page() -> str:
    """Return the page as Markdown with a final newline."""
    return "\n".join([_HEAD, *_entries()])


def _entries() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        if title := _SECTIONS.get(name):
            yield f"\n## {title}\n"
            yield from ("| setting | default | range | meaning |", "|---|---|---|---|")
        if not field.description:
            raise ValueError(f"expected a docstring below the setting {name}")
        meaning = " ".join(field.description.split()).replace("|", "\\|")
        variable = f"`BIDBEACON_{name.upper()}`"
        yield f"| {variable} | {default_of(field)} | {_range(field)} | {meaning} |"
    yield ""


def default_of(field: FieldInfo) -> str:
    """Return a setting's default as the page shows it."""
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None:
        return "none"
    return f"`{default.relative_to(PROJECT_ROOT) if isinstance(default, Path) else default}`"


def _range(field: FieldInfo) -> str:
    bounds = {type(bound): bound for bound in field.metadata}
    if Le not in bounds:
        return ""
    first = f"{bounds[Ge].ge:,}" if Ge in bounds else f"above {bounds[Gt].gt:,}"
    return f"{first} to {bounds[Le].le:,}"


if __name__ == "__main__":
    print(make_page(), end="")
