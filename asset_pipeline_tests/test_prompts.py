"""What the prompts room promises: controlled words, each prompt named by its content."""

from pathlib import Path

import pytest

from asset_pipeline.campaign.brief import CAMPAIGN_TEMPLATE, load_campaign
from asset_pipeline.catalog.product import Product
from asset_pipeline.errors import InvalidFile, NotFound
from asset_pipeline.prompts.asset_type import pick_asset_types
from asset_pipeline.prompts.product_selection import select_products, unknown_skus
from asset_pipeline.prompts.prompt import Prompt, PromptFailure, prompt_id_of
from asset_pipeline_tests.briefs import (
    asset_type,
    campaign,
    only_failure,
    only_prompt,
    photograph,
    product,
    write,
)


def test_there_is_a_prompt_for_each_product_asset_type_locale_and_variation() -> None:
    asked = campaign(locales=["en-GB", "de-DE"], variations={"background": ["sand", "sky"]})
    answers = write(asked, None, product("A"), product("B"))
    assert len({answer.prompt_id for answer in answers if isinstance(answer, Prompt)}) == 8


def test_a_prompt_says_what_its_template_says() -> None:
    kind = asset_type(
        "{{ product.name }}, {{ brand.style }}, {{ campaign.mood }}, on {{ background }}",
        negative_template="{{ brand.negative_prompt }}",
    )
    prompt = only_prompt(write(campaign(variables={"mood": "fresh"}), kind))
    assert prompt.text == "Blue mug, calm studio photography, fresh, on sand"
    assert prompt.negative_text == "hands"


def test_each_locale_has_its_own_words_and_says_when_it_has_none() -> None:
    german = only_prompt(write(campaign(locales=["de-DE"])))
    french = only_prompt(write(campaign(locales=["fr-FR"])))
    assert (german.text, german.words_locale) == ("Blauer Becher on sand", "de-DE")
    assert (french.text, french.words_locale) == ("Blue mug on sand", "en-GB")


def test_the_same_words_have_the_same_name_whatever_the_price() -> None:
    cheap, dear = (only_prompt(write(None, None, product(price=price))) for price in ("1.00", "2.00"))
    assert cheap.prompt_id == dear.prompt_id
    assert cheap.product_fact_sha256 != dear.product_fact_sha256


def test_a_price_that_the_template_speaks_of_gives_another_name() -> None:
    kind = asset_type("{{ product.name }} for {{ product.price }}")
    cheap, dear = (only_prompt(write(None, kind, product(price=price))) for price in ("1.00", "2.00"))
    assert cheap.prompt_id != dear.prompt_id


def test_another_photograph_gives_another_name() -> None:
    def with_photograph(sha256: str) -> Product:
        return product(photographs=(photograph(sha256=sha256),))

    first, second = (only_prompt(write(None, None, with_photograph(sha256))) for sha256 in ("a", "b"))
    assert first.prompt_id != second.prompt_id


def test_a_prompt_keeps_the_name_that_it_always_had() -> None:
    mug = product(photographs=(photograph(),))
    kind = asset_type(
        "{{ product.name }}, {{ brand.style }}, on {{ background }}",
        negative_template="{{ brand.negative_prompt }}",
        parameters={"mode": "studio"},
    )
    prompt = only_prompt(write(None, kind, mug))
    assert prompt.prompt_id == "pfe4acf059b9b251dcd61"
    assert prompt.template_sha256 == "6637c9a2124925d530609b3e0642a22743da88c0f7258c38c64e4da83ddc4c14"
    assert prompt_id_of(prompt) == prompt.prompt_id


def test_the_answers_that_words_were_written_with_are_part_of_the_name_where_there_are_any() -> None:
    prompt = only_prompt(write())
    assert prompt_id_of(prompt.model_copy(update={"steps": ("t1",)})) != prompt.prompt_id


def test_a_failure_names_feed_row_asset_type_line_and_the_missing_variable() -> None:
    kind = asset_type("{{ product.name }},\n{% if true %}\nin {{ product.attributes.colour }}\n{% endif %}")
    failure = only_failure(write(None, kind, product(feed="spring.csv", row=7)))
    assert (failure.feed, failure.row, failure.asset_type) == ("spring.csv", 7, "tile")
    assert (failure.line, failure.variable) == (3, "product.attributes.colour")
    assert failure.reason.startswith("template, line 3: there is no product.attributes.colour: give the row")


@pytest.mark.parametrize(
    ("template", "variable", "remedy"),
    [
        ("{{ anglee }}", "anglee", "declare it"),
        ("{{ campaign.mood }}", "campaign.mood", "the campaign's variables"),
        ("{{ brand.stile }}", "brand.stile", "no such field"),
        ("{{ product['colour'] }}", "product.colour", "give the row one"),
        ("{{ photographs.logo }}", "photographs.logo", "list its role under"),
        ("{{ product.name.short }}", "short", ""),
    ],
)
def test_a_missing_word_is_named_in_full_with_where_to_say_it(
    template: str, variable: str, remedy: str
) -> None:
    failure = only_failure(write(None, asset_type(template)))
    assert failure.variable == variable
    assert remedy in failure.reason


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("\n{{ 1 / 0 }}", "template, line 2: division by zero"),
        ("{{ product.name + 1 }}", "template, line 1: can only concatenate str"),
        ("{% include 'other' %}", "template, line 1: no loader"),
        ("{{ product.categories[5] }}", "template, line 1: there is no"),
        ("{{ [] | first }}", "template, line 1: No first item"),
        ("{% if false %}mug{% endif %}", "template: the prompt is empty"),
    ],
)
def test_whatever_a_template_does_wrong_is_a_failure_and_no_crash(template: str, reason: str) -> None:
    assert reason in only_failure(write(None, asset_type(template))).reason


def test_a_mistake_in_a_negative_template_or_an_overlay_is_named_as_theirs() -> None:
    for part in ("negative_template", "overlay"):
        failure = only_failure(write(None, asset_type(**{part: "\n{{ tone }}"})))
        assert failure.reason.startswith(f"{part}, line 2: there is no tone")


def test_a_template_draws_no_lots_since_the_same_words_have_the_same_name() -> None:
    assert only_failure(write(None, asset_type("{{ lipsum() }}"))).variable == "lipsum"
    with pytest.raises(InvalidFile, match="random"):
        write(None, asset_type("{{ ['a', 'b'] | random }}"))


def test_one_prompt_never_sees_what_another_one_set() -> None:
    kind = asset_type("{% if seen is defined %}again{% else %}first{% endif %}{% set seen = 1 %}")
    answers = write(None, kind, product("A"), product("B"))
    assert [each.text for each in answers if isinstance(each, Prompt)] == ["first", "first"]


def test_what_jinja_itself_offers_is_there() -> None:
    kind = asset_type("{% for number in range(3) %}{{ number }}{% endfor %} {{ namespace(a=1).a }}")
    assert only_prompt(write(None, kind)).text == "012 1"


def test_an_overlay_is_written_with_the_same_words_and_is_not_for_the_model() -> None:
    kind = asset_type(overlay="New: {{ product.name }} in {{ background }}")
    plain, with_overlay = only_prompt(write()), only_prompt(write(None, kind))
    assert with_overlay.overlay_text == "New: Blue mug in sand"
    assert (with_overlay.text, with_overlay.negative_text) == (plain.text, plain.negative_text)
    assert with_overlay.prompt_id == plain.prompt_id  # other words over a picture do not make it anew
    assert prompt_id_of(with_overlay) == with_overlay.prompt_id


def test_a_word_that_a_row_lacks_is_a_failure_that_names_it_and_stops_no_other() -> None:
    kind = asset_type("{{ product.name }} in {{ product.attributes.colour }}")
    answers = write(None, kind, product("A"), product("B", attributes={"colour": "red"}))
    (failure,) = [answer for answer in answers if isinstance(answer, PromptFailure)]
    assert failure.sku == "A"
    assert "colour" in failure.reason
    assert len(answers) == 2


@pytest.mark.parametrize(
    "template",
    [
        "{{ product.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ brand.palette.append('x') }}",
    ],
)
def test_a_template_never_reaches_python(template: str) -> None:
    (answer,) = write(None, asset_type(template))
    assert isinstance(answer, PromptFailure)


def test_a_template_with_a_mistake_names_asset_type_and_line() -> None:
    with pytest.raises(InvalidFile, match=r"asset type tile: template, its line 2"):
        write(None, asset_type("{{ product.name }}\n{% if %}"))


def test_only_what_an_asset_type_declares_can_be_varied() -> None:
    with pytest.raises(InvalidFile, match=r"angle.*declare: background"):
        write(campaign(variations={"angle": ["low"]}))


def test_an_unknown_asset_type_is_named_with_those_that_exist() -> None:
    with pytest.raises(NotFound, match=r"'tyle'.*tile"):
        pick_asset_types({"tile": asset_type()}, ("tyle",))


@pytest.mark.parametrize(
    ("selection", "skus"),
    [
        ({}, ["A", "B", "C"]),
        ({"skus": ["C", "A"]}, ["A", "C"]),
        ({"categories": ["kitchen"]}, ["A", "B"]),
        ({"attributes": {"Color": ["BLUE"]}}, ["B"]),
        ({"exclude": ["A"]}, ["B", "C"]),
        ({"limit": 2}, ["A", "B"]),
        ({"feeds": ["other.csv"]}, ["C"]),
    ],
)
def test_a_campaign_selects_products(selection: dict[str, object], skus: list[str]) -> None:
    catalog = [
        product("B", attributes={"color": "Blue"}),
        product("A"),
        product("C", categories=("Garden",), feed="other.csv"),
    ]
    chosen = select_products(catalog, campaign(products=selection).products)
    assert [each.sku for each in chosen] == skus


def test_skus_that_the_catalog_does_not_have_are_named() -> None:
    asked = campaign(products={"skus": ["A", "Z"], "exclude": ["Y"]})
    assert unknown_skus([product("A")], asked.products) == ["Y", "Z"]


def campaign_file(folder: Path, text: str) -> Path:
    (folder / "campaigns").mkdir()
    (folder / "campaigns" / "spring.yaml").write_text(text)
    return folder


def test_the_file_that_init_writes_is_a_valid_campaign(tmp_path: Path) -> None:
    assert load_campaign(campaign_file(tmp_path, CAMPAIGN_TEMPLATE), "spring").asset_types == (
        "product_tile",
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("title: T\nasset_types: [a]\nlocales: [en-GB]\nkep: 2\n", 4, "did you mean keep?"),
        ("title: T\nasset_types: [a]\nlocales: [english]\n", 3, "locales.0"),
        ("title: T\nlocales: [en-GB]\n", 1, "asset_types: Field required"),
        ("title: T\nasset_types: [a]\nlocales: [en-GB]\nproducts:\n  limit: 0\n", 5, "products.limit"),
        (
            "title: T\nasset_types: [a]\nlocales: [en-GB]\nkeep: 3\n",
            1,
            "keep (3) is more than candidates_per_prompt (1)",
        ),
        ("title: T\nasset_types: [a]\nlocales: [en-GB]\ntitle: U\n", 4, "written twice"),
        ("title: [\n", 2, "not YAML"),
        ("title: T\nasset_types: [a, a]\nlocales: [en-GB]\n", 1, "asset_types has a value twice"),
        ("title: T\nasset_types: [a]\nlocales: [en-GB]\nbudget_usd: lots\n", 4, "budget_usd"),
    ],
)
def test_a_wrong_campaign_file_is_told_by_file_line_and_field(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    with pytest.raises(InvalidFile) as raised:
        load_campaign(campaign_file(tmp_path, text), "spring")
    assert f"spring.yaml:{line}: " in str(raised.value)
    assert words in str(raised.value)


@pytest.mark.parametrize("name", ["", "A", "a,b", "a/b", "../a", "a...b", "-a", "a" * 64])
def test_what_cannot_be_a_partition_key_cannot_name_a_campaign(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidFile, match="cannot name a campaign"):
        load_campaign(tmp_path, name)


def test_a_campaign_that_does_not_exist_is_answered_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="spring"):
        load_campaign(campaign_file(tmp_path, CAMPAIGN_TEMPLATE), "sprang")
