"""The recipe: one strict YAML file that says what to do, never where it runs."""

from collections.abc import Set
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipeline import strict_yaml
from pipeline.cleaners import CLEANERS, DEFAULT
from pipeline.contract import DEFAULT_LIMITS, Limits
from pipeline.drift.gates import Gates, MaxDrift, Range
from pipeline.embed.spec import EncoderSpec
from pipeline.errors import RecipeError, did_you_mean, quoted
from pipeline.policy.presets import PRESETS
from pipeline.policy.rules import Choose, Drop, DropEmpty, Policy, Relabel
from pipeline.schema import ANSWERED, EARLY, IMAGE, LABEL, OPTIONAL, SAMPLE, TEXT
from pipeline.settings import build_cleaner, override, settings_of
from pipeline.store.order import PackSpec
from pipeline.store.vectors import VectorSpec

GIVEN = (*SAMPLE.names, IMAGE, TEXT, EARLY, LABEL, *OPTIONAL, ANSWERED)
"""Columns that are there before the first cleaner."""
SECTIONS = {"encoder": EncoderSpec, "vectors": VectorSpec, "pack": PackSpec, "limits": Limits}
"""Parts of a recipe that are configurations of their own."""

MAX_COMPLAINTS = 10
"""What is said of one recipe that is wrong."""


class Strict(BaseModel):
    """A part of a recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSpec(Strict):
    """What to read."""

    path: str | tuple[str, ...] | None = None
    """Shards on any fsspec store: globs, brace patterns, folders; several joined by `::`."""
    caption: str | None = "auto"
    """Where captions lie: a member's extension, `json:FIELD`, a column; null = none."""
    label: str = Field(default="auto", pattern=r"^(auto|none|caption|field:.+)$")
    """Where web labels lie: `auto`, `field:NAME`, `caption` (names found in it) or `none`."""
    labels: Literal["one", "candidates", "all"] = "one"
    """What a list, or a text with `|`, is: no label; `candidates`: one is right; `all`: each is."""
    answers: str | None = None
    """CSV of `uid,label`: a filled-in `queries.csv`, whose labels go before the web labels."""
    fragment_rows: int = Field(default=1024, ge=1)
    """Rows of a fragment, the unit of work and of commit."""


class Recipe(Strict):
    """Everything a run does."""

    name: str = "winnow"
    """Title of the report."""
    source: SourceSpec = SourceSpec()
    classes: str | None = None
    """Class file: CSV or YAML with name, synonyms, definition, parents, examples."""
    encoder: EncoderSpec = EncoderSpec()
    """Encoder of images and texts."""
    vectors: VectorSpec | None = None
    """Embeddings that exist already; the encoder is not used then."""
    cleaners: tuple[Any, ...] = tuple(CLEANERS[name]() for name in DEFAULT)
    """Cleaners in order: a name, or a name with its settings."""
    policy: Policy = PRESETS["balanced"]
    """A preset by name, or rules."""
    pack: PackSpec = PackSpec()
    """How the output is cut and shuffled."""
    limits: Limits = DEFAULT_LIMITS
    """What a run bears before it gives up."""
    gates: Gates = Gates()
    """What a night must look like to be published."""

    @field_validator("encoder", "vectors", "pack", "limits", mode="before")
    @classmethod
    def _known_settings(cls, value: Any, info: Any) -> Any:
        kind = SECTIONS[info.field_name]
        return settings_of(kind, info.field_name, value) if isinstance(value, dict) else value

    @field_validator("cleaners", mode="before")
    @classmethod
    def _build_cleaners(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError(  # noqa: TRY004  (pydantic collects ValueErrors)
                "must be a list of cleaners, each a name or 'name: {settings}'"
            )
        return tuple(build_cleaner(item) for item in value)

    @field_validator("limits")
    @classmethod
    def _stalls_after_the_tries(cls, value: Limits) -> Limits:
        least = value.tries * value.fragment_s
        if value.stall_s <= least:
            raise ValueError(
                f"stall_s {value.stall_s:g} must be more than tries times fragment_s, {least:g}: "
                "a step waits that long for a fragment that hangs"
            )
        return value

    @field_validator("policy", mode="before")
    @classmethod
    def _find_preset(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in PRESETS:
                hint, known = did_you_mean(value, PRESETS), ", ".join(PRESETS)
                raise ValueError(f"{quoted(value)} is no preset{hint} ({known})")
            return PRESETS[value]
        return value

    def to_yaml(self, leave_out: Set[str] = frozenset()) -> str:
        """Return the recipe with every default written out, but for some keys."""
        raw = self.model_dump(mode="json", exclude={"cleaners", *leave_out})
        raw["cleaners"] = [{cleaner.name: asdict(cleaner)} for cleaner in self.cleaners]
        return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)

    def check_columns(self) -> None:
        """Check that every column is added before it is read.

        Raises
        ------
        RecipeError
            If a cleaner, the policy or the output reads a column that nothing before it adds.
        """
        known = set(GIVEN)
        added: set[str] = set()
        for cleaner in self.cleaners:
            if added & set(cleaner.adds.names):
                raise RecipeError(f"cleaner {cleaner.name} stands in the recipe twice")
            require(f"cleaner {cleaner.name}", cleaner.reads, known)
            added |= set(cleaner.adds.names)
            known |= added
        require(f"policy {self.policy.name}", self.policy.reads, added)
        require("pack.attach", self.pack.attach, added)


def require(reader: str, columns: tuple[str, ...], known: set[str]) -> None:
    """Raise a RecipeError if a column is not known when `reader` needs it."""
    for column in columns:
        if column not in known:
            adder = column.split(".")[0]
            hint = did_you_mean(column, known)
            is_absent = not any(name.startswith(f"{adder}.") for name in known)
            remedy = f"; put cleaner {adder} before it" if adder in CLEANERS and is_absent else hint
            raise RecipeError(f"{reader} reads column {column!r}, which nothing adds{remedy}")


def load_recipe(path: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """Return the recipe of a YAML file, with dotted overrides such as `source.path` applied.

    Raises
    ------
    RecipeError
        If the file is missing, is no YAML mapping, or has an unknown key or a wrong value.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(4 * strict_yaml.MAX_CHARS + 1)  # UTF-8 has 4 bytes at most
        raw = strict_yaml.load(data.decode("utf-8-sig")) or {}
    except OSError as error:
        raise RecipeError(f"recipe {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path} is no YAML: {error}") from error
    if not isinstance(raw, dict):
        raise RecipeError(f"recipe {path} must be a mapping, got {type(raw).__name__}")
    for dotted, value in (overrides or {}).items():
        override(raw, dotted, value)
    return parse_recipe(raw, path)


def parse_recipe(raw: dict[str, Any], where: str = "recipe") -> Recipe:
    """Return the recipe of a mapping; a complaint names the key and, if close, the right one."""
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        found = error.errors()
        complaints = [*map(complaint, found[:MAX_COMPLAINTS])]
        complaints += [f"and {len(found):,} in all"] if len(found) > MAX_COMPLAINTS else []
        raise RecipeError(f"{where}: " + "; ".join(dict.fromkeys(complaints))) from error
    recipe.check_columns()
    return recipe


def complaint(item: Any) -> str:
    """Return one validation error in our words."""
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        owners = {
            "source": (SourceSpec,),
            "policy": (Policy, Choose, Drop, DropEmpty, Relabel),
            "gates": (Gates, MaxDrift, Range),
        }
        kinds = owners.get(str(item["loc"][0]), (Recipe,)) if len(item["loc"]) > 1 else (Recipe,)
        known = [name for kind in kinds for name in kind.model_fields]
        return f"unknown key {quoted(key)}{did_you_mean(str(item['loc'][-1]), known)}"
    message = item["msg"].removeprefix("Value error, ")
    return f"{key}: {message}, got {quoted(item['input'])}"
