"""Where the product is in its photograph: from the alpha channel, or from a plain background.

A photograph is cut at a reduced size, where a whole picture costs a few tens of milliseconds, and only its
edges are worked out at full size. A photograph that cannot be cut well is refused with the reason: a bad
cut-out on a shop page costs more than a missing one.

Colours are compared in CIELAB (D65) by the Euclidean distance dE of CIE 1976; about 2.3 is just noticeable.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2lab

from asset_pipeline.errors import UnreadablePicture
from asset_pipeline.pictures.decode import Picture, Pixels, Plane
from asset_pipeline.pictures.encode import thumbnail

Floats = npt.NDArray[np.float32]
Region = npt.NDArray[np.bool_]

WORKING_SIZE = 480
"""The longer side of the copy that is searched for the product, in pixels."""

AREA_RANGE = (0.02, 0.90)
"""The share of a photograph that a product plausibly covers."""

_OPAQUE = 235
_TRANSPARENT = 8
_SHADOW_COLOUR = 90
"""A half-transparent pixel this dark (each channel, 0 to 255) may be a shadow saved with a cut-out."""

_PLAIN_SHARE = 0.70
"""How much of the border must be background: a product may cover one side of four, and a little more."""
_SCENE_SPREAD = 9.0
"""dE from a smooth background's model that is still background at the border, noise and all."""
_TOUCH_SHARE = 0.10
"""More of a side than this covered by the product counts as touching it."""
_WEAK_EDGE = 9.0
"""dE across an edge below which its place is a guess."""
_WEAK_EDGE_SHARE = 0.15
_BACKGROUND_EDGE = 2.2
"""dE per pixel, at the working size, that no plain background or soft shadow has."""
_BACKGROUND_EDGE_LENGTH = 0.045
"""The length of such an edge, as a share of the photograph's longer side, that is no grain or dust. Among 54
catalog photographs, good cuts had at most 0.02; those that lost a part of the product, 0.05 or more."""
_SHADOW_SLOPE = 1.6
"""dE per pixel, at the working size, up to which a darker place is a soft shadow and not a product's edge."""
_TINT = 7.0
"""The CIELAB chroma from which a background's tint is recognised, in its shadows too."""
_SECOND_THING = 0.10
"""A component this large beside the largest one is a thing of its own; a pair of shoes is two."""
_DUST = 0.01
"""A component this small beside the largest one is dust."""


class CannotCut(UnreadablePicture):
    """The product cannot be told from the rest of its photograph; the message is the reason alone."""


@dataclass(frozen=True)
class Cutout:
    """A product without its background."""

    pixels: Pixels
    """Height × width × 3, sRGB, the size of the photograph; the background's colour is removed from edges."""
    alpha: Plane
    """How much of each pixel is the product."""
    found_by: Literal["alpha channel", "plain background"]
    share: float
    """The product's share of the photograph, 0 to 1."""
    edge_softness: float
    """How wide the transition from background to product is, in pixels of the photograph."""
    background: tuple[int, int, int] | None
    """The background's sRGB colour; none for a picture that came without one."""
    cut_off_at: tuple[str, ...]
    """The sides of the photograph (top, bottom, left, right) beyond which the product goes on."""
    origin: tuple[int, int] = (0, 0)
    """Where its left upper corner lies in the photograph, once it is cropped."""


def cut_out(picture: Picture) -> Cutout:
    """Cut the product out of its photograph.

    An alpha channel is believed, less the shadows that were saved with it. An opaque photograph is cut
    where its background is plain.

    Raises:
        CannotCut: there is no telling where the product is; the message says why.
    """
    if min(picture.width, picture.height) < 16:  # noqa: PLR2004
        raise CannotCut(
            f"the photograph is {picture.width} × {picture.height} px, too small to find edges in"
        )
    if picture.alpha is not None:
        return _from_alpha(picture.pixels, picture.alpha)
    return _from_plain_background(picture.pixels)


# ---------------------------------------------------------------- an alpha channel that came with the picture


def _from_alpha(pixels: Pixels, alpha: Plane) -> Cutout:
    if alpha.max() < 128:  # noqa: PLR2004
        raise CannotCut("its alpha channel hides everything: no pixel is more than half opaque")
    alpha = _without_saved_shadows(pixels, alpha)
    solid = alpha > 127  # noqa: PLR2004
    if len(_touched(alpha)) == 4:  # noqa: PLR2004
        raise CannotCut("its alpha channel hides no background: the picture is opaque along all four sides")
    share = float(solid.mean())
    if share > 0.98 or share < 0.001:  # noqa: PLR2004
        raise CannotCut(f"its alpha channel leaves {share:.1%} of the picture opaque")
    return Cutout(pixels, alpha, "alpha channel", share, _softness(alpha), None, _touched(alpha))


def _without_saved_shadows(pixels: Pixels, alpha: Plane) -> Plane:
    """The alpha channel without dark, half-transparent areas that lie open to the outside.

    Half-transparent parts that are enclosed (the lenses of sunglasses) or coloured (glass) are the product's.
    """
    height, width = alpha.shape
    factor = max(1, round(max(height, width) / WORKING_SIZE))
    small, colours = alpha[::factor, ::factor], pixels[::factor, ::factor]
    outside = small <= _TRANSPARENT
    shadowy = (small < _OPAQUE) & (colours.max(axis=2) < _SHADOW_COLOUR)
    solid = small >= _OPAQUE
    if solid.sum() < 0.02 * (~outside).sum():
        return alpha
    # Opening spares the one or two pixels of half-transparency along every edge.
    open_to = ndimage.binary_opening(outside | shadowy, iterations=2) | outside
    labels, _ = ndimage.label(open_to)
    removed = np.isin(labels, np.unique(labels[outside])) & open_to
    kept = _without_dust(~removed)
    # The photograph was sampled, so that an edge may lie up to one sample further out.
    kept = ndimage.binary_dilation(kept, structure=np.ones((3, 3)))
    grown = Image.fromarray(np.where(kept, np.uint8(255), np.uint8(0)))
    fading = np.asarray(grown.resize((width, height), Image.Resampling.BILINEAR), np.uint16)
    return np.minimum(alpha, np.minimum(3 * fading, 255).astype(np.uint8))


def _without_dust(region: Region) -> Region:
    """The region without components that are tiny beside its largest one."""
    labels, count = ndimage.label(region)
    if count == 0:
        return region
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes > _DUST * sizes.max())[labels], np.bool_)


# ------------------------------------------------------------------------- a photograph on a plain background


def _from_plain_background(pixels: Pixels) -> Cutout:
    small = thumbnail(pixels, WORKING_SIZE)
    lab = np.asarray(rgb2lab(small.astype(np.float32) / 255), np.float32)
    smooth = np.dstack([ndimage.gaussian_filter(lab[..., channel], 0.8) for channel in range(3)])
    model, tolerance = _background_model(smooth)
    flooded, model = _flood(smooth, model, tolerance)
    distance = _length(smooth - model)
    product = _with_holes(_without_loose_ends(~flooded), smooth, model, tolerance)
    # The edge of a shadow that shows the background's own tint is no sign of anything else.
    shaded = _keeps_tint(smooth, model, tolerance) & (smooth[..., 0] < 0.8 * model[..., 0])
    shaded = ndimage.binary_dilation(shaded, iterations=3)
    slope = np.where(shaded, np.float32(0), _slope(smooth))
    for reason in _objections(product, distance, slope):
        raise CannotCut(reason)
    refined, alpha = _refine(pixels, small, product, distance)
    share = float((alpha > 127).mean())  # noqa: PLR2004
    background = np.median(small[flooded], axis=0)
    red, green, blue = (int(value) for value in background)
    return Cutout(
        refined, alpha, "plain background", share, _softness(alpha), (red, green, blue), _touched(alpha)
    )


def _background_model(lab: Floats) -> tuple[Floats, float]:
    """The background's colour at every pixel, and how far from it a pixel may be and still belong to it.

    A quadratic surface is fitted to the border by iteratively reweighted least squares with Cauchy weights,
    so that light falling off to one side is followed, and a product that reaches into the border is not.

    Raises:
        CannotCut: the border is not of one smooth colour.
    """
    border = _border(lab.shape[:2])
    samples, terms = lab[border][::3], _terms(lab.shape[:2], 2)[border][::3]
    surface = np.zeros((terms.shape[1], 3), np.float32)
    residual = _length(samples - np.median(samples, axis=0).astype(np.float32))
    for _ in range(8):
        scale = max(1.5, 1.5 * float(np.median(residual)))
        weights = (1 / (1 + (residual / scale) ** 2)).astype(np.float32)
        surface = _least_squares(terms, samples, weights)
        residual = _length(samples - terms @ surface)
    plain = residual < _SCENE_SPREAD
    if plain.mean() < _PLAIN_SHARE:
        spread = float(np.percentile(residual, 80))
        raise CannotCut(
            f"the background is a scene, not plain: colours along the border vary by dE {spread:.0f}"
        )
    noise = 1.4826 * float(np.median(residual[plain]))
    return np.asarray(_terms(lab.shape[:2], 2) @ surface, np.float32), float(
        np.clip(2.5 + 3 * noise, 3.5, 8.0)
    )


def _flood(lab: Floats, model: Floats, tolerance: float) -> tuple[Region, Floats]:
    """The background that is connected with the border, its soft shadows included, and its refined model."""
    shape = lab.shape[:2]
    border, slope = _border(shape), _slope(lab)
    flooded = border
    for _ in range(2):
        difference = lab - model
        distance = _length(difference)
        same_tint = _length(lab[..., 1:] - _dimmed(lab, model)) < 3 + tolerance
        soft = same_tint & (slope < _SHADOW_SLOPE) & (lab[..., 0] > 0.4 * model[..., 0])
        shadow = (difference[..., 0] < tolerance) & (soft | _keeps_tint(lab, model, tolerance))
        lit = (distance < 3 * tolerance) & (slope < _SHADOW_SLOPE / 2)
        passable = (distance < tolerance) | shadow | lit
        labels, _ = ndimage.label(passable)
        seeds = np.unique(labels[border & (distance < _SCENE_SPREAD)])
        flooded = np.isin(labels, seeds[seeds > 0])
        sure = flooded & (distance < 2 * tolerance)
        terms = _terms(shape, 3)
        if sure.sum() > 50 * terms.shape[-1]:
            surface = _least_squares(
                terms[sure][::5], lab[sure][::5], np.ones(len(lab[sure][::5]), np.float32)
            )
            model = np.asarray(terms @ surface, np.float32)
    return flooded, model


def _without_loose_ends(product: Region) -> Region:
    """The product without dust, and without thin things that do not hang on to it."""
    kept = _without_dust(ndimage.binary_opening(product))
    return np.asarray(ndimage.binary_propagation(kept, mask=product), np.bool_)


def _with_holes(product: Region, lab: Floats, model: Floats, tolerance: float) -> Region:
    """The product without the holes that one sees the background through.

    Such a hole has the background's colour, or its tint in shadow where the background has one; nothing
    floats in it; and it is either large (a wreath) or close to the outline (a mug's handle). A white print
    on a shirt before a white wall has letters in it or lies deep inside, and stays.
    """
    difference = lab - model
    shaded = _keeps_tint(lab, model, tolerance) & (difference[..., 0] < tolerance)
    like_background = (_length(difference) < tolerance) | shaded
    size = float(product.sum())
    depth = ndimage.distance_transform_edt(ndimage.binary_fill_holes(product))
    labels, count = ndimage.label(ndimage.binary_opening(product & like_background))
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    pierced = product.copy()
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if areas[number] < max(12, 0.002 * size):
            continue
        hole = labels[place] == number
        near_outline = float(depth[place][hole].min()) < 0.12 * np.sqrt(size)
        floating = ndimage.binary_fill_holes(hole).sum() - areas[number]
        if (areas[number] > 0.1 * size or near_outline) and floating < 0.02 * areas[number]:
            pierced[place] &= ~hole
    return pierced


def _objections(product: Region, distance: Floats, slope: Floats) -> Iterator[str]:
    """Why a cut is not good enough, the plainest reason first."""
    area = float(product.mean())
    smallest, largest = AREA_RANGE
    if area < smallest:
        yield f"nothing stands out from the background: {area:.1%} of the photograph differs from it"
    if area > largest:
        yield f"{area:.0%} of the photograph differs from its border: there is no background to cut away"
    touched = _touched(np.where(product, np.uint8(255), np.uint8(0)))
    if len(touched) > 1:
        yield f"the product is cut off at the {' and the '.join(touched)} of the photograph"
    if _longest_edge(~ndimage.binary_dilation(product, iterations=4), slope) > _BACKGROUND_EDGE_LENGTH:
        yield "edges run through the background: hard shadows, or parts of the product as light or dark as it"
    sizes = np.sort(np.bincount(ndimage.label(product)[0].ravel())[1:])[::-1]
    if (things := int((sizes > _SECOND_THING * sizes.max(initial=0)).sum())) > 2:  # noqa: PLR2004
        yield f"the photograph shows {things} separate things, not one product"
    if area > 0 and (weak := _weak_edges(product, distance)) > _WEAK_EDGE_SHARE:
        yield f"the product hardly differs from the background along {weak:.0%} of its outline"


def _longest_edge(background: Region, slope: Floats) -> float:
    """The extent of the longest edge within the background, as a share of the photograph's longer side."""
    labels, _ = ndimage.label(background & (slope > _BACKGROUND_EDGE), structure=np.ones((3, 3)))
    extents = [max(rows.stop - rows.start, columns.stop - columns.start)
               for rows, columns in ndimage.find_objects(labels)]  # fmt: skip
    return float(max(extents, default=0) / max(background.shape))


def _weak_edges(product: Region, distance: Floats) -> float:
    """The share of the outline along which the product's colour is close to the background's."""
    outline = product & ~ndimage.binary_erosion(product, border_value=1)
    strongest = ndimage.maximum_filter(np.where(product, distance, 0), size=7)
    return float((strongest[outline] < _WEAK_EDGE).mean()) if outline.any() else 1.0


def _touched(alpha: Plane) -> tuple[str, ...]:
    """The sides of the picture along which the product lies for more than a little."""
    edges = {"top": alpha[0], "bottom": alpha[-1], "left": alpha[:, 0], "right": alpha[:, -1]}
    return tuple(side for side, edge in edges.items() if (edge > 127).mean() > _TOUCH_SHARE)  # noqa: PLR2004


# -------------------------------------------------------------------------------------- edges at full size


def _refine(pixels: Pixels, small: Pixels, product: Region, distance: Floats) -> tuple[Pixels, Plane]:
    """Alpha and colours at full size: each edge pixel is unmixed into product and background.

    A pixel at the edge is C = a F + (1 - a) B. F and B are taken from the nearest places that are surely
    product or background, a is the projection of C on the line between them, and F is solved for anew. The
    mixing is done in sRGB as stored, because that is how a cut-out is composed, here and in any browser.
    """
    height, width = pixels.shape[:2]
    core = ndimage.binary_erosion(product, iterations=3, border_value=1)
    # What is too thin to have a core, such as a strap, is purest where it differs most from the background.
    thin = product & ~ndimage.binary_dilation(core, iterations=5)
    core |= thin & (distance > 0.8 * ndimage.maximum_filter(distance, size=7))
    outer = ~ndimage.binary_dilation(product)
    band = _resized((~core & ndimage.binary_dilation(product, iterations=2)), width, height) > 0
    rough = _resized(product, width, height)[band].astype(np.float32) / 255
    inside = _resized_colours(_nearest(small, core), width, height)[band].astype(np.float32)
    outside = _resized_colours(_nearest(small, outer), width, height)[band].astype(np.float32)
    mixed = pixels[band].astype(np.float32)

    axis = inside - outside
    length = np.einsum("nc,nc->n", axis, axis)
    share = np.einsum("nc,nc->n", mixed - outside, axis) / np.maximum(length, 1)
    # Noise of the background must not become haze, nor noise of the product pinholes.
    share = np.clip((share - 0.08) / 0.84, 0, 1)
    told = np.clip((np.sqrt(length) - 12) / 24, 0, 1)  # too like each other: the rough mask decides
    share = told * share + (1 - told) * rough
    unmixed = (mixed - (1 - share[:, None]) * outside) / np.maximum(share[:, None], 0.25)
    trust = np.clip((share[:, None] - 0.25) / 0.5, 0, 1)
    own = np.clip(trust * unmixed + (1 - trust) * inside, 0, 255)

    alpha = np.where(_resized(core, width, height) > 127, np.uint8(255), np.uint8(0))  # noqa: PLR2004
    alpha[band] = np.round(255 * share).astype(np.uint8)
    refined = pixels.copy()
    refined[band] = np.round(own).astype(np.uint8)
    return refined, alpha


def _nearest(colours: Pixels, region: Region) -> Pixels:
    """The colour, averaged a little, of the nearest pixel of a region, for every pixel."""
    weight = ndimage.gaussian_filter(region.astype(np.float32), 1.5)
    averaged = np.empty(colours.shape, np.float32)
    for channel in range(3):
        averaged[..., channel] = ndimage.gaussian_filter(
            colours[..., channel] * region.astype(np.float32), 1.5
        )
    averaged /= np.maximum(weight, 1e-6)[..., None]
    rows, columns = ndimage.distance_transform_edt(~region, return_distances=False, return_indices=True)
    return np.asarray(np.clip(np.round(averaged[rows, columns]), 0, 255), np.uint8)


def _resized(region: Region, width: int, height: int) -> Plane:
    plane = Image.fromarray(np.where(region, np.uint8(255), np.uint8(0)))
    return np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR), np.uint8)


def _resized_colours(colours: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(colours).resize((width, height), Image.Resampling.BILINEAR), np.uint8)


# ------------------------------------------------------------------------------------------------ small sums


def _border(shape: tuple[int, int]) -> Region:
    """A frame of 2 % of the shorter side, at least 3 pixels."""
    depth = max(3, round(0.02 * min(shape)))
    frame = np.ones(shape, np.bool_)
    frame[depth:-depth, depth:-depth] = False
    return frame


def _terms(shape: tuple[int, int], degree: int) -> Floats:
    """The terms of a polynomial in x and y, both from -1 to 1, at every pixel: height × width × terms."""
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    powers = [x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)]
    return np.stack(powers, axis=-1).astype(np.float32)


def _least_squares(terms: Floats, samples: Floats, weights: Floats) -> Floats:
    weighted = terms * weights[:, None]
    ridge = 1e-4 * len(terms) * np.eye(terms.shape[1], dtype=np.float32)
    return np.asarray(np.linalg.solve(weighted.T @ terms + ridge, weighted.T @ samples), np.float32)


def _dimmed(lab: Floats, model: Floats) -> Floats:
    """The background's tint (a and b of Lab) at the lightness that each pixel has."""
    return np.asarray(
        model[..., 1:] * np.clip(lab[..., :1] / np.maximum(model[..., :1], 1), 0, 1.2), np.float32
    )


def _keeps_tint(lab: Floats, model: Floats, tolerance: float) -> Region:
    """Where a coloured background's tint shows, however dark; a grey background's tells nothing."""
    dimmed = _dimmed(lab, model)
    chroma = _length(dimmed)
    return np.asarray(
        (_length(lab[..., 1:] - dimmed) < np.minimum(tolerance, 0.5 * chroma)) & (chroma > _TINT), np.bool_
    )


def _slope(lab: Floats) -> Floats:
    """How fast the colour changes, in dE per pixel."""
    down, right = np.gradient(lab, axis=(0, 1))
    return np.asarray(np.sqrt((down**2 + right**2).sum(axis=2)), np.float32)


def _length(difference: Floats) -> Floats:
    return np.asarray(np.sqrt(np.einsum("...c,...c->...", difference, difference)), np.float32)


def _softness(alpha: Plane) -> float:
    """The area of half-transparency along the edge over the edge's length."""
    solid = alpha > 127  # noqa: PLR2004
    length = int((solid[1:] != solid[:-1]).sum() + (solid[:, 1:] != solid[:, :-1]).sum())
    between = int(((alpha > 12) & (alpha < 243)).sum())  # noqa: PLR2004
    return between / max(1, length)
