import io
import json
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from PIL import Image

from asset_pipeline.candidates.jobs.job import Draft, Job, RemoteParameters, Standing, Ticket
from asset_pipeline.candidates.jobs.mapping import AskedSize, asked_size, refused_drops
from asset_pipeline.candidates.jobs.verify import Verified, verify
from asset_pipeline.candidates.jobs.wire import Wire
from asset_pipeline.candidates.request import ImageReference, Profile
from asset_pipeline.errors import AccountClosed, ProviderUnavailable, SubmissionUnknown, UnsupportedRequest
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline.providers.comfyui import ComfyUI
from asset_pipeline.yaml_model import read_model
from asset_pipeline_tests.comfyui_fake import VERSIONS, Version, serving
from asset_pipeline_tests.comfyui_fake import ComfyUI as Server
from asset_pipeline_tests.vendors.case import Case, job_for
from asset_pipeline_tests.vendors.server import Behaviour, picture

Found = TypeVar("Found")
DATA = Path(__file__).parent.parent / "data"
ADAPTER = ComfyUI(DATA)
TEXT = {"workflow": "text-to-image", "steps": 4}
IMAGE = {"workflow": "image-to-image", "steps": 4, "references": {"base": "photograph"}}
CASE = Case(ADAPTER, lambda: Server("0.38.1", Path()), TEXT)
PHOTOGRAPH = picture(96, 64, 1)
BASE = ImageReference(role="base", sha256=sha256_of(PHOTOGRAPH), media_type="image/png", width=96, height=64)


@pytest.fixture(params=VERSIONS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A ComfyUI, once in each version."""
    with serving(Server(request.param, tmp_path)) as server:
        yield server


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with CASE.wire(server) as wire:
        yield wire


def submitted(wire: Wire, job: Job, sent: dict[str, str] | None = None) -> Standing:
    return ADAPTER.submit(wire, job, ADAPTER.draft(job, sent or {}), {})


def followed(wire: Wire, job: Job, ticket: Ticket | None) -> Standing:
    """What a job comes to."""
    assert ticket is not None
    return until(lambda: ADAPTER.look(wire, job, ticket), lambda standing: standing.is_over)


def until(ask: Callable[[], Found], is_so: Callable[[Found], object]) -> Found:
    ends = time.monotonic() + 10
    while not is_so(found := ask()):
        assert time.monotonic() < ends, found
        time.sleep(0.01)
    return found


def fetched(wire: Wire, standing: Standing) -> list[bytes]:
    return [each.data or wire.fetch(each.url or "") for each in standing.outputs]


def drawn(server: Server) -> list[str]:
    """The jobs whose sampler did work, in order."""
    return [each.prompt_id for each in server.executions if "3" in each.executed]


def test_a_picture_is_drawn_once_and_fetched_as_it_was_asked_for(server: Server, wire: Wire) -> None:
    job = job_for(TEXT)
    standing = followed(wire, job, submitted(wire, job).ticket)
    assert standing.state == "succeeded"
    [data] = fetched(wire, standing)
    assert isinstance(verify(data, AskedSize(128, 64)), Verified)
    assert drawn(server) == [job.client_id]


def test_every_picture_says_which_graph_on_which_server_drew_it(server: Server, wire: Wire) -> None:
    job = job_for(TEXT)
    draft = ADAPTER.draft(job, {})
    standing = followed(wire, job, submitted(wire, job).ticket)
    assert standing.details["version"] == server.version
    assert standing.details["graph_sha256"] == draft.details["graph_sha256"]
    assert standing.model_version == f"ComfyUI {server.version}"
    assert standing.usage.seconds is not None


def test_the_id_is_ours_and_canonical(server: Server, wire: Wire) -> None:
    job = job_for(TEXT)
    submitted(wire, job)
    assert [each.job_id for each in server.jobs] == [job.client_id]
    assert str(uuid.UUID(job.client_id)) == job.client_id


def test_the_files_of_an_attempt_bear_the_names_of_request_and_attempt(wire: Wire) -> None:
    job = job_for(TEXT, attempt=3)
    [output] = followed(wire, job, submitted(wire, job).ticket).outputs
    assert output.url is not None
    assert f"filename={job.request.candidate_id}_3_" in output.url


def test_a_submission_whose_answer_is_lost_is_found_by_our_id_and_drawn_once(
    server: Server, wire: Wire
) -> None:
    job, since = job_for(TEXT), datetime.now(UTC)
    server.faults = ["drop after"]
    with pytest.raises(SubmissionUnknown):
        submitted(wire, job)
    standing = until(lambda: ADAPTER.find(wire, job, since), lambda found: found and found.is_over)
    assert standing is not None
    assert standing.state == "succeeded"
    assert len(fetched(wire, standing)) == 1
    assert drawn(server) == [job.client_id]


def test_a_submission_that_never_arrived_is_known_not_to_be_there(server: Server, wire: Wire) -> None:
    job = job_for(TEXT)
    server.faults = ["drop before"]
    with pytest.raises(SubmissionUnknown):
        submitted(wire, job)
    found = ADAPTER.find(wire, job, datetime.now(UTC))
    assert found is not None
    assert (found.state, found.failure and found.failure.is_billed) == ("lost", False)
    assert server.jobs == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_picture_outlives_the_server_that_drew_it(version: Version, tmp_path: Path) -> None:
    server, job = Server(version, tmp_path), job_for(TEXT)
    with serving(server), CASE.wire(server) as wire:
        ticket = submitted(wire, job).ticket
        [before] = fetched(wire, followed(wire, job, ticket))
    port = int(server.url.rpartition(":")[2])
    with CASE.wire(server) as wire:
        with pytest.raises(ProviderUnavailable):
            followed(wire, job, ticket)
        with serving(server, port):
            assert httpx.get(f"{server.url}/history").json() == {}
            assert fetched(wire, followed(wire, job, ticket)) == [before]
            found = ADAPTER.find(wire, job, datetime.now(UTC))
            assert found is not None
            assert fetched(wire, found) == [before]
    assert drawn(server) == [job.client_id]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_job_that_died_with_its_server_is_lost_and_not_sent_again(version: Version, tmp_path: Path) -> None:
    server, job = Server(version, tmp_path), job_for(TEXT)
    server.behaviours = [Behaviour(run_seconds=60)]
    with serving(server), CASE.wire(server) as wire:
        ticket = submitted(wire, job).ticket
        assert ticket is not None
        until(lambda: ADAPTER.look(wire, job, ticket), lambda found: found.state == "running")
    with serving(server), CASE.wire(server) as wire:
        standing = followed(wire, job, ticket)
        assert standing.state == "lost"
        assert ADAPTER.find(wire, job, datetime.now(UTC)).state == "lost"  # type: ignore[union-attr]
    assert len(server.jobs) == 1


def test_the_same_request_again_has_files_of_its_own(server: Server, wire: Wire) -> None:
    """The server's cache answers with the earlier file, unless the file's name is another."""
    first = job_for(TEXT)
    second = first.model_copy(update={"attempt": 2, "client_id": str(uuid.uuid4())})
    [one] = followed(wire, first, submitted(wire, first).ticket).outputs
    [two] = followed(wire, second, submitted(wire, second).ticket).outputs
    assert one.url != two.url
    assert drawn(server) == [first.client_id]  # what was drawn is not drawn again
    assert server.executions[1].executed == ["9"]


def test_a_job_that_is_sent_twice_would_be_drawn_twice(server: Server, wire: Wire) -> None:
    """Why nothing is sent again: the id is no protection."""
    job = job_for(TEXT)
    for seed in (1, 2):
        graph = ADAPTER.draft(job, {}).payload["prompt"]
        graph["3"]["inputs"]["seed"] = seed
        draft = Draft({"prompt": graph, "prompt_id": job.client_id}, url="prompt")
        followed(wire, job, ADAPTER.submit(wire, job, draft, {}).ticket)
    until(lambda: len(drawn(server)), lambda count: count == 2)


def test_jobs_of_others_are_neither_ours_nor_touched(server: Server, wire: Wire) -> None:
    foreign = str(uuid.uuid4())
    server.behaviours = [Behaviour(run_seconds=60)]
    graph = ADAPTER.draft(job_for(TEXT, seed=99), {}).payload["prompt"]
    httpx.post(f"{server.url}/prompt", json={"prompt": graph, "prompt_id": foreign}).raise_for_status()
    until(lambda: server.running, bool)
    ours, kept = job_for(TEXT, seed=1), job_for(TEXT, seed=2)
    ticket, other = submitted(wire, ours).ticket, submitted(wire, kept).ticket
    assert ticket is not None
    assert ADAPTER.look(wire, ours, ticket).state == "queued"
    assert ADAPTER.cancel(wire, ours, ticket)
    assert ADAPTER.look(wire, ours, ticket).state == "lost"  # a job that waited vanishes
    assert [each.prompt_id for each in server.running] == [foreign]
    assert not server.running[0].stop.is_set()
    server.running[0].stop.set()
    assert followed(wire, kept, other).state == "succeeded"
    assert drawn(server) == [kept.client_id]


def test_a_running_job_is_cancelled_and_says_so(server: Server, wire: Wire) -> None:
    server.behaviours = [Behaviour(run_seconds=60)]
    job = job_for(TEXT)
    ticket = submitted(wire, job).ticket
    assert ticket is not None
    until(lambda: ADAPTER.look(wire, job, ticket), lambda found: found.state == "running")
    assert ADAPTER.cancel(wire, job, ticket)
    standing = followed(wire, job, ticket)
    assert standing.state == "canceled"
    assert standing.failure is not None
    assert standing.failure.code == "canceled"


def test_a_job_that_has_ended_cannot_be_cancelled_into_another_end(wire: Wire) -> None:
    job = job_for(TEXT)
    ticket = submitted(wire, job).ticket
    assert ticket is not None
    followed(wire, job, ticket)
    ADAPTER.cancel(wire, job, ticket)
    assert ADAPTER.look(wire, job, ticket).state == "succeeded"


def test_no_fast_job_is_ever_taken_for_lost(wire: Wire) -> None:
    seen = []
    for seed in range(15):
        job = job_for({**TEXT, "steps": 1}, seed=seed)
        seen.append(followed(wire, job, submitted(wire, job).ticket).state)
    assert seen == ["succeeded"] * 15


@pytest.mark.parametrize("question", [1, 2])
def test_a_job_that_ends_between_two_questions_is_not_taken_for_lost(
    server: Server, wire: Wire, question: int
) -> None:
    """It moves from the queue to the history: asked the other way round, it would be in neither."""
    server.behaviours = [Behaviour(run_seconds=60)]
    job, questions = job_for(TEXT), list[str]()
    ticket = submitted(wire, job).ticket
    assert ticket is not None
    until(lambda: ADAPTER.look(wire, job, ticket), lambda found: found.state == "running")

    def before(path: str) -> None:
        questions.append(path)
        if len(questions) == question:
            server.running[0].stop.set()
            until(lambda: server.history, bool)

    server.before_read = before
    assert ADAPTER.look(wire, job, ticket).state in {"running", "canceled"}
    assert ADAPTER.look(wire, job, ticket).state == "canceled"


def test_a_graph_with_a_wrong_part_is_a_failure_though_the_server_takes_it(
    server: Server, wire: Wire
) -> None:
    server.behaviours = [Behaviour(queue_seconds=60)]
    job = job_for(TEXT)
    draft = ADAPTER.draft(job, {})
    lost = {"class_type": "SaveImage", "inputs": {"images": ["77", 0], "filename_prefix": "x"}}
    wrong = Draft({**draft.payload, "prompt": {**draft.payload["prompt"], "12": lost}}, url="prompt")
    standing = ADAPTER.submit(wire, job, wrong, {})
    assert standing.state == "failed"
    assert standing.failure is not None
    assert "node 12 (SaveImage)" in standing.failure.message
    assert server.pending == []


def test_a_model_that_the_server_lacks_closes_it_and_gives_up_no_picture(server: Server, wire: Wire) -> None:
    server.files.checkpoints = ("another.safetensors",)
    with pytest.raises(
        AccountClosed, match=r"lacks a model file: node 4 \(CheckpointLoaderSimple\)"
    ) as closed:
        submitted(wire, job_for(TEXT))
    assert closed.value.code == "not_found"
    assert server.jobs == []


def test_an_error_says_what_failed_and_repeats_nothing_of_the_request(server: Server, wire: Wire) -> None:
    job = job_for(TEXT, prompt="the secret autumn mug")
    server.behaviours = [Behaviour(outcome="fails", error="CUDA out of memory: the secret autumn mug")]
    standing = followed(wire, job, submitted(wire, job).ticket)
    assert standing.failure is not None
    assert standing.failure.code == "model_error"
    assert "SaveImage: RuntimeError: CUDA out of memory" in standing.failure.message
    assert "secret" not in repr(standing)
    assert "current_inputs" not in repr(standing)


def test_a_success_without_a_picture_is_none(server: Server, wire: Wire) -> None:
    server.behaviours = [Behaviour(outcome="is empty")]
    job = job_for(TEXT)
    standing = followed(wire, job, submitted(wire, job).ticket)
    assert standing.failure is not None
    assert (standing.state, standing.failure.code) == ("failed", "output_invalid")


def test_a_photograph_is_loaded_by_the_name_that_the_server_gave_it(server: Server, wire: Wire) -> None:
    theirs = server.files.place("input", f"{BASE.sha256}.png", "asset_pipeline")
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"something else under our name")
    name = ADAPTER.upload(wire, BASE, PHOTOGRAPH)
    assert name == f"asset_pipeline/{BASE.sha256} (1).png"
    job = job_for(IMAGE, references=(BASE,))
    standing = followed(wire, job, submitted(wire, job, {BASE.sha256: name}).ticket)
    assert standing.state == "succeeded"
    [data] = fetched(wire, standing)
    assert Image.open(io.BytesIO(data)).size == (128, 64)


def test_the_same_photograph_is_uploaded_once_by_name(server: Server, wire: Wire) -> None:
    names = {ADAPTER.upload(wire, BASE, PHOTOGRAPH) for _ in range(2)}
    assert names == {f"asset_pipeline/{BASE.sha256}.png"}
    assert len(list((server.files.root / "input" / "asset_pipeline").iterdir())) == 1


def test_a_photograph_that_the_server_has_lost_is_no_reason_to_give_up_the_picture(
    server: Server, wire: Wire
) -> None:
    job = job_for(IMAGE, references=(BASE,))
    with pytest.raises(ProviderUnavailable, match="lacks an uploaded photograph"):
        submitted(wire, job, {BASE.sha256: "asset_pipeline/gone.png"})
    assert server.jobs == []


def test_what_a_workflow_cannot_say_is_named() -> None:
    draft = ADAPTER.draft(job_for({**TEXT, "strength": 0.5}, references=(BASE,)), {})
    assert draft.dropped == ("strength", "references.base")
    assert refused_drops(draft.dropped, ("references",)) == ["strength"]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "workflow: the profile names none"),
        ({**TEXT, "workflow_sha256": "0" * 64}, "workflow_sha256: the profile pins 0000"),
        ({**TEXT, "steps": 499}, "steps: 499 is above 200"),
        ({**TEXT, "sampler": "magic"}, "sampler: 'magic' is none of ddim"),
        ({**TEXT, "native": {"widht": 3}}, r"widht: no such input; did you mean width\?"),
        ({**TEXT, "fields": {"seed": "noise"}}, "fields: the manifest of a workflow names its inputs"),
        ({**TEXT, "references": {"base": "photograph"}}, "references: base: .* takes other photographs"),
        ({**IMAGE, "references": {}}, "photograph: has no value and no default"),
    ],
)
def test_what_a_workflow_has_no_words_for_is_refused_before_anything_is_sent(
    parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(UnsupportedRequest, match=said):
        ADAPTER.draft(job_for(parameters), {})


def test_progress_is_a_live_signal_and_the_end_is_heard_at_once(server: Server, wire: Wire) -> None:
    server.behaviours = [Behaviour(queue_seconds=60)]
    job, shares = job_for(TEXT), list[float]()
    ticket = submitted(wire, job).ticket

    def begin_when_somebody_listens() -> None:
        until(lambda: len(server.listeners), bool)
        server.jobs[0].behaviour = Behaviour()

    threading.Thread(target=begin_when_somebody_listens).start()
    assert ADAPTER.listen(wire, job, 10, shares.append)
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert followed(wire, job, ticket).state == "succeeded"


def test_nobody_to_hear_changes_nothing(tmp_path: Path) -> None:
    server = Server("0.24.0", tmp_path)
    with serving(server):
        pass
    with CASE.wire(server) as wire:
        assert not ADAPTER.listen(wire, job_for(TEXT), 5, lambda _: None)


def test_many_threads_share_the_adapter(server: Server) -> None:
    found: list[str] = []

    def make(seed: int) -> None:
        job = job_for(TEXT, seed=seed)
        with CASE.wire(server) as own:
            found.append(followed(own, job, submitted(own, job).ticket).state)

    threads = [threading.Thread(target=make, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["succeeded"] * 6
    assert sorted(drawn(server)) == sorted(job_for(TEXT, seed=seed).client_id for seed in range(6))


def test_another_graph_or_another_environment_makes_other_candidates(tmp_path: Path) -> None:
    shutil.copytree(DATA / "workflows", tmp_path / "workflows")
    changed, parameters = ComfyUI(tmp_path), RemoteParameters.model_validate(TEXT)
    assert changed.version_of(parameters) == ADAPTER.version_of(parameters)
    manifest = tmp_path / "workflows" / "text-to-image" / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("sd_xl_base_1.0", "tuned"))
    assert changed.version_of(parameters) != ADAPTER.version_of(parameters)


def test_a_model_is_the_workflows_and_cannot_be_said() -> None:
    assert ADAPTER.draft(job_for({**TEXT, "model": "sdxl", "version": "1"}), {}).dropped == (
        "model",
        "version",
    )


@pytest.mark.parametrize("name", ["sdxl-comfyui", "sdxl-comfyui-photograph"])
def test_a_shipped_profile_draws_with_the_workflow_that_it_pins(name: str, tmp_path: Path) -> None:
    profile = read_model(DATA / "profiles" / f"{name}.yaml", Profile)
    job = job_for({**profile.parameters, "steps": 1}, references=(BASE,), width=1200, height=628)
    with serving(Server("0.38.1", tmp_path)) as server, CASE.wire(server) as wire:
        sent = {BASE.sha256: ADAPTER.upload(wire, BASE, PHOTOGRAPH)}
        draft = ADAPTER.draft(job, sent)
        assert refused_drops(draft.dropped, job.parameters.may_drop) == []
        standing = followed(wire, job, ADAPTER.submit(wire, job, draft, {}).ticket)
        [data] = fetched(wire, standing)
        assert isinstance(verify(data, asked_size(job)), Verified)


def test_a_ticket_survives_being_written_down(wire: Wire) -> None:
    job = job_for(TEXT)
    ticket = submitted(wire, job).ticket
    assert ticket is not None
    again = Ticket.model_validate_json(ticket.model_dump_json())
    assert followed(wire, job, again).state == "succeeded"
    assert json.loads(again.details["outputs"]) == ["9"]
