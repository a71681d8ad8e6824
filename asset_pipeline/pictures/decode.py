"""Bytes of any common picture file become upright sRGB pixels, or the reason they cannot.

This is the one place that knows about EXIF orientation, embedded colour profiles, CMYK, palettes and 16 bits.
PNG's gAMA and cHRM chunks are not applied, as no browser version in use does so consistently.
"""

import io
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms

from asset_pipeline.errors import UnreadablePicture

Pixels = npt.NDArray[np.uint8]
"""Height × width × 3, sRGB."""
Plane = npt.NDArray[np.uint8]
"""Height × width, 0 to 255: an alpha channel or a mask."""

MAX_PIXELS = 100_000_000
"""Larger pictures are refused before they are decoded: 300 MB of pixels is where a worker's memory ends."""

_MEDIA_TYPES = {
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with a second picture behind it, as many telephones write
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
}

_FORMATS = tuple(name for name in _MEDIA_TYPES if name != "MPO")
"""What Pillow may look for; it opens MPO files as JPEG and tells them apart afterwards."""

_BROKEN_FILE = (OSError, SyntaxError, ValueError, EOFError, TypeError, RuntimeError, struct.error)
"""What Pillow's readers raise on damaged files, as found by flipping and cutting bytes (25 000 files)."""

_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
"""What makes a picture upright, by its EXIF orientation (CIPA DC-008, tag 0x0112)."""

_SIDEWAYS = frozenset({5, 6, 7, 8})
"""The orientations that swap width and height."""


@dataclass(frozen=True)
class Picture:
    """An upright picture in sRGB."""

    pixels: Pixels
    alpha: Plane | None = None
    """How opaque each pixel is; none where the whole picture is opaque."""

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return int(self.pixels.shape[0])


@dataclass(frozen=True)
class PictureFacts:
    """What a picture file says of itself."""

    media_type: str
    width: int
    height: int
    """Size in pixels after the EXIF orientation is applied."""


def facts(data: bytes) -> PictureFacts:
    """A picture's type and size from its header alone; the pixels may still turn out to be damaged.

    Raises:
        UnreadablePicture: the bytes are no picture of a known type, or it is too large.
    """
    with _opened(data) as image:
        width, height = image.size
        # Pillow tells a TIFF's size, and loads it, with the orientation applied already.
        if image.format != "TIFF" and _orientation(image) in _SIDEWAYS:
            width, height = height, width
        return PictureFacts(_MEDIA_TYPES[str(image.format)], width, height)


def decode(data: bytes) -> Picture:
    """Decode a picture: upright, in sRGB, with its alpha channel if it truly has one.

    An embedded ICC profile is converted with relative colorimetric intent and black point compensation.
    A profile that is damaged or does not fit the pixels is ignored, as browsers do. Of an animation, the
    first frame is taken.

    Raises:
        UnreadablePicture: the bytes are no picture, are cut off or damaged, or the picture is too large.
    """
    with _opened(data) as image:
        try:
            image.load()
            orientation = _orientation(image)
            colours, alpha = _split_alpha(image)
            upright = [_upright(part, orientation) for part in (_to_srgb(colours), alpha) if part is not None]
        except _BROKEN_FILE as error:
            raise UnreadablePicture(f"the file is damaged or cut off: {error}") from error
    pixels = np.array(upright[0], np.uint8)
    opacity = np.array(upright[1], np.uint8) if len(upright) > 1 else None
    return Picture(pixels, None if opacity is None or opacity.min() == 255 else opacity)  # noqa: PLR2004


def _opened(data: bytes) -> Image.Image:
    if not data:
        raise UnreadablePicture("the file is empty")
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise UnreadablePicture(f"more than {MAX_PIXELS // 1_000_000} megapixels: {error}") from error
    except _BROKEN_FILE as error:
        raise UnreadablePicture(
            f"not a picture of a known type ({', '.join(_FORMATS)}), or its header is damaged"
        ) from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise UnreadablePicture(
            f"{width} × {height} is more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller"
        )
    return image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or it is damaged."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _BROKEN_FILE:
        return 1
    return found if found in _TURNS else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    for turn in _TURNS.get(orientation, ()):
        image = image.transpose(turn)
    return image


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours in a mode that a colour profile may speak of (L, RGB, CMYK), and the alpha channel."""
    if image.mode.startswith("I"):
        return _eight_bits(image), None
    if image.mode == "F":
        raise UnreadablePicture("its pixels are floating point numbers, and nothing says what white is")
    if image.mode in {"LAB", "HSV"}:
        raise UnreadablePicture(f"its colours are stored as {image.mode}; save it as RGB")
    if image.mode in {"P", "PA", "RGBA", "RGBa", "LA", "La"} or "transparency" in image.info:
        layered = image.convert("RGBA")
        return layered.convert("RGB"), layered.getchannel("A")
    if image.mode == "1":
        return image.convert("L"), None
    if image.mode == "YCbCr":
        return image.convert("RGB"), None
    return image, None


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit greys as 8-bit ones; Pillow's own conversion would clip them."""
    grey = np.asarray(image)
    if grey.size and (grey.min() < 0 or grey.max() > 65535):  # noqa: PLR2004
        raise UnreadablePicture("its pixels are 32-bit numbers, and nothing says what white is")
    return Image.fromarray(np.round(grey / 257).astype(np.uint8))


def _to_srgb(image: Image.Image) -> Image.Image:
    """The colours in sRGB, by the embedded profile where there is one that fits."""
    embedded = image.info.get("icc_profile")
    if not embedded:
        return image.convert("RGB")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        if ImageCms.getProfileDescription(profile).startswith("sRGB"):
            return image.convert("RGB")
        converted = ImageCms.profileToProfile(
            _in_mode_of(profile, image),
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB")
    return image.convert("RGB") if converted is None else converted


def _in_mode_of(profile: ImageCms.ImageCmsProfile, image: Image.Image) -> Image.Image:
    """A grey picture with an RGB profile is one whose encoder dropped channels: give them back."""
    if image.mode == "L" and profile.profile.xcolor_space.strip() == "RGB":
        return image.convert("RGB")
    if image.mode == "RGB" and profile.profile.xcolor_space.strip() == "GRAY":
        return image.convert("L")
    return image
