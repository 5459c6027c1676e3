"""A local server that plays Amazon Ads over real HTTP: seeded data, the same wire, rules for what goes wrong.

It is the other side of the wire: it imports nothing from the product.
"""

from bidbeacon_sandbox.server import create_app, serve
from bidbeacon_sandbox.settings import SandboxConfig

__all__ = ["SandboxConfig", "create_app", "serve"]
