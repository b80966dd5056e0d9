"""How many examples fuzzing tries: few among other tests, many for `make fuzz`."""

from __future__ import annotations

from hypothesis import settings

_FUZZ = settings.get_profile("fuzz")
IS_LONG = settings.get_current_profile_name() == "fuzz"


def examples(usual: int) -> int:
    """Return how many to try of what tries `usual` among other tests; 100 are as many
    as there are otherwise."""
    return _FUZZ.max_examples * usual // 100 if IS_LONG else usual
