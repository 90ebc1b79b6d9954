"""How a command says that it failed."""

from importlib.metadata import version

from pipeline.terminal import Terminal


def complain(message: str) -> None:
    """Print a message as the last line of the errors, as it is and on one line."""
    Terminal(stderr=True).print(
        f"winnow {version('webwinnow')}: {message}", style="red", markup=False, soft_wrap=True
    )
