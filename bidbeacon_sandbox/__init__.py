"""A local server that plays Amazon Ads over real HTTP: seeded data, the same wire, switchable faults.

It is the other side of the wire: it imports nothing from the rest of the project.
"""

from bidbeacon_sandbox.config import SandboxConfig
from bidbeacon_sandbox.server import create_app, serve

__all__ = ["SandboxConfig", "create_app", "serve"]
