"""The terminal: it shows what data says, and does nothing of it."""

from typing import Any

from rich.console import Console
from rich.text import Text

from pipeline.report.text import visible


class Terminal(Console):
    """A console on which no text of a crawl moves the cursor, colours, links or hides anything.

    Shard names, labels and error messages quote data. Whatever is printed as a string, in a table
    too, comes by here: its control characters are made visible, and neither rich's markup nor its
    emoji codes count.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as it may be printed."""
        options |= {"markup": False, "emoji": False}
        return super().render_str(visible(text, keep="\n"), **options)
