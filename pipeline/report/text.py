"""Words and numbers as the report shows them; every text from a crawl is hostile input."""

from unicodedata import category

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories without a glyph: controls, bidi marks, zero widths, surrogates."""
FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols that are drawn as nothing."""
C0_END, DELETE, PICTURES = 0x20, 0x7F, 0x2400
MINUTE, HOUR = 60, 3600
SMALL, LARGE = 0.0995, 0.995
"""Shares below which a decimal is shown, and above which 100 % would be said of less."""
FEW = 10
"""Rows per second below which a decimal is shown."""


def visible(text: str, keep: str = "") -> str:
    r"""Return `text` with every character that a reader could not see replaced by a mark.

    Parameters
    ----------
    text
        Any string, lone surrogates included.
    keep
        Characters that stay as they are, as line breaks do in a listing.

    Examples
    --------
    >>> visible("a\x00b\u202ec")
    'a␀b⟨U+202E⟩c'
    """
    if text.isprintable() and FILLERS.isdisjoint(text):
        return text
    return "".join(c if c in keep else _mark(c) for c in text)


def clip(text: str, num_chars: int) -> str:
    """Return `text`, shortened to `num_chars` characters of which the last is an ellipsis.

    Examples
    --------
    >>> clip("a long caption", 7), clip("short", 7)
    ('a long…', 'short')
    """
    return text if len(text) <= num_chars else text[: num_chars - 1] + "…"


def number(count: int) -> str:
    """Return `count` with its thousands separated.

    Examples
    --------
    >>> number(1234567)
    '1,234,567'
    """
    return f"{count:,}"


def percent(part: int, whole: int) -> str:
    """Return the share of `part` in `whole`; only nothing is 0% and only everything is 100%.

    Examples
    --------
    >>> percent(1, 3), percent(1, 10_000), percent(9_999, 10_000), percent(0, 0)
    ('33.3%', '<0.1%', '>99.9%', '—')
    """
    if whole == 0:
        return "—"
    share = f"{100 * part / whole:.1f}%"
    if share == "0.0%" and part:
        return "<0.1%"
    if share == "100.0%":
        return "100%" if part == whole else ">99.9%"
    return share


def rough(share: float) -> str:
    """Return a share in [0, 1] in per cent, as short as a table needs it.

    Examples
    --------
    >>> rough(0.4211), rough(0.0304), rough(0.0001), rough(0.9999), rough(0.0), rough(1.0)
    ('42%', '3.0%', '<0.1%', '>99%', '0.0%', '100%')
    """
    if share < SMALL:
        return percent(round(1_000_000 * share), 1_000_000)
    return ">99%" if LARGE < share < 1.0 else f"{100 * share:.0f}%"


def duration(seconds: float) -> str:
    """Return a length of time in the two units that matter.

    Examples
    --------
    >>> duration(4.21), duration(200), duration(7500)
    ('4.2 s', '3 min 20 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < MINUTE:
        return f"{seconds:.1f} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02d} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE:02d} min"


def rate(rows: int, seconds: float) -> str:
    """Return rows per second, or a dash where no time was measured.

    Examples
    --------
    >>> rate(2048, 0.5), rate(5, 10.0), rate(7, 0.0)
    ('4,096', '0.5', '—')
    """
    if seconds <= 0:
        return "—"
    per_second = rows / seconds
    return f"{per_second:,.1f}" if per_second < FEW else f"{per_second:,.0f}"


def _mark(character: str) -> str:
    if category(character) not in UNSEEN and character not in FILLERS:
        return character
    code = ord(character)
    if code < C0_END:
        return chr(PICTURES + code)
    return "␡" if code == DELETE else f"⟨U+{code:04X}⟩"
