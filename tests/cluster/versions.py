"""Versions of the program: the unpacked wheel of this checkout, and a later one with one more migration."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from bidbeacon_pipelines.database.schema import list_revisions
from bidbeacon_pipelines.settings import PROJECT_ROOT

_MIGRATION = '''"""Add a column that only the newer version knows: it expands, so older programs go on."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.add_column("report_requests", sa.Column("note", sa.Text(), nullable=True))
'''


def build_version(folder: Path) -> Path:
    """Build the wheel of this checkout, and unpack it."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, check=True, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)
    [wheel] = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "program")
    return folder / "program"


def make_next_version(program: Path, folder: Path) -> Path:
    """Copy a version, and give the copy one more migration, which expands the schema."""
    copy = folder / "program"
    shutil.copytree(program, copy)
    before = list_revisions(program / "bidbeacon_pipelines" / "migrations")[-1]
    revision = f"{int(before) + 1:04}"
    migrations = copy / "bidbeacon_pipelines" / "migrations" / "versions"
    text = _MIGRATION.format(revision=revision, before=before)
    (migrations / f"{revision}_expand.py").write_text(text)
    return copy
