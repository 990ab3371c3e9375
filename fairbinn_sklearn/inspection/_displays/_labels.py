"""Annotations of points, each at the free place nearest to its point."""

import numpy as np
from sklearn.utils import Bunch

# Offsets in points, in the order of preference: what is above and to the left of a point of a
# front is out of reach for other points of it.
_DIRECTIONS = ((-1, 1), (1, -1), (0, 1), (1, 1), (-1, 0), (1, 0), (-1, -1), (0, -1))
_DISTANCES = (6, 14, 24)
_GID = "fairbinn_sklearn annotation"


def annotate(ax, x, y, texts, color):
    """Annotations of the points, to be placed by `place`."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2, foreground=ax.get_facecolor())]
    return [
        ax.annotate(
            text,
            point,
            textcoords="offset points",
            xytext=(0, 0),
            fontsize=9,
            color=color,
            path_effects=halo,
            gid=_GID,
        )
        for text, *point in zip(texts, x, y, strict=True)
        if text
    ]


def place(ax):
    """Move all annotations of the axes to where they hide least of points, lines and each other."""
    notes = [text for text in ax.texts if text.get_gid() == _GID]
    if not notes:
        return
    ax.figure.draw_without_rendering()  # settles limits and layout, which the places depend on
    frame, points, lines, boxes = ax.get_window_extent(), *_in_the_way(ax), []
    for note in notes:
        places = [_try(note, *where) for where in _places()]
        costs = [
            1000 * _outside(place.box, frame)
            + 50 * sum(_overlap(place.box, box) for box in boxes)
            + 10 * _inside(points, place.box)
            + _inside(lines, place.box)
            + rank / 100
            for rank, place in enumerate(places)
        ]
        best = places[int(np.argmin(costs))]
        _try(note, *best.where)
        boxes.append(best.box)


def _places():
    for distance in _DISTANCES:
        for i, j in _DIRECTIONS:
            yield i * distance, j * distance


def _try(note, i, j):
    """Put a note at an offset; the box that it takes there."""
    note.set_ha("right" if i < 0 else "left" if i > 0 else "center")
    note.set_va("top" if j < 0 else "bottom" if j > 0 else "center")
    note.xyann = (i, j)
    return Bunch(where=(i, j), box=note.get_window_extent().padded(1))


def _in_the_way(ax):
    """Points, and places along lines and error bars, in pixels."""
    points, paths = [np.empty((0, 2))], []
    for line in ax.lines:
        path = line.get_transform().transform_path(line.get_path())
        if line.get_marker() not in ("None", "none", "", " ", None):
            points.append(path.vertices)
        if line.get_linestyle() not in ("None", "none", "", " "):
            paths.append(path.vertices)
    for bars in ax.collections:
        if hasattr(bars, "get_segments"):
            paths += [ax.transData.transform(segment) for segment in bars.get_segments()]
    places = [_along(path) for path in paths if len(path) > 1]
    return np.concatenate(points), np.concatenate([np.empty((0, 2)), *places])


def _along(path, n_places=40):
    """Places along a path of shape (N, 2), of shape ((N - 1) * n_places, 2)."""
    share = np.linspace(0, 1, n_places)[:, None]
    places = [start + share * (end - start) for start, end in zip(path, path[1:], strict=False)]
    return np.concatenate(places)


def _inside(places, box):
    """Number of places in a box."""
    x, y = places.T
    return int(((box.x0 < x) & (x < box.x1) & (box.y0 < y) & (y < box.y1)).sum())


def _overlap(box, other):
    """Shared area as a part of the first box."""
    width = min(box.x1, other.x1) - max(box.x0, other.x0)
    height = min(box.y1, other.y1) - max(box.y0, other.y0)
    return max(width, 0) * max(height, 0) / (box.width * box.height)


def _outside(box, frame):
    """Part of a box beyond the frame."""
    return 1 - _overlap(box, frame)
