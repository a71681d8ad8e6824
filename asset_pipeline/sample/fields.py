"""Signed distances: how far a point is from a surface, negative inside. The words that shapes are made of.

A field takes points (3 × n: x to the right, y up, z towards the viewer) and gives n distances. It may say
less than the true distance, never more, or a ray would step through the surface. The formulas of the
primitives and of the smooth union are from Inigo Quilez, "Distance functions" and "Smooth minimum"
(iquilezles.org).

Outlines and paths are drawn in a plane as polylines and looked up in a table, so a turned vase costs no more
than a cylinder.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator
from scipy.spatial import KDTree

Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.float32]
"""3 × n."""
Field = Callable[[Points], Floats]
Planar = Callable[[Floats, Floats], Floats]
"""A signed distance in a plane."""
Vector = tuple[float, float, float]
Polyline = npt.NDArray[np.float64]
"""n × 2."""

TABLE_MARGIN = 0.25
"""How far beyond an outline its table reaches."""
TABLE_CELL = 1 / 256
"""The width of a table's cell: about a pixel of a 1024 px picture, and a normal is taken across it."""


# ------------------------------------------------------------------------------------------------ primitives


def ball(radius: float) -> Field:
    """A sphere around the origin."""
    return lambda p: _length(p[0], p[1], p[2]) - np.float32(radius)


def box(width: float, height: float, depth: float, rounding: float = 0.02) -> Field:
    """A box around the origin, with rounded edges."""
    half = (width / 2 - rounding, height / 2 - rounding, depth / 2 - rounding)

    def field(p: Points) -> Floats:
        x, y, z = (np.abs(p[axis]) - np.float32(half[axis]) for axis in range(3))
        inside = np.minimum(np.maximum(x, np.maximum(y, z)), 0)
        outside = _length(np.maximum(x, 0), np.maximum(y, 0), np.maximum(z, 0))
        return np.asarray(outside + inside - np.float32(rounding), np.float32)

    return field


def cylinder(radius: float, height: float, rounding: float = 0.02) -> Field:
    """An upright cylinder around the origin, with rounded rims."""

    def field(p: Points) -> Floats:
        across = np.sqrt(p[0] * p[0] + p[2] * p[2]) - np.float32(radius - rounding)
        along = np.abs(p[1]) - np.float32(height / 2 - rounding)
        return corner(across, along) - np.float32(rounding)

    return field


def ring(radius: float, thickness: float) -> Field:
    """A torus lying flat around the origin; ``thickness`` is its tube's radius."""

    def field(p: Points) -> Floats:
        across = np.sqrt(p[0] * p[0] + p[2] * p[2]) - np.float32(radius)
        return np.asarray(np.sqrt(across * across + p[1] * p[1]) - np.float32(thickness), np.float32)

    return field


def rod(start: Vector, end: Vector, radius: float, end_radius: float | None = None) -> Field:
    """A straight rod with round ends; its radius may change from start to end."""
    origin = np.array(start, np.float32)[:, None]
    axis = np.array(end, np.float32)[:, None] - origin
    squared = float((axis * axis).sum())
    change = np.float32((radius if end_radius is None else end_radius) - radius)

    def field(p: Points) -> Floats:
        q = p - origin
        along = np.clip((q[0] * axis[0] + q[1] * axis[1] + q[2] * axis[2]) / np.float32(squared), 0, 1)
        q -= along * axis
        return np.asarray(_length(q[0], q[1], q[2]) - np.float32(radius) - along * change, np.float32)

    return field


# --------------------------------------------------------------------------------------- outlines and paths


def filleted(corners: Sequence[tuple[float, ...]], *, closed: bool = True) -> Polyline:
    """A polygon whose corners (x, y, radius) are rounded with arcs."""
    points = np.array([corner[:2] for corner in corners], np.float64)
    count = len(corners)
    pieces: list[Polyline] = []
    for index in range(count):
        radius = corners[index][2]
        at_end = not closed and index in {0, count - 1}
        if radius <= 0 or at_end:
            pieces.append(points[index : index + 1])
            continue
        pieces.append(_arc(points[index - 1], points[index], points[(index + 1) % count], radius))
    return np.concatenate(pieces)


def _arc(before: Polyline, corner: Polyline, after: Polyline, radius: float) -> Polyline:
    """A corner's arc, made smaller where the sides next to it are too short."""
    back, ahead = before - corner, after - corner
    back_length, ahead_length = np.linalg.norm(back), np.linalg.norm(ahead)
    back, ahead = back / back_length, ahead / ahead_length
    half = np.arccos(np.clip(back @ ahead, -1, 1)) / 2
    if half > np.pi / 2 - 0.01:
        return np.asarray(corner[None], np.float64)
    reach = min(radius / float(np.tan(half)), 0.49 * float(back_length), 0.49 * float(ahead_length))
    middle = (back + ahead) / np.linalg.norm(back + ahead)
    centre = corner + middle * reach / np.cos(half)
    first, last = corner + back * reach - centre, corner + ahead * reach - centre
    turn = np.arctan2(first[0] * last[1] - first[1] * last[0], first @ last)
    angles = np.linspace(0, turn, max(4, round(abs(float(turn)) * 16)))
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.stack(
        [
            centre[0] + cosine * first[0] - sine * first[1],
            centre[1] + sine * first[0] + cosine * first[1],
        ],
        axis=1,
    )


def smooth(points: Sequence[tuple[float, ...]], steps: int = 160) -> Polyline:
    """A curve through points without overshooting between them (monotone cubic along the chord length)."""
    knots = np.array(points, np.float64)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    return np.asarray(PchipInterpolator(along, knots)(np.linspace(0, along[-1], steps)), np.float64)


def revolved(outline: Polyline) -> Field:
    """An outline (radius, height) turned around the y axis; it ends on the axis at both ends, or at none."""
    on_axis = outline[0, 0] == 0
    # Without its other half, the axis itself would count as an edge.
    planar = inside_of(np.concatenate([outline, outline[::-1] * (-1, 1)]) if on_axis else outline, half=True)
    return lambda p: planar(np.sqrt(p[0] * p[0] + p[2] * p[2]), p[1])


def lathed(*corners: tuple[float, float, float]) -> Field:
    """A turned body: a polygon (radius, height, fillet) that is closed straight to the axis at both ends."""
    first, last = corners[0], corners[-1]
    foot = [(0.0, first[1], 0.0)] if first[0] else []
    top = [(0.0, last[1], 0.0)] if last[0] else []
    return revolved(filleted([*foot, *corners, *top]))


def symmetric(*half: tuple[float, ...]) -> list[tuple[float, ...]]:
    """Points drawn from the left to the middle, and their mirror images back out to the right."""
    right = [(-point[0], *point[1:]) for point in reversed(half) if point[0]]
    return [*half, *right]


def extruded(outline: Polyline, depth: float, rounding: float = 0.02) -> Field:
    """An outline in x and y, given depth along z, with rounded edges."""
    planar = inside_of(outline)

    def field(p: Points) -> Floats:
        return corner(
            planar(p[0], p[1]) + np.float32(rounding), np.abs(p[2]) - np.float32(depth / 2 - rounding)
        ) - np.float32(rounding)

    return field


def swept(path: Polyline, radius: float, end_radius: float | None = None, flat: float = 1.0) -> Field:
    """A tube along a path in x and y; ``flat`` is its extent along z over that in the plane."""
    distance, share = _path_tables(path)
    change = np.float32((radius if end_radius is None else end_radius) - radius)

    def field(p: Points) -> Floats:
        across = distance(p[0], p[1])
        wide = np.float32(radius) if not change else np.float32(radius) + change * share(p[0], p[1])
        if flat == 1:
            return np.asarray(np.sqrt(across * across + p[2] * p[2]) - wide, np.float32)
        sideways = p[2] / np.float32(flat)
        reach = np.sqrt(across * across + sideways * sideways) - wide
        return np.asarray(reach * np.float32(min(1.0, flat)), np.float32)

    return field


def inside_of(outline: Polyline, *, half: bool = False) -> Planar:
    """The signed distance of a closed outline, by table; ``half``: only where x is not negative."""
    closed = np.concatenate([outline, outline[:1]])
    xs, ys = _grid(closed, half=half)
    unsigned, _ = _nearest_on(closed, xs, ys)
    sign = np.stack([_inside_row(closed, xs, float(y)) for y in ys])
    return _lookup(np.where(sign, -unsigned, unsigned), float(xs[0]), float(ys[0]))


def path_distance(path: Polyline) -> Planar:
    """The distance of an open path in a plane, never negative, by table."""
    return _path_tables(path)[0]


def _path_tables(path: Polyline) -> tuple[Planar, Planar]:
    """The distance of an open path, and how far along it its nearest point lies, 0 to 1."""
    xs, ys = _grid(path, half=False)
    distance, share = _nearest_on(path, xs, ys)
    left, low = float(xs[0]), float(ys[0])
    return _lookup(distance, left, low), _lookup(share, left, low, grows=False)


def _grid(line: Polyline, *, half: bool) -> tuple[Polyline, Polyline]:
    low, high = line.min(axis=0) - TABLE_MARGIN, line.max(axis=0) + TABLE_MARGIN
    left = 0.0 if half else low[0]
    return (
        np.arange(left, high[0] + TABLE_CELL, TABLE_CELL),
        np.arange(low[1], high[1] + TABLE_CELL, TABLE_CELL),
    )


def _nearest_on(line: Polyline, xs: Polyline, ys: Polyline) -> tuple[Floats, Floats]:
    """The distance of every grid point to a polyline, and where along it the nearest point lies."""
    lengths = np.linalg.norm(np.diff(line, axis=0), axis=1)
    whole = np.concatenate([[0], np.cumsum(lengths)])
    spots = np.union1d(np.arange(0, whole[-1], 2 * TABLE_CELL), whole)
    dense = np.stack([np.interp(spots, whole, line[:, axis]) for axis in (0, 1)], axis=1)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    _, nearest = KDTree(dense).query(grid)
    best = np.full(len(grid), np.inf)
    share = np.zeros(len(grid))
    for neighbour in (np.maximum(nearest - 1, 0), np.minimum(nearest, len(dense) - 2)):
        start, step = dense[neighbour], dense[neighbour + 1] - dense[neighbour]
        squared = np.maximum(np.einsum("nd,nd->n", step, step), 1e-18)
        along = np.clip(np.einsum("nd,nd->n", grid - start, step) / squared, 0, 1)
        distance = np.linalg.norm(grid - start - along[:, None] * step, axis=1)
        closer = distance < best
        best = np.where(closer, distance, best)
        place = spots[neighbour] + along * (spots[neighbour + 1] - spots[neighbour])
        share = np.where(closer, place / whole[-1], share)
    shape = (len(ys), len(xs))
    return best.astype(np.float32).reshape(shape), share.astype(np.float32).reshape(shape)


def _inside_row(closed: Polyline, xs: Polyline, y: float) -> npt.NDArray[np.bool_]:
    """Which points of a row lie inside a closed polyline, by the even-odd rule."""
    start, end = closed[:-1], closed[1:]
    crossing = (start[:, 1] <= y) != (end[:, 1] <= y)
    start, end = start[crossing], end[crossing]
    places = start[:, 0] + (y - start[:, 1]) / (end[:, 1] - start[:, 1]) * (end[:, 0] - start[:, 0])
    return np.asarray(np.searchsorted(np.sort(places), xs) % 2 == 1)


def _lookup(table: Floats, left: float, low: float, *, grows: bool = True) -> Planar:
    """A table as a function: bilinear inside, and outside at least as far as its edge is."""
    flat = np.ascontiguousarray(table).ravel()
    height, width = table.shape
    right, high = left + (width - 1) * TABLE_CELL, low + (height - 1) * TABLE_CELL
    scale = np.float32(1 / TABLE_CELL)

    def planar(x: Floats, y: Floats) -> Floats:
        across = np.clip((x - np.float32(left)) * scale, 0, np.float32(width - 1.001))
        along = np.clip((y - np.float32(low)) * scale, 0, np.float32(height - 1.001))
        column, row = across.astype(np.intp), along.astype(np.intp)
        across -= column.astype(np.float32)
        along -= row.astype(np.float32)
        row *= width
        row += column
        below = flat[row]
        below += across * (flat[row + 1] - below)
        row += width
        above = flat[row]
        above += across * (flat[row + 1] - above)
        below += along * (above - below)
        if not grows:
            return np.asarray(below, np.float32)
        beyond_x = np.maximum(np.maximum(np.float32(left) - x, x - np.float32(right)), 0)
        beyond_y = np.maximum(np.maximum(np.float32(low) - y, y - np.float32(high)), 0)
        beyond = np.sqrt(beyond_x * beyond_x + beyond_y * beyond_y)
        # Both are true: no nearer than the table's edge less the way to it, and than the margin around it.
        least = np.where(beyond > 0, beyond + np.float32(TABLE_MARGIN), below)
        return np.asarray(np.maximum(below - beyond, least), np.float32)

    return planar


# ---------------------------------------------------------------------------------------------- combinations


def union(*fields: Field) -> Field:
    """Everything that is in any of the fields."""

    def field(p: Points) -> Floats:
        nearest = fields[0](p)
        for other in fields[1:]:
            nearest = np.minimum(nearest, other(p))
        return nearest

    return field


def blended(softness: float, *fields: Field) -> Field:
    """A union whose seams are filled smoothly, about ``softness`` wide (polynomial smooth minimum)."""

    def field(p: Points) -> Floats:
        nearest = fields[0](p)
        for other in fields[1:]:
            distance = other(p)
            overlap = np.maximum(np.float32(softness) - np.abs(nearest - distance), 0)
            nearest = np.minimum(nearest, distance) - overlap * overlap * np.float32(0.25 / softness)
        return nearest

    return field


def without(solid: Field, *cuts: Field, softness: float = 0.0) -> Field:
    """A solid less what the cuts hold; ``softness`` rounds the edges of the cut."""

    def field(p: Points) -> Floats:
        kept = solid(p)
        for cut in cuts:
            removed = -cut(p)
            if softness:
                overlap = np.maximum(np.float32(softness) - np.abs(kept - removed), 0)
                kept = np.maximum(kept, removed) + overlap * overlap * np.float32(0.25 / softness)
            else:
                kept = np.maximum(kept, removed)
        return kept

    return field


def within(solid: Field, *limits: Field, softness: float = 0.0) -> Field:
    """What is in a solid and in every limit."""
    return without(solid, *(_inverse(limit) for limit in limits), softness=softness)


def _inverse(field: Field) -> Field:
    return lambda p: -field(p)


def hollow(solid: Field, thickness: float) -> Field:
    """The skin of a solid."""
    return lambda p: np.abs(solid(p)) - np.float32(thickness / 2)


def grown(solid: Field, by: float) -> Field:
    """A solid with this much more all around, rounding its edges."""
    return lambda p: solid(p) - np.float32(by)


def moved(field: Field, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Field:
    """A field at another place."""
    offset = np.array([[x], [y], [z]], np.float32)
    return lambda p: field(p - offset)


def turned(field: Field, *, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Field:
    """A field turned around the x, then the y, then the z axis, in degrees."""
    inverse = np.ascontiguousarray(rotation(x, y, z).T)
    return lambda p: field(inverse @ p)


def mirrored(field: Field, axis: int = 0) -> Field:
    """A field and its mirror image in the plane through the origin across an axis."""

    def both(p: Points) -> Floats:
        folded = p.copy()
        np.abs(folded[axis], out=folded[axis])
        return field(folded)

    return both


def repeated_around(field: Field, count: int) -> Field:
    """Copies of a field turned around the y axis; the field itself stands towards +z."""
    step = np.float32(2 * np.pi / count)

    def around(p: Points) -> Floats:
        angle = np.arctan2(p[0], p[2])
        turn = -step * np.round(angle / step)
        cosine, sine = np.cos(turn), np.sin(turn)
        return field(np.stack([cosine * p[0] + sine * p[2], p[1], cosine * p[2] - sine * p[0]]))

    return around


def stretched(field: Field, x: float = 1.0, y: float = 1.0, z: float = 1.0) -> Field:
    """A field scaled differently along each axis."""
    factors = np.array([[x], [y], [z]], np.float32)
    least = np.float32(min(x, y, z))
    return lambda p: field(p / factors) * least


def clad(solid: Field, *layers: tuple[float, Field]) -> Field:
    """A solid that is thicker within some regions; the solid is asked but once."""

    def field(p: Points) -> Floats:
        bare = solid(p)
        nearest = bare
        for thickness, region in layers:
            nearest = np.minimum(nearest, np.maximum(bare - np.float32(thickness), region(p)))
        return nearest

    return field


def rotation(x: float, y: float, z: float) -> Floats:
    """The matrix that turns around the x, then the y, then the z axis, in degrees."""
    a, b, c = np.radians([x, y, z])
    around_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    around_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    around_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(around_z @ around_y @ around_x, np.float32)


def corner(first: Floats, second: Floats) -> Floats:
    """The distance to what lies in both of two fields that are at right angles to each other."""
    outside = np.sqrt(np.maximum(first, 0) ** 2 + np.maximum(second, 0) ** 2)
    return np.asarray(outside + np.minimum(np.maximum(first, second), 0), np.float32)


def _length(x: Floats, y: Floats, z: Floats) -> Floats:
    return np.asarray(np.sqrt(x * x + y * y + z * z), np.float32)
