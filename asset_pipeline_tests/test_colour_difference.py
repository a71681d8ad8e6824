"""CIEDE2000, as the scorers compute it, against the published test data, and a way to it from sRGB."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from asset_pipeline.scorers import background_uniformity, colour

DIFFERENCES = [vars(scorer)["deltaE_ciede2000"] for scorer in (colour, background_uniformity)]
"""What these scorers call."""
SHARMA_WU_DALAL = """
50 2.6772 -79.7751 50 0 -82.7485 2.0425
50 3.1571 -77.2803 50 0 -82.7485 2.8615
50 2.8361 -74.0200 50 0 -82.7485 3.4412
50 -1.3802 -84.2814 50 0 -82.7485 1.0000
50 -1.1848 -84.8006 50 0 -82.7485 1.0000
50 -0.9009 -85.5211 50 0 -82.7485 1.0000
50 0 0 50 -1 2 2.3669
50 -1 2 50 0 0 2.3669
50 2.4900 -0.0010 50 -2.4900 0.0009 7.1792
50 2.4900 -0.0010 50 -2.4900 0.0010 7.1792
50 2.4900 -0.0010 50 -2.4900 0.0011 7.2195
50 2.4900 -0.0010 50 -2.4900 0.0012 7.2195
50 -0.0010 2.4900 50 0.0009 -2.4900 4.8045
50 -0.0010 2.4900 50 0.0010 -2.4900 4.8045
50 -0.0010 2.4900 50 0.0011 -2.4900 4.7461
50 2.5 0 50 0 -2.5 4.3065
50 2.5 0 73 25 -18 27.1492
50 2.5 0 61 -5 29 22.8977
50 2.5 0 56 -27 -3 31.9030
50 2.5 0 58 24 15 19.4535
50 2.5 0 50 3.1736 0.5854 1.0000
50 2.5 0 50 3.2972 0 1.0000
50 2.5 0 50 1.8634 0.5757 1.0000
50 2.5 0 50 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""
"""Table 1 of "The CIEDE2000 color-difference formula: implementation notes, supplementary test data, and
mathematical observations", Color Research and Application 30 (2005): two CIELAB colours, their difference."""

PAIRS = np.array([[float(number) for number in line.split()] for line in SHARMA_WU_DALAL.split("\n") if line])


def test_there_are_the_34_published_pairs() -> None:
    assert PAIRS.shape == (34, 7)


@pytest.mark.parametrize("pair", PAIRS, ids=range(1, 35))
def test_a_published_pair_has_its_published_difference(pair: np.ndarray) -> None:
    for difference in DIFFERENCES:
        assert float(difference(pair[:3], pair[3:6])) == pytest.approx(pair[6], abs=1e-4)


def test_all_pairs_at_once_have_the_same_differences_in_either_direction() -> None:
    for difference in DIFFERENCES:
        forth, back = difference(PAIRS[:, :3], PAIRS[:, 3:6]), difference(PAIRS[:, 3:6], PAIRS[:, :3])
        assert forth == pytest.approx(PAIRS[:, 6], abs=1e-4)
        assert forth == pytest.approx(back, abs=1e-9)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((128, 128, 128), (53.585, 0.0, 0.0)),
    ],
)
def test_pixels_become_the_lab_colours_that_are_known(rgb: tuple[int, ...], lab: tuple[float, ...]) -> None:
    assert rgb2lab(np.array(rgb, np.uint8)) == pytest.approx(lab, abs=0.02)
