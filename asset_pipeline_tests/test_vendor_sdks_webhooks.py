"""The library of the Standard Webhooks specification signs a message, and it is taken as signed."""

from datetime import UTC, datetime

import pytest

from asset_pipeline.candidates.jobs.delivery import Message
from asset_pipeline.web.verification import Refused
from asset_pipeline.web.verifiers import verifiers
from asset_pipeline_tests.peers.sdk import run_sdk
from asset_pipeline_tests.webhook_senders import ENVIRON, STANDARD_KEY, whsec

NOW = datetime(2025, 11, 24, 16, 0, tzinfo=UTC)
BODY = '{"id":"ufawqh","status":"succeeded","output":["https://replicate.delivery/a/out.png"]}'
SCRIPT = """
import json, os
from datetime import datetime, timezone
from standardwebhooks import Webhook

when = datetime.fromtimestamp(int(os.environ["WHEN"]), timezone.utc)
print(json.dumps(Webhook(os.environ["SECRET"]).sign("msg_1", when, os.environ["BODY"])))
"""


@pytest.mark.parametrize("sent", [BODY, BODY.replace("ufawqh", "another")])
def test_what_the_standards_library_signs_is_taken_and_nothing_else(sent: str) -> None:
    when = str(int(NOW.timestamp()))
    signature = run_sdk(SCRIPT, SECRET=whsec(STANDARD_KEY), WHEN=when, BODY=BODY)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": when, "webhook-signature": signature}
    found = verifiers(ENVIRON)["replicate"](sent.encode(), headers, NOW)
    assert isinstance(found, Message if sent == BODY else Refused)
