"""How large is the product in the frame, and is all of it there?"""

import numpy as np

from asset_pipeline.scores.score import Look, Measured


class ProductFill:
    """How much of the frame the product's bounding box takes, along the side that limits it, in percent.

    The greater of the box's width over the frame's and its height over the frame's: 100 touches two opposite
    sides. Amazon asks for 85 and more of a main image. The mask's share of the area is a detail: a thin
    product fills the frame with little of it.

    Failure modes: a shadow, a reflection or a stray speck in the mask widens the box.
    """

    dimension = "product_fill"
    version = "1"
    unit = "percent"
    better = "none"
    expects: tuple[str, ...] = ()
    promises = (
        "area_percent",
        "margins_px.top",
        "margins_px.right",
        "margins_px.bottom",
        "margins_px.left",
    )

    def measure(self, look: Look) -> Measured:
        """Measure the bounding box of the product."""
        product, box = look.product, look.product_box
        if product is None or box is None:
            return Measured(reason="nobody knows where the product is")
        height, width = product.shape
        rows, columns = box
        sides = ((rows.stop - rows.start) / height, (columns.stop - columns.start) / width)
        return Measured(
            100 * max(sides),
            details={
                "area_percent": round(100 * np.count_nonzero(product) / product.size, 2),
                "margins_px": {
                    "top": rows.start,
                    "right": width - columns.stop,
                    "bottom": height - rows.stop,
                    "left": columns.start,
                },
            },
        )


class ProductInside:
    """The share of the frame's outermost pixels that belong to the product: 0 when nothing is cut off.

    Failure modes: a product that was cut off in its photograph and then placed with a margin reads as
    whole; a crop that a scene wants is not told from one that it does not.
    """

    dimension = "product_inside"
    version = "1"
    unit = "share of the frame's edge"
    better = "lower"
    expects: tuple[str, ...] = ()

    def measure(self, look: Look) -> Measured:
        """Count the product's pixels along each edge of the frame."""
        product = look.product
        if product is None or look.product_box is None:
            return Measured(reason="nobody knows where the product is")
        edges = {"top": product[0], "right": product[:, -1], "bottom": product[-1], "left": product[:, 0]}
        touched = [name for name, edge in edges.items() if edge.any()]
        return Measured(float(np.mean(np.concatenate(list(edges.values())))), details={"touches": touched})
