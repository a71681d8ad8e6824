"""What the policy promises: a restricted word is found in every form and spelling, and its origin told."""

import re
from pathlib import Path

import pytest

from asset_pipeline.campaign.brief import Campaign, campaign_ids
from asset_pipeline.catalog.product import Product, Text
from asset_pipeline.catalog.reader import read_catalog
from asset_pipeline.errors import InvalidFile
from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.prompts.brand import Brand
from asset_pipeline.prompts.policy.policy import ANY, Policy, Rule, load_policy
from asset_pipeline.prompts.policy.restricted_words import RestrictedWords, Where
from asset_pipeline.prompts.policy.wording_checks import Checked, WordingChecks
from asset_pipeline.prompts.prompt import Prompt, PromptFailure, write_prompts
from asset_pipeline.prompts.records import prompts_from

DATA = Path(__file__).parent.parent / "data"
BOTH = frozenset({"en", "de"})


def rule(language: str = "en", *terms: str, **fields: object) -> Rule:
    said = {"id": "claims", "title": "Claims", "terms": {language: terms}, "message": "say what it is"}
    return Rule.model_validate(said | fields)


def found(text: str, *rules: Rule, where: Where = "prompt", languages: frozenset[str] = BOTH) -> list[str]:
    return [each.found for each in RestrictedWords(rules).violations(text, where, languages)]


@pytest.mark.parametrize(
    ("language", "term", "text"),
    [
        ("en", "cure", "it cures headaches"),
        ("en", "cure", "CURED in a day"),
        ("en", "cure", "a curing balm"),
        ("en", "cure", "the cure's effect"),
        ("en", "guaranteed", "results we guarantee"),
        ("en", "cure", "a miracle-cure"),
        ("en", "cure", "\uff43\uff55\uff52\uff45\uff53 all"),
        ("en", "cure", "it cu\u200bres all"),
        ("en", "cure", "it cu\u00adres all"),
        ("en", "cure", "it cu\u2060r\ufeffes all"),
        ("en", "cure", "it cu\u0336res all"),
        ("en", "cure", "Cures\u2122 all"),
        ("en", "guaranteed", "gua-ran-teed"),
        ("en", "guaranteed", "guaran- teed"),
        ("en", "anti-aging", "anti aging cream"),
        ("en", "anti-aging", "antiaging cream"),
        ("en", "anti-aging", "Anti\u2010Aging cream"),
        ("en", "antiaging", "anti-aging cream"),
        ("en", "naïve", "a naive mug"),
        ("en", "die", "a dying plant"),
        ("de", "heilen", "es heilt"),
        ("de", "heilen", "geheilte Haut"),
        ("de", "heilen", "heilende Erde"),
        ("de", "arbeiten", "es arbeitet"),
        ("de", "gesund", "die gesündeste Tasse"),
        ("de", "gesund", "die gesuendeste Tasse"),
        ("de", "gesund", "die gesu\u0308ndeste Tasse"),
        ("de", "weiß", "in WEISS"),
        ("de", "weiss", "in weißer Farbe"),
        ("de", "Qualität", "beste Qualitaeten"),
        ("de", "alt", "das ältere"),
        ("fr", "guérir", "guerir"),
        ("sw", "tiba", "TIBA"),
        (ANY, "Acme", "an ACME mug"),
        (ANY, "Weißbach", "WEISSBACH"),
    ],
)
def test_a_word_is_found_in_every_form_and_spelling(language: str, term: str, text: str) -> None:
    assert found(text, rule(language, term), languages=frozenset({language}))


@pytest.mark.parametrize(
    ("language", "term", "text"),
    [
        ("en", "cure", "a secure handle"),
        ("en", "cure", "a curious cat"),
        ("de", "sicher", "er dreht sich"),
        ("en", "anti-aging", "anti slip, aging well"),
        ("de", "heilen", "aus Heilbronn"),
        (ANY, "Acme", "acmes"),
    ],
)
def test_another_word_is_left_alone(language: str, term: str, text: str) -> None:
    assert found(text, rule(language, term)) == []


def test_a_phrase_is_found_as_its_words_stand_together_in_any_form() -> None:
    phrase = rule("de", "100 % sicher", match="phrase")
    assert found("Ein 100% sicherer Griff", phrase) == ["100% sicherer"]
    assert found("100 Jahre, sicher", phrase) == []
    assert found("zu 100 %", phrase) == []


def test_a_pattern_is_searched_as_it_is_written_whatever_the_case() -> None:
    pattern = rule(ANY, r"www\.\w", match="pattern")
    assert found("see WWW.example.com", pattern) == ["WWW.e"]
    assert found("see www\u200b.example.com", pattern) == ["www.e"]
    assert found("see www", pattern) == []


def test_a_term_in_a_phrase_where_it_is_fine_is_left_alone_but_not_beside_it() -> None:
    careful = rule("en", "cure", unless={"en": ["cured ham", "salt cured"]})
    assert found("cured ham, salt-cured olives", careful) == []
    assert found("cured ham cures all", careful) == ["cures"]


def test_a_rule_about_two_things_together_needs_both() -> None:
    minors = rule("en", "child", together_with={"en": ["wine"], "de": ["Wein"]})
    assert found("a child with a cup", minors) == []
    assert found("wines, and a child", minors) == ["child"]
    assert found("Weine und ein child", minors) == ["child"]


def test_a_rule_about_overlays_does_not_look_at_prompts_and_the_other_way_round() -> None:
    over, about = rule("en", "cure", where="overlay"), rule("en", "heal", where="prompt")
    assert found("cure, heal", over, about, where="overlay") == ["cure"]
    assert found("cure, heal", over, about, where="prompt") == ["heal"]


def test_words_count_in_the_languages_that_are_asked_about() -> None:
    rules = rule(ANY, "Acme"), rule("de", "Gift")
    assert found("an Acme gift box", *rules, languages=frozenset({"en"})) == ["Acme"]
    assert found("an Acme gift box", *rules, languages=BOTH) == ["Acme", "gift"]


def policy(*rules: Rule, **fields: object) -> Policy:
    said: dict[str, object] = {
        "version": 7,
        "owner": "team:legal",
        "rules": [each.model_dump() for each in rules],
    }
    return Policy.model_validate(said | fields)


MUG: dict[str, object] = {"name": "Blue mug", "german": "Blauer Becher", "attributes": {}}
TILE: dict[str, object] = {
    "title": "Tile",
    "width": 512,
    "height": 512,
    "template": "{{ product.name }},\n{{ brand.style }} on {{ background }}",
    "variables": {"background": "sand"},
}


def check(
    rules: Policy | None,
    *,
    locales: tuple[str, ...] = ("en-GB",),
    brand: Brand | None = None,
    **changed: object,
) -> Checked:
    """The checks of a campaign of the mug as a tile, each with what is changed of it."""
    mug = MUG | {name: value for name, value in changed.items() if name in MUG}
    kind = TILE | {name: value for name, value in changed.items() if name not in MUG}
    product = Product.model_validate(
        {
            "sku": "MUG",
            "texts": {"en-GB": {"name": mug["name"]}, "de-DE": {"name": mug["german"]}},
            "attributes": mug["attributes"],
            "feed": "mugs.csv",
            "row": 3,
            "source_sha256": "s",
        }
    )
    return checked_of(product, kind, rules, locales, brand or Brand(name="Nordlicht", style="calm"))


def checked_of(
    product: Product, kind: dict[str, object], rules: Policy | None, locales: tuple[str, ...], brand: Brand
) -> Checked:
    asset_types = {"tile": AssetType.model_validate(kind)}
    campaign = Campaign(title="Spring", asset_types=("tile",), locales=locales)
    written = write_prompts({"fact": product}, campaign, asset_types, brand)
    return WordingChecks(campaign, asset_types, brand, {"fact": product}, rules).check(written)


def test_a_prompt_that_breaks_a_rule_is_not_handed_on_and_says_why_and_where() -> None:
    checked = check(policy(rule("en", "cure")), name="Curing mug")
    (failure,) = checked.failures
    assert checked.prompts == []
    assert (failure.feed, failure.row, failure.sku) == ("mugs.csv", 3, "MUG")
    assert (failure.asset_type, failure.locale, failure.code, failure.rule) == (
        "tile",
        "en-GB",
        "policy",
        "claims",
    )
    assert failure.reason == "'Curing' from product.name: Claims: say what it is"


def test_a_rule_that_warns_hands_the_prompt_on_with_a_warning() -> None:
    checked = check(policy(rule("en", "cure", level="warn")), name="Curing mug")
    assert [each.prompt_id for each in checked.prompts] == [each.prompt_id for each in checked.warnings]
    assert (checked.warnings[0].rule, checked.warnings[0].row) == ("claims", 3)
    assert checked.failures == []


def test_several_rules_are_told_together() -> None:
    checked = check(policy(rule("en", "cure"), rule("en", "heal", id="healing")), name="Cures and heals")
    assert re.search(r"'Cures'.*; 'heals'", checked.failures[0].reason)


@pytest.mark.parametrize(
    ("changed", "origin"),
    [
        ({"name": "It cures"}, "from product.name:"),
        ({"name": "It cures", "attributes": {"use": "cures all"}}, "from product.name:"),
        (
            {"template": "{{ product.attributes.use }}", "attributes": {"use": "cures"}},
            "from product.attributes.use:",
        ),
        ({"brand": Brand(name="N", style="a cure")}, "from brand.style:"),
        ({"variables": {"background": "cured wood"}}, "from background:"),
        ({"template": "{{ product.name }}\ncures all"}, "from template, line 2:"),
        ({"name": "a cure", "template": "{{ product.name | upper }}"}, "from product.name:"),
        ({"overlay": "It cures"}, "in the overlay from overlay, line 1:"),
    ],
)
def test_a_failure_names_the_variable_or_the_line_that_brought_the_word(
    changed: dict[str, object], origin: str
) -> None:
    (failure,) = check(policy(rule("en", "cure")), **changed).failures  # type: ignore[arg-type]
    assert origin in failure.reason


def test_a_word_in_a_text_that_no_template_speaks_of_does_not_count() -> None:
    assert check(policy(rule("en", "cure")), attributes={"use": "cures"}).failures == []


def test_a_negative_prompt_says_what_shall_not_be_seen_and_may_say_anything() -> None:
    assert check(policy(rule("en", "blood")), negative_template="blood").failures == []


def test_a_term_counts_in_both_languages_of_a_campaign_whatever_the_locale() -> None:
    rules = policy(rule("de", "heilen"), always=[])
    both = check(rules, name="Heilt mug", german="Becher", locales=("en-GB", "de-DE"))
    assert [each.locale for each in both.failures] == ["en-GB"]
    assert check(rules, name="Heilt mug").failures == []


def test_the_languages_of_templates_always_count() -> None:
    german = {"german": "Becher that cures", "locales": ("de-DE",)}
    assert check(policy(rule("en", "cure")), **german).failures  # type: ignore[arg-type]
    assert check(policy(rule("en", "cure"), always=[]), **german).failures == []  # type: ignore[arg-type]


def test_words_of_another_language_that_a_product_brings_count_in_that_language() -> None:
    rules = policy(rule("de", "heilen"), always=[])
    assert check(rules, german="Heilt", locales=("fr-FR",)).failures == []
    texts = {"und": Text(name="Es heilt")}
    product = Product(sku="MUG", texts=texts, feed="mugs.csv", row=3, source_sha256="s")
    assert checked_of(product, TILE, rules, ("en-GB",), Brand(name="Nordlicht", style="calm")).failures


def test_what_the_brand_never_says_is_a_rule_in_every_form_with_or_without_a_policy() -> None:
    brand = Brand(name="Nordlicht", never_say=("cheap", "best price"))
    for rules in (None, policy()):
        (failure,) = check(rules, brand=brand, name="The best prices").failures
        assert failure.rule == "never_say"
        assert "brand file" in failure.reason
    assert check(None, brand=brand).failures == []


PLAIN = "{id: a, title: t, message: m, terms: {en: [x]}}"


@pytest.mark.parametrize(
    ("rules", "line", "words"),
    [
        ("{id: a, title: t, message: m, terms: {en: []}}", 4, "no terms"),
        ("{id: a, title: t, message: m, terms: {en: [a b]}}", 4, "say match: phrase"),
        ("{id: a, title: t, message: m, terms: {en: ['!']}}", 4, "has no word in it"),
        ("{id: a, title: t, message: m, match: pattern, terms: {any: ['(']}}", 4, "no regular expression"),
        ("{id: a, title: t, message: m, match: pattern, terms: {any: ['x*']}}", 4, "found in every text"),
        (
            "{id: a, title: t, message: m, match: pattern, terms: {any: [x]}, unless: {en: [y]}}",
            4,
            "unless is for words",
        ),
        ("{id: a, title: t, message: m, terms: {en: [x]}, wher: both}", 4, "rules.0.wher: no such field"),
        ("{id: a, title: t, message: m, terms: {english: [x]}}", 4, "terms.english"),
        (f"{PLAIN}\n  - {PLAIN}", 3, "two rules with the id a"),
        (PLAIN.replace("id: a", "id: never_say"), 3, "list of the brand file"),
    ],
)
def test_a_wrong_policy_is_told_by_file_line_and_field(
    tmp_path: Path, rules: str, line: int, words: str
) -> None:
    (tmp_path / "policy.yaml").write_text(f"version: 1\nowner: a\nrules:\n  - {rules}\n")
    with pytest.raises(InvalidFile) as raised:
        load_policy(tmp_path)
    assert f"policy.yaml:{line}: " in str(raised.value)
    assert words in str(raised.value)


def test_a_project_without_a_policy_has_none(tmp_path: Path) -> None:
    assert load_policy(tmp_path) is None


def test_version_and_owner_decide_no_words_and_a_rule_does() -> None:
    first = policy(rule("en", "cure"))
    assert first.words_sha256 == policy(rule("en", "cure"), version="8", owner="b").words_sha256
    assert first.words_sha256 != policy(rule("en", "cure", level="warn")).words_sha256


def test_a_word_that_the_brand_never_says_and_that_is_none_is_told() -> None:
    with pytest.raises(InvalidFile, match=r"never_say: '!!' has no word in it"):
        check(None, brand=Brand(name="Nordlicht", never_say=("!!",)))


def checks_and_drafts(rules: Policy, name: str) -> tuple[WordingChecks, list[Prompt]]:
    product = Product(sku="MUG", texts={"en-GB": Text(name=name)}, feed="m.csv", row=3, source_sha256="s")
    asset_types, brand = {"tile": AssetType.model_validate(TILE)}, Brand(name="Nordlicht", style="calm")
    campaign = Campaign(title="Spring", asset_types=("tile",), locales=("en-GB",))
    drafts = write_prompts({"fact": product}, campaign, asset_types, brand)
    checks = WordingChecks(campaign, asset_types, brand, {"fact": product}, rules)
    return checks, [each for each in drafts if isinstance(each, Prompt)]


def test_no_text_model_is_asked_about_a_draft_that_breaks_a_rule() -> None:
    rules = policy(rule("en", "cure"), rule("en", "mug", id="mugs", level="warn"))
    checks, drafts = checks_and_drafts(rules, "Curing mug")
    (failure,) = checks.allowed(drafts)
    assert isinstance(failure, PromptFailure)
    assert failure.rule == "claims"
    checks, drafts = checks_and_drafts(rules, "Blue mug")
    assert list(checks.allowed(drafts)) == drafts


def test_a_word_that_a_text_model_brought_is_said_to_be_its_own() -> None:
    checks, (draft,) = checks_and_drafts(policy(rule("en", "cure")), "Blue mug")
    for steps, origin in (
        (("q0123",), "'cures' from the text model:"),
        (("draft d0123",), "'cures': Claims"),
    ):
        written = draft.model_copy(update={"text": "A mug that cures", "steps": steps})
        (failure,) = checks.check([written]).failures
        assert failure.reason.startswith(origin)


@pytest.fixture(scope="module")
def shipped() -> Policy:
    loaded = load_policy(DATA)
    assert loaded is not None
    return loaded


def test_every_shipped_rule_speaks_both_languages_or_is_the_same_in_all(shipped: Policy) -> None:
    assert len(shipped.rules) >= 15
    for each in shipped.rules:
        assert {"en", "de"} <= each.terms.keys() or each.terms.keys() == {ANY}, each.id


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a tea that cures colds", "medical_claims"),
        ("lindert und heilt", "medical_claims"),
        ("100 % safe for everyone", "absolute_safety"),
        ("garantierte Wirkung", "guarantees"),
        ("ein Kind mit einem Glas Wein", "minors_with_alcohol"),
        ("klimaneutraler Becher", "environmental_claims"),
        ("mail to sale@example.com", "contacts_and_links"),
    ],
)
def test_the_shipped_policy_finds_what_it_is_for(shipped: Policy, text: str, name: str) -> None:
    violations = RestrictedWords(shipped.rules).violations(text, "prompt", BOTH)
    assert name in {each.rule.id for each in violations}


@pytest.mark.parametrize(
    "text",
    ["dishwasher safe", "cured ham", "Kaldera Hochland No. 4", "wine glass", "2 year guarantee", "glue gun"],
)
def test_the_shipped_policy_leaves_plain_words_alone(shipped: Policy, text: str) -> None:
    assert RestrictedWords(shipped.rules).violations(text, "prompt", BOTH) == []


def test_the_sample_campaigns_say_nothing_that_the_shipped_policy_forbids() -> None:
    products = read_catalog(DATA / "catalog").products
    for campaign_id in campaign_ids(DATA):
        written = prompts_from(products, DATA, campaign_id)
        assert written.prompts, campaign_id
        assert [each.reason for each in written.failures if each.code == "policy"] == []
