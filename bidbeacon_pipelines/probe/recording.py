"""The recording of a probe: shapes of answers and files, and what was found, without ids, names and amounts."""

import json
from pathlib import Path
from typing import Final

from bidbeacon_pipelines.probe.probe import Probe
from bidbeacon_pipelines.probe.shapes import as_json

FORMAT: Final = "bidbeacon-probe-2"


def write_recording(path: Path, probe: Probe) -> None:
    """Write what a probe saw into a file that is there.

    Raises:
        OSError: The file can't be written.
    """
    recording = {
        "format": FORMAT,
        "region": probe.ads_account.region,
        "day": str(probe.day),
        "answers": [
            {
                "call": answers.call,
                "status": answers.status,
                "count": answers.count,
                "slowest_seconds": round(answers.slowest, 1),
                "shape": as_json(answers.shape),
            }
            for answers in probe.listener.answers.values()
        ],
        "files": {
            subject: {"rows": facts.rows, "shape": as_json(facts.shape)}
            for subject, facts in probe.files.items()
        },
        "findings": [
            {
                "subject": finding.subject,
                "check": finding.check,
                "verdict": finding.verdict,
                "found": finding.found,
            }
            for finding in probe.findings
        ],
    }
    path.write_text(json.dumps(recording, indent=1) + "\n")
