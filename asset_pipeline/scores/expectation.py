"""What each picture has to show besides what its request says, from the catalog and its asset type."""

from collections.abc import Callable, Mapping, Sequence

from asset_pipeline.candidates.candidate import Candidate
from asset_pipeline.catalog.product import Product
from asset_pipeline.prompts.asset_type import AssetType
from asset_pipeline.scores.score import Expectation

LABEL_TEXT = "label_text"
"""The product attribute that holds the words on the product, one phrase to a line or between bars (``|``)."""


def expectations(
    products: Sequence[Product], asset_types: Mapping[str, AssetType]
) -> Callable[[Candidate], Expectation]:
    """What a candidate has to show; of a product that is no longer in the catalog nothing is known."""
    words = {product.sku: _words(product) for product in products}
    people = {name for name, asset_type in asset_types.items() if asset_type.people}

    def expected(candidate: Candidate) -> Expectation:
        return Expectation(words=words.get(candidate.sku), people=candidate.asset_type in people)

    return expected


def _words(product: Product) -> tuple[str, ...] | None:
    """The phrases of the label; empty for ``none``, which says that the product carries no words."""
    given = product.attributes.get(LABEL_TEXT)
    if given is None or not given.strip():
        return None
    if given.strip().casefold() == "none":
        return ()
    phrases = (" ".join(phrase.split()) for phrase in given.replace("|", "\n").splitlines())
    return tuple(phrase for phrase in phrases if phrase)
