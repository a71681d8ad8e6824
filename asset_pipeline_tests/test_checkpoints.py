import multiprocessing
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml

from asset_pipeline.checkpoints.checkpoint import Checkpoint, describe_folder, read_checkpoint
from asset_pipeline.checkpoints.pinning import chosen, pin
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.errors import InvalidFile, MissingModel, NotFound
from asset_pipeline.fingerprint import sha256_of
from asset_pipeline_tests.hub_server import COMMIT, HubServer, hub_server
from asset_pipeline_tests.s3_server import BUCKET, S3Server

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])
CONFIG = b'{"_class_name": "UNet2DConditionModel"}'
WEIGHTS = random.Random(1).randbytes(5_000_000)  # noqa: S311 - the same in every process
FILES = {"model_index.json": b"{}", "unet/config.json": CONFIG, "unet/model.safetensors": WEIGHTS}
SOURCE = "studio/tiny-diffusion"


def write_files(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def describe(data: Path, files: Mapping[str, bytes] = FILES, **fields: Any) -> None:
    """Write ``data/models/tiny.yaml``."""
    description = {
        "title": "A tiny model",
        "source": SOURCE,
        "revision": COMMIT,
        "license": "openrail++",
        "files": {
            path: {"sha256": sha256_of(content), "bytes": len(content)} for path, content in files.items()
        },
    }
    (data / "models").mkdir(parents=True, exist_ok=True)
    (data / "models" / "tiny.yaml").write_text(yaml.safe_dump({**description, **fields}))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that describes the model and does not hold it."""
    describe(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of someone who has nothing yet."""
    return {"ASSET_PIPELINE_MODEL_CACHE": str(tmp_path / "cache")}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server() as server:
        server.repositories[SOURCE] = FILES
        yield server


@pytest.fixture
def on_hub(environ: dict[str, str], hub: HubServer) -> dict[str, str]:
    """The environment of someone who allows the hub."""
    return {**environ, "ASSET_PIPELINE_HUB": "allow", "HF_ENDPOINT": hub.url}


@pytest.fixture
def on_s3(environ: dict[str, str], s3: S3Server) -> dict[str, str]:
    """The environment of someone whose models lie on S3."""
    prefix = f"s3://{BUCKET}/{secrets.token_hex(8)}"
    filesystem = fsspec.filesystem("s3", skip_instance_cache=True, **s3.storage_options)
    for path, content in FILES.items():
        filesystem.pipe_file(f"{prefix}/tiny/{path}", content)
    return {
        **environ,
        "ASSET_PIPELINE_MODELS_S3": prefix,
        "AWS_ENDPOINT_URL": s3.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3.key,
        "AWS_SECRET_ACCESS_KEY": s3.secret,
    }


def content_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def cached(environ: Mapping[str, str]) -> list[str]:
    """What lies in the cache, whole or not, but for locks and folders of links."""
    root = Path(environ["ASSET_PIPELINE_MODEL_CACHE"])
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(str(path.relative_to(root)) for path in files if path.suffix != ".lock")


# What a checkpoint is


@pytest.mark.parametrize(
    "path",
    [
        "../secrets.json",
        "/etc/model.json",
        "unet/../../model.json",
        "unet//config.json",
        "c:\\model.json",
        ".",
        "",
    ],
)
def test_a_file_of_a_checkpoint_lies_below_its_folder(tmp_path: Path, path: str) -> None:
    describe(tmp_path, {path: b""})
    with pytest.raises(InvalidFile, match=r"tiny.yaml:\d+: files"):
        read_checkpoint(tmp_path, "tiny")


@pytest.mark.parametrize("suffix", ["bin", "pt", "pth", "ckpt", "pkl", "py", "safetensors.zip"])
def test_a_checkpoint_is_made_of_safetensors_and_plain_data_alone(tmp_path: Path, suffix: str) -> None:
    describe(tmp_path, {f"unet/model.{suffix}": b""})
    with pytest.raises(InvalidFile, match=r"a checkpoint is made of \.safetensors"):
        read_checkpoint(tmp_path, "tiny")


def test_files_of_a_hub_repository_are_those_of_one_commit(tmp_path: Path) -> None:
    describe(tmp_path, revision="main")
    with pytest.raises(InvalidFile, match="revision"):
        read_checkpoint(tmp_path, "tiny")
    describe(tmp_path, revision=None)
    with pytest.raises(InvalidFile, match="revision"):
        read_checkpoint(tmp_path, "tiny")


def test_the_fingerprint_is_that_of_the_files_and_not_of_what_is_said_about_them(data: Path) -> None:
    first = read_checkpoint(data, "tiny").fingerprint
    describe(data, title="Another title", license="mit", memory_gb=3.0)
    assert read_checkpoint(data, "tiny").fingerprint == first
    describe(data, {**FILES, "unet/model.safetensors": b"other"})
    assert read_checkpoint(data, "tiny").fingerprint != first


def test_before_it_is_pinned_the_fingerprint_is_that_of_the_source(data: Path) -> None:
    describe(data, {})
    first = read_checkpoint(data, "tiny").fingerprint
    describe(data, {}, revision="f" * 40)
    assert read_checkpoint(data, "tiny").fingerprint != first


def test_an_unknown_model_is_answered_with_those_that_exist(data: Path) -> None:
    with pytest.raises(NotFound, match=r"'large'.*there are: tiny"):
        read_checkpoint(data, "large")
    with pytest.raises(InvalidFile, match="cannot name a model"):
        read_checkpoint(data, "../tiny")


# Files on this machine


def test_a_folder_of_the_project_is_used_where_it_lies(data: Path, environ: dict[str, str]) -> None:
    folder = write_files(data / "models" / "tiny")
    assert Checkpoints(data, environ).folder("tiny") == folder
    assert not Path(environ["ASSET_PIPELINE_MODEL_CACHE"]).exists()


def test_models_may_lie_in_a_directory_of_the_machine(
    data: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "shelf" / "tiny")
    assert (
        Checkpoints(data, {**environ, "ASSET_PIPELINE_MODELS": str(folder.parent)}).folder("tiny") == folder
    )


def test_an_altered_file_is_named_with_both_hashes_and_never_loaded(
    data: Path, environ: dict[str, str]
) -> None:
    folder = write_files(data / "models" / "tiny")
    checkpoints = Checkpoints(data, environ)
    checkpoints.folder("tiny")
    altered = bytearray(WEIGHTS)
    altered[4_000_000] ^= 1
    (folder / "unet/model.safetensors").write_bytes(altered)
    with pytest.raises(MissingModel) as error:
        checkpoints.folder("tiny")
    for said in (
        str(folder / "unet/model.safetensors"),
        sha256_of(WEIGHTS),
        sha256_of(bytes(altered)),
        SOURCE,
    ):
        assert said in str(error.value)


def test_a_missing_file_says_what_it_is_where_it_was_looked_for_and_how_to_get_it(
    data: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    environ["ASSET_PIPELINE_MODELS"] = str(tmp_path / "shelf")
    (write_files(data / "models" / "tiny") / "unet/model.safetensors").unlink()
    with pytest.raises(MissingModel) as error:
        Checkpoints(data, environ).folder("tiny")
    for said in (
        "unet/model.safetensors of the model 'tiny'",
        "5000000 bytes",
        sha256_of(WEIGHTS),
        str(data / "models" / "tiny"),
        str(tmp_path / "shelf" / "tiny"),
        environ["ASSET_PIPELINE_MODEL_CACHE"],
        "the hub (not asked: ASSET_PIPELINE_HUB is not allow)",
        f"the hub repository {SOURCE} at {COMMIT} (licence: openrail++)",
        "ASSET_PIPELINE_HUB=allow asset-pipeline models fetch tiny",
    ):
        assert said in str(error.value)


def test_a_file_is_read_once_in_a_process_for_as_long_as_it_stays_as_it_is(
    data: Path, environ: dict[str, str]
) -> None:
    read: list[str] = []

    def note(what: str, done: int, total: int) -> None:
        assert done <= total
        read.append(what)

    folder = write_files(data / "models" / "tiny")
    for _ in range(3):
        Checkpoints(data, environ, note).folder("tiny")
    assert sorted(read) == ["verify config.json", "verify model.safetensors", "verify model_index.json"]
    (folder / "unet/config.json").write_bytes(CONFIG)
    Checkpoints(data, environ, note).folder("tiny")
    assert read[3:] == ["verify config.json"]


@pytest.mark.parametrize(
    "stray", ["unet/diffusion_pytorch_model.bin", "pipeline.py", "optimizer.PT", ".x/a.pkl"]
)
def test_a_folder_that_holds_a_pickle_or_a_program_is_refused(
    data: Path, environ: dict[str, str], stray: str
) -> None:
    write_files(data / "models" / "tiny", {**FILES, stray: b"\x80\x04."})
    with pytest.raises(InvalidFile, match=f"holds {stray}.*safetensors"):
        Checkpoints(data, environ).folder("tiny")
    with pytest.raises(InvalidFile, match=f"holds {stray}"):
        describe_folder(data / "models" / "tiny")


def test_a_loader_sees_no_file_that_is_not_described(data: Path, environ: dict[str, str]) -> None:
    strays = {"unet/model.safetensors.index.json": b"{}", "vae/model.safetensors": b"unknown", "LICENSE": b""}
    write_files(data / "models" / "tiny", {**FILES, **strays})
    for _ in range(2):
        assert content_of(Checkpoints(data, environ).folder("tiny")) == FILES


def test_a_folder_of_links_that_someone_changed_is_made_again(data: Path, environ: dict[str, str]) -> None:
    write_files(data / "models" / "tiny", {**FILES, "notes": b""})
    folder = Checkpoints(data, environ).folder("tiny")
    (folder / "unet" / "other.safetensors").write_bytes(b"unknown")
    assert content_of(Checkpoints(data, environ).folder("tiny")) == FILES


def test_a_link_that_leads_out_of_the_folder_is_refused(
    data: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "elsewhere.safetensors").write_bytes(WEIGHTS)
    link = write_files(data / "models" / "tiny") / "unet/model.safetensors"
    link.unlink()
    link.symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(InvalidFile, match="leads out of its folder"):
        Checkpoints(data, environ).folder("tiny")
    folder = data / "models" / "tiny" / "vae"
    link.unlink()
    folder.symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(InvalidFile, match="leads out of its folder"):
        Checkpoints(data, environ).folder("tiny")


def test_a_model_that_is_not_pinned_is_not_loaded_even_if_its_files_are_there(
    data: Path, environ: dict[str, str]
) -> None:
    describe(data, {})
    write_files(data / "models" / "tiny")
    with pytest.raises(MissingModel, match=r"not pinned.*asset-pipeline models pin tiny"):
        Checkpoints(data, environ).folder("tiny")


def test_configuration_is_there_without_the_weights(data: Path, environ: dict[str, str]) -> None:
    folder = write_files(data / "models" / "tiny")
    (folder / "unet/model.safetensors").unlink()
    assert Checkpoints(data, environ).folder("tiny", weights=False) == folder
    assert list(Checkpoints(data, environ).absent("tiny")) == ["unet/model.safetensors"]


def test_what_the_description_of_a_folder_says_is_what_is_verified(
    data: Path,
) -> None:
    folder = write_files(data / "models" / "tiny", {**FILES, "picture.png": b"", "LICENSE": b""})
    files = describe_folder(folder)
    assert Checkpoint(title="t", source="made here", license="mit", files=files).bytes == sum(
        map(len, FILES.values())
    )
    assert {path: file.sha256 for path, file in files.items()} == {
        path: sha256_of(content) for path, content in FILES.items()
    }


def test_a_folder_may_itself_be_a_link(data: Path, environ: dict[str, str], tmp_path: Path) -> None:
    folder = data / "models" / "tiny"
    folder.symlink_to(write_files(tmp_path / "elsewhere"), target_is_directory=True)
    assert content_of(Checkpoints(data, environ).folder("tiny")) == FILES


# S3


@pytest.mark.s3
def test_what_lies_on_s3_is_fetched_once_verified_and_kept(data: Path, on_s3: dict[str, str]) -> None:
    told: list[tuple[str, int, int]] = []
    checkpoints = Checkpoints(data, on_s3, lambda *each: told.append(each))
    assert len(checkpoints.absent("tiny")) == len(FILES)
    assert content_of(checkpoints.folder("tiny")) == FILES
    assert ("fetch unet/model.safetensors", 5_000_000, 5_000_000) in told
    assert cached(on_s3) == sorted(f"sha256/{sha256_of(content)}" for content in FILES.values())
    offline = {**on_s3, "ASSET_PIPELINE_OFFLINE": "1"}
    assert content_of(Checkpoints(data, offline).folder("tiny")) == FILES


@pytest.mark.s3
def test_configuration_is_fetched_without_the_weights(data: Path, on_s3: dict[str, str]) -> None:
    folder = Checkpoints(data, on_s3).folder("tiny", weights=False)
    assert content_of(folder) == {
        path: each for path, each in FILES.items() if not path.endswith("safetensors")
    }


@pytest.mark.s3
@pytest.mark.parametrize(
    "beginning", [WEIGHTS[:2_000_000], WEIGHTS[:1_999_999] + b"x", WEIGHTS + b"more", b""]
)
def test_a_killed_fetch_from_s3_goes_on_where_it_was_or_starts_again(
    data: Path, on_s3: dict[str, str], beginning: bytes
) -> None:
    incomplete = Path(on_s3["ASSET_PIPELINE_MODEL_CACHE"], "incomplete", sha256_of(WEIGHTS))
    incomplete.parent.mkdir(parents=True)
    incomplete.write_bytes(beginning)
    assert content_of(Checkpoints(data, on_s3).folder("tiny")) == FILES
    assert not incomplete.exists()


@pytest.mark.s3
def test_nothing_of_an_altered_object_is_kept(data: Path, on_s3: dict[str, str]) -> None:
    describe(data, {**FILES, "unet/model.safetensors": b"what was meant"})
    with pytest.raises(MissingModel, match=f"another file, with the sha256 {sha256_of(WEIGHTS)}"):
        Checkpoints(data, on_s3).folder("tiny")
    assert not any(sha256_of(WEIGHTS) in path or "incomplete" in path for path in cached(on_s3))


@pytest.mark.s3
def test_offline_means_that_s3_is_not_asked_either(data: Path, on_s3: dict[str, str]) -> None:
    with pytest.raises(MissingModel, match=r"s3://.* \(not asked: ASSET_PIPELINE_OFFLINE is set\)"):
        Checkpoints(data, {**on_s3, "ASSET_PIPELINE_OFFLINE": "1"}).folder("tiny")


@pytest.mark.s3
def test_what_s3_does_not_hold_the_hub_may(data: Path, on_s3: dict[str, str], hub: HubServer) -> None:
    files = {**FILES, "vae/model.safetensors": b"only on the hub"}
    describe(data, files)
    hub.repositories[SOURCE] = files
    environ = {**on_s3, "ASSET_PIPELINE_HUB": "allow", "HF_ENDPOINT": hub.url}
    assert content_of(Checkpoints(data, environ).folder("tiny")) == files
    assert hub.fetched() == [f"{COMMIT}/vae/model.safetensors"]


@pytest.mark.s3
def test_an_s3_server_that_refuses_is_said_to_have_refused(data: Path, on_s3: dict[str, str]) -> None:
    refused = {**on_s3, "AWS_SECRET_ACCESS_KEY": "not-to-be-shown"}
    with pytest.raises(MissingModel, match=r"s3://.* \(PermissionError") as error:
        Checkpoints(data, refused).folder("tiny")
    assert "not-to-be-shown" not in str(error.value)


# The hub


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ASSET_PIPELINE_HUB": ""}, "ASSET_PIPELINE_HUB is not allow"),
        ({"ASSET_PIPELINE_HUB": "no"}, "ASSET_PIPELINE_HUB is not allow"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ({"ASSET_PIPELINE_OFFLINE": "yes"}, "ASSET_PIPELINE_OFFLINE is set"),
    ],
)
def test_the_hub_is_asked_only_when_it_is_allowed(
    data: Path, on_hub: dict[str, str], hub: HubServer, change: dict[str, str], reason: str
) -> None:
    with pytest.raises(MissingModel, match=reason):
        Checkpoints(data, {**on_hub, **change}).folder("tiny")
    describe(data, {})
    with pytest.raises(MissingModel, match=reason):
        pin(data, {**on_hub, **change}, "tiny")
    assert not hub.asked


def test_the_hub_is_asked_for_the_commit_that_was_pinned(
    data: Path, on_hub: dict[str, str], hub: HubServer
) -> None:
    told: list[tuple[str, int, int]] = []
    folder = Checkpoints(data, on_hub, lambda *each: told.append(each)).folder("tiny")
    assert content_of(folder) == FILES
    assert sorted(hub.fetched()) == sorted(f"{COMMIT}/{path}" for path in FILES)
    assert ("fetch unet/model.safetensors", 5_000_000, 5_000_000) in told
    assert cached(on_hub) == sorted(f"sha256/{sha256_of(content)}" for content in FILES.values())


def test_what_the_hub_sends_instead_is_not_kept(data: Path, on_hub: dict[str, str], hub: HubServer) -> None:
    hub.repositories[SOURCE] = {**FILES, "unet/model.safetensors": b"poisoned"}
    with pytest.raises(MissingModel, match=f"another file, with the sha256 {sha256_of(b'poisoned')}"):
        Checkpoints(data, on_hub).folder("tiny")
    assert not any(sha256_of(b"poisoned") in path or "incomplete" in path for path in cached(on_hub))


def test_a_repository_that_the_hub_does_not_give_is_named_with_its_reason(
    data: Path, on_hub: dict[str, str], hub: HubServer
) -> None:
    hub.repositories.clear()
    with pytest.raises(MissingModel, match=r"the hub \(\w+Error: .*404"):
        Checkpoints(data, on_hub).folder("tiny")


def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(
    data: Path, on_hub: dict[str, str], hub: HubServer
) -> None:
    Checkpoints(data, on_hub).folder("tiny")
    kept = Path(on_hub["ASSET_PIPELINE_MODEL_CACHE"], "sha256", sha256_of(WEIGHTS))
    kept.chmod(0o644)
    kept.write_bytes(WEIGHTS[:-1])
    hub.asked.clear()
    assert content_of(Checkpoints(data, on_hub).folder("tiny")) == FILES
    assert hub.fetched() == [f"{COMMIT}/unet/model.safetensors"]


def test_a_cache_that_cannot_be_written_is_named(data: Path, on_hub: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(MissingModel, match=f"{tmp_path / 'cache'} cannot be written.*MODEL_CACHE"):
        Checkpoints(data, on_hub).folder("tiny")


def fetch(data: Path, environ: dict[str, str]) -> None:
    """Be a process that wants the model."""
    assert content_of(Checkpoints(data, environ).folder("tiny")) == FILES


def test_processes_that_fetch_at_once_fetch_each_file_once(
    data: Path, on_hub: dict[str, str], hub: HubServer
) -> None:
    hub.seconds_per_megabyte = 0.05
    workers = [PROCESSES.Process(target=fetch, args=(data, on_hub)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert sorted(hub.fetched()) == sorted(f"{COMMIT}/{path}" for path in FILES)


def test_after_a_kill_in_the_middle_of_a_fetch_the_next_one_completes(
    data: Path, on_hub: dict[str, str], hub: HubServer
) -> None:
    hub.seconds_per_megabyte = 0.5
    worker = PROCESSES.Process(target=fetch, args=(data, on_hub))
    worker.start()
    deadline = time.monotonic() + 20
    while f"{COMMIT}/unet/model.safetensors" not in hub.fetched() and time.monotonic() < deadline:
        time.sleep(0.02)
    worker.kill()
    worker.join()
    hub.seconds_per_megabyte = 0
    fetch(data, on_hub)
    assert cached(on_hub) == sorted(f"sha256/{sha256_of(content)}" for content in FILES.values())


# Pinning


def test_pinning_asks_the_hub_for_hashes_and_reads_small_files_alone(
    data: Path, on_hub: dict[str, str], hub: HubServer
) -> None:
    index = b'{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}'
    hub.repositories[SOURCE] = {
        **FILES,
        "model_index.json": index,
        "README.md": b"card",
        "whole.safetensors": b"all of it in one file",
        "unet/model.fp16.safetensors": b"the same in half precision",
        "unet/model.bin": b"the same as a pickle",
        "onnx/model.onnx": b"for others",
    }
    description = data / "models" / "tiny.yaml"
    description.write_text(
        f"# Chosen for its licence.\ntitle: A tiny model\nsource: {SOURCE}\n"
        "revision: null  # the newest\nfiles: {}\nlicense: openrail++  # read on 2026-11-21\n"
    )
    pin(data, on_hub, "tiny")
    assert not any("safetensors" in path or "bin" in path for path in hub.fetched())
    pinned = read_checkpoint(data, "tiny")
    assert pinned.revision == COMMIT
    assert list(pinned.files) == [
        "README.md",
        "model_index.json",
        "unet/config.json",
        "unet/model.safetensors",
    ]
    text = description.read_text()
    assert "# Chosen for its licence." in text
    assert "# read on 2026-11-21" in text
    assert set(content_of(Checkpoints(data, on_hub).folder("tiny"))) == set(pinned.files)


def test_pinning_again_keeps_to_the_files_that_were_chosen(
    data: Path, on_hub: dict[str, str], hub: HubServer
) -> None:
    describe(data, {"unet/model.safetensors": b"an older one"})
    pin(data, on_hub, "tiny")
    assert {path: file.sha256 for path, file in read_checkpoint(data, "tiny").files.items()} == {
        "unet/model.safetensors": sha256_of(WEIGHTS)
    }
    hub.repositories[SOURCE] = {}
    with pytest.raises(InvalidFile, match=r"has no unet/model\.safetensors"):
        pin(data, on_hub, "tiny")


def test_pinning_a_folder_hashes_what_lies_there(data: Path, environ: dict[str, str]) -> None:
    describe(data, {}, source="trained by us", revision=None)
    folder = write_files(data / "models" / "tiny")
    pin(data, environ, "tiny")
    assert Checkpoints(data, environ).folder("tiny") == folder


def test_pinning_what_is_nowhere_says_where_to_put_it(data: Path, environ: dict[str, str]) -> None:
    describe(data, {}, source="trained by us", revision=None)
    with pytest.raises(MissingModel, match=f"put it into {data / 'models' / 'tiny'}"):
        pin(data, environ, "tiny")


SHARDED = [
    "model_index.json",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model-00001-of-00002.safetensors",
    "transformer/diffusion_pytorch_model-00002-of-00002.safetensors",
    "transformer/diffusion_pytorch_model.safetensors.index.json",
    "text_encoder/model.fp16-00001-of-00001.safetensors",
    "text_encoder/model.safetensors",
    "text_encoder/model.safetensors.index.fp16.json",
    "text_encoder/pytorch_model.bin",
    "tokenizer/vocab.json",
    "unused/config.json",
]


def test_of_a_sharded_repository_all_shards_and_their_index_are_chosen() -> None:
    parts = ["transformer", "text_encoder", "tokenizer"]
    plain = chosen(SHARDED, parts, None)
    assert plain == sorted([*SHARDED[:5], "text_encoder/model.safetensors", "tokenizer/vocab.json"])
    half = chosen(SHARDED, parts, "fp16")
    assert set(half) - set(plain) == {SHARDED[5], SHARDED[7]}
    assert set(plain) - set(half) == {"text_encoder/model.safetensors"}


def test_of_a_repository_without_an_index_every_weight_file_is_chosen() -> None:
    assert chosen(["style_v1.5.safetensors", "README.md", "samples/a.png"], None, None) == [
        "README.md",
        "style_v1.5.safetensors",
    ]


def test_a_repository_of_pickles_or_of_other_variants_alone_is_refused() -> None:
    with pytest.raises(InvalidFile, match="unet: has its weights as pickles alone"):
        chosen(["unet/config.json", "unet/model.bin"], ["unet"], None)
    with pytest.raises(InvalidFile, match=r"fp16.*choose with --variant"):
        chosen(["unet/config.json", "unet/model.fp16.safetensors"], ["unet"], None)


def test_looking_for_models_loads_no_model_library() -> None:
    program = "import sys, asset_pipeline.checkpoints.pinning; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "diffusers", "transformers", "s3fs"} & set(answer.stdout.split())
