"""What a campaign asks for, as its file says it."""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

from asset_pipeline.errors import InvalidFile
from asset_pipeline.yaml_model import read_named

CAMPAIGN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""What may name a campaign: it is a partition key, a folder name and part of file names."""

Priority = Literal["low", "normal", "high", "interactive"]
"""Who goes first where accounts are shared; ``interactive``: a person waits."""
Sensitivity = Literal["public", "internal", "confidential", "local_only"]
"""Who may see a campaign's material; ``local_only`` never reaches someone else's machine."""

Locale = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$")]
"""A language tag such as ``en-GB``."""

SENSITIVITIES: tuple[Sensitivity, ...] = ("public", "internal", "confidential", "local_only")
"""From what anybody may see to what stays here."""

MOST_PROMPTS = 20_000
"""How many prompts a campaign may come to unless its file says otherwise."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProductSelection(_Strict):
    """Which products of the catalog a campaign is about. Every part that is given must hold."""

    skus: tuple[str, ...] = ()
    """These SKUs and no others; an unknown one is an error of the plan."""
    feeds: tuple[str, ...] = ()
    """Only products from these files of the catalog folder."""
    categories: tuple[str, ...] = ()
    """Only products with one of these categories, compared without regard to case."""
    attributes: dict[str, tuple[str, ...]] = {}
    """Only products whose attribute has one of these values, compared without regard to case."""
    exclude: tuple[str, ...] = ()
    """Not these SKUs."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many, in SKU order."""


class VariationValue(_Strict):
    """One value of a variation. In a file: a text, or a text by locale, such as ``{en: sea, de: Meer}``."""

    name: str
    """What the value is called in every locale, so that pictures of two locales can be matched."""
    wordings: dict[Locale, str] = {}
    """What templates say for it, by locale (``de-DE``) or language (``de``), where that differs."""

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: Any) -> Any:
        """Take a text, or one by locale: ``default``, ``en`` or the first English one names the value."""
        if not isinstance(given, dict):
            return given if isinstance(given, cls) else {"name": given}
        if given.keys() <= cls.model_fields.keys():
            return given
        keys = ("default", "en", *sorted(str(key) for key in given if str(key).startswith("en-")))
        name = next((given[key] for key in keys if key in given), None)
        if name is None:
            raise ValueError("a value worded by locale needs a wording for en, or a default, to be named by")
        return {"name": name, "wordings": {key: given[key] for key in given if key != "default"}}


class Writing(_Strict):
    """How a text model writes a campaign's words."""

    model: str
    """A file in ``data/text_models``."""
    steps: tuple[Literal["concept", "image_prompt"], ...] = ("concept", "image_prompt")
    """What it is asked for: a concept of the campaign, the words of each picture, or both."""
    budget_usd: float = Field(default=0.0, ge=0.0)
    """The most that all questions of this campaign may cost together; 0 allows only what is free."""
    attributes: tuple[str, ...] = ("colour", "material", "pattern", "finish", "shape", "style")
    """Which of a product's attributes the model is told; a change of any other changes no words."""

    @field_validator("steps")
    @classmethod
    def _each_step_once(cls, steps: tuple[str, ...]) -> tuple[str, ...]:
        if not steps or len(set(steps)) < len(steps):
            raise ValueError("name at least one step, and each once")
        return steps


Quota = Annotated[int, Field(ge=0)]


class Quotas(_Strict):
    """At most so many images are chosen.

    A number is for each product, locale or asset type of the campaign; a mapping is for those it names, and
    the others have no quota.
    """

    total: Quota | None = None
    """Of the campaign."""
    product: Quota | dict[str, Quota] | None = None
    """By SKU."""
    locale: Quota | dict[str, Quota] | None = None
    asset_type: Quota | dict[str, Quota] | None = None


KnobValue = bool | int | FiniteFloat | str


class Like(_Strict):
    """The picture whose variations a campaign is, as ``asset-pipeline like`` writes it."""

    campaign: str
    """Whose picture it is."""
    candidate_id: str
    seed: int = Field(ge=0, lt=2**32)
    """The picture's seed."""
    keeps_seed: bool = True
    """Whether the first candidate of each prompt has this very seed; all others have new ones."""
    knobs: dict[str, KnobValue] = {}
    """Parameters of the provider that a funnel had moved for the picture."""


class Knob(_Strict):
    """A parameter of the provider that later rounds of a funnel may move, and for whom."""

    values: tuple[KnobValue, ...] = Field(min_length=1)
    """All that it may be, in the order in which it is moved; round 1 leaves it as it is."""
    when: tuple[str, ...] = ()
    """The dimensions whose failures move it; none: any."""

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: Any) -> Any:
        """Take the values alone, too."""
        return {"values": given} if isinstance(given, list | tuple) else given

    @field_validator("values")
    @classmethod
    def _each_value_once(cls, values: tuple[KnobValue, ...]) -> tuple[KnobValue, ...]:
        if len(set(values)) < len(values):
            raise ValueError("a value stands there twice")
        return values


class Funnel(_Strict):
    """Rounds of generation until enough candidates pass; in a file also ``240 -> 60``: make 240, keep 60."""

    make: int = Field(ge=1, le=1_000_000)
    """The most candidates that the whole campaign asks for."""
    keep: int = Field(ge=1)
    """How many images the whole campaign keeps."""
    rounds: int = Field(default=4, ge=1, le=50)
    """The most rounds that a prompt has."""
    first: float = Field(default=0.5, gt=0.0, le=1.0)
    """The share of ``make`` that first rounds ask for; a prompt's first is never fewer than it needs."""
    vary: dict[str, Knob] = {}
    """Parameters of the provider that later rounds may move; nothing else but the seed changes."""

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: Any) -> Any:
        """Take one line for both numbers."""
        if isinstance(given, dict | cls):
            return given
        numbers = re.fullmatch(r"\s*(\d+)\s*(?:->|→)\s*(\d+)\s*", str(given))
        if numbers is None:
            raise ValueError("write how many are made and kept, as in 240 -> 60, or the fields make and keep")
        return {"make": int(numbers[1]), "keep": int(numbers[2])}

    @model_validator(mode="after")
    def _keep_what_is_made(self) -> "Funnel":
        if self.keep > self.make:
            raise ValueError(f"keep ({self.keep}) is more than make ({self.make})")
        return self

    def keep_per_prompt(self, prompts: int) -> int:
        """How many each of so many prompts has to have, for the campaign to keep ``keep``."""
        return -(-self.keep // max(1, prompts))


class Campaign(_Strict):
    """One campaign: a partition of every asset but the catalog and calibration."""

    title: str = Field(min_length=1, max_length=200)
    products: ProductSelection = ProductSelection()
    asset_types: tuple[str, ...] = Field(min_length=1)
    """Names of files in ``data/asset_types``."""
    locales: tuple[Locale, ...] = Field(min_length=1)
    variations: dict[str, tuple[VariationValue, ...]] = {}
    """Values for variables that the asset types declare; each combination is a prompt of its own."""
    exclude: tuple[dict[str, str], ...] = ()
    """Combinations that are left out: each entry gives some of the variables a value, by its name."""
    max_prompts: int = Field(default=MOST_PROMPTS, ge=1)
    """A campaign that comes to more prompts is refused before any is written."""
    variables: dict[str, str] = {}
    """Further words for the templates, as ``campaign.<name>``."""
    writing: Writing | None = None
    """Whether a text model writes the words; without it the templates do, and nothing is asked."""
    profile: str = "packshot"
    """The model profile that makes the candidates, a file in ``data/profiles``; its change remakes them."""
    alternatives: tuple[str, ...] = ()
    """Other profiles that may make them instead, as routing chooses; adding one remakes nothing."""
    priority: Priority = "normal"
    """Who goes first where campaigns share providers; ``interactive``: a person waits for each picture."""
    candidates_per_prompt: int = Field(default=1, ge=1, le=64)
    keep: int = Field(default=1, ge=1)
    """How many images to keep for each prompt."""
    funnel: Funnel | None = None
    """Rounds until enough candidates pass, in place of ``candidates_per_prompt`` and ``keep``."""
    quotas: Quotas = Quotas()
    """At most so many images for each product, locale or asset type, and of the whole campaign."""
    like: Like | None = None
    """The picture whose variations these are, if they are any."""
    approval: Literal["human", "auto", "gates"] = "human"
    """``human``: a person approves each image before it leaves. ``auto``: what calibration on people's
    decisions answers for leaves by itself, and a person decides about the rest. ``gates``: passing every gate
    is enough, which promises nothing about what a person would say."""
    budget_usd: float = Field(default=0.0, ge=0.0)
    """The most that all attempts of this campaign may cost together; 0 allows only what is free."""
    budget_usd_per_day: float | None = Field(default=None, ge=0.0)
    """The most that attempts claimed on one day (UTC) may cost, within ``budget_usd``."""
    sensitivity: Sensitivity = "internal"
    """Of its material. A product whose attribute ``sensitivity`` names a stricter one counts as that."""
    deadline: date | None = None
    """No image is made after this day."""
    channels: tuple[str, ...] = ()
    """Names of channels in ``data/channels.yaml``; originals are exported in any case."""
    targets: tuple[str, ...] = ("local_folder",)
    """Where exports go."""

    @field_validator("variations")
    @classmethod
    def _no_empty_variation(
        cls, variations: dict[str, tuple[VariationValue, ...]]
    ) -> dict[str, tuple[VariationValue, ...]]:
        for name, values in variations.items():
            if not values:
                raise ValueError(f"the variation {name!r} has no values")
            if len({value.name for value in values}) < len(values):
                raise ValueError(f"the variation {name!r} has a value twice")
        return variations

    @field_validator("exclude")
    @classmethod
    def _no_exclusion_of_everything(cls, exclude: tuple[dict[str, str], ...]) -> tuple[dict[str, str], ...]:
        if not all(exclude):
            raise ValueError("an entry without a variable would leave out everything")
        return exclude

    @model_validator(mode="after")
    def _one_way_to_say_how_many(self) -> "Campaign":
        given = [name for name in ("candidates_per_prompt", "keep") if name in self.model_fields_set]
        if self.funnel is not None and given:
            raise ValueError(f"funnel says how many are made and kept; leave out {' and '.join(given)}")
        return self

    @model_validator(mode="after")
    def _keep_what_is_made(self) -> "Campaign":
        if self.keep > self.candidates_per_prompt:
            raise ValueError(
                f"keep ({self.keep}) is more than candidates_per_prompt ({self.candidates_per_prompt})"
            )
        for name in ("asset_types", "locales", "channels", "targets", "alternatives"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} has a value twice")
        return self

    @model_validator(mode="after")
    def _alternatives_are_others(self) -> "Campaign":
        if self.profile in self.alternatives:
            raise ValueError(f"alternatives names the campaign's own profile {self.profile!r}")
        return self

    @model_validator(mode="after")
    def _quotas_are_of_this_campaign(self) -> "Campaign":
        named = (
            ("locale", self.quotas.locale, self.locales),
            ("asset_type", self.quotas.asset_type, self.asset_types),
        )
        for kind, quota, known in named:
            unknown = sorted(quota.keys() - set(known)) if isinstance(quota, dict) else []
            if unknown:
                raise ValueError(
                    f"quotas.{kind}: {', '.join(unknown)}: not in the campaign (it has: {', '.join(known)})"
                )
        return self


CAMPAIGN_TEMPLATE = """\
# A campaign: one partition of every asset. `asset-pipeline plan` says what it would make and cost.
title: My campaign

# Which products of the catalog. Every part that is given must hold; none at all means every product.
products:
  # skus: [MUG-BLUE, MUG-RED]
  # feeds: [products.csv]
  # categories: [Kitchen]
  # attributes: {material: [ceramic]}
  # exclude: []
  limit: 20

# Files in data/asset_types: the kinds of picture.
asset_types: [product_tile]
locales: [en-GB]

# Values for variables that the asset types declare; every combination is a prompt of its own.
variations:
  background: [warm sand, pale blue]
  # light: [light from the left, {en: light from the right, de: Licht von rechts}]  # worded by locale
# exclude: [{background: pale blue, light: light from the right}]  # combinations to leave out
# max_prompts: 20000         # more than that is refused before anything is written

# writing:                   # a text model writes the words instead of the templates: docs/writing.md
#   model: openai            # a file in data/text_models
#   steps: [concept, image_prompt]
#   budget_usd: 1.0          # the most that asking may cost

profile: packshot            # a file in data/profiles: what makes the images
candidates_per_prompt: 2     # how many to make for each prompt ...
keep: 1                      # ... and how many to keep
# funnel: 240 -> 60          # in place of both: rounds until 60 of at most 240 pass: docs/funnel.md
# quotas:                    # at most so many are chosen; a number for each, or a mapping by name
#   product: 6
#   locale: {en-GB: 20}
approval: human              # human: a person approves each image. auto: none does where calibration answers
                             # gates: passing every gate is enough
# alternatives: []           # further profiles that may make them, as routing chooses: docs/routing.md
# priority: normal           # low, normal, high, interactive: who goes first at a shared provider
budget_usd: 0                # the most that all attempts together may cost; 0 allows only what is free
# budget_usd_per_day: 10     # the most of that on one day
sensitivity: internal        # public, internal, confidential or local_only
# deadline: 2027-03-31       # no image is made after this day
channels: [web_tile]         # names in data/channels.yaml; originals are exported in any case
targets: [local_folder]
"""
"""What ``asset-pipeline init`` writes: a valid campaign with every field explained."""


def load_campaign(data: Path, campaign_id: str) -> Campaign:
    """Read ``data/campaigns/<campaign_id>.yaml``.

    Raises:
        NotFound: there is no such campaign; the message lists those that exist.
        InvalidFile: the file or its name is wrong.
    """
    return read_named(campaign_path(data, campaign_id), Campaign, "campaign")


def campaign_ids(data: Path) -> list[str]:
    """The ids of all campaign files, sorted, whether or not their content is valid."""
    return sorted(path.stem for path in (data / "campaigns").glob("*.yaml"))


def campaign_path(data: Path, campaign_id: str) -> Path:
    """Where the file of a campaign is. Raises InvalidFile if that cannot be a campaign's id."""
    if not CAMPAIGN_ID.fullmatch(campaign_id):
        raise InvalidFile(
            f"{campaign_id!r} cannot name a campaign: use at most 63 of a-z, 0-9, - and _, a-z or 0-9 first"
        )
    return data / "campaigns" / f"{campaign_id}.yaml"
