"""What every night has curated: one file a night, which says all that the next one must know."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import RecipeError, SchemaError, quoted
from pipeline.shards import files
from pipeline.store.catalog import name_of, spans
from pipeline.store.place import TIERS
from pipeline.store.workspace import Step, Workspace

Replaces = Literal["", "scores", "decisions"]
State = Literal["open", "held", "published", "withdrawn", "discarded", "left"]
SEEN = ("held", "published", "withdrawn", "discarded")
"""Nights whose shards do not come again; those of an unfinished one go to the next."""
FOLDER = "nights"
RECORD = "night.json"


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What a night may be called: a folder of the output bears its name."""
TAR = rf"^(({'|'.join(TIERS)})/)?[0-9]{{5,12}}\.tar$"
"""How the path of a tar in a generation looks."""
RESERVED = ("index.json", "latest.json")
"""Files that lie beside the folders of nights."""


def require_name(name: str) -> None:
    """Raise a RecipeError if no night can be called so."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise RecipeError(
            f"--night {quoted(name)} must be letters, digits, '.', '_' and '-', as 2026-11-20 is"
        )


class Strict(BaseModel):
    """A part of a record."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Taken(Strict):
    """A source shard that a night has taken."""

    uri: str
    identity: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """Of its content: the same bytes under another name are not taken again."""
    rows: Annotated[int, Field(ge=0, lt=2**40)] = 0


class Kept(Strict):
    """The files of one step of a night."""

    name: Annotated[str, Field(pattern=r"^[a-z]+-[0-9a-f]{16}$")]
    """Of the step, with its key: a workspace may be moved."""
    columns: tuple[str, ...] = ()

    @classmethod
    def of(cls, step: Step, columns: Sequence[str] = ()) -> "Kept":
        """Return how a night records a step."""
        return cls(name=step.uri.rpartition("/")[2], columns=tuple(columns))


class Night(Strict):
    """One night."""

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    state: State = "open"
    recipe: str
    """As it was, with every default."""
    space: str
    """What vectors and labels mean: nights of another encoder or other classes do not add up."""
    fragment_rows: Annotated[int, Field(ge=1)]
    shards: tuple[Taken, ...]
    repeated: tuple[Taken, ...] = ()
    """Shards with the bytes of one that was taken before; nothing of them is read."""
    replaces: Replaces = ""
    """What of all nights before it was made anew, so that it stands for them as well."""
    position: int = 0
    """Among the published nights, from 1; 0 = it is none."""
    sizes: dict[Annotated[str, Field(pattern=TAR)], int] = {}
    """Number of samples by the path of the tar in its generation."""
    actions: dict[str, int] = {}
    steps: tuple[Kept, ...] = ()
    """Where the columns of its rows lie."""
    decided: Kept | None = None
    why: tuple[str, ...] = ()
    """Every gate that held it, and what people have said when they changed its state."""

    @property
    def fragments(self) -> tuple[str, ...]:
        """The names of its fragments, in order."""
        return tuple(
            name_of(shard.identity, start, stop)
            for shard in self.shards
            for start, stop in spans(shard.rows, self.fragment_rows)
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """What is known of its rows."""
        return tuple(column for kept in self.steps for column in kept.columns)

    def changed(self, state: State, *why: str) -> "Night":
        """Return the night in another state, and why."""
        return self.model_copy(update={"state": state, "why": (*self.why, *why)})

    @property
    def num_rows(self) -> int:
        """The rows of all its shards."""
        return sum(shard.rows for shard in self.shards)


@dataclass(frozen=True)
class Nights:
    """The nights of a workspace."""

    workspace: Workspace

    def uri(self, name: str, file: str = RECORD) -> str:
        """Return a file of a night."""
        return files.join(self.workspace.uri, FOLDER, name, file)

    def all(self) -> list[Night]:
        """Return every night, by name.

        Raises
        ------
        SchemaError
            If the file of one is damaged.
        """
        folder = files.join(self.workspace.uri, FOLDER)
        uris = [uri for uri in files.list_files(folder) if uri.endswith(f"/{RECORD}")]
        return [parse(uri, data) for uri, data in zip(uris, files.read_many(uris), strict=True)]

    def find(self, name: str) -> Night:
        """Return a night.

        Raises
        ------
        RecipeError
            If there is none of this name.
        """
        found = {night.name: night for night in self.all()}
        if name not in found:
            known = ", ".join(sorted(found)[-5:]) or "none yet"
            raise RecipeError(f"night {name!r} is not in {self.workspace.uri} (the last: {known})")
        return found[name]

    def save(self, night: Night) -> None:
        """Write the file of a night."""
        text = night.model_dump_json(indent=1, exclude_defaults=True)
        files.write(self.uri(night.name), text.encode())


def parse(uri: str, data: bytes | None) -> Night:
    """Return the night that a file holds, or raise a SchemaError."""
    try:
        night = Night.model_validate_json(data or b"")
        if uri.rsplit("/", 2)[-2] != night.name:
            raise ValueError(f"it is that of night {night.name}")  # noqa: TRY301
        return night  # noqa: TRY300
    except (ValidationError, ValueError) as error:
        raise SchemaError(
            f"{files.redact(uri)} is damaged; it says what a night has curated: put it back from "
            "a copy, or delete it to curate that night's shards again"
        ) from error
