"""`python -m bidbeacon_sessions MODULE …`: serve the page and the stream of a project.

Imports the modules, which define the action classes. Creates the tables if they are missing.
"""

import importlib
import sys

from sqlalchemy import inspect

from bidbeacon_sessions.server import serve
from bidbeacon_sessions.session import default_store
from bidbeacon_sessions.settings import get_session_settings
from bidbeacon_sessions.tables import SessionHeader, create_tables


def main() -> None:
    """Import the modules, create missing tables, and serve until Ctrl-C."""
    sys.path.insert(0, "")
    for module in sys.argv[1:]:
        importlib.import_module(module)
    store, settings = default_store(), get_session_settings()
    if not inspect(store.engine).has_table(SessionHeader.__tablename__):
        create_tables(store.engine)
    serve(store, host=settings.stream_host, port=settings.stream_port)


if __name__ == "__main__":
    main()
