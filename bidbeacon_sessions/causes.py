"""Causes of failures: JSON objects that an application stores with errors and in its actions.

The library doesn't know what a cause means. The application passes the function that explains one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

Explainer = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Returns a cause for people as JSON: `sentence`, and what else the application's pages show, such as `advice`; never raises."""

PROCESS_KILLED: Final = {"code": "process-killed"}
"""The cause of a session that its process did not end."""

_explainers: list[Explainer] = []


def explain_causes_with(explainer: Explainer) -> None:
    """Let a function explain the causes of this process's sessions and actions."""
    _explainers[:] = [explainer]


def explain_cause(cause: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a cause for people; None without an explainer."""
    return _explainers[0](cause) if _explainers else None
