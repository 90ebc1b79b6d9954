"""Turn nested dataclasses of arrays, numbers and named arrays into named arrays, and back."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

Record = TypeVar("Record")


def to_arrays(record: Any, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Return the arrays of a dataclass by dotted names.

    Examples
    --------
    >>> from pipeline.numeric.witness import Odds
    >>> sorted(to_arrays(Odds(np.zeros(2), np.ones(2))))
    ['log', 'place']
    """
    named: dict[str, NDArray[Any]] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if is_dataclass(value):
            named |= to_arrays(value, f"{prefix}{field.name}.")
        elif isinstance(value, Mapping):
            named |= {f"{prefix}{field.name}.{key}": np.asarray(value[key]) for key in value}
        else:
            named[prefix + field.name] = np.asarray(value)
    return named


def from_arrays(kind: type[Record], named: Mapping[str, NDArray[Any]], prefix: str = "") -> Record:
    """Return the dataclass that `to_arrays` described; other names are ignored.

    Examples
    --------
    >>> from pipeline.numeric.witness import Odds
    >>> from_arrays(Odds, {"place": np.zeros(1), "log": np.ones(1)}).log
    array([1.])
    """
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # every Record is a dataclass
        hint, name = hints[field.name], prefix + field.name
        if isinstance(hint, type) and is_dataclass(hint):
            values[field.name] = from_arrays(hint, named, f"{name}.")
        elif get_origin(hint) in (dict, Mapping):
            keys = (key for key in named if key.startswith(f"{name}."))
            values[field.name] = {key.removeprefix(f"{name}."): named[key] for key in keys}
        elif hint in (int, float, bool):
            values[field.name] = hint(named[name])
        else:
            values[field.name] = named[name]
    return kind(**values)
