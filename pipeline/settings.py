"""From the settings of a recipe to the configurations that they describe."""

from dataclasses import fields, is_dataclass
from typing import Any, cast

from pydantic import TypeAdapter

from pipeline.cleaners import CLEANERS
from pipeline.contract import Cleaner
from pipeline.errors import RecipeError, did_you_mean, quoted


def build_cleaner(item: Any) -> Cleaner[Any]:
    """Return the cleaner that a recipe entry describes: `match` or `{match: {rounds: 3}}`."""
    if isinstance(item, str):
        item = {item: {}}
    if is_dataclass(item) and not isinstance(item, type):
        return cast("Cleaner[Any]", item)  # already built
    if not isinstance(item, dict) or len(item) != 1:
        raise ValueError(f"a cleaner is one name with its settings, or a name, got {quoted(item)}")
    (name, settings), *_ = item.items()
    if name not in CLEANERS:
        known = ", ".join(CLEANERS)
        raise ValueError(
            f"{quoted(name)} is no cleaner{did_you_mean(str(name), CLEANERS)} (known: {known})"
        )
    if not isinstance(settings or {}, dict):
        raise ValueError(  # noqa: TRY004  (pydantic collects ValueErrors)
            f"cleaner {name} must have a mapping of settings, got {quoted(settings)}"
        )
    return settings_of(CLEANERS[name], f"cleaner {name}", settings or {})


def settings_of(kind: type[Any], owner: str, settings: dict[str, Any]) -> Any:
    """Return a configuration dataclass from its settings, refusing unknown ones."""
    known = [field.name for field in fields(kind) if field.init]
    for key in settings:
        if key not in known:
            raise ValueError(f"{owner} has no setting {quoted(key)}{did_you_mean(str(key), known)}")
    return TypeAdapter(kind).validate_python(settings)


def override(raw: dict[str, Any], dotted: str, value: Any) -> None:
    """Set a key such as `source.path` of a recipe that is not parsed yet."""
    *parents, last = dotted.split(".")
    part = raw
    for parent in parents:
        if part.get(parent) is None:
            part[parent] = {}
        part = part[parent]
        if not isinstance(part, dict):
            was = quoted(part)
            raise RecipeError(f"{dotted} cannot be set: {parent} is {was}, which has no keys")
    part[last] = value
