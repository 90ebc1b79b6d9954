"""A function on its way to a worker, and what comes back of it."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pipeline.engine.deadline import deadline
from pipeline.errors import CurationError, quoted

Item = TypeVar("Item")
Result = TypeVar("Result")


class Call(Generic[Item, Result]):
    """Calls a function within a time and hands on an error of ours as a value.

    Raised in a worker, it would come out as an error of Ray's own.
    """

    def __init__(self, function: Callable[[Item], Result], seconds: float) -> None:
        self.function = function
        self.seconds = seconds

    def __call__(self, item: Item) -> Result | CurationError:
        try:
            with deadline(self.seconds):
                return self.function(item)
        except CurationError as error:
            return error

    @property
    def task(self) -> str:
        """What the function is called in a message."""
        return task(self.function)


def task(function: Any) -> str:
    """Return what a function is called in a message.

    Examples
    --------
    >>> task(len), task(Call(len, 1.0))
    ('len', 'len')
    """
    while hasattr(function, "function"):  # what is wrapped says more than its wrapper
        function = function.function
    return str(getattr(function, "__name__", type(function).__name__))


def checked(value: Any) -> Any:
    """Return `value`, or raise it if it is an error of ours."""
    if isinstance(value, CurationError):
        raise value
    return value


def shown(index: int, item: Any) -> str:
    """Return what an item is called in a message; never a place, which may hold credentials.

    Examples
    --------
    >>> shown(3, "0a1b-000000000-01024"), shown(3, (0, 10, 20)), shown(3, object())
    ('0a1b-000000000-01024', '(0, 10, 20)', 'object 3')
    """
    name = getattr(item, "name", item)
    if isinstance(name, str):
        return name
    return quoted(item) if isinstance(item, tuple) else f"{type(item).__name__} {index}"
