"""Names and HELP texts of the gauges that tell of a job's last run.

The relay shows them, and the wrapper where there is none; who has both must not see two
texts for one name. The wrapper needs little else of how evidence is shown.
"""

from __future__ import annotations

RUN_PREFIX = "pushrelay_job_"
"""How the names of all evidence of runs begin."""

LAST_RUN_HELP = {
    "last_start_timestamp_seconds": "Unix time when the last run began.",
    "last_finish_timestamp_seconds": "Unix time when a run finished last.",
    "last_success_timestamp_seconds": "Unix time when a run succeeded last.",
    "last_duration_seconds": "Duration of the run that finished last.",
    "last_exit_code": "Exit code of the run that finished last.",
    "last_max_rss_bytes": "Most memory that the run that finished last had at a time.",
}
"""The HELP texts, by the rest of the name."""
