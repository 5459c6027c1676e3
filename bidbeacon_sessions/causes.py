"""Causes of failures: JSON objects that an application stores and explains."""

from collections.abc import Callable, Mapping
from typing import Any, Final

Explainer = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Returns a cause as pages show it: `sentence`, and more such as `advice`; never raises."""

PROCESS_KILLED: Final = {"code": "process-killed"}
"""The cause of a session whose process died."""

_explainers: list[Explainer] = []


def explain_causes_with(explainer: Explainer) -> None:
    """Set the function that explains causes in this process."""
    _explainers[:] = [explainer]


def explain_cause(cause: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the explanation of a cause; None without an explainer."""
    return _explainers[0](cause) if _explainers else None
