import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretBytes

from asset_pipeline.candidates.jobs.delivery import Message
from asset_pipeline.errors import InvalidFile, ProviderUnavailable
from asset_pipeline.web import fal, runflow, standard_webhooks, url_token
from asset_pipeline.web.fal import KeySet
from asset_pipeline.web.verification import TOLERANCE, Refused, Verifier, signed_at
from asset_pipeline.web.verifiers import verifiers
from asset_pipeline_tests import webhook_senders as senders
from asset_pipeline_tests.webhook_senders import ENVIRON, FAL_KEY, OTHER_FAL_KEY, Letter, key_set, whsec

NOW = datetime(2025, 11, 24, 16, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KEYS = [SecretBytes(senders.STANDARD_KEY), SecretBytes(senders.OLD_KEY)]
REPLICATE = {"id": "ufawqh", "status": "succeeded", "output": ["https://replicate.delivery/a/out.png"]}
RUN = {"event": "run.completed", "run_id": "run-1", "status": "succeeded"}


class Keys:
    """fal's published keys, which count how often they are asked for."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self) -> bytes:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def of_fal(fetch: Callable[[], bytes]) -> Verifier:
    return partial(fal.verify, keys=KeySet(fetch))


def verified(letter: Letter, now: datetime = NOW) -> Message | Refused:
    by_provider = {**verifiers(ENVIRON), "fal": of_fal(Keys(key_set(FAL_KEY)))}
    return by_provider[letter.provider](letter.body, letter.headers, now)


SIGNED_WITH_TIME = [
    pytest.param(lambda when: senders.standard("replicate", REPLICATE, when), id="replicate"),
    pytest.param(lambda when: senders.standard("salad", {"id": "job", "images": []}, when), id="salad"),
    pytest.param(lambda when: senders.fal({"request_id": "request-1", "status": "OK"}, when), id="fal"),
]
SIGNED = [*SIGNED_WITH_TIME, pytest.param(lambda _: senders.runflow(RUN), id="runflow")]
Sender = Callable[[datetime], Letter]


# Signed by standardwebhooks 1.1.0 and svix 2.9.1, PyNaCl 1.6.2, and OpenSSL.
OTHERS_DELIVERIES = [
    pytest.param(
        Letter(
            "replicate",
            b'{"id":"ufawqhfynnddngldkgtslldrkq","status":"succeeded",'
            b'"output":["https://replicate.delivery/a/out.png"]}',
            {
                "webhook-id": "msg_2b1c",
                "webhook-timestamp": "1764000000",
                "webhook-signature": "v1,6Aoe9yOC51811U2lEum2S6hEzzh7DiRbM5jxhBNQ2dE=",
            },
        ),
        Message(
            delivery_id="msg_2b1c",
            event="succeeded",
            provider_job_id="ufawqhfynnddngldkgtslldrkq",
            status="succeeded",
            signed_at=NOW,
        ),
        id="replicate",
    ),
    pytest.param(
        Letter(
            "fal",
            b'{"request_id":"6f1c2f0a-4b7e-4b8e-9f57-0f4e2f5f6a11",'
            b'"gateway_request_id":"6f1c2f0a-4b7e-4b8e-9f57-0f4e2f5f6a11","status":"OK","payload":{"images":[]}}',
            {
                "x-fal-webhook-request-id": "6f1c2f0a-4b7e-4b8e-9f57-0f4e2f5f6a11",
                "x-fal-webhook-user-id": "user_1",
                "x-fal-webhook-timestamp": "1764000000",
                "x-fal-webhook-signature": "c3eacb3c628156a4c7133df2bee95e3b3e0b901266cc24e3733969ce7b958561"
                "23aefb0a8b393c58010b361c25a5807d24bc4c4ff2b47148eaafad0a2fec9807",
            },
        ),
        Message(
            delivery_id="6f1c2f0a-4b7e-4b8e-9f57-0f4e2f5f6a11",
            event="OK",
            provider_job_id="6f1c2f0a-4b7e-4b8e-9f57-0f4e2f5f6a11",
            status="OK",
            signed_at=NOW,
        ),
        id="fal",
    ),
    pytest.param(
        Letter(
            "runflow",
            b'{"event":"run.completed","run_id":"0198c0de-7a11-7000-8000-000000000001","status":"succeeded"}',
            {"runflow-signature": "609488555c06f175fa9b2ddb12eadaeb8da5b494a8e7fe81c606e96374730625"},
        ),
        Message(
            delivery_id="0198c0de-7a11-7000-8000-000000000001/run.completed",
            event="run.completed",
            provider_job_id="0198c0de-7a11-7000-8000-000000000001",
            status="succeeded",
            signed_at=None,
        ),
        id="runflow",
    ),
]


@pytest.mark.parametrize(("letter", "message"), OTHERS_DELIVERIES)
def test_what_other_implementations_signed_is_genuine(letter: Letter, message: Message) -> None:
    assert verified(letter) == message


@pytest.mark.parametrize("sender", SIGNED)
def test_no_byte_of_a_signed_body_may_change(sender: Sender) -> None:
    letter = sender(NOW)
    for place in range(len(letter.body)):
        body = bytearray(letter.body)
        body[place] ^= 1
        assert verified(replace(letter, body=bytes(body))) == Refused("forged")
    assert verified(replace(letter, body=letter.body + b" ")) == Refused("forged")
    assert verified(replace(letter, body=b"")) == Refused("forged")


@pytest.mark.parametrize("sender", SIGNED)
def test_no_character_of_a_signed_header_may_change(sender: Sender) -> None:
    letter = sender(NOW)
    for name, value in letter.headers.items():
        for place, character in enumerate(value):
            changed = "1" if character == "0" else "0"
            headers = {**letter.headers, name: value[:place] + changed + value[place + 1 :]}
            assert isinstance(verified(replace(letter, headers=headers)), Refused), (name, place)


@pytest.mark.parametrize("sender", SIGNED)
def test_without_any_one_of_its_headers_a_delivery_is_unsigned(sender: Sender) -> None:
    letter = sender(NOW)
    for name in letter.headers:
        rest = {each: value for each, value in letter.headers.items() if each != name}
        assert verified(replace(letter, headers=rest)) == Refused("unsigned")


@pytest.mark.parametrize("sender", SIGNED_WITH_TIME)
@pytest.mark.parametrize("direction", [1, -1], ids=["before us", "after us"])
def test_a_signature_counts_for_five_minutes_on_both_sides_of_our_clock(
    sender: Sender, direction: int
) -> None:
    letter = sender(NOW)
    assert isinstance(verified(letter, NOW + direction * TOLERANCE), Message)
    assert verified(letter, NOW + direction * (TOLERANCE + SECOND)) == Refused("stale")


@pytest.mark.parametrize(
    "seconds",
    [
        "",
        "now",
        "-1764000000",
        "1764000000.0",
        "1_764_000_000",
        " 1764000000",
        "١٧٦٤٠٠٠٠٠٠",
        "9" * 12,
        "9" * 5000,
    ],
)
def test_a_time_that_is_not_in_whole_seconds_is_not_guessed_at(seconds: str) -> None:
    assert signed_at(seconds) is None


@pytest.mark.parametrize("sender", SIGNED)
@given(text=st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=200))
def test_no_header_makes_the_verification_fail_in_another_way(sender: Sender, text: str) -> None:
    letter = sender(NOW)
    for name in letter.headers:
        assert isinstance(
            verified(replace(letter, headers={**letter.headers, name: text})), Refused | Message
        )


@pytest.mark.parametrize("key", [senders.STANDARD_KEY, senders.OLD_KEY])
def test_while_a_secret_is_changed_both_sign(key: bytes) -> None:
    assert isinstance(verified(senders.standard("replicate", REPLICATE, NOW, key=key)), Message)


def test_a_secret_that_was_taken_out_signs_no_more() -> None:
    letter = senders.standard("salad", REPLICATE, NOW, key=senders.OLD_KEY)
    assert verified(letter) == Refused("forged")


def test_any_of_several_signatures_in_the_newest_version_will_do() -> None:
    letter = senders.standard("replicate", REPLICATE, NOW)
    good = letter.headers["webhook-signature"]
    others = f"v2,AAAA v1a,{good[3:]} v1,notbase64 {good}"
    assert isinstance(verified(_with(letter, "webhook-signature", others)), Message)
    for other in (good[3:], f"v2,{good[3:]}", f"v1a,{good[3:]}", "v1,", f"v1,{good[3:]},"):
        assert verified(_with(letter, "webhook-signature", other)) == Refused("forged")


def test_runflows_secret_is_used_as_it_is_shown() -> None:
    keys = verifiers({"ASSET_PIPELINE_WEBHOOK_RUNFLOW": whsec(senders.STANDARD_KEY)})
    letter = senders.runflow(RUN, secret=whsec(senders.STANDARD_KEY))
    assert isinstance(keys["runflow"](letter.body, letter.headers, NOW), Message)
    decoded = hmac.digest(senders.STANDARD_KEY, letter.body, "sha256").hex()
    assert keys["runflow"](letter.body, {"runflow-signature": decoded}, NOW) == Refused("forged")


def test_of_runflow_each_event_of_a_run_is_a_delivery_of_its_own() -> None:
    completed, again = verified(senders.runflow(RUN)), verified(senders.runflow(RUN | {"duration_ms": 7}))
    failed = verified(senders.runflow(RUN | {"event": "run.failed"}))
    assert isinstance(completed, Message)
    assert isinstance(again, Message)
    assert isinstance(failed, Message)
    assert completed.delivery_id == again.delivery_id != failed.delivery_id


def test_salads_two_events_of_a_job_are_two_deliveries() -> None:
    done = senders.standard("salad", {"id": "job", "event": "prompt.complete"}, NOW, delivery_id="job")
    failed = senders.standard("salad", {"id": "job", "event": "prompt.failed"}, NOW, delivery_id="job")
    first, second = verified(done), verified(failed)
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert first.delivery_id != second.delivery_id


@pytest.mark.parametrize(
    ("body", "job", "status"),
    [
        ({"id": "abc-u1", "status": "COMPLETED", "output": {}, "webhook": "..."}, "abc-u1", "COMPLETED"),
        ({"run_id": "r1", "status": "success", "live_status": None}, "r1", "success"),
        ({"type": "job.done", "data": {"id": "j1", "status": "done"}}, "j1", "done"),
        ({"output": "..."}, None, None),
        ({"id": 7, "status": ["odd"]}, None, None),
        ({"id": "a\nb", "status": "x" * 201}, None, None),
        (["a", "list"], None, None),
        ("text", None, None),
    ],
)
def test_job_and_state_are_read_where_a_body_has_them(
    body: object, job: str | None, status: str | None
) -> None:
    message = verified(senders.unsigned("runpod", body))
    assert isinstance(message, Message)
    assert (message.provider_job_id, message.status) == (job, status)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"{", b'{"id":"\\ud800"}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_a_delivery_too(body: bytes) -> None:
    message = url_token.verify(body, {}, NOW)
    assert (message.event, message.provider_job_id, message.status) == ("unspecified", None, None)


def test_fals_keys_are_asked_for_once_a_day() -> None:
    fetch = Keys(key_set(OTHER_FAL_KEY, FAL_KEY))
    verify = of_fal(fetch)
    for hours in (0, 1, 23):
        letter = senders.fal({"status": "OK"}, NOW + timedelta(hours=hours))
        assert isinstance(verify(letter.body, letter.headers, NOW + timedelta(hours=hours)), Message)
    assert fetch.asked == 1
    letter = senders.fal({"status": "OK"}, NOW + timedelta(hours=24))
    assert isinstance(verify(letter.body, letter.headers, NOW + timedelta(hours=24)), Message)
    assert fetch.asked == 2


def test_a_key_that_fal_has_changed_is_fetched_when_a_signature_fits_none() -> None:
    verify = of_fal(Keys(key_set(OTHER_FAL_KEY), key_set(FAL_KEY)))
    old = senders.fal({"status": "OK"}, NOW, key=OTHER_FAL_KEY)
    assert isinstance(verify(old.body, old.headers, NOW), Message)
    later = NOW + timedelta(minutes=1)
    letter = senders.fal({"status": "OK"}, later)
    assert isinstance(verify(letter.body, letter.headers, later), Message)
    assert verify(old.body, old.headers, later) == Refused("forged")


def test_forgeries_make_us_ask_fal_once_a_minute_at_most() -> None:
    fetch = Keys(key_set(FAL_KEY))
    verify = of_fal(fetch)
    for seconds in range(0, 240, 2):
        letter = senders.fal({"status": "OK"}, NOW, key=OTHER_FAL_KEY)
        assert verify(letter.body, letter.headers, NOW + timedelta(seconds=seconds)) == Refused("forged")
    assert fetch.asked == 4


def test_what_cannot_be_a_signature_of_fal_does_not_make_us_ask() -> None:
    fetch = Keys(key_set(FAL_KEY))
    verify = of_fal(fetch)
    letter = senders.fal({"status": "OK"}, NOW)
    assert isinstance(
        verify(letter.body, _with(letter, "x-fal-webhook-signature", "00").headers, NOW), Refused
    )
    assert verify(letter.body, letter.headers, NOW + timedelta(hours=1)) == Refused("stale")
    assert fetch.asked == 0


@pytest.mark.parametrize(
    "answer", [ProviderUnavailable("down"), b"<html>", b"{}", b'{"keys":[]}', b'{"keys":[{"crv":"Ed25519"}]}']
)
def test_without_fals_keys_nobody_can_tell_and_with_those_of_today_everybody_can(
    answer: bytes | Exception,
) -> None:
    letter = senders.fal({"status": "OK"}, NOW)
    with pytest.raises(ProviderUnavailable):
        of_fal(Keys(answer))(letter.body, letter.headers, NOW)
    fetch = Keys(key_set(FAL_KEY), answer)
    verify = of_fal(fetch)
    assert isinstance(verify(letter.body, letter.headers, NOW), Message)
    later = NOW + timedelta(hours=2)
    forged = senders.fal({"status": "OK"}, later, key=OTHER_FAL_KEY)
    assert verify(forged.body, forged.headers, later) == Refused("forged")
    genuine = senders.fal({"status": "OK"}, later)
    assert isinstance(verify(genuine.body, genuine.headers, later), Message)
    assert fetch.asked == 2
    tomorrow = NOW + timedelta(hours=25)
    genuine = senders.fal({"status": "OK"}, tomorrow)
    with pytest.raises(ProviderUnavailable):
        verify(genuine.body, genuine.headers, tomorrow)


def test_without_a_provider_that_is_switched_on_there_is_nothing_to_start() -> None:
    with pytest.raises(InvalidFile, match=r"ASSET_PIPELINE_WEBHOOK_REPLICATE.*ASSET_PIPELINE_WEBHOOK_RUNPOD"):
        verifiers({"PATH": "/bin"})


TOO_SHORT = base64.b64encode(b"short").decode()


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"REPLICATE": ""}, "REPLICATE: secret 1"),
        ({"REPLICATE": "whsec_"}, "REPLICATE: secret 1"),
        ({"REPLICATE": whsec(senders.STANDARD_KEY) + ","}, "REPLICATE: secret 2"),
        ({"REPLICATE": base64.b64encode(senders.STANDARD_KEY).decode()}, "REPLICATE: secret 1"),
        ({"SALAD": "whsec_not*base64*at*all*but*long"}, "SALAD: secret 1"),
        ({"SALAD": f"whsec_{TOO_SHORT}"}, "SALAD: secret 1"),
        ({"RUNFLOW": "  "}, "RUNFLOW: secret 1"),
        ({"RUNFLOW": "short"}, "RUNFLOW: secret 1"),
        ({"RUNFLOW": "with blanks in the middle"}, "RUNFLOW: secret 1"),
        ({"FAL": "yes please"}, "FAL: write on"),
        ({"FAL": "http://keys.example/jwks.json"}, "FAL: write on"),
        ({"RUNPOD": "rpa_secret_secret"}, "RUNPOD: write on"),
        ({"RUNPOD": "on", "COG": ""}, "COG: write on"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_the_secret(
    environ: Mapping[str, str], named: str
) -> None:
    with pytest.raises(InvalidFile) as caught:
        verifiers({f"ASSET_PIPELINE_WEBHOOK_{name}": value for name, value in environ.items()})
    said = str(caught.value)
    assert said.startswith(f"ASSET_PIPELINE_WEBHOOK_{named}")
    for value in environ.values():
        assert len(value) <= len("whsec_") or value.strip(" ,") not in said


def test_nothing_that_is_printed_of_a_verifier_shows_a_secret() -> None:
    shown = repr(verifiers(ENVIRON | {"ASSET_PIPELINE_WEBHOOK_FAL": "on"}))
    for secret in (senders.STANDARD_KEY.decode(), senders.OLD_KEY.decode(), senders.RUNFLOW_SECRET):
        assert secret not in shown
        assert base64.b64encode(secret.encode()).decode() not in shown


def test_a_secret_without_padding_is_the_same_secret() -> None:
    key = b"0123456789abcdefghijklmno"
    assert whsec(key).endswith("==")
    bare, padded = (standard_webhooks.key_of(each) for each in (whsec(key).rstrip("="), whsec(key)))
    assert bare == padded == SecretBytes(key)
    assert runflow.key_of(whsec(key)) == SecretBytes(whsec(key).encode())


def _with(letter: Letter, name: str, value: str) -> Letter:
    return replace(letter, headers={**letter.headers, name: value})
