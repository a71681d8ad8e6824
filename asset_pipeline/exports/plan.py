"""Which files an export consists of, before any is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.errors import IncompleteExport
from asset_pipeline.exports.channel import ORIGINAL, Channel
from asset_pipeline.exports.derivative import DERIVATIVE_VERSION
from asset_pipeline.exports.naming import SUFFIXES, file_path
from asset_pipeline.fingerprint import fingerprint
from asset_pipeline.prompts.prompt import Prompt
from asset_pipeline.selection.choice import Choice


@dataclass(frozen=True)
class PlannedFile:
    """One file that is to leave: an approved image in one channel's shape, or the original itself."""

    choice: Choice
    candidate: Candidate
    prompt: Prompt
    image_sha256: str
    channel_name: str
    channel: Channel | None
    """None for the original, which leaves as it is."""

    @property
    def recipe_sha256(self) -> str:
        """The hash of what decides the file's bytes: the same recipe never has to be cooked again."""
        if self.channel is None:
            return fingerprint([ORIGINAL, self.image_sha256])
        mask_sha256 = self.candidate.mask_sha256
        return fingerprint([DERIVATIVE_VERSION, self.channel.picture_sha256, self.image_sha256, mask_sha256])

    def path(self, suffix: str) -> str:
        """Its path in the export, given the suffix of its format."""
        return file_path(
            sku=self.choice.sku,
            asset_type=self.choice.asset_type,
            locale=self.choice.locale,
            variation=self.prompt.variation,
            candidate_id=self.choice.candidate_id,
            channel=self.channel_name,
            suffix=SUFFIXES[self.channel.format] if self.channel else suffix,
        )


def plan_files(
    choices: Sequence[Choice],
    candidates: Sequence[Candidate],
    prompts: Sequence[Prompt],
    channels: Mapping[str, Channel],
) -> list[PlannedFile]:
    """Every file of an export in the order of the choices: the original, then each channel.

    Only approved choices count, whatever else is handed in.

    Raises:
        IncompleteExport: the selection speaks of images that the candidates or prompts no longer have.
    """
    made = {candidate.candidate_id: candidate for candidate in candidates}
    written = {prompt.prompt_id: prompt for prompt in prompts}
    shapes: dict[str, Channel | None] = {ORIGINAL: None, **channels}
    planned = []
    for choice in choices:
        if choice.state != "approved":
            continue
        candidate, prompt = made.get(choice.candidate_id), written.get(choice.prompt_id)
        if (
            candidate is None
            or prompt is None
            or choice.image_sha256 is None
            or candidate.image_sha256 != choice.image_sha256
        ):
            raise IncompleteExport(
                f"{choice.sku}: the selection approved image {choice.image_sha256} of candidate "
                f"{choice.candidate_id}, which has changed since; materialise selection, then exports"
            )
        planned += [
            PlannedFile(choice, candidate, prompt, choice.image_sha256, name, channel)
            for name, channel in shapes.items()
        ]
    return planned


def waiting(choices: Sequence[Choice]) -> int:
    """How many chosen images wait for a person."""
    return sum(choice.state == "pending" for choice in choices)
