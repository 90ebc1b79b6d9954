from typing import Any

CLEANERS: dict[str, type[Any]] = {}
