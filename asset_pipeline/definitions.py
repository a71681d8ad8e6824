"""Where everything meets: the only module that knows every asset, provider, scorer and target.

Keep implementations out of here; this module wires them, and reads the environment, once.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
from dagster_aws.s3 import S3Resource

from asset_pipeline.automation import SENSORS
from asset_pipeline.calibration import checks as calibration_checks
from asset_pipeline.calibration.acceptance import ACCEPTANCES
from asset_pipeline.calibration.asset import calibration
from asset_pipeline.calibration.records import CALIBRATIONS
from asset_pipeline.candidates import checks as candidates_checks
from asset_pipeline.candidates.asset import candidates
from asset_pipeline.candidates.breaker import HEALTH
from asset_pipeline.candidates.expired import EXPIRIES
from asset_pipeline.candidates.jobs.adapter import Adapter
from asset_pipeline.candidates.jobs.attempt import ATTEMPTS
from asset_pipeline.candidates.jobs.delivery import DELIVERIES
from asset_pipeline.candidates.jobs.remote import Remote
from asset_pipeline.candidates.profile import load_profiles
from asset_pipeline.candidates.records import CANDIDATES, Workshop
from asset_pipeline.candidates.request import Profile, Provider
from asset_pipeline.candidates.token_count import token_counts
from asset_pipeline.candidates.waves import WAVES
from asset_pipeline.catalog import checks as catalog_checks
from asset_pipeline.catalog.asset import catalog
from asset_pipeline.catalog.records import FEEDS, FINDINGS, PHOTOGRAPH_FILES, PRODUCTS, REMOTE_PHOTOGRAPHS
from asset_pipeline.catalog.remote.photograph import FetchRules
from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.decisions.decision import DECISIONS
from asset_pipeline.diffusion.engine import Engine
from asset_pipeline.errors import NotFound, PipelineError
from asset_pipeline.exports import checks as exports_checks
from asset_pipeline.exports.asset import exports
from asset_pipeline.exports.channel import load_channels
from asset_pipeline.exports.records import EXPORTED_FILES, RECEIPTS
from asset_pipeline.exports.target import Target
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.heavy_scorers import text_scorers
from asset_pipeline.prompts import checks as prompts_checks
from asset_pipeline.prompts.asset import prompts
from asset_pipeline.prompts.asset_type import load_asset_types
from asset_pipeline.prompts.brand import load_brand
from asset_pipeline.prompts.policy.policy import load_policy
from asset_pipeline.prompts.records import PROMPT_FAILURES, PROMPT_WARNINGS, PROMPTS, WORDING
from asset_pipeline.prompts.writing.question import TEXT_ANSWERS, TEXT_CLAIMS
from asset_pipeline.prompts.writing.steps import STEP_VERSIONS
from asset_pipeline.prompts.writing.text_model import TextModel, load_text_models
from asset_pipeline.providers.cog import Cog
from asset_pipeline.providers.comfyui import ComfyUI
from asset_pipeline.providers.diffusers import Diffusers
from asset_pipeline.providers.fal import Fal
from asset_pipeline.providers.gemini import Gemini
from asset_pipeline.providers.openai_images import OpenAIImages
from asset_pipeline.providers.packshot import Packshot
from asset_pipeline.providers.replicate import Replicate
from asset_pipeline.providers.runflow import Runflow
from asset_pipeline.providers.runpod import Runpod
from asset_pipeline.providers.scene import Scene
from asset_pipeline.providers.submit_poll import SubmitPoll
from asset_pipeline.providers.synchronous import Synchronous
from asset_pipeline.providers.together import Together
from asset_pipeline.scorers.background_specks import BackgroundSpecks
from asset_pipeline.scorers.background_uniformity import BackgroundUniformity
from asset_pipeline.scorers.background_white import BackgroundWhite
from asset_pipeline.scorers.blank import Blank
from asset_pipeline.scorers.blockiness import Blockiness
from asset_pipeline.scorers.colour import Colour
from asset_pipeline.scorers.exposure import Exposure
from asset_pipeline.scorers.faces import Faces
from asset_pipeline.scorers.file_rules import Dimensions, FileCheck
from asset_pipeline.scorers.framing import ProductFill, ProductInside
from asset_pipeline.scorers.noise import Noise
from asset_pipeline.scorers.product_fidelity import ProductFidelity
from asset_pipeline.scorers.product_lock import ProductLock
from asset_pipeline.scorers.product_orientation import ProductOrientation
from asset_pipeline.scorers.product_structure import ProductStructure
from asset_pipeline.scorers.prompt_alignment import PromptAlignment
from asset_pipeline.scorers.question_answering import question_answering
from asset_pipeline.scorers.safety import Safety
from asset_pipeline.scorers.sharpness import Sharpness
from asset_pipeline.scores import checks as scores_checks
from asset_pipeline.scores.asset import scores
from asset_pipeline.scores.gates import Gates
from asset_pipeline.scores.own_process import in_own_process
from asset_pipeline.scores.records import MEASUREMENTS, SCORES
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Scorer
from asset_pipeline.selection import checks as selection_checks
from asset_pipeline.selection.asset import selection
from asset_pipeline.selection.pass_rates import load_pass_rates
from asset_pipeline.selection.records import SELECTION
from asset_pipeline.store.events import EventStream
from asset_pipeline.store.store import Store
from asset_pipeline.store.tables import Table
from asset_pipeline.store.views import write_views
from asset_pipeline.store.worker import HEARTBEATS
from asset_pipeline.targets.local_folder import LocalFolder
from asset_pipeline.text_models.openai_compatible import OpenAICompatible
from asset_pipeline.text_models.replicate import Replicate as ReplicateText

Choice = TypeVar("Choice")

ASSETS = (catalog, prompts, candidates, scores, calibration, selection, exports)
CHECKS = (
    catalog_checks,
    prompts_checks,
    candidates_checks,
    scores_checks,
    calibration_checks,
    selection_checks,
    exports_checks,
)
TABLES: tuple[Table[Any], ...] = (
    PRODUCTS,
    FINDINGS,
    FEEDS,
    PHOTOGRAPH_FILES,
    REMOTE_PHOTOGRAPHS,
    PROMPTS,
    PROMPT_FAILURES,
    PROMPT_WARNINGS,
    WORDING,
    CANDIDATES,
    MEASUREMENTS,
    SCORES,
    CALIBRATIONS,
    SELECTION,
    EXPORTED_FILES,
)
STREAMS: tuple[EventStream[Any], ...] = (
    TEXT_CLAIMS,
    TEXT_ANSWERS,
    WAVES,
    ATTEMPTS,
    DELIVERIES,
    HEALTH,
    EXPIRIES,
    HEARTBEATS,
    DECISIONS,
    ACCEPTANCES,
    RECEIPTS,
)
VIEWS = (
    """CREATE VIEW lineage AS
       SELECT exports.path, exports.sha256, exports.channel, exports.campaign, exports.sku,
              exports.candidate_id, exports.image_sha256, candidates.profile, candidates.provider,
              candidates.request->>'$.seed' AS seed, candidates.cost_usd, prompts.text AS prompt,
              selection.state, selection.reasons, products.feed, products.row AS feed_row
       FROM exports
       JOIN candidates ON candidates.campaign = exports.campaign
                      AND candidates.candidate_id = exports.candidate_id
       JOIN prompts ON prompts.campaign = exports.campaign AND prompts.prompt_id = candidates.prompt_id
       JOIN selection ON selection.campaign = exports.campaign
                     AND selection.candidate_id = exports.candidate_id
       LEFT JOIN products ON products.sku = exports.sku""",
)
"""How an exported file leads back to its catalog row, for DuckDB users."""


@dataclass(frozen=True)
class Places:
    """Where everything is, as the environment says."""

    data: Path
    """What people write: campaigns, feeds, asset types, profiles."""
    store: str
    """The root of the store: a path or an ``s3://`` URL."""
    views: Path
    """The DuckDB file with views over the store; always on a local disk."""
    exports: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Places":
        """Read ``ASSET_PIPELINE_DATA``, ``_STORE``, ``_VIEWS`` and ``_EXPORTS``."""
        data = Path(environ.get("ASSET_PIPELINE_DATA", "data")).resolve()
        store = environ.get("ASSET_PIPELINE_STORE", str(data / "store"))
        local = data / "store" if store.startswith("s3://") else Path(store)
        return cls(
            data=data,
            store=store,
            views=Path(environ.get("ASSET_PIPELINE_VIEWS", local / "store.duckdb")),
            exports=Path(environ.get("ASSET_PIPELINE_EXPORTS", data / "exports")),
        )


def adapters(data: Path) -> tuple[Adapter, ...]:
    """Every vendor that pictures are asked of; see docs/adding-a-provider.md."""
    return (
        Replicate(),
        Fal(),
        Runpod(data),
        ComfyUI(data),
        OpenAIImages(),
        Together(),
        Gemini(),
        Runflow(),
        Cog(),
        SubmitPoll(),
        Synchronous(),
    )


def providers(checkpoints: Checkpoints) -> dict[str, Provider]:
    """Every way of making an image, by the name that profiles use; those with a model share one engine."""
    engine = Engine(checkpoints)
    local: dict[str, Provider] = {
        "packshot": Packshot(),
        "diffusers": Diffusers(engine),
        "scene": Scene(engine),
    }
    return local | {each.name: Remote(each, checkpoints.environ) for each in adapters(checkpoints.data)}


def text_models(environ: Mapping[str, str]) -> dict[str, TextModel]:
    """Every way of speaking to text models, by the name that their files use; keys are in the environment."""
    return {"openai_compatible": OpenAICompatible(environ), "replicate": ReplicateText(environ)}


def scorers(checkpoints: Checkpoints) -> list[Scorer]:
    """Every way of looking at an image; the heavy ones in processes of their own.

    ``ASSET_PIPELINE_QUESTION_MODEL`` names the model that is asked about pictures; none is unless it does.
    """
    question_model = checkpoints.environ.get("ASSET_PIPELINE_QUESTION_MODEL")
    asking = partial(question_answering, checkpoints, question_model) if question_model else None
    return [
        FileCheck(),
        Dimensions(),
        Blank(),
        Safety(),
        Sharpness(),
        Noise(),
        Blockiness(),
        Exposure(),
        BackgroundWhite(),
        BackgroundUniformity(),
        BackgroundSpecks(),
        ProductFill(),
        ProductInside(),
        Colour(),
        ProductLock(),
        ProductStructure(),
        ProductOrientation(),
        ProductFidelity(checkpoints),
        Faces(checkpoints),
        PromptAlignment(checkpoints),
        *in_own_process(text_scorers),
        *(in_own_process(asking) if asking else ()),
    ]


def targets(places: Places) -> dict[str, Target]:
    """Every place of delivery, by the name that campaigns use."""
    return {"local_folder": LocalFolder(places.exports)}


def workshop(
    store: Store, data: Path, made_by: Mapping[str, Provider], looked_at_by: Sequence[Scorer]
) -> Workshop:
    """What making candidates takes; the scores' gates judge the rounds of funnels."""
    return Workshop(store, data, made_by, Gates(store, data, looked_at_by), partial(load_pass_rates, store))


def s3_resource(environ: Mapping[str, str]) -> S3Resource:
    """Dagster's S3 resource; what is not set is found where boto3 finds it."""
    return S3Resource(
        endpoint_url=environ.get("AWS_ENDPOINT_URL"),
        region_name=environ.get("AWS_REGION"),
        profile_name=environ.get("AWS_PROFILE"),
        aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environ.get("AWS_SESSION_TOKEN"),
    )


def open_store(places: Places, s3: S3Resource) -> Store:
    """The store, known to queries through ``store.duckdb``.

    Raises:
        UnsafeStore: the storage cannot keep the store's promises.
    """
    store = Store(places.store, storage_options(s3) if places.store.startswith("s3://") else None)
    store.declare(TABLES, STREAMS)
    write_views(places.views, store.files, TABLES, STREAMS, VIEWS)
    return store


def storage_options(s3: S3Resource) -> dict[str, Any]:
    """The arguments of ``s3fs.S3FileSystem`` that reach what Dagster's S3 resource reaches."""
    client = {"region_name": s3.region_name, "verify": s3.verify}
    options = {
        "key": s3.aws_access_key_id,
        "secret": s3.aws_secret_access_key,
        "token": s3.aws_session_token,
        "profile": s3.profile_name,
        "endpoint_url": s3.endpoint_url,
        "use_ssl": s3.use_ssl,
        "anon": s3.use_unsigned_session,
        "config_kwargs": {"retries": {"max_attempts": s3.max_attempts, "mode": "standard"}},
        "client_kwargs": {name: value for name, value in client.items() if value is not None},
    }
    return {name: value for name, value in options.items() if value is not None}


@dg.input_manager(description="Loads nothing: values do not travel between assets, facts do.")
def facts(_context: dg.InputContext) -> None:
    """What an op of a graph gets for an upstream asset."""


def code_versions(
    data: Path, made_by: Mapping[str, Provider], looked_at_by: Sequence[Scorer]
) -> dict[str, str]:
    """What each asset's results depend on besides its inputs, so that a change shows as stale in the UI.

    A file that is wrong counts as a version of its own: the run says what is wrong with it.
    """

    def prompts_version() -> Any:
        asset_types, policy = load_asset_types(data).items(), load_policy(data)
        rules = policy.words_sha256 if policy else ""
        words = {name: each.words_sha256 for name, each in asset_types}
        writers = {name: each.fingerprint("") for name, each in load_text_models(data).items()}
        return words, load_brand(data).words_sha256, rules, STEP_VERSIONS, writers

    def candidates_version() -> Any:
        return {
            name: _version(partial(_version_of_profile, each, made_by[each.provider]))
            for name, each in load_profiles(data).items()
            if each.provider in made_by
        }

    def scores_version() -> Any:
        required = load_requirements(data)
        return required.thresholds, required.rules, [(each.dimension, each.version) for each in looked_at_by]

    versions: dict[str, Callable[[], Any]] = {
        "prompts": prompts_version,
        "candidates": candidates_version,
        "scores": scores_version,
        "exports": lambda: load_channels(data),
    }
    return {name: _version(version) for name, version in versions.items()}


def executor(environ: Mapping[str, str]) -> dg.ExecutorDefinition:
    """How a campaign's steps run: in one process, so that a model is loaded once, unless told otherwise.

    ``ASSET_PIPELINE_EXECUTOR`` is ``in_process`` or ``multiprocess``.
    """
    choices: dict[str, dg.ExecutorDefinition] = {
        "in_process": dg.in_process_executor,
        "multiprocess": dg.multiprocess_executor.configured({"start_method": {"forkserver": {}}}),
    }
    return _choice(environ, "ASSET_PIPELINE_EXECUTOR", choices, "in_process")


def backfill_policy(environ: Mapping[str, str]) -> dg.BackfillPolicy | None:
    """How a backfill of many campaigns makes their candidates: a run for each, unless told otherwise.

    ``ASSET_PIPELINE_BACKFILL`` is ``run_per_campaign`` or ``single_run``: one run, so that a model is loaded
    once for all of them.
    """
    choices = {"run_per_campaign": None, "single_run": dg.BackfillPolicy.single_run()}
    return _choice(environ, "ASSET_PIPELINE_BACKFILL", choices, "run_per_campaign")


def build(
    places: Places,
    environ: Mapping[str, str],
    made_by: Mapping[str, Provider] | None = None,
    *,
    checkpoints: Checkpoints | None = None,
) -> dg.Definitions:
    """The whole project as Dagster sees it.

    Args:
        places: where everything is.
        environ: what the environment says.
        made_by: who can make images; held as long as the process lives, so that a model that one shard, run
            or campaign has loaded serves the next.
        checkpoints: the model files; so are they, that each is verified once.
    """
    checkpoints = checkpoints or Checkpoints(places.data, environ)
    made_by = made_by or providers(checkpoints)
    looked_at_by = scorers(checkpoints)
    versions = code_versions(places.data, made_by, looked_at_by)
    retries = {"dagster/retry_strategy": "FROM_ASSET_FAILURE"}
    campaign_job = dg.define_asset_job(
        "campaign",
        selection=[each for each in ASSETS if each is not calibration],
        tags=retries,
        description="Everything of a campaign, from the feeds to the exports.",
    )
    delivery_job = dg.define_asset_job(
        "delivery",
        selection=[selection, exports],
        tags=retries,
        description="Choose and export again, after people have decided.",
    )
    calibration_job = dg.define_asset_job(
        "calibrating",  # no job can have an asset's name
        selection=[calibration],
        tags=retries,
        description="Learn from people's decisions in all campaigns.",
    )
    candidates_of_many = candidates.with_attributes(backfill_policy=backfill_policy(environ))
    assets = [candidates_of_many if each is candidates else each for each in ASSETS]
    s3 = s3_resource(environ)
    resources = {
        "s3": s3,
        "data": places.data,
        "fetch_rules": FetchRules.of(environ),
        "store": dg.ResourceDefinition(lambda _: open_store(places, s3)),
        "workshop": dg.ResourceDefinition(
            lambda context: workshop(context.resources.store, places.data, made_by, looked_at_by),
            required_resource_keys={"store"},
        ),
        "tokens": token_counts(places.data, made_by),
        "text_models": text_models(environ),
        "scorers": looked_at_by,
        "targets": targets(places),
        "facts": facts,
    }
    return dg.Definitions(
        assets=dg.map_asset_specs(lambda spec: _with_version(spec, versions), assets),
        asset_checks=dg.load_asset_checks_from_modules(CHECKS),
        jobs=[campaign_job, delivery_job, calibration_job],
        sensors=SENSORS,
        resources=resources,
        executor=executor(environ),
    )


def _choice(environ: Mapping[str, str], variable: str, choices: Mapping[str, Choice], default: str) -> Choice:
    name = environ.get(variable, default)
    if name not in choices:
        raise NotFound(f"{variable}: there is no {name!r} (there are: {', '.join(choices)})")
    return choices[name]


def _with_version(spec: dg.AssetSpec, versions: Mapping[str, str]) -> dg.AssetSpec:
    own = versions.get(spec.key.to_user_string())
    return spec.replace_attributes(code_version=f"{spec.code_version}+{own}") if own else spec


def _version_of_profile(profile: Profile, provider: Provider) -> str:
    return profile.fingerprint(provider.version_of(profile.parameters))


def _version(read: Callable[[], Any]) -> str:
    try:
        return fingerprint(read())[:12]
    except PipelineError:
        return "unreadable"


PLACES = Places.of(os.environ)
CHECKPOINTS = Checkpoints(PLACES.data, os.environ)
PROVIDERS = providers(CHECKPOINTS)
TEXT_MODELS = text_models(os.environ)
defs = build(PLACES, os.environ, PROVIDERS, checkpoints=CHECKPOINTS)
