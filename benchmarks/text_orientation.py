"""Which way do the words on products stand: what the scorers say, and what a usual text check says.

Sixty labels on ten kinds of product of the sample renderer, in fifteen wordings, six fonts and five colours,
each upright, upside down, turned by a quarter either way, mirrored and flipped: half the pictures show an
upright product whose label stands that way, half a product that stands that way as a whole. No photograph is
known; the words are declared.

The usual check reads the picture with RapidOCR's default pipeline and passes it if each expected word of
three letters or more was read with a similarity of at least 0.9. Of a picture that stands upright a pass is
right, of any other it is wrong.
"""

import argparse
import os
import platform
import time
from dataclasses import dataclass

import numpy as np
from rapidocr import RapidOCR

from asset_pipeline.reading.orientation import ORIENTATIONS, Orientation
from asset_pipeline.reading.wording import LONG_ENOUGH, folded, likeness, words_of
from asset_pipeline.reading.words_on_products import WordsOnProducts
from asset_pipeline.scorers.text_legibility import TextLegibility
from asset_pipeline.scorers.text_orientation import TextOrientation
from asset_pipeline.scores.score import Look, Measured
from asset_pipeline_tests.labelled_products import Labelled, Turned, labelled, seen

SIMILAR = 0.9
ENOUGH = 0.1
"""The shipped threshold of ``text_orientation``."""


@dataclass(frozen=True)
class Called:
    """A picture, and what was said of it."""

    number: int
    product: Labelled
    stands: Orientation
    turned: Turned
    orientation: Measured
    legibility: Measured
    usual_check_passes: bool

    @property
    def passes(self) -> bool:
        """Whether it is called upright."""
        return self.orientation.value is not None and self.orientation.value >= ENOUGH

    @property
    def right(self) -> bool:
        """Whether the orientation that it was found in is the one it has, and is judged so."""
        found = self.orientation.details.get("stands")
        return found == self.stands and self.passes == (self.stands == "upright")


def usual_check(pipeline: RapidOCR, look: Look) -> bool:
    """Whether every expected word was read, whichever way it stands."""
    found = pipeline(look.pixels[..., ::-1].copy(), use_det=True, use_cls=True, use_rec=True)
    read = [word for text in getattr(found, "txts", None) or () for word in words_of(text)]
    expected = [word for phrase in look.expectation.words or () for word in words_of(phrase)]
    return all(
        any(likeness(word, each) >= SIMILAR for each in read)
        for word in expected
        if len(folded(word)) >= LONG_ENOUGH
    )


def main() -> None:
    """Render, read, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=int, default=60)
    parser.add_argument("--size", type=int, default=640)
    given = parser.parse_args()
    print(
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors, load "
        f"{os.getloadavg()[0]:.1f}; {given.labels} labels × {len(ORIENTATIONS)} states, {given.size} px"
    )
    words = WordsOnProducts()
    orientation, legibility = TextOrientation(words), TextLegibility(words)
    if reason := words.unable():
        raise SystemExit(reason)
    pipeline = RapidOCR(params={"Global.log_level": "error"})
    seconds = {"ours": 0.0, "usual check": 0.0}
    called: list[Called] = []
    # pictures of a kind and view share what the renderer traced
    numbers = sorted(range(given.labels), key=lambda each: (labelled(each).kind, labelled(each).view, each))
    for number in numbers:
        product = labelled(number)
        for place, stands in enumerate(ORIENTATIONS):
            turned: Turned = "label" if (number + place) % 2 else "product"
            look = seen(product, stands, turned, given.size)
            start = time.perf_counter()
            ours = orientation.measure(look), legibility.measure(look)
            seconds["ours"] += time.perf_counter() - start
            start = time.perf_counter()
            usual = usual_check(pipeline, look)
            seconds["usual check"] += time.perf_counter() - start
            called.append(Called(number, product, stands, turned, *ours, usual))
    report(called, seconds)


def report(called: list[Called], seconds: dict[str, float]) -> None:
    """Print what was called right, by the state that it is in, and everything that was called wrong."""
    print(
        f"{'stands':14}{'turned':10}{'ours right':>12}{'usual check right':>20}{'margin: least, median':>24}"
    )
    for stands in ORIENTATIONS:
        for turned in ("label", "product"):
            of = [each for each in called if each.stands == stands and each.turned == turned]
            right = sum(each.right for each in of)
            usual = sum(each.usual_check_passes == (stands == "upright") for each in of)
            margins = [abs(each.orientation.value) for each in of if each.orientation.value is not None]
            spread = f"{min(margins):.2f}, {np.median(margins):.2f}" if margins else ""
            print(f"{stands:14}{turned:10}{f'{right}/{len(of)}':>12}{f'{usual}/{len(of)}':>20}{spread:>24}")
    right = sum(each.right for each in called)
    usual = sum(each.usual_check_passes == (each.stands == "upright") for each in called)
    let_through = sum(each.passes for each in called if each.stands != "upright")
    print(f"{'together':24}{f'{right}/{len(called)}':>12}{f'{usual}/{len(called)}':>20}")
    print(f"share right: ours {right / len(called):.1%}, usual check {usual / len(called):.1%}")
    print(f"not upright and passed by ours: {let_through}")
    for name, spent in seconds.items():
        print(f"{name}: {spent / len(called):.2f} s a picture, wall")
    upright = [each.legibility for each in called if each.stands == "upright"]
    shares = [each.value for each in upright if each.value is not None]
    print(
        f"legibility of upright ones: {sum(value == 1 for value in shares)} of {len(upright)} to the letter, "
        f"mean share {np.mean(shares):.3f}"
    )
    for each in called:
        if not each.right:
            said = each.orientation.details or each.orientation.reason
            print(f"wrong: {each.number} {each.product.kind}, {each.turned} {each.stands}: {said}")
        elif each.stands == "upright" and each.legibility.value != 1:
            print(f"not to the letter: {each.number} {each.product.kind}: {each.legibility}")


if __name__ == "__main__":
    main()
