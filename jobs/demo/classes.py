"""The classes of the demo corpus, each a set of Unicode emoji subgroups."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DemoClass:
    """One class: how people call it, what belongs to it, and where its glyphs come from."""

    name: str
    synonyms: tuple[str, ...]
    definition: str
    subgroups: tuple[str, ...]
    """Subgroups of Unicode `emoji-test.txt` whose emoji make up the class."""
    only: tuple[str, ...] = ()
    """Emoji to keep of these subgroups; empty keeps all but `leave_out`."""
    leave_out: tuple[str, ...] = ()
    """Emoji of these subgroups that do not show what the class is named after."""
    may_mirror: bool = True
    """Whether a mirrored picture still shows the same thing."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";"))


DEMO_CLASSES = (
    DemoClass(
        name="mammal",
        synonyms=_words("animal with fur; wild animal; pet"),
        definition="A mammal that lives on land, whole or only its head.",
        subgroups=("animal-mammal",),
        leave_out=("paw prints", "pig nose"),
    ),
    DemoClass(
        name="bird",
        synonyms=_words("fowl; songbird; poultry"),
        definition="A bird of any age, whole or only its head.",
        subgroups=("animal-bird",),
        leave_out=("feather", "wing"),
    ),
    DemoClass(
        name="insect",
        synonyms=_words("bug; beetle; creepy-crawly"),
        definition="An insect, spider, scorpion, snail or worm.",
        subgroups=("animal-bug",),
        leave_out=("spider web", "microbe"),
    ),
    DemoClass(
        name="sea animal",
        synonyms=_words("marine animal; fish; shellfish"),
        definition="An animal that lives in the sea: fish, whales, crabs, squid, shells.",
        subgroups=("animal-marine", "food-marine"),
    ),
    DemoClass(
        name="flower",
        synonyms=_words("blossom; bloom; bouquet"),
        definition="A flower or a bunch of flowers.",
        subgroups=("plant-flower",),
        leave_out=("rosette",),
    ),
    DemoClass(
        name="tree or leaf",
        synonyms=_words("plant; foliage; greenery"),
        definition="A plant without a flower: trees, leaves, herbs, cacti, seedlings.",
        subgroups=("plant-other",),
        leave_out=("empty nest", "nest with eggs", "mushroom"),
    ),
    DemoClass(
        name="fruit",
        synonyms=_words("fresh fruit; berry; citrus"),
        definition="A sweet fruit as it is picked.",
        subgroups=("food-fruit",),
        leave_out=("tomato", "olive"),
    ),
    DemoClass(
        name="vegetable",
        synonyms=_words("veggie; greens; root vegetable"),
        definition="A vegetable as it is harvested.",
        subgroups=("food-vegetable",),
        leave_out=("peanuts", "chestnut"),
    ),
    DemoClass(
        name="savoury dish",
        synonyms=_words("meal; fast food; main course"),
        definition="Cooked or prepared food that is not sweet.",
        subgroups=("food-prepared", "food-asian"),
        leave_out=("salt", "butter", "egg", "canned food", "moon cake", "dango", "fortune cookie"),
    ),
    DemoClass(
        name="dessert",
        synonyms=_words("sweets; cake; confectionery"),
        definition="Sweet food: cakes, ice cream, candy, biscuits.",
        subgroups=("food-sweet",),
        leave_out=("honey pot",),
    ),
    DemoClass(
        name="drink",
        synonyms=_words("beverage; refreshment; cocktail"),
        definition="Something to drink in its glass, cup or bottle.",
        subgroups=("drink",),
        leave_out=("ice", "pouring liquid", "baby bottle"),
    ),
    DemoClass(
        name="ground vehicle",
        synonyms=_words("car; train; transport on land"),
        definition="A vehicle on road or rail: cars, trucks, trains, trams, bicycles.",
        subgroups=("transport-ground",),
        leave_out=_words(
            "station; manual wheelchair; motorized wheelchair; skateboard; roller skate; bus stop;"
            "motorway; railway track; oil drum; fuel pump; wheel; police car light;"
            "horizontal traffic light; vertical traffic light; stop sign; construction"
        ),
    ),
    DemoClass(
        name="aircraft",
        synonyms=_words("aeroplane; spacecraft; flying machine"),
        definition="A machine that flies in air or space.",
        subgroups=("transport-air",),
        leave_out=("seat", "suspension railway", "mountain cableway", "aerial tramway"),
    ),
    DemoClass(
        name="building",
        synonyms=_words("house; architecture; tower"),
        definition="A building seen from outside: houses, castles, churches, offices.",
        subgroups=("place-building", "place-religious"),
        leave_out=("building construction", "brick", "rock", "wood", "Statue of Liberty", "kaaba"),
    ),
    DemoClass(
        name="weather",
        synonyms=_words("forecast; sky; clouds"),
        definition="A sign for the weather: sun, clouds, rain, snow, storm, rainbow.",
        subgroups=("sky & weather",),
        only=_words(
            "sun; sun with face; cloud; sun behind cloud; cloud with lightning and rain;"
            "sun behind small cloud; sun behind large cloud; sun behind rain cloud;"
            "cloud with rain; cloud with snow; cloud with lightning; tornado; wind face; rainbow;"
            "umbrella with rain drops; high voltage; snowflake; snowman"
        ),
    ),
    DemoClass(
        name="smiley face",
        synonyms=_words("emoticon; facial expression; smiley"),
        definition="A round yellow face with an expression.",
        subgroups=(
            "face-smiling",
            "face-affection",
            "face-tongue",
            "face-neutral-skeptical",
            "face-concerned",
        ),
        leave_out=("dotted line face",),
    ),
    DemoClass(
        name="hand",
        synonyms=_words("gesture; fingers; palm"),
        definition="One or two human hands making a gesture.",
        subgroups=(
            "hand-fingers-open",
            "hand-fingers-partial",
            "hand-single-finger",
            "hand-fingers-closed",
            "hands",
        ),
        leave_out=("middle finger", "raising hands"),
    ),
    DemoClass(
        name="garment",
        synonyms=_words("clothing; apparel; outfit"),
        definition="A piece of clothing other than shoes, hats and bags.",
        subgroups=("clothing",),
        only=_words(
            "lab coat; safety vest; necktie; t-shirt; jeans; scarf; gloves; coat; socks; dress;"
            "kimono; sari; one-piece swimsuit; briefs; shorts; bikini; woman's clothes"
        ),
    ),
    DemoClass(
        name="shoe",
        synonyms=_words("footwear; boot; sandal"),
        definition="Footwear of any kind.",
        subgroups=("clothing",),
        only=_words(
            "thong sandal; man's shoe; running shoe; hiking boot; flat shoe; high-heeled shoe;"
            "woman's sandal; ballet shoes; woman's boot"
        ),
    ),
    DemoClass(
        name="sports equipment",
        synonyms=_words("sports gear; ball; sporting goods"),
        definition="Balls, bats, skates and other gear for sports.",
        subgroups=("sport",),
        leave_out=("running shirt", "martial arts uniform"),
    ),
    DemoClass(
        name="musical instrument",
        synonyms=_words("instrument; band; orchestra"),
        definition="An instrument that plays music.",
        subgroups=("musical-instrument",),
    ),
    DemoClass(
        name="tool",
        synonyms=_words("hand tool; hardware; workshop"),
        definition="A tool, fixing or device of a workshop.",
        subgroups=("tool",),
        leave_out=_words(
            "dagger; crossed swords; bomb; boomerang; bow and arrow; shield; balance scale;"
            "white cane"
        ),
    ),
    DemoClass(
        name="heart",
        synonyms=_words("love symbol; valentine; heart shape"),
        definition="The heart symbol in any colour or decoration.",
        subgroups=("heart",),
        leave_out=("love letter",),
    ),
    DemoClass(
        name="clock",
        synonyms=_words("watch; timepiece; time"),
        definition="A device that tells or measures time.",
        subgroups=("time",),
        leave_out=("hourglass done", "hourglass not done"),
        may_mirror=False,
    ),
)

FOREIGN_SUBGROUPS = (
    "zodiac",
    "arrow",
    "av-symbol",
    "book-paper",
    "mail",
    "money",
    "computer",
    "light & video",
)
"""Emoji of no class, which stand for foreign pictures in the style of the others."""
