"""What is read from vendors' answers alike: pictures anywhere in them, moments, reasons fit to show."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asset_pipeline.candidates.jobs.answers import amount, moment, places_in, reason, words
from asset_pipeline_tests.vendors.case import job_for


def test_a_reason_is_one_short_line_without_the_request_and_without_secrets() -> None:
    request = job_for({}, negative_prompt="blurry  text").request
    said = (
        "no: 'a mug  on a\ntable', 'blurry text', data:image/png;base64,AAAA=, "
        "https://x.example/a.png?X-Signature=s3cret ok\nTraceback (most recent call last):\n  secret = 1"
    )
    assert reason(said, request) == "no: '[prompt]', '[prompt]', [picture], https://x.example/a.png ok"
    assert reason("x" * 1000, request) == "x" * 300


@pytest.mark.parametrize("said", [None, "", "  \n", {}, "Traceback (most recent call last):\n x"])
def test_no_reason_is_said_as_such(said: object) -> None:
    assert reason(said, job_for({}).request) == "no reason given"


def test_pictures_are_found_in_their_order_however_deep() -> None:
    output: Any = {
        "images": [{"url": "https://x/1.png", "width": 8}, {"url": "data:image/png;base64,AA"}],
        "seed": 7,
        "more": "http://x/3.png",
        "text": "see ftp://x or x.png",
    }
    assert list(places_in(output)) == ["https://x/1.png", "data:image/png;base64,AA", "http://x/3.png"]
    assert list(places_in(None)) == list(places_in(7)) == []


def test_a_moment_is_read_with_or_without_its_zone() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert moment("2026-01-01T12:00:00Z") == moment("2026-01-01T12:00:00") == noon
    assert moment("2026-01-01T12:00:00+01:00") == noon - timedelta(hours=1)
    assert all(moment(odd) is None for odd in (None, 7, "soon"))


def test_amounts_and_words_are_what_they_seem_or_none() -> None:
    assert [amount(each) for each in (2, 0.5, True, "2", None)] == [2.0, 0.5, None, None, None]
    assert [words(each) for each in ("a", "", None, 7)] == ["a", None, None, None]
