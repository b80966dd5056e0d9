"""pushrelay: a Pushgateway and batch-job metrics relay."""

__version__ = "0.1.0"
