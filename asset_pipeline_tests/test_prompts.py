"""What the prompts room promises: controlled words, each prompt named by its content."""

from pathlib import Path

import pytest

from asset_pipeline.campaign.brief import CAMPAIGN_TEMPLATE, Campaign, load_campaign
from asset_pipeline.catalog.product import Photograph, Product, Text
from asset_pipeline.errors import InvalidFile, NotFound
from asset_pipeline.prompts.asset_type import AssetType, Brand, pick_asset_types
from asset_pipeline.prompts.product_selection import select_products, unknown_skus
from asset_pipeline.prompts.prompt import Prompt, PromptFailure, write_prompts

BRAND = Brand(name="Nordlicht", style="calm studio photography", negative_prompt="hands")


def product(sku: str = "MUG-1", **fields: object) -> Product:
    texts = {"en-GB": Text(name="Blue mug"), "de-DE": Text(name="Blauer Becher")}
    return Product.model_validate(
        {
            "sku": sku,
            "texts": texts,
            "feed": "products.csv",
            "row": 2,
            "source_sha256": "s",
            "categories": ("Kitchen",),
            **fields,
        }
    )


def asset_type(template: str = "{{ product.name }} on {{ background }}", **fields: object) -> AssetType:
    return AssetType.model_validate(
        {
            "title": "Tile",
            "width": 512,
            "height": 512,
            "template": template,
            "variables": {"background": "sand"},
            **fields,
        }
    )


def campaign(**fields: object) -> Campaign:
    return Campaign.model_validate(
        {"title": "Spring", "asset_types": ["tile"], "locales": ["en-GB"], **fields}
    )


def write(
    asked: Campaign | None = None, kind: AssetType | None = None, *products: Product
) -> list[Prompt | PromptFailure]:
    by_fact = {each.content_sha256: each for each in products or (product(),)}
    return list(write_prompts(by_fact, asked or campaign(), {"tile": kind or asset_type()}, BRAND))


def only_prompt(answers: list[Prompt | PromptFailure]) -> Prompt:
    (answer,) = answers
    assert isinstance(answer, Prompt)
    return answer


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
        return product(
            photographs=(
                Photograph(
                    role="base",
                    reference="mug.png",
                    sha256=sha256,
                    media_type="image/png",
                    width=100,
                    height=100,
                ),
            )
        )

    first, second = (only_prompt(write(None, None, with_photograph(sha256))) for sha256 in ("a", "b"))
    assert first.prompt_id != second.prompt_id


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
