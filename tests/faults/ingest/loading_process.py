"""`python -m tests.faults.ingest.loading_process URL REQUEST PART…`: loads one report, and says when it begins and when it has committed."""

import sys
from pathlib import Path

from benchmarks.ingest_load import load_parts
from bidbeacon_pipelines.database.engine import make_engine


def main() -> None:
    """Load."""
    url, request_id, *parts = sys.argv[1:]
    engine = make_engine(url)
    engine.connect().close()
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    load_parts(engine, int(request_id), list(map(Path, parts)))
    sys.stdout.write("committed\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
