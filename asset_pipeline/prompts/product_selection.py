"""Which products of the catalog a campaign is about."""

from collections.abc import Sequence

from asset_pipeline.campaign.brief import ProductSelection
from asset_pipeline.catalog.product import Product


def select_products(products: Sequence[Product], selection: ProductSelection) -> list[Product]:
    """The products for which every given part of the selection holds, in SKU order."""
    chosen = [
        product
        for product in sorted(products, key=lambda product: product.sku)
        if _belongs(product, selection)
    ]
    return chosen[: selection.limit]


def unknown_skus(products: Sequence[Product], selection: ProductSelection) -> list[str]:
    """The SKUs that the selection names and the catalog does not have."""
    known = {product.sku for product in products}
    return sorted({*selection.skus, *selection.exclude} - known)


def _belongs(product: Product, selection: ProductSelection) -> bool:
    categories = {category.casefold() for category in product.categories}
    return (
        (not selection.skus or product.sku in selection.skus)
        and product.sku not in selection.exclude
        and (not selection.feeds or product.feed in selection.feeds)
        and (
            not selection.categories
            or not categories.isdisjoint(category.casefold() for category in selection.categories)
        )
        and all(
            product.attributes.get(name.lower(), "").casefold() in {value.casefold() for value in values}
            for name, values in selection.attributes.items()
        )
    )
