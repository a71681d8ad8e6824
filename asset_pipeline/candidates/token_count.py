"""How long a prompt is to the model of a campaign's profile, told before anything is spent."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from asset_pipeline.campaign.brief import Campaign
from asset_pipeline.candidates.profile import load_profile
from asset_pipeline.candidates.request import Provider
from asset_pipeline.errors import PipelineError
from asset_pipeline.prompts.policy.wording_checks import TokenCount, TokenCounts


@runtime_checkable
class ReadsTokens(Protocol):
    """A provider whose model reads a prompt as tokens, and no more of them than it was made for."""

    def tokens(self, parameters: Mapping[str, Any], text: str) -> tuple[int, int]:
        """How many tokens a prompt is, and how many the model reads. Loads no weights.

        Raises:
            UnsupportedRequest: the parameters mean nothing to this provider.
            MissingModel: a file of the model is missing or altered.
            NotFound: the parameters name a model that is not there.
        """


def token_counts(data: Path, providers: Mapping[str, Provider]) -> TokenCounts:
    """Gives the count of tokens for what a campaign's profile and an asset type say together.

    Where the provider reads no tokens nothing is counted and nothing loaded. Where the profile or its model
    is not there, nothing is counted either: planning and making the candidates say what is missing.
    """

    def count_for(campaign: Campaign, parameters: Mapping[str, Any]) -> TokenCount:
        try:
            profile = load_profile(data, campaign.profile, providers)
            provider = providers[profile.provider]
            if not isinstance(provider, ReadsTokens):
                return _uncounted
            together = dict(profile.parameters) | dict(parameters)
            provider.tokens(together, "")
        except PipelineError:
            return _uncounted
        return partial(provider.tokens, together)

    return count_for


def _uncounted(_text: str) -> None:
    """Nobody counts."""
