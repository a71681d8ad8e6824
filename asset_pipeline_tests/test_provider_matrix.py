"""The document of what remote providers can do is what their adapters declare."""

from dataclasses import replace

from asset_pipeline.candidates.jobs.adapter import Abilities, Adapter
from asset_pipeline.definitions import adapters
from asset_pipeline.provider_matrix import DOCUMENT, ROOT, document
from asset_pipeline_tests.vendors.cases import CASES


def rows_of(text: str, name: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def with_abilities(name: str, **changes: object) -> Adapter:
    adapter = next(each for each in adapters(ROOT / "data") if each.name == name)
    abilities: Abilities = replace(adapter.abilities, **changes)  # type: ignore[arg-type]
    adapter.abilities = abilities
    return adapter


def test_the_document_is_what_the_adapters_declare() -> None:
    written = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    assert written == document(adapters(ROOT / "data")), "run python -m asset_pipeline.provider_matrix"


def test_every_adapter_that_can_be_configured_is_held_to_its_promises() -> None:
    assert {each.name for each in adapters(ROOT / "data")} == {case.adapter.name for case in CASES.values()}


def test_a_row_says_each_ability() -> None:
    adapter = with_abilities(
        "replicate",
        says=frozenset({"prompt", "width"}),
        more_by_profile=False,
        references="bytes",
        synchronous=True,
        finds="never",
        cancels=False,
        webhook="none",
        reports=frozenset({"usd", "seconds"}),
        pins="model",
        retention_seconds=5400.0,
        streams_progress=True,
    )
    said, manners = rows_of(document([adapter]), "replicate")
    assert said == ["`replicate`", "yes", "–", "yes", *["–"] * 7]
    assert manners[1:] == ["bytes", "picture", "never", "–", "–", "seconds, usd", "model", "1.5 h", "yes"]


def test_what_a_profile_can_give_words_for_is_told_apart() -> None:
    said, _ = rows_of(document([with_abilities("runpod", says=frozenset())]), "runpod")
    assert set(said[1:]) == {"profile"}
