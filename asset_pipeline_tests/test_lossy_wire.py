"""What a bad wire does to requests and answers, and what it writes down about it."""

import secrets
import time

import httpx
import pytest

from asset_pipeline_tests.peers.cog_server import CogServer
from asset_pipeline_tests.peers.lossy_wire import Fault, LossyWire

PATIENCE = 20.0


@pytest.mark.parametrize(
    ("fault", "outcome", "ran"),
    [
        (None, "image", 1),
        ("429", "429 after 7", 0),
        ("503", "503 after 7", 0),
        ("500", "500 after None", 0),
        ("drop before", "Server disconnected", 0),
        ("drop after", "Server disconnected", 1),
        ("truncate", "incomplete message body", 1),
        ("delay", "image", 1),
        ("trickle", "image", 1),
        ("html", "<!DOCTYPE html>", 1),
        ("wrong json", '["not"', 1),
    ],
)
def test_a_fault_on_the_wire_says_nothing_about_what_the_server_did(
    cog_server: CogServer, lossy_wire: LossyWire, fault: Fault | None, outcome: str, ran: int
) -> None:
    words = f"a mug {secrets.token_hex(4)}"
    url = lossy_wire.lead(cog_server.url, submits=[fault], seconds=0.3, retry_after="7")
    began = time.monotonic()
    try:
        answer = httpx.post(f"{url}/predictions", json={"input": {"prompt": words}}, timeout=PATIENCE)
    except httpx.RemoteProtocolError as error:
        seen = str(error).replace("without sending complete message", "incomplete message")
    else:
        seen = answer.text
        if answer.is_error:
            seen = f"{answer.status_code} after {answer.headers.get('Retry-After')}"
    assert outcome in seen
    assert time.monotonic() - began >= (0.3 if fault in {"delay", "trickle"} else 0.0)
    assert len([each for each in cog_server.ran if each["prompt"] == words]) == ran
    (passage,) = lossy_wire.passed
    assert (passage.method, passage.path, passage.fault) == ("POST", "/predictions", fault)
    assert passage.seen is bool(ran)


def test_a_seed_draws_the_same_faults_again_and_spares_the_questions(
    cog_server: CogServer, lossy_wire: LossyWire
) -> None:
    def drawn(seed: int) -> list[str | None]:
        url = lossy_wire.lead(cog_server.url, submits={"429": 0.3, "500": 0.3}, seed=seed)
        for _ in range(12):
            httpx.post(f"{url}/predictions/none/cancel")
            assert httpx.get(f"{url}/health-check").status_code == 200
        assert {each.fault for each in lossy_wire.passed if each.method == "GET"} == {None}
        return [each.fault for each in lossy_wire.passed if each.method == "POST"]

    first = drawn(1)
    assert set(first) == {None, "429", "500"}
    assert drawn(1) == first
    assert drawn(2) != first


def test_questions_have_faults_of_their_own(cog_server: CogServer, lossy_wire: LossyWire) -> None:
    url = lossy_wire.lead(cog_server.url, reads=[None, "503"])
    assert [httpx.get(f"{url}/health-check").status_code for _ in range(3)] == [200, 503, 200]
    assert httpx.post(f"{url}/predictions/none/cancel").status_code == 404


def test_a_server_that_is_not_there_was_not_reached(lossy_wire: LossyWire) -> None:
    url = lossy_wire.lead("http://127.0.0.1:9/v1")
    assert httpx.post(f"{url}/predictions").status_code == 502
    (passage,) = lossy_wire.passed
    assert (passage.path, passage.seen) == ("/v1/predictions", False)
