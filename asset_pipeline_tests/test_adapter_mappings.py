"""An option that is neither said nor named as dropped does not exist, whatever a profile asks for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from asset_pipeline.candidates.jobs.job import Job
from asset_pipeline.candidates.jobs.mapping import FIELDS, asked_size, refused_drops
from asset_pipeline.candidates.profile import load_profiles
from asset_pipeline.candidates.request import ImageReference
from asset_pipeline.errors import UnsupportedRequest
from asset_pipeline_tests.vendors.case import Case, job_for
from asset_pipeline_tests.vendors.cases import CASES

DATA = Path(__file__).parent.parent / "data"
SHIPPED = {name: profile for name, profile in load_profiles(DATA).items() if profile.endpoint is not None}
ALL = [pytest.param(case, id=name) for name, case in CASES.items()]
PHOTOGRAPH = ImageReference(role="base", sha256="ab" * 32, media_type="image/png", width=8, height=8)
SENT = "data:image/png;base64,a-photograph"
EVERYTHING: dict[str, Any] = {
    "steps": 37,
    "guidance_scale": 6.25,
    "sampler": "euler",
    "scheduler": "karras",
    "strength": 0.55,
}
"""Values that stand nowhere by themselves."""


def leaves(value: Any) -> Iterator[Any]:
    """Everything that a payload says, however deep."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from leaves(each)
    else:
        yield value


def wanted(job: Job) -> dict[str, Any]:
    """All that a job asks for, by our names."""
    request, own = job.request, job.parameters
    asked = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or None,
        "width": request.width,
        "height": request.height,
        "seed": request.seed,
        **{name: getattr(own, name) for name in EVERYTHING},
        "model": own.model or None,
        "version": own.version,
        **own.native,
        **job.extra,
        **{f"references.{each.role}": SENT for each in request.references},
    }
    return {name: value for name, value in asked.items() if value is not None}


def said(case: Case, job: Job) -> tuple[set[str], tuple[str, ...]]:
    """Which of a job's wishes stand in the draft, and which are named as dropped."""
    sent = {each.sha256: SENT for each in job.request.references}
    draft = case.adapter.draft(job, sent)
    found = [*leaves(draft.payload), draft.url]
    texts = [str(each) for each in found]
    size = asked_size(job)

    def stands(name: str, value: Any) -> bool:
        if name in ("width", "height"):
            side = str(getattr(size, name))
            return any(side in text.split("x") or text == size.ratio for text in texts)
        if name.startswith("references."):
            return SENT in found or any(PHOTOGRAPH.sha256 in text for text in texts)
        if isinstance(value, dict):
            return all(stands(name, each) for each in leaves(value))
        if isinstance(value, str):
            return any(value in text for text in texts)
        return any(each == value and not isinstance(each, bool) for each in found)

    return {name for name, value in wanted(job).items() if stands(name, value)}, draft.dropped


@st.composite
def jobs(draw: st.DrawFn, case: Case) -> Job:
    """Anything that a profile and a request may ask for together."""
    own = dict(case.parameters)
    own |= draw(st.fixed_dictionaries({}, optional={name: st.just(EVERYTHING[name]) for name in EVERYTHING}))
    if not own.get("model"):
        own["model"] = draw(st.sampled_from(["", "acme/other-model"]))
    own["version"] = draw(st.sampled_from([None, "f" * 64]))
    if case.adapter.abilities.more_by_profile:
        word = st.sampled_from(["", "field"])
        chosen = draw(st.dictionaries(st.sampled_from(FIELDS), word, max_size=5))
        words = {name: path and f"odd.{name}" for name, path in chosen.items()}
        own["fields"] = {**own.get("fields", {}), **words}
        own["native"] = {
            **own.get("native", {}),
            **draw(st.sampled_from([{}, {"odd_native": "a-native-word"}])),
        }
    place = dict(case.parameters.get("references", {})).get("base", "photograph_here")
    own["references"] = draw(st.sampled_from([{}, {"base": place}]))
    job = job_for(
        own,
        prompt="a teapot of green glass",
        negative_prompt=draw(st.sampled_from(["", "hands and text"])),
        width=draw(st.sampled_from([256, 704, 1024])),
        height=draw(st.sampled_from([320, 768])),
        seed=draw(st.integers(10_000, 2**31 - 1)),
        references=draw(st.sampled_from([(), (PHOTOGRAPH,)])),
    )
    return job.model_copy(update={"extra": draw(st.sampled_from([{}, {"framing": "very close"}]))})


@pytest.mark.parametrize("case", ALL)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_option_is_said_or_named_as_dropped(case: Case, data: st.DataObject) -> None:
    job = data.draw(jobs(case))
    try:
        stands, dropped = said(case, job)
    except UnsupportedRequest:
        event("refused")
        return
    silent = wanted(job).keys() - stands - set(dropped)
    if "version" in stands:
        silent -= {"model"}  # a version is one model's
    if "width" in dropped and job.parameters.sizes.ratios:
        silent -= {"height"}  # a shape by its name is one word
    assert not silent, f"neither said nor dropped: {silent}"


@pytest.mark.parametrize("case", ALL)
def test_an_adapter_says_by_itself_what_its_abilities_name_and_no_more(case: Case) -> None:
    plain = {name: value for name, value in case.parameters.items() if name != "fields"}
    sizes = {"ratios": ["16:9", "1:1"]} if "width" not in case.adapter.abilities.says else {}
    if "aspect_ratio" in case.adapter.abilities.says:
        sizes = {"ratios": ["16:9", "1:1"]}
    job = job_for(
        {**plain, **EVERYTHING, **({"sizes": sizes} if sizes else {})},
        prompt="a teapot of green glass",
        negative_prompt="hands and text",
        width=704,
        height=320,
        seed=12_345,
    )
    stands, dropped = said(case, job)
    told = {"aspect_ratio" if name == "width" and job.parameters.sizes.ratios else name for name in stands}
    names = told & {*FIELDS} - {"height"}
    assert names == case.adapter.abilities.says - ({"width"} if "aspect_ratio" in names else set())
    assert not stands & set(dropped)


@pytest.mark.parametrize("case", ALL)
def test_a_profile_takes_a_word_away_and_the_option_is_dropped(case: Case) -> None:
    if not case.adapter.abilities.more_by_profile:
        pytest.skip("its words are a workflow's")
    job = job_for(
        {**case.parameters, "fields": {**case.parameters.get("fields", {}), "seed": ""}}, seed=12_345
    )
    stands, dropped = said(case, job)
    assert "seed" in dropped
    assert "seed" not in stands


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_profile_says_a_plain_request_or_may_leave_unsaid_what_it_cannot(name: str) -> None:
    shipped = SHIPPED[name]
    adapter = {case.adapter.name: case.adapter for case in CASES.values()}[shipped.provider]
    photographs = (PHOTOGRAPH,) if shipped.parameters.get("references") else ()
    job = job_for(shipped.parameters, width=1024, height=1024, seed=12_345, references=photographs)
    draft = adapter.draft(job, {PHOTOGRAPH.sha256: SENT})
    assert refused_drops(draft.dropped, job.parameters.may_drop) == []
    assert any(job.request.prompt in str(each) for each in leaves(draft.payload))
