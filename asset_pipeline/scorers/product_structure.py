"""Is it this very product, part by part?"""

from typing import Final

from asset_pipeline.pictures.aligned import registered, standard
from asset_pipeline.pictures.standard_photographs import StandardPhotographs
from asset_pipeline.scores.score import Look, Measured

ANOTHER_VIEW: Final = 0.5
"""The mean likeness below which a picture whose photograph nobody recorded may show another side: measured on
24 products, at least 0.91 for faithful pictures and at most 0.23 for other products."""


class ProductStructure:
    """The likeness of the part of the product that is least like its photograph: 1 the same, 0 unrelated.

    The product is registered with the photograph in position, size and turn (up to about 30 degrees), and
    compared in local windows by the contrast and structure term of SSIM (Wang et al., IEEE TIP 13, 2004) over
    fine structure and outline; the value is the mean over the worst part, an eighth of the product wide. So
    it is the one wrong place that counts: a label, a missing part, a crop, a stretched shape. See
    ``pictures/aligned.py``. No code or weights of others.

    The photograph is the one that the picture's details name; else that which fits best, and then there is no
    value where none fits, since the picture may show a side that nobody photographed.

    Measured at 1024² on 24 rendered products, median (least to greatest): 0.96 (0.74 to 0.997) for 168
    faithful composites, among them small ones, turned by 6 degrees, and product-locked scenes; the same
    after JPEG 30, noise of 10 levels or a blur of 2 pixels. 0.03 (at most 0.48) with another product's words,
    0.06 (at most 0.49) without its print, 0.38 (at most 0.49) with the print mirrored; at most 0.02 where a
    third is cut off, 0.11 stretched by a fifth, 0.46 for another product of the same kind, 0.07 flipped or
    turned. Two letters of the title swapped: 0.69 (0.38 to 0.90). 11 ms for a picture and core.

    Failure modes: the whole product is compared at about 190 pixels, so small print and typos are for the
    text scorer. Colour and large soft shades are left out on purpose. What is finer than a hundredth of the
    product is not seen. A product that was drawn anew, a garment in other folds or another camera height is
    unlike its photograph and reads as such. A mask that leaves out a part reads as a missing part, and so
    does one that leaves out the shadow at the foot which the photograph's cut-out keeps (3 of 24 products
    in scenes, 0.17 to 0.44); strong blur lowers the value of finely textured products.
    """

    dimension = "product_structure"
    version = "1"
    unit = "likeness of the worst part, -1 to 1"
    better = "higher"
    expects: tuple[str, ...] = ()
    promises: tuple[str, ...] = ("fit",)

    def __init__(self) -> None:
        self._photographs = StandardPhotographs()

    def measure(self, look: Look) -> Measured:
        """Register the product with its photographs and find its worst part."""
        photographs, known = self._photographs.of(look.references, look.details)
        if not photographs:
            return Measured(
                reason="no reference photograph is cut out" if look.references else "no reference photograph"
            )
        picture = None if look.mask is None else standard(look.pixels, look.mask)
        if picture is None:
            return Measured(reason="nobody knows where the product is, or it is too small to compare")
        best = max((registered(picture, each.standard) for each in photographs), key=lambda found: found.fit)
        if not known and best.fit < ANOTHER_VIEW:
            return Measured(
                reason=f"it is like none of the {len(photographs)} photographs of the product (at most "
                f"{best.fit:.2f}): another side of it that nobody photographed, or another product"
            )
        return Measured(
            round(best.worst, 4),
            details={"fit": round(best.fit, 3), "worst_at": list(best.worst_at), "view_known": known},
        )
