"""What the jobs that pages show have pushed, of all types, and what is refused."""

from __future__ import annotations

from compat.metric_messages import GAUGE, HEADERS, HISTOGRAM, delimited, family

EXPORT = """\
# HELP billing_rows_exported_total Rows that were written to the ledger.
# TYPE billing_rows_exported_total counter
billing_rows_exported_total{currency="EUR"} 182034
billing_rows_exported_total{currency="CHF"} 9120
# HELP billing_last_invoice_timestamp_seconds When the last invoice was paid.
# TYPE billing_last_invoice_timestamp_seconds gauge
billing_last_invoice_timestamp_seconds 1.7953788e+09
# HELP billing_batch_seconds How long it took to write a batch.
# TYPE billing_batch_seconds histogram
billing_batch_seconds_bucket{le="0.1"} 12
billing_batch_seconds_bucket{le="0.25"} 84
billing_batch_seconds_bucket{le="0.5"} 231
billing_batch_seconds_bucket{le="1"} 260
billing_batch_seconds_bucket{le="2.5"} 271
billing_batch_seconds_bucket{le="+Inf"} 274
billing_batch_seconds_sum 118.4
billing_batch_seconds_count 274
# HELP billing_query_seconds Latency of the queries.
# TYPE billing_query_seconds summary
billing_query_seconds{quantile="0.5"} 0.021
billing_query_seconds{quantile="0.99"} 0.43
billing_query_seconds_sum 31.2
billing_query_seconds_count 1204
"""

BACKUP = """\
# HELP backup_bytes Size of the last backup.
# TYPE backup_bytes gauge
backup_bytes{table="users"} 1.5e+09
backup_bytes{table="orders"} 2.31e+10
"""

ODD_GROUP = {"job": "<under> / over", "x": "/"}

ODD = """\
# HELP "größe.x" Größe \\\\ <b>fett</b>\\nin zwei Zeilen
# TYPE "größe.x" gauge
{"größe.x","ü<"="\\"q\\" & <script>"} NaN
{"größe.x","ü<"="\\\\"} -Inf
"""

LATENCY = delimited(
    family(
        "probe_latency_seconds",
        HISTOGRAM,
        {
            "histogram": {
                "sample_count": 228,
                "sample_sum": 91.5,
                "schema": 1,
                "zero_threshold": 0.001,
                "zero_count": 4,
                "positive_span": [
                    {"offset": -6, "length": 5},
                    {"offset": 2, "length": 3},
                ],
                "positive_delta": [3, 19, 40, -21, -12, -9, 12, -30],
                "negative_span": [{"offset": -2, "length": 2}],
                "negative_delta": [5, 3],
            }
        },
        help="Round trips, and how far clocks were ahead.",
    )
)

SENSOR = delimited(
    family(
        "sensor_celsius",
        GAUGE,
        {"label": [{"name": "place", "value": "roof"}], "gauge": {"value": 21.5}},
        help="Temperature outside.",
    )
)

_REFUSED_TIME = "crm_rows 1 1700000000000\n"

PUSHED: list[tuple[str, str | bytes, dict[str, str] | None]] = [
    ("/metrics/job/billing-export/instance/eu", EXPORT, None),
    ("/metrics/job/backup-postgres/instance/db1?stale_after=26h", BACKUP, None),
    ("/metrics/job/latency-probe/zone/a", LATENCY, HEADERS),
    ("/metrics/job/crm-sync", "# TYPE crm_rows gauge\ncrm_rows 12\n", None),
]
"""Path, body and headers of each push."""

ODD_PUSHED: list[tuple[str, str | bytes, dict[str, str] | None]] = [
    ("/metrics/job@base64/PHVuZGVyPiAvIG92ZXI/x@base64/Lw", ODD, None),
]

REFUSED = [
    ("/metrics/job/crm-sync", _REFUSED_TIME),
    ("/metrics/job/crm-sync", "# TYPE backup_bytes counter\nbackup_bytes 1\n"),
    ("/metrics/job/broken-script", "rows{ 1\n"),
]
