"""A local imitation of the Amazon Ads API over HTTP, with seeded data and injected faults.

This package imports nothing from the product.
"""

from bidbeacon_sandbox.server import create_app, serve
from bidbeacon_sandbox.settings import SandboxConfig

__all__ = ["SandboxConfig", "create_app", "serve"]
