"""The published forms are those that the code reads and writes, and each of their fields is explained."""

import json
from pathlib import Path
from typing import Any

import pytest

from asset_pipeline.candidates.request import ImageRequest, Profile
from asset_pipeline.schemas import FOLDER, schemas

SCHEMAS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in schemas().items()}
DOCUMENT = (FOLDER.parent / "requests.md").read_text(encoding="utf-8")


def parts(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """A form and those that it is made of."""
    return [schema, *schema.get("$defs", {}).values()]


def test_the_schemas_in_the_documents_are_what_the_code_says() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert written == schemas(), "run python -m asset_pipeline.schemas"


@pytest.mark.parametrize("name", SCHEMAS)
def test_no_part_of_a_form_takes_a_field_that_it_does_not_have(name: str) -> None:
    for part in parts(SCHEMAS[name]):
        assert part["additionalProperties"] is False, part["title"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_document_has_every_field(name: str) -> None:
    assert [field for field in SCHEMAS[name]["properties"] if f"`{field}`" not in DOCUMENT] == []


def test_a_field_is_described_by_the_words_under_it_in_the_code() -> None:
    usage = SCHEMAS["image_result.json"]["$defs"]["Usage"]["properties"]
    assert usage["megapixels"]["description"] == "Millions of pixels, of all pictures together."
    price = SCHEMAS["profile.json"]["$defs"]["PerImage"]["properties"]
    assert price["source"]["description"].startswith("Who says so")  # it stands in the class above


@pytest.mark.parametrize(
    "path", sorted((FOLDER.parent.parent / "data" / "profiles").glob("*.yaml")), ids=lambda each: each.stem
)
def test_a_profile_writes_no_field_that_the_schema_does_not_have(path: Path) -> None:
    written = {
        line.partition(":")[0] for line in path.read_text(encoding="utf-8").splitlines() if line[:1].isalpha()
    }
    assert written <= SCHEMAS["profile.json"]["properties"].keys() == Profile.model_fields.keys()


def test_a_request_of_version_one_keeps_its_name_whatever_becomes_of_the_form() -> None:
    request = ImageRequest(prompt="a mug", width=512, height=512, seed=7, profile_fingerprint="f")
    assert request.candidate_id == "c75ab133ac9588f812428"
