"""The API's JSON, as types: what requests may say, and what answers hold.

FastAPI checks requests against these and writes the OpenAPI document from them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from cbir.collection.groups import By

#: A value of a feature: distances between such are no larger than float32 can say.
Number = Annotated[FiniteFloat, Field(ge=-1e15, le=1e15)]
Fraction = Annotated[float, Field(ge=0, le=1)]
#: Left, top, right and bottom, in shares of the upright picture's width and height.
Box = tuple[Fraction, Fraction, Fraction, Fraction]

#: A condition as `cbir search --where` takes it.
Condition = Annotated[str, Field(max_length=2000, examples=["label=7", "taken_at>=2024-06", "folder=Holidays/**"])]

#: The side of a box at the least, as a share of the picture's: less is no pixel of any.
SMALLEST_BOX = 1e-5
#: Values of a feature at the most.
_MOST_VALUES = 65_536
#: Hits of one answer at the most, and how far down a ranking they may begin.
MOST_HITS, DEEPEST = 1000, 100_000


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's JSON schema without references, for a body that FastAPI does not describe itself."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return without(parts[value["$ref"].rpartition("/")[2]])
        return {key: without(each) for key, each in value.items()}

    return dict(without(schema))


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Example(_Asked):
    """One thing to search for: exactly one of `id`, `upload`, `vector` and `text`."""

    id: str | None = Field(None, description="A stored point.")
    upload: str | None = Field(None, description="An uploaded picture: the `id` that `POST /api/uploads` answered.")
    vector: list[Number] | None = Field(
        None, max_length=_MOST_VALUES, description="A feature, of the collection's dimension."
    )
    text: Annotated[str, Field(max_length=2000)] | None = Field(
        None, description="Words, where the encoder understands them."
    )
    box: Box | None = Field(None, description="Only this part of the picture, which must be there: `id` or `upload`.")

    @model_validator(mode="after")
    def _one(self) -> Example:
        given = [name for name in ("id", "upload", "vector", "text") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of id, upload, vector and text, not {' and '.join(given) or 'none'}")
        if self.box is not None:
            left, top, right, bottom = self.box
            if self.vector is not None or self.text is not None:
                raise ValueError("box is for pictures: id or upload")
            if left >= right or top >= bottom:
                raise ValueError("box is left, top, right, bottom: left below right, top below bottom")
            if min(right - left, bottom - top) < SMALLEST_BOX:
                raise ValueError(f"box is at least {SMALLEST_BOX:g} of the picture wide and high")
        return self


class Weighed(Example):
    """One of several examples."""

    weight: Annotated[FiniteFloat, Field(gt=0)] = 1.0


class SearchRequest(_Asked):
    """What to search for: `query`, or `like` and `unlike`; a query's own fields may stand at the top as well."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"id": "0c24d4d5-5c1b-5d43-8d49-6cd5f0d1e7a0", "k": 10, "where": ["label=cat"]}]
        },
    )

    id: str | None = None
    upload: str | None = None
    vector: list[Number] | None = Field(None, max_length=_MOST_VALUES)
    text: Annotated[str, Field(max_length=2000)] | None = None
    box: Box | None = None
    like: list[Weighed] = Field(
        default=[], max_length=64, description="What hits should be like, in place of one query."
    )
    unlike: list[Weighed] = Field(default=[], max_length=64, description="What hits should not be like.")
    k: int = Field(10, ge=1, le=MOST_HITS, description="Hits at the most.")
    offset: int = Field(0, ge=0, le=DEEPEST, description="Leave out so many of the first hits.")
    where: list[Condition] = Field(
        default=[], max_length=64, description="Conditions as `cbir search --where` takes them; all must be true."
    )
    exact: bool = Field(False, description="Compare with every point, not by the HNSW index.")
    max_distance: Annotated[FiniteFloat, Field(ge=0)] | None = Field(None, description="Leave out what is farther.")
    expand: int = Field(0, ge=0, le=100, description="Average the query with so many nearest and search again.")
    rerank: bool = Field(False, description="Re-rank the first hits by their k-reciprocal neighbours.")

    @model_validator(mode="after")
    def _something(self) -> SearchRequest:
        alone = any(getattr(self, name) is not None for name in ("id", "upload", "vector", "text"))
        if alone and (self.like or self.unlike):
            raise ValueError("give either one query, or like and unlike")
        if not alone and not self.like:
            raise ValueError("give id, upload, vector, text, or like")
        self.examples()  # checks the query
        return self

    def examples(self) -> tuple[list[Weighed], list[Weighed]]:
        """Return what hits should be like, and unlike."""
        if self.like:
            return self.like, self.unlike
        return [Weighed(id=self.id, upload=self.upload, vector=self.vector, text=self.text, box=self.box)], []


class PictureAnswer(BaseModel):
    """A stored picture."""

    id: str
    label: int | str | None
    uri: str
    path: str | None = Field(description="Its file on the server's machine; null for a picture of a dataset.")
    copies: list[str | None] = Field(description="Where the same content is as well.")
    gone: bool = Field(description="None of its files is there any more.")
    payload: dict[str, Any]


class HitAnswer(PictureAnswer):
    """A found picture, as `cbir search --json` has it."""

    distance: float = Field(description="Euclidean, to the query's feature.")


class PointAnswer(PictureAnswer):
    """A stored picture, asked for by its id."""

    vector: list[float] | None = Field(description="Its feature, if it was asked for.")


class AddRequest(_Asked):
    """What is said of a picture that is added."""

    label: Annotated[int, Field(strict=True)] | str | None = Field(
        None, description="What it shows; a text or a whole number, as the collection's other labels.", examples=["cat"]
    )
    payload: dict[str, Any] = Field(
        default={}, max_length=100, description="More fields to store.", examples=[{"mood": "calm"}]
    )
    save: bool = Field(
        False,
        description="Keep the picture as a file too: in the collection's first folder, in the subfolder of its label "
        "if there is one, else in `added`. Without a file it is found, but cannot be shown. Nothing is written for a "
        "picture that is stored already.",
    )


class AddedAnswer(BaseModel):
    """A picture that was added."""

    id: str = Field(description="Of the point; it follows from the picture's content.")
    created: bool = Field(
        description="Whether it is new; if not, the content was stored already, and took the label and the fields."
    )


class FieldAnswer(BaseModel):
    """A field that pictures can be filtered by."""

    name: str
    types: list[str] = Field(description="What its values may be.", examples=[["integer", "keyword"]])
    about: str = Field(description="What it says; empty for a column of a labels file.")
    by: list[By] = Field(description="How its values can be counted, the usual way first.", examples=[["value"]])


class FieldsAnswer(BaseModel):
    """The fields of a collection."""

    collection: str
    fields: list[FieldAnswer]


class FacetValue(BaseModel):
    """A value, and how many pictures have it."""

    value: bool | int | str
    count: int
    where: str = Field(description="The condition that leaves these pictures.", examples=["label=7"])


class FacetAnswer(BaseModel):
    """The values of a field, the most frequent first."""

    collection: str
    field: str
    by: By
    values: list[FacetValue]
    more: int = Field(description="Values that are left out: see `limit`.")
    points: int = Field(description="Pictures that pass the conditions.")
    without: int = Field(description="Of these, those that do not have the field.")


class SearchAnswer(BaseModel):
    """Hits, closest first."""

    collection: str
    hits: list[HitAnswer]
    notes: list[str] = Field(default=[], description="Why there is nothing, or what is odd about the query.")


class WorkAnswer(BaseModel):
    """How far something is that is done in the background."""

    stage: str = Field(description="What is being done; empty: nothing.", examples=[""])
    done: int = Field(description="Steps of this stage that are done.")
    total: int | None = Field(description="Steps of this stage in all, where that is known.")
    problem: str | None = Field(description="Why it could not be done.")


class HealthAnswer(BaseModel):
    """What can be searched."""

    status: Literal["ok"]
    collection: str | None = Field(description="The one that is shown first; null if there is none yet.")
    problems: dict[str, str] = Field(description="Why others cannot be searched, by name.")


class UploadAnswer(BaseModel):
    """An uploaded picture."""

    id: str = Field(description="Name it by this in `upload`, for as long as it is kept.")
    width: int = Field(description="Of the upright picture, in pixels.")
    height: int


class IngestAnswer(BaseModel):
    """An ingest that runs beside the server, or has ended within the last minute."""

    stage: str = Field(
        description="What is being done, in words; empty once it has ended.", examples=["encoding and storing"]
    )
    done: int = Field(description="Steps of this stage that are done.")
    total: int | None = Field(description="Steps of this stage in all, where that is known.")
    new: int | None = Field(description="Pictures that it added; null while it runs.")
    ended: str | None = Field(description="When; null while it runs.")


class CollectionAnswer(BaseModel):
    """A collection."""

    name: str
    dimension: int | None = Field(description="Values of a feature; null where its card cannot be read.")
    updated: str | None = Field(description="When it was last filled.")
    problem: str | None = Field(description="Why it cannot be searched.")
    ingest: IngestAnswer | None = Field(
        description="How far an ingest into it is; null if there is none, and where collections are on a Qdrant "
        "server: there it is not known."
    )


class CollectionDetails(CollectionAnswer):
    """A collection, opened."""

    points: int | None = Field(description="Null where that cannot be told.")
    encoder: str
    fingerprint: str
    words: bool = Field(description="Whether it can be searched by words.")


class CollectionsAnswer(BaseModel):
    """All collections, and the one that is meant where none is named."""

    location: str
    default: str | None
    collections: list[CollectionAnswer]
