"""What people write once for all campaigns: the brand, and kinds of picture, each with words by locale."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from asset_pipeline.campaign.brief import load_campaign
from asset_pipeline.candidates.staging import STAGING_WORDS, understood_as
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.errors import InvalidFile
from asset_pipeline.prompts.asset_type import AssetType, load_asset_types
from asset_pipeline.prompts.brand import Brand, load_brand
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.prompts.records import prompts_from
from asset_pipeline.prompts.variation import count_prompts
from asset_pipeline.providers.packshot import understood
from asset_pipeline_tests.briefs import (
    BRAND,
    asset_type,
    campaign,
    only_failure,
    only_prompt,
    photograph,
    product,
    write,
)

DATA = Path(__file__).parent.parent / "data"
IN_GERMAN = {
    "de": {
        "template": "{{ product.name }} auf {{ background }}{% if context %}, {{ context }}{% endif %}",
        "variables": {"background": "Sand"},
        "context": "beim Abendbrot",
        "overlay": "Neu: {{ product.name }}",
    }
}


def in_locale(locale: str, kind: AssetType, brand: Brand = BRAND, **fields: Any) -> Prompt:
    return only_prompt(write(campaign(locales=[locale], **fields), kind, brand=brand))


# ------------------------------------------------------------------------------------------------- locales


def test_each_part_of_an_asset_type_is_worded_by_locale() -> None:
    prompt = in_locale("de-DE", asset_type(locales=IN_GERMAN, overlay="New: {{ product.name }}"))
    assert prompt.text == "Blauer Becher auf Sand, beim Abendbrot"
    assert prompt.overlay_text == "Neu: Blauer Becher"
    assert prompt.variation == {"background": "sand"}
    assert prompt.fallbacks == ()


def test_a_country_has_its_own_words_then_those_of_its_language_then_the_default() -> None:
    kind = asset_type(
        "default",
        overlay="default",
        locales={"de": {"template": "de", "overlay": "de"}, "de-AT": {"overlay": "AT"}},
    )
    said = [in_locale(locale, kind) for locale in ("de-AT", "de-DE", "en-GB", "fr-FR")]
    assert [(each.text, each.overlay_text) for each in said] == [
        ("de", "AT"),
        ("de", "de"),
        ("default", "default"),
        ("default", "default"),
    ]


def test_what_is_not_in_a_locales_own_words_is_reported_with_whose_words_were_used() -> None:
    kind = asset_type("{{ product.name }} on {{ background }} {{ context }}", locales=IN_GERMAN)
    assert in_locale("fr-FR", kind).fallbacks == (
        "product words: en-GB",
        "template: default",
        "overlay: default",
        "context: default",
        "variable background: default",
    )


def test_the_default_is_english_and_one_wording_for_all_locales_is_no_fallback() -> None:
    assert in_locale("en-GB", asset_type(locales=IN_GERMAN)).fallbacks == ()
    assert in_locale("de-DE", asset_type()).fallbacks == ()
    assert in_locale("en-US", asset_type()).fallbacks == ("product words: en-GB",)


def test_what_a_template_does_not_speak_of_did_not_fall_back() -> None:
    kind = asset_type(
        "an empty room", locales={"de": {"context": "Abendbrot", "variables": {"background": "S"}}}
    )
    brand = Brand.model_validate({"name": "N", "style": "calm", "locales": {"de": {"style": "ruhig"}}})
    assert in_locale("fr-FR", kind, brand).fallbacks == ()


def test_the_brand_has_words_by_locale() -> None:
    brand = Brand.model_validate(
        {"name": "N", "style": "calm", "lighting": "daylight", "locales": {"de": {"style": "ruhig"}}}
    )
    kind = asset_type("{{ brand.style }}, {{ brand.lighting }}")
    assert in_locale("de-DE", kind, brand).text == "ruhig, daylight"
    assert in_locale("fr-FR", kind, brand).text == "calm, daylight"
    assert in_locale("fr-FR", kind, brand).fallbacks == ("brand style: default",)


def test_a_mistake_in_a_locales_template_is_named_as_its_own() -> None:
    kind = asset_type(locales={"de": {"template": "{{ product.name }}\n{{ tone }}"}})
    failure = only_failure(write(campaign(locales=["de-DE"]), kind))
    assert failure.reason.startswith("locales.de.template, line 2: there is no tone")
    broken = asset_type(locales={"de": {"overlay": "{% if %}"}})
    with pytest.raises(InvalidFile, match=r"asset type tile: locales\.de\.overlay, its line 1"):
        write(campaign(locales=["de-DE"]), broken)


# ---------------------------------------------------------------------------------------------- references


def test_a_template_speaks_of_photographs_by_their_role_and_asks_whether_they_are_there() -> None:
    kind = asset_type(
        "{{ photographs.base }}{% if photographs.side %} and {{ photographs.side }}{% endif %}",
        references=["base", "side"],
    )
    both = product("A", photographs=(photograph("side", "s"), photograph("base", "b")))
    prompt = only_prompt(write(None, kind, both))
    assert prompt.text == "@base and @side"
    assert [picture.role for picture in prompt.references] == ["base", "side"]
    assert only_prompt(write(None, kind, product("B", photographs=(photograph(),)))).text == "@base"


def test_a_photograph_that_would_not_go_with_the_prompt_has_no_tag() -> None:
    with_side = product(photographs=(photograph("side"),))
    failure = only_failure(write(None, asset_type("{{ photographs.side }}"), with_side))
    assert failure.variable == "photographs.side"


def test_a_product_without_a_required_photograph_is_a_failure_that_names_row_template_and_role() -> None:
    kind = asset_type(requires=["base", "logo"])
    failure = only_failure(write(None, kind, product(row=9, photographs=(photograph("base"),))))
    assert (failure.row, failure.asset_type, failure.variable) == (9, "tile", "photographs.logo")
    assert failure.reason == (
        "template: the asset type requires a photograph of role logo, and the product has none"
    )
    complete = product(photographs=(photograph("base"), photograph("logo")))
    assert isinstance(write(None, kind, complete)[0], Prompt)


# -------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"variables": {"product": "mug"}}, "product: templates know something else by that name"),
        (
            {"locales": {"de": {"variables": {"tone": "x"}}}},
            "locales.de.variables: tone: not under variables",
        ),
        ({"locales": {"german": {}}}, "locales.german"),
        ({"locales": {"de": {"templat": "x"}}}, "locales.de.templat"),
        ({"requires": ["front"]}, "requires"),
        ({"templates": "x"}, "templates"),
    ],
)
def test_a_wrong_asset_type_is_refused_by_field(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        asset_type(**fields)


def test_a_brand_file_is_read_with_an_unknown_field_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "brand.yaml").write_text("name: N\nlocales:\n  de:\n    stlye: ruhig\n")
    with pytest.raises(InvalidFile, match=r"brand\.yaml:4: locales\.de\.stlye: no such field"):
        load_brand(tmp_path)


def test_words_that_are_never_said_are_spelled_alike_and_add_up_by_locale() -> None:
    brand = Brand.model_validate(
        {
            "name": "N",
            "never_say": [" Cheap", "cheap", "world's   best", "cafe\u0301"],
            "locales": {"de": {"never_say": ["billig"]}, "de-AT": {"never_say": ["leiwand", "Billig"]}},
        }
    )
    assert brand.never_say == ("Cheap", "world's best", "caf\u00e9")
    assert brand.never_say_in("en-GB") == brand.never_say
    assert brand.never_say_in("de-AT") == (*brand.never_say, "billig", "leiwand")
    with pytest.raises(ValidationError, match="one of them is empty"):
        Brand(name="N", never_say=(" ",))


def test_version_and_owner_are_for_people_and_change_no_hash_and_no_prompt() -> None:
    plain, signed = asset_type(), asset_type(version="2", owner="anna")
    assert plain.words_sha256 == signed.words_sha256
    assert plain.words_sha256 != asset_type(overlay="New").words_sha256
    assert BRAND.words_sha256 == BRAND.model_copy(update={"version": "2", "owner": "anna"}).words_sha256
    assert BRAND.words_sha256 != BRAND.model_copy(update={"never_say": ("cheap",)}).words_sha256
    assert only_prompt(write(None, plain)) == only_prompt(write(None, signed))
    assert only_failure(write(None, asset_type("{{ brand.owner }}"))).variable == "brand.owner"


# ----------------------------------------------------------------------------------------- what is shipped


def test_the_shipped_asset_types_and_the_brand_say_who_may_be_asked() -> None:
    shipped = load_asset_types(DATA)
    assert {"product_tile", "lifestyle_scene", "paid_social", "landing_hero", "email_hero"} <= shipped.keys()
    brand = load_brand(DATA)
    for version, owner in [(each.version, each.owner) for each in shipped.values()] + [
        (brand.version, brand.owner)
    ]:
        assert version
        assert owner


@pytest.mark.parametrize("name", ["product_tile", "landing_hero", "email_hero", "paid_social"])
def test_a_shipped_studio_picture_says_words_that_the_packshot_profile_understands(name: str) -> None:
    kind = load_asset_types(DATA)[name]
    mug = product(photographs=(photograph(),))
    text = only_prompt(write(None, {name: kind}, mug, brand=load_brand(DATA))).text
    said = {choice: value for choice, (value, _) in understood(text).items()}
    assert said["background"] in {"warm sand", "pale blue", "sage green"}
    assert said["light"] in {"left", "right"}


@pytest.mark.parametrize("name", ["lifestyle_scene", "paid_social", "email_hero"])
def test_a_shipped_picture_of_a_place_draws_no_product_and_says_where_its_light_is(name: str) -> None:
    kind = load_asset_types(DATA)[name]
    mug = product(photographs=(photograph(),))
    text = only_prompt(write(None, {name: kind}, mug, brand=load_brand(DATA))).text
    assert text.startswith("empty scene, on a ")
    assert "mug" not in text.lower()
    assert understood_as(text, STAGING_WORDS)[0]["light"][0] == "left"
    assert not kind.parameters


def test_the_sample_campaigns_write_every_prompt_that_they_ask_for() -> None:
    products = read_catalog(DATA / "catalog").products
    written = prompts_from(products, DATA, "spring-social")
    asked = load_campaign(DATA, "spring-social")
    kinds = {name: load_asset_types(DATA)[name] for name in asked.asset_types}
    assert len(asked.locales) == 2
    assert not written.failures
    assert len(written.prompts) == count_prompts(written.products, asked, kinds).prompts == 42
    overlays = {each.locale: each.overlay_text for each in written.prompts if each.asset_type == "email_hero"}
    assert overlays["en-GB"].startswith("Spring is here: ")
    assert overlays["de-DE"].startswith("Der Frühling ist da: ")


@pytest.mark.parametrize(
    ("campaign_id", "first"),
    [
        ("autumn-tiles", "p53342dc276d0fb49636f"),
        ("kitchen-launch", "pcbc8797ae8b270959b3b"),
        ("marketplace-main", "p444f7e075fc43c210717"),
    ],
)
def test_the_sample_campaigns_keep_the_names_of_their_prompts(campaign_id: str, first: str) -> None:
    products = read_catalog(DATA / "catalog").products
    assert prompts_from(products, DATA, campaign_id).prompts[0].prompt_id == first
