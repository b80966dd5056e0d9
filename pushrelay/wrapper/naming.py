"""What a run of a command is called, and what we say of it."""

from __future__ import annotations

from pushrelay.wrapper.host import host_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pushrelay.wrapper.options import Options


def job_and_labels(options: Options) -> tuple[str, dict[str, str]]:
    """Return the job and the labels that the run of a command has."""
    job = options.job or options.command[0].rstrip("/").rpartition("/")[2]
    labels = dict(options.label)
    if "instance" not in labels:
        given = options.instance
        labels["instance"] = host_name() if given is None else given
    named = {_utf8(name): _utf8(value) for name, value in labels.items() if value}
    return _utf8(job) or "/", named


def as_options(told: str) -> str:
    """Return what a relay has `told`, with our options instead of fields of its API."""
    import re  # not before the command starts, which may need a name for its lock

    told = re.sub(r"\blabels\.(?=\S+: )", "--label ", told)
    return re.sub(
        r"\bexpectation\.([a-z_]+)", lambda m: f"--{m[1].replace('_', '-')}", told
    )


def _utf8(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="replace")
