"""Which emoji exist, what they are called, and what they look like."""

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from jobs.demo.classes import DemoClass

EMOJI_LIST = Path("/usr/share/unicode/emoji/emoji-test.txt")
FONTS = Path("/usr/share/fonts/truetype")
EMOJI_FONT = FONTS / "noto/NotoColorEmoji.ttf"
ICON_FONT = FONTS / "font-awesome/fontawesome-webfont.ttf"
TEXT_FONTS = tuple(
    FONTS / "dejavu" / f"{name}.ttf"
    for name in ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif-Bold")
)
NEEDED_FILES = (EMOJI_LIST, EMOJI_FONT, ICON_FONT, *TEXT_FONTS)

EMOJI_SIZE = 109
"""The only size at which the colour bitmaps of the emoji font exist."""
_EMOJI_CANVAS = (160, 160)
_LINE = re.compile(r"^(?P<code>[0-9A-F ]+?)\s*; fully-qualified\s+# \S+ E[\d.]+ (?P<name>.+)$")
_VARIATION_SELECTOR = "\ufe0f"
_CURLY_APOSTROPHE = "\u2019"


@dataclass(frozen=True)
class Glyph:
    """One emoji of a single code point and its Unicode name."""

    character: str
    name: str


def read_subgroups(path: Path = EMOJI_LIST) -> dict[str, list[Glyph]]:
    """Read the emoji of a single code point from Unicode `emoji-test.txt`, by subgroup."""
    subgroups: dict[str, list[Glyph]] = defaultdict(list)
    subgroup = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# subgroup:"):
            subgroup = line.partition(":")[2].strip()
        elif match := _LINE.match(line):
            code_points = [chr(int(code, 16)) for code in match["code"].split()]
            character = "".join(code_points).replace(_VARIATION_SELECTOR, "")
            if len(character) == 1:
                name = match["name"].replace(_CURLY_APOSTROPHE, "'")
                subgroups[subgroup].append(Glyph(character, name))
    return dict(subgroups)


def glyphs_of(demo_class: DemoClass, subgroups: dict[str, list[Glyph]]) -> list[Glyph]:
    """List the glyphs of a class in Unicode order."""
    glyphs = [glyph for name in demo_class.subgroups for glyph in subgroups[name]]
    if demo_class.only:
        return [glyph for glyph in glyphs if glyph.name in demo_class.only]
    return [glyph for glyph in glyphs if glyph.name not in demo_class.leave_out]


@cache
def text_font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """Open a font; the basic layout keeps the result independent of shaping libraries."""
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def emoji_picture(character: str) -> Image.Image:
    """Draw one emoji on a transparent ground, cropped to its ink.

    Raises
    ------
    ValueError
        If the emoji font has no picture for the character.
    """
    picture = Image.new("RGBA", _EMOJI_CANVAS)
    font = text_font(EMOJI_FONT, EMOJI_SIZE)
    ImageDraw.Draw(picture).text((4, 4), character, font=font, embedded_color=True)
    box = picture.getbbox()
    if box is None:
        raise ValueError(f"{EMOJI_FONT.name} must have a picture for U+{ord(character):04X}")
    return picture.crop(box)
