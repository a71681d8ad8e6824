"""Walking an asset's story from what left back to the catalog, and checking every link on the way.

Each record names what it rests on by hash. A link holds when what lies in the store has exactly the hash
that was named, and says what its neighbours say. Where a record is altered or gone its word counts for
nothing, and the walk goes on with what the records around it name, so that only what is broken is called so.

This shows that records agree, not who wrote them: whoever may write to the store can make all of them anew.
Of a decision, no other record names the time and the reason that was given, only who decided what about which
image. A copy of the manifest's hash that is kept elsewhere is what a forger cannot reach.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

from asset_pipeline.audit.delivered import deliveries, file_links, manifest_links, receipt_links, record_links
from asset_pipeline.audit.find import Subject
from asset_pipeline.audit.judged import decisions_link, guarantee_links, scores_link
from asset_pipeline.audit.ledger import Finding, look_up
from asset_pipeline.audit.made import attempts_link, image_links
from asset_pipeline.audit.sources import photograph_links, row_link, template_link
from asset_pipeline.audit.story import Link, Story, link_of
from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.candidates.records import CANDIDATES
from asset_pipeline.catalog.product import Product
from asset_pipeline.catalog.records import PRODUCTS, WHOLE
from asset_pipeline.errors import BrokenFact
from asset_pipeline.exports.records import ExportedFile
from asset_pipeline.prompts.prompt import Prompt, prompt_id_of
from asset_pipeline.prompts.records import PROMPTS, WORDING
from asset_pipeline.selection.choice import Choice
from asset_pipeline.selection.records import SELECTION
from asset_pipeline.store.store import Store


def trace(store: Store, data: Path, exports_folder: Path, subject: Subject) -> Story:
    """Tell an asset's story, checking every link. Writes nothing, and never stops at what is broken.

    Args:
        store: where facts, events and images are.
        data: what people write, to say whether feed and template are still as they were.
        exports_folder: where exported files are, as ``<campaign>/<export>/...``.
        subject: the asset.
    """
    return _Walk(store, data, exports_folder, subject).story()


class _Walk:
    """One asset's records, each found by what the records that hold say of it."""

    def __init__(self, store: Store, data: Path, exports_folder: Path, subject: Subject) -> None:
        self._store = store
        self._data = data
        self._exports_folder = exports_folder
        self._subject = subject
        self._campaign_id = subject.campaign_id
        self._candidate_id = subject.candidate_id
        self._deliveries = deliveries(store, subject)
        self._exported = tuple(
            each.row for delivery in self._deliveries if delivery.holds for each in delivery.files
        )

    def story(self) -> Story:
        store, found = self._store, self._deliveries
        choice, candidate = self._choice.row, self._candidate.row
        prompt, product = self._prompt.row, self._product.row
        named = choice.decisions if choice else self._record.decisions if self._record else None
        links = (
            *file_links(self._exports_folder, self._subject, found, self._image_sha256),
            *record_links(store, self._subject, found),
            *receipt_links(store, found),
            *manifest_links(self._exports_folder, found),
            self._selection_link(),
            decisions_link(store, self._campaign_id, self._candidate_id, choice, named),
            *guarantee_links(store, choice),
            scores_link(store, self._campaign_id, self._candidate_id, choice),
            self._candidate_link(),
            attempts_link(store, self._campaign_id, self._candidate_id, candidate),
            *image_links(store, self._campaign_id, self._image_sha256, candidate),
            self._prompt_link(),
            template_link(self._data, prompt),
            self._product_link(),
            *photograph_links(store, self._photographs, product),
            row_link(self._data, product),
        )
        return Story(
            campaign_id=self._campaign_id,
            candidate_id=self._candidate_id,
            links=links,
            exported=self._exported,
            choice=choice,
            candidate=candidate,
            prompt=prompt,
        )

    @property
    def _record(self) -> ExportedFile | None:
        return self._exported[0] if self._exported else None

    @cached_property
    def _choice(self) -> Finding[Choice]:
        named = self._record.selection_fact_sha256 if self._record else None
        key = ("candidate_id", self._candidate_id)
        return look_up(self._store, SELECTION, self._campaign_id, named, key)

    @cached_property
    def _candidate(self) -> Finding[Candidate]:
        witness = self._choice.row or self._record
        named = witness.candidate_fact_sha256 if witness else None
        key = ("candidate_id", self._candidate_id)
        return look_up(self._store, CANDIDATES, self._campaign_id, named, key)

    @cached_property
    def _prompt(self) -> Finding[Prompt]:
        witness = self._candidate.row or self._record
        named = witness.prompt_fact_sha256 if witness else None
        source = witness or self._choice.row
        if source is None:
            return Finding("not checked", "no record that holds names it")
        return look_up(self._store, PROMPTS, self._campaign_id, named, ("prompt_id", source.prompt_id))

    @cached_property
    def _product(self) -> Finding[Product]:
        witness = self._prompt.row or self._record
        source = witness or self._candidate.row or self._choice.row
        if source is None:
            return Finding("not checked", "no record that holds names it")
        named = witness.product_fact_sha256 if witness else None
        return look_up(self._store, PRODUCTS, WHOLE, named, ("sku", source.sku))

    @property
    def _image_sha256(self) -> str | None:
        witness = self._choice.row or self._record or self._candidate.row
        return witness.image_sha256 if witness else None

    @property
    def _photographs(self) -> dict[str, str] | None:
        """Roles of the photographs that were used, by hash, as the first record that holds says."""
        if self._candidate.row:
            return {each.sha256: each.role for each in self._candidate.row.request.references}
        if self._prompt.row:
            return {each.sha256: each.role for each in self._prompt.row.references}
        if self._product.row:
            return {each.sha256: each.role for each in self._product.row.photographs}
        return None

    def _selection_link(self) -> Link:
        choice, record = self._choice.row, self._record
        disagreements = []
        if choice and record and choice.state != "approved":
            disagreements.append(f"an image left that the selection calls {choice.state}")
        if choice and record and choice.image_sha256 != record.image_sha256:
            disagreements.append("the selection is about another image than the one that was exported")
        facts = choice.model_dump(mode="json", exclude={"candidate_fact_sha256"}) if choice else {}
        return link_of("selection", self._candidate_id, self._choice, facts, disagreements)

    def _candidate_link(self) -> Link:
        candidate = self._candidate.row
        if candidate is None:
            return link_of("candidate", self._candidate_id, self._candidate, {})
        disagreements = []
        if candidate.request.candidate_id != candidate.candidate_id:
            disagreements.append(f"its request is that of {candidate.request.candidate_id}")
        if candidate.image_sha256 != self._image_sha256:
            disagreements.append("it was made afresh since: the image that was chosen is another one")
        facts = candidate.model_dump(
            mode="json",
            include={
                "profile",
                "provider",
                "provider_version",
                "state",
                "cost_usd",
                "seconds",
                "position",
                "attempt",
            },
        )
        request = candidate.request.model_dump(
            mode="json", include={"seed", "profile_fingerprint", "parameters"}
        )
        return link_of("candidate", self._candidate_id, self._candidate, facts | request, disagreements)

    def _prompt_link(self) -> Link:
        prompt, candidate, record = self._prompt.row, self._candidate.row, self._record
        if prompt is None:
            witness = candidate or self._choice.row or record
            return link_of("prompt", witness.prompt_id if witness else "", self._prompt, {})
        disagreements = []
        if prompt_id_of(prompt) != prompt.prompt_id:
            disagreements.append(f"its content is that of the prompt {prompt_id_of(prompt)}")
        if candidate and (candidate.request.prompt, candidate.request.negative_prompt) != (
            prompt.text,
            prompt.negative_text,
        ):
            disagreements.append("the request was made with other words")
        if record and record.prompt != prompt.text:
            disagreements.append("the export names other words")
        columns = {
            "text",
            "negative_text",
            "locale",
            "words_locale",
            "variation",
            "width",
            "height",
            "asset_type",
        }
        facts = prompt.model_dump(mode="json", include=columns) | self._policy
        return link_of("prompt", prompt.prompt_id, self._prompt, facts, disagreements)

    @property
    def _policy(self) -> dict[str, Any]:
        """The policy that the prompt passed when it was recorded, if there was one and its record holds."""
        recorded = self._prompt.recorded
        if recorded is None:
            return {}
        try:
            editions = self._store.facts.read(WORDING, self._campaign_id, as_of=recorded.recorded_at)
        except BrokenFact:
            return {}
        policy = next((each for each in editions if each.kind == "policy"), None)
        return {"policy": policy.model_dump(include={"version", "owner", "sha256"})} if policy else {}

    def _product_link(self) -> Link:
        product, prompt = self._product.row, self._prompt.row
        if product is None:
            witness = prompt or self._record or self._candidate.row or self._choice.row
            return link_of("product", witness.sku if witness else "", self._product, {})
        disagreements = []
        used, known = set(self._photographs or ()), {each.sha256 for each in product.photographs}
        if not used <= known:
            disagreements.append("pictures were used that are not among its photographs")
        facts = product.model_dump(mode="json", include={"sku", "texts", "brand", "price", "currency"})
        return link_of("product", product.sku, self._product, facts, disagreements)
