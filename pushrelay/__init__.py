"""pushrelay: a Pushgateway and batch-job metrics relay.

`run` reports the runs of jobs that are written in Python, see docs/library.md.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pushrelay.wrapper.library import run as run
else:
    # Type checkers would believe that it gives any name.
    def __getattr__(name):
        if name != "run":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Every part of the package imports this one, and few need that.
        from importlib import import_module

        return import_module("pushrelay.wrapper.library").run
