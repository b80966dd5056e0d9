"""How many examples fuzzing tries: few among other tests, many for `make fuzz`."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

_FUZZ = settings.get_profile("fuzz")
IS_LONG = settings.get_current_profile_name() == "fuzz"


def fuzzing(usual: int, **more: Any) -> settings:
    """Return the settings of a test that tries `usual` examples among other tests, and
    always the same ones there; a test of 100 tries as many as `make fuzz` wants."""
    most = _FUZZ.max_examples * usual // 100 if IS_LONG else usual
    return settings(max_examples=most, derandomize=not IS_LONG, **more)
