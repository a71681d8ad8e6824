import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from asset_pipeline.candidates.jobs.delivery import (
    DELIVERIES,
    LARGEST_TEXT,
    LONGEST_WAY,
    UNKNOWN,
    Delivery,
    body_of,
    deliveries_for,
    new_token,
    partition_of,
)
from asset_pipeline.commands.serve import warning_about, webhooks
from asset_pipeline.errors import InvalidFile
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.store.events import Event
from asset_pipeline.store.store import Store
from asset_pipeline.store.views import connect, write_views
from asset_pipeline.web.application import LARGEST_BODY
from asset_pipeline.web.receiver import LINE_EVERY_SECONDS, Receiver, Refusals
from asset_pipeline.web.redaction import without_secrets
from asset_pipeline.web.verifiers import verifiers
from asset_pipeline_tests import webhook_senders as senders
from asset_pipeline_tests.conftest import Address
from asset_pipeline_tests.webhook_senders import ENVIRON, FAL_KEY, Letter, key_set, serving

PREDICTION = {"id": "ufawqh", "status": "succeeded", "output": ["https://replicate.delivery/a/out.png"]}
RUN = {"event": "run.completed", "run_id": "run-1", "status": "succeeded"}
TODAY = date(2026, 3, 1)
HEX = "0123456789abcdef" * 2


@pytest.fixture
def kept(local_address: Address) -> Store:
    """The store of the server."""
    return local_address.open()


@pytest.fixture
def server(kept: Store) -> Iterator[str]:
    """A server that receives of every provider but fal: its address."""
    with serving(Receiver(kept, verifiers(ENVIRON))) as address:
        yield address


@pytest.fixture
def token() -> str:
    return new_token(datetime.now(UTC))


def now() -> datetime:
    return datetime.now(UTC)


def prediction() -> Letter:
    return senders.standard("replicate", PREDICTION, now())


def send(address: str, letter: Letter, token: str) -> httpx.Response:
    url = f"{address}/webhooks/{letter.provider}/{token}"
    return httpx.post(url, content=letter.body, headers=dict(letter.headers))


def everything(store: Store) -> list[Event[Delivery]]:
    return [
        each for day in store.events.partitions(DELIVERIES) for each in store.events.read(DELIVERIES, day)
    ]


def seen(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    return answer.status_code, answer.content, {**answer.headers, "date": ""}


def test_a_genuine_delivery_is_kept_whole_and_found_by_its_attempts_token(
    server: str, kept: Store, token: str
) -> None:
    letter = prediction()
    assert send(server, letter, token).status_code == HTTPStatus.OK
    (event,) = deliveries_for(kept, token)
    assert event.is_intact
    assert (event.body.provider, event.body.token, event.body.delivery_id) == ("replicate", token, "msg_1")
    assert (event.body.provider_job_id, event.body.status) == ("ufawqh", "succeeded")
    assert event.body.signed_at is not None
    assert event.body.body.encode() == body_of(kept, event.body) == letter.body
    assert event.body.body_sha256 == sha256_of(letter.body)
    assert deliveries_for(kept, new_token(now())) == []


@pytest.mark.parametrize(
    "letter",
    [
        senders.runflow(RUN),
        senders.unsigned("runpod", {"id": "abc-u1", "status": "COMPLETED", "output": {}}),
        senders.unsigned("cog", {"id": "p1", "status": "succeeded"}),
        senders.unsigned("comfy_deploy", {"run_id": "r1", "status": "success"}),
    ],
    ids=lambda letter: letter.provider,
)
def test_providers_that_sign_no_time_are_received_too(
    server: str, kept: Store, token: str, letter: Letter
) -> None:
    assert send(server, letter, token).status_code == HTTPStatus.OK
    (event,) = deliveries_for(kept, token)
    assert event.body.body.encode() == letter.body


def test_a_forged_or_stale_delivery_is_refused_and_leaves_nothing(
    server: str, kept: Store, token: str
) -> None:
    forged = replace(prediction(), body=b'{"id":"mine","status":"succeeded"}')
    stale = senders.standard("replicate", PREDICTION, now() - timedelta(minutes=6))
    early = senders.standard("replicate", PREDICTION, now() + timedelta(minutes=6))
    unsigned = Letter("replicate", prediction().body)
    other = senders.runflow(RUN, secret="whsec_of_somebody_else")  # noqa: S106
    answers = [seen(send(server, letter, token)) for letter in (forged, stale, early, unsigned, other)]
    assert {status for status, _, _ in answers} == {HTTPStatus.UNAUTHORIZED}
    assert len({body for _, body, _ in answers}) == 1
    assert not (Path(kept.files.root) / "events").exists()
    assert not (Path(kept.files.root) / "images").exists()


def test_who_sends_cannot_tell_a_token_that_is_known_from_any_other(
    server: str, kept: Store, token: str
) -> None:
    first = seen(send(server, prediction(), token))
    again = seen(send(server, prediction(), token))
    others = ["nonsense", new_token(now()), new_token(now() - timedelta(days=500)), "%00", "..", "x" * 3000]
    assert {first[:2], again[:2]} == {(HTTPStatus.OK, b"kept\n")}
    for other in others:
        if other == "..":  # which a client takes for the folder above
            continue
        assert seen(send(server, prediction(), other)) == first == again
    assert len(everything(kept)) == len(others)


@pytest.mark.parametrize("letter", [senders.runflow(RUN), senders.unsigned("cog", {"id": "p"})])
def test_a_repetition_is_answered_alike_and_kept_once(
    server: str, kept: Store, token: str, letter: Letter
) -> None:
    answers = [seen(send(server, letter, token)) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert len(everything(kept)) == 1


def test_a_delivery_that_is_signed_again_later_is_the_same_delivery(
    server: str, kept: Store, token: str
) -> None:
    for seconds in (90, 60, 0):
        letter = senders.standard("replicate", PREDICTION, now() - timedelta(seconds=seconds))
        assert send(server, letter, token).status_code == HTTPStatus.OK
    assert len(deliveries_for(kept, token)) == 1


def test_the_same_delivery_fifty_times_at_once_is_one_file(server: str, kept: Store, token: str) -> None:
    letter = prediction()
    start = threading.Barrier(50)

    def once(_: int) -> int:
        start.wait()
        return send(server, letter, token).status_code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(once, range(50))) == {HTTPStatus.OK}
    assert len(list((Path(kept.files.root) / "events").rglob("*.json"))) == 1


def test_what_one_id_said_first_stands(server: str, kept: Store, token: str) -> None:
    send(server, prediction(), token)
    send(server, senders.standard("replicate", {"id": "other"}, now()), token)
    (event,) = deliveries_for(kept, token)
    assert event.body.provider_job_id == "ufawqh"


def test_one_id_at_two_providers_is_two_deliveries(server: str, kept: Store, token: str) -> None:
    for provider in ("runpod", "cog"):
        send(server, senders.unsigned(provider, {"id": "p"}), token)
    assert [event.body.provider for event in deliveries_for(kept, token)] == ["runpod", "cog"]


@pytest.mark.parametrize("size", [LARGEST_TEXT, LARGEST_TEXT + 1, 2 * 2**20])
def test_a_long_body_is_kept_beside_the_images(server: str, kept: Store, token: str, size: int) -> None:
    letter = Letter("cog", b'{"id":"p","output":"' + b"A" * (size - 22) + b'"}')
    assert len(letter.body) == size
    send(server, letter, token)
    (event,) = deliveries_for(kept, token)
    assert (event.body.body == "") == (size > LARGEST_TEXT) == kept.images.has(event.body.body_sha256)
    assert body_of(kept, event.body) == letter.body


@pytest.mark.parametrize("body", [b"", b"\xff\x00\xfe", b"a\x00b", b'{"id":"a\\u0000b","status":"\\ud800"}'])
def test_any_bytes_are_kept_and_leave_the_views_readable(
    server: str, kept: Store, token: str, body: bytes, tmp_path: Path
) -> None:
    assert send(server, Letter("cog", body), token).status_code == HTTPStatus.OK
    (event,) = deliveries_for(kept, token)
    assert body_of(kept, event.body) == body
    kept.declare([], [DELIVERIES])
    write_views(tmp_path / "store.duckdb", kept.files, [], [DELIVERIES])
    with connect(kept.files, tmp_path / "store.duckdb") as connection:
        rows = connection.execute("SELECT token, body, provider_job_id FROM deliveries").fetchall()
    assert rows == [(token, event.body.body, None)]


def test_a_body_of_more_than_32_mib_is_refused(server: str, kept: Store, token: str) -> None:
    path = f"/webhooks/cog/{token}"
    announced = answer_to(server, path, f"Content-Length: {LARGEST_BODY + 1}", [])
    chunks = [b"100000\r\n" + b"A" * 2**20 + b"\r\n"] * 33
    unannounced = answer_to(server, path, "Transfer-Encoding: chunked", chunks)
    assert {announced, unannounced} == {HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
    assert everything(kept) == []
    assert httpx.post(server + path, content=b"A" * LARGEST_BODY).status_code == HTTPStatus.OK
    assert len(everything(kept)) == 1


def test_where_bodies_fill_the_memory_the_next_is_asked_to_come_again(kept: Store, token: str) -> None:
    with serving(Receiver(kept, verifiers(ENVIRON)), most_held=1000) as server:
        url = f"{server}/webhooks/cog/{token}"
        host, _, port = server.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as slow:
            start = f"POST /webhooks/cog/{token} HTTP/1.1\r\nHost: x\r\nContent-Length: 950\r\n\r\n"
            slow.sendall(start.encode() + b"A" * 900)
            while httpx.post(url, content=b"B" * 200).status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                pass
            slow.sendall(b"A" * 50)
            assert slow.recv(64).split()[1] == b"200"
        for size in range(900, 910):
            assert httpx.post(url, content=b"C" * size).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/webhooks/replicate/TOKEN"),
        ("HEAD", "/webhooks/replicate/TOKEN"),
        ("PUT", "/webhooks/replicate/TOKEN"),
        ("OPTIONS", "/webhooks/replicate/TOKEN"),
        ("POST", "/webhooks/replicate/TOKEN/"),
        ("POST", "/webhooks/replicate/TOKEN/more"),
        ("POST", "/webhooks/replicate"),
        ("POST", "/webhooks/openai/TOKEN"),
        ("POST", "/webhooks/fal/TOKEN"),
        ("POST", "/webhooks/replicate/../../etc"),
    ],
)
def test_everything_else_is_not_there(server: str, kept: Store, token: str, method: str, path: str) -> None:
    letter = prediction()
    url = server + path.replace("TOKEN", token)
    answer = httpx.request(method, url, content=letter.body, headers=dict(letter.headers))
    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert answer.content == (b"" if method == "HEAD" else b"not found\n")
    assert everything(kept) == []


def test_fals_deliveries_are_verified_with_the_keys_that_it_publishes(kept: Store, token: str) -> None:
    asked = []

    class KeyServer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            self.wfile.write(key_set(FAL_KEY))

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), KeyServer) as keys:
        thread = threading.Thread(target=keys.serve_forever)
        thread.start()
        of_fal = {"ASSET_PIPELINE_WEBHOOK_FAL": f"http://127.0.0.1:{keys.server_port}/jwks.json"}
        with serving(Receiver(kept, verifiers(of_fal))) as server:
            letter = senders.fal({"request_id": "request-1", "status": "OK", "payload": {}}, now())
            answers = [send(server, each, token) for each in (letter, replace(letter, body=b"{}"), letter)]
        keys.shutdown()
        thread.join()
    assert [each.status_code for each in answers] == [HTTPStatus.OK, HTTPStatus.UNAUTHORIZED, HTTPStatus.OK]
    assert asked == ["/jwks.json"]
    (event,) = deliveries_for(kept, token)
    assert event.body.provider_job_id == "request-1"


def test_while_fals_keys_cannot_be_had_it_is_asked_to_send_again(kept: Store, token: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    of_fal = {"ASSET_PIPELINE_WEBHOOK_FAL": f"http://127.0.0.1:{port}/jwks.json"}
    with serving(Receiver(kept, verifiers(of_fal))) as server:
        answer = send(server, senders.fal({"status": "OK"}, now()), token)
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert everything(kept) == []


def test_a_store_that_cannot_be_written_makes_the_provider_send_again_and_logs_no_token(
    tmp_path: Path, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(str(tmp_path / "store"))
    (tmp_path / "store" / "events").write_text("in the way")
    with serving(Receiver(store, verifiers(ENVIRON))) as server:
        answer = send(server, prediction(), token)
    assert (answer.status_code, answer.content) == (HTTPStatus.SERVICE_UNAVAILABLE, b"try again\n")
    assert "a delivery could not be kept: FileExistsError" in caplog.text
    assert token[9:] not in caplog.text


def test_the_log_has_neither_tokens_nor_contents(
    server: str, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    send(server, prediction(), token)
    send(server, replace(prediction(), body=b'{"id":"forged-content"}'), token)
    httpx.get(f"{server}/webhooks/replicate/{token}")
    said = caplog.text
    assert "replicate: kept a delivery: succeeded, job ufawqh" in said
    assert "refused deliveries: replicate forged 1" in said
    for secret in (token[9:], "replicate.delivery", "forged-content", "webhook-signature"):
        assert secret not in said


def test_forgeries_fill_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = iter([0.0, *[1.0] * 500, LINE_EVERY_SECONDS, LINE_EVERY_SECONDS + 1])
    refusals = Refusals(lambda: next(clock))
    for _ in range(502):
        refusals.count("fal", "forged")
    refusals.count("runflow", "unsigned")
    assert [record.getMessage() for record in caplog.records] == [
        "refused deliveries: fal forged 1",
        "refused deliveries: fal forged 501",
    ]
    refusals.tell()
    refusals.tell()
    assert [record.getMessage() for record in caplog.records][2:] == [
        "refused deliveries: runflow unsigned 1"
    ]


SECRETS = [
    "whsec_MDEyMzQ1Njc4OWFiY2Rl",
    "r8_abcdefghijklmnopqrstuvwxyz0123456789",
    "rf_live_abcdefghijklmnop",
    "rpa_ABCDEFGHIJKLMNOPQRST",
    "hf_abcdefghijklmnopqrst",
    "sk-proj-abcdefghijklmnop",
    "comfyui-0123456789abcdef0123456789abcdef0123",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("shape", ['{"output":{"note":"with %s in it"}}', "Authorization: Bearer %s", "%s"])
def test_no_key_of_a_vendor_is_kept(server: str, kept: Store, token: str, secret: str, shape: str) -> None:
    send(server, Letter("runpod", (shape % secret).encode()), token)
    (event,) = deliveries_for(kept, token)
    assert "[removed]" in event.body.body
    assert secret not in kept.files.read(_path(kept)).decode()
    assert event.body.body_sha256 == sha256_of(event.body.body.encode())


def test_what_a_provider_sends_back_of_our_request_is_kept_without_its_secrets() -> None:
    said = {
        "id": "abc-u1",
        "status": "COMPLETED",
        "input": {
            "prompt": "a mug? with a secret ingredient",
            "image": "https://bucket.example/mug.png?X-Amz-Signature=0a1b&X-Amz-Credential=AKIA",
            "comfy_org_api_key": "plain",
            "workflow": {"7": {"inputs": {"text": "see https://a.example/b?c=d#e", "accessToken": "plain"}}},
        },
        "s3Config": {"accessId": "plain", "accessSecret": "plain", "bucketName": "pictures"},
        "credentials": [{"url": "https://a.example", "auth": "plain"}],
        "output": {
            "url": "https://user:plain@cdn.example/out.png?expires=7",
            "max_tokens": 7,
            "password": None,
        },
    }
    assert json.loads(without_secrets(json.dumps(said).encode())) == {
        "id": "abc-u1",
        "status": "COMPLETED",
        "input": {
            "prompt": "a mug? with a secret ingredient",
            "image": "https://bucket.example/mug.png",
            "comfy_org_api_key": "[removed]",
            "workflow": {"7": {"inputs": {"text": "see https://a.example/b#e", "accessToken": "[removed]"}}},
        },
        "s3Config": {"accessId": "[removed]", "accessSecret": "[removed]", "bucketName": "pictures"},
        "credentials": "[removed]",
        "output": {
            "url": "https://[removed]@cdn.example/out.png?expires=7",
            "max_tokens": 7,
            "password": None,
        },
    }


@pytest.mark.parametrize("body", [b'{ "b":1.50 ,\n"a": [NaN, 1e5] }', b"{not json", b"\xff\xfe", b"", b"7"])
def test_a_body_without_secrets_stays_as_it_is_byte_for_byte(body: bytes) -> None:
    assert without_secrets(body) == body


def test_a_token_says_its_day_and_cannot_be_guessed() -> None:
    moment = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
    tokens = {new_token(moment) for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(re.fullmatch(r"20260301-[0-9a-f]{32}", token) for token in tokens)
    in_new_york = moment.astimezone(datetime.strptime("-0500", "%z").tzinfo)
    assert new_token(in_new_york).startswith("20260301-")


@pytest.mark.parametrize(
    ("token", "partition"),
    [
        (f"20260301-{HEX}", "2026-03-01"),
        (f"20260302-{HEX}", "2026-03-02"),
        (f"{TODAY - LONGEST_WAY:%Y%m%d}-{HEX}", (TODAY - LONGEST_WAY).isoformat()),
        (f"{TODAY - LONGEST_WAY - timedelta(days=1):%Y%m%d}-{HEX}", UNKNOWN),
        (f"20260303-{HEX}", UNKNOWN),
        (f"20261399-{HEX}", UNKNOWN),
        (f"00000000-{HEX}", UNKNOWN),
        (f"20260301-{HEX.upper()}", UNKNOWN),
        (f"20260301-{HEX}0", UNKNOWN),
        (f"20260301-{HEX}\n", UNKNOWN),
        (f"٢٠٢٦٠٣٠١-{HEX}", UNKNOWN),
        ("../../etc/passwd", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_only_tokens_of_these_weeks_have_a_day(token: str, partition: str) -> None:
    assert partition_of(token, TODAY) == partition


def test_however_many_tokens_strangers_make_up_there_are_few_partitions(kept: Store) -> None:
    receiver = Receiver(kept, verifiers(ENVIRON), clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))
    for days in range(-60, 60):
        token = new_token(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=days))
        assert receiver.receive("cog", token, {}, b"{}") == HTTPStatus.OK
    assert len(kept.events.partitions(DELIVERIES)) == LONGEST_WAY.days + 3
    assert len(everything(kept)) == 120


def test_a_delivery_that_comes_a_day_later_lies_beside_the_first(store: Store) -> None:
    moments = [datetime(2026, 3, 1, 23, 59, tzinfo=UTC), datetime(2026, 3, 2, 0, 1, tzinfo=UTC)]
    token = new_token(moments[0])
    for moment in (*moments, *moments):
        receiver = Receiver(store, verifiers(ENVIRON), clock=partial(_same, moment))
        letter = senders.standard("replicate", PREDICTION, moment)
        assert receiver.receive("replicate", token, letter.headers, letter.body) == HTTPStatus.OK
    assert len(deliveries_for(store, token)) == 1
    assert deliveries_for(store, "nonsense") == []


def test_the_server_does_not_start_without_a_provider(monkeypatch: pytest.MonkeyPatch, kept: Store) -> None:
    monkeypatch.setattr("asset_pipeline.commands.serve.the_store", lambda: kept)
    with pytest.raises(InvalidFile, match="ASSET_PIPELINE_WEBHOOK_"):
        CliRunner().invoke(webhooks, catch_exceptions=False, env=dict.fromkeys(ENVIRON))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_of_an_address_that_only_this_machine_reaches_nothing_is_said(host: str) -> None:
    assert warning_about(host) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "receiver.example", ""])  # noqa: S104
def test_that_other_machines_reach_the_server_is_said_loudly(host: str) -> None:
    assert (warning_about(host) or "").startswith(f"LISTENING ON {host}: OTHER MACHINES")


def test_the_command_receives_until_it_is_told_to_stop(tmp_path: Path, token: str) -> None:
    places = {"ASSET_PIPELINE_DATA": str(tmp_path), "ASSET_PIPELINE_STORE": str(tmp_path / "store")}
    command = [sys.executable, "-c", "from asset_pipeline.commands.serve import serve; serve()", "webhooks"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", "0"], env=os.environ | ENVIRON | places, cwd=tmp_path, stderr=output
        )
    try:
        while not (found := re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        answers = [send(found[1], each, token) for each in (prediction(), replace(prediction(), body=b"{}"))]
    finally:
        process.terminate()
        process.wait(60)
    assert [each.status_code for each in answers] == [HTTPStatus.OK, HTTPStatus.UNAUTHORIZED]
    assert len(deliveries_for(Store(str(tmp_path / "store")), token)) == 1
    said = log.read_text()
    assert said.startswith("deliveries of cog, comfy_deploy, replicate, runflow, runpod, salad")
    assert "LISTENING" not in said
    assert token[9:] not in said


def _same(moment: datetime) -> datetime:
    return moment


def _path(store: Store) -> str:
    (file,) = (Path(store.files.root) / "events").rglob("*.json")
    return str(file.relative_to(store.files.root))


def answer_to(server: str, path: str, header: str, chunks: list[bytes]) -> int:
    """Send a body as told, and read the status though it comes before the body's end."""
    host, _, port = server.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
        for chunk in chunks:
            line.sendall(chunk)
        return int(line.recv(64).split()[1])
