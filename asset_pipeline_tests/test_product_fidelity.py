"""What the two scorers of the very product catch, what they let pass, and what they put no number on."""

import hashlib
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import save

from asset_pipeline.checkpoints.resolver import Checkpoints
from asset_pipeline.pictures.aligned import SIDE, standard
from asset_pipeline.pictures.cutout import Cutout
from asset_pipeline.pictures.standard_photographs import KEPT
from asset_pipeline.scorers import product_fidelity
from asset_pipeline.scorers.product_fidelity import ProductFidelity, Reduced, on_neutral
from asset_pipeline.scorers.product_structure import ProductStructure
from asset_pipeline.scores.requirements import load_requirements
from asset_pipeline.scores.score import Look, Measured, ModelScorer, Pixels, ReferenceLook, Scorer
from asset_pipeline_tests.composites import (
    Layers,
    changed,
    look,
    photographed,
    reference,
    stretched,
    turned,
    without_a_third,
)

DATA = Path(__file__).parent.parent / "data"
WEIGHTS = DATA / "models" / "efficientnet-lite0" / "model.safetensors"
LEAST_STRUCTURE = load_requirements(DATA).thresholds["default"]["product_structure"].min or 0.0
LEAST_FIDELITY = load_requirements(DATA).thresholds["default"]["product_fidelity"].min or 0.0
TEA, MUG, FLASK = "nw-tea-20.jpg", "fj-mug-slate.png", "ru-flask-teal.jpg"


@pytest.fixture(scope="module")
def fidelity() -> ProductFidelity:
    return ProductFidelity(Checkpoints(DATA, {}))


def structure(shown: Look) -> float:
    measured = ProductStructure().measure(shown)
    assert measured.value is not None, measured.reason
    return measured.value


def without_print(layers: Layers) -> Layers:
    """The band with the print is painted over with the colours beside it."""
    painted = layers.copy()
    height = layers.shape[0]
    band = slice(round(0.3 * height), round(0.75 * height))
    middle = layers.shape[1] // 2
    painted[band, middle - layers.shape[1] // 4 : middle + layers.shape[1] // 4, :3] = np.median(
        layers[band][layers[band][..., 3] == 255], axis=0
    )[:3]
    return painted


def with_its_middle_mirrored(layers: Layers) -> Layers:
    width = layers.shape[1]
    label = slice(width // 2 - width // 5, width // 2 + width // 5)
    mirrored = layers.copy()
    mirrored[:, label] = layers[:, label][:, ::-1]
    return mirrored


# ----------------------------------------------------------------------------------------------- structure


@pytest.mark.parametrize("name", [TEA, MUG, FLASK, "st-chair-oak.webp", "au-hush-cream.png"])
def test_a_faithful_picture_passes_small_turned_a_little_and_on_any_backdrop(name: str) -> None:
    product = photographed(name)
    shots = [
        look(product, reference(product)),
        look(product, reference(product), fill=0.45, backdrop=(40, 44, 52)),
        look(changed(product, turned(7)), reference(product)),
        look(product, reference(product), side=900, fill=0.9, backdrop=(255, 255, 255)),
    ]
    assert min(structure(shot) for shot in shots) > LEAST_STRUCTURE


@pytest.mark.parametrize("name", [TEA, MUG, FLASK])
@pytest.mark.parametrize(
    "defect",
    [
        stretched,
        without_a_third,
        without_print,
        with_its_middle_mirrored,
        lambda layers: layers[:, ::-1],
        lambda layers: layers[::-1],
    ],
    ids=["stretched", "a third missing", "no print", "print mirrored", "mirrored", "flipped"],
)
def test_a_product_that_is_not_quite_this_one_does_not_pass(
    name: str, defect: Callable[[Layers], Layers]
) -> None:
    product = photographed(name)
    assert structure(look(changed(product, defect), reference(product))) < LEAST_STRUCTURE


def test_another_product_of_the_same_kind_and_one_of_another_kind_do_not_pass() -> None:
    mug, oat, tea = (photographed(name) for name in (MUG, "fj-mug-oat.png", TEA))
    assert structure(look(oat, reference(mug))) < LEAST_STRUCTURE
    assert structure(look(tea, reference(mug))) < 0.1


def test_it_says_which_place_is_the_worst() -> None:
    product = photographed(TEA)
    height, width = product.alpha.shape

    def blotted(layers: Layers) -> Layers:
        spoilt = layers.copy()
        corner = spoilt[height // 8 : height // 4, 5 * width // 8 : 7 * width // 8, :3]
        corner[:] = np.random.default_rng(1).integers(0, 255, (1, corner.shape[1], 3))
        return spoilt

    measured = ProductStructure().measure(look(changed(product, blotted), reference(product)))
    assert measured.value is not None
    assert measured.value < LEAST_STRUCTURE
    across, down = measured.details["worst_at"]
    assert across > 0.55
    assert down < 0.45
    assert measured.details["fit"] > 0.8


def test_light_noise_and_compression_are_none_of_its_business() -> None:
    product = photographed(TEA)
    shown = look(product, reference(product))
    across = np.linspace(0.75, 1.1, shown.pixels.shape[1])[None, :, None]
    lit = np.clip(shown.pixels * across, 0, 255).astype(np.uint8)
    grain = np.random.default_rng(1).normal(0, 8, shown.pixels.shape)
    noisy = np.clip(shown.pixels + grain, 0, 255).astype(np.uint8)
    assert structure(replace(shown, pixels=lit)) > LEAST_STRUCTURE
    assert structure(replace(shown, pixels=noisy)) > LEAST_STRUCTURE


def test_a_view_that_nobody_photographed_is_a_reason_and_no_number() -> None:
    base, side = photographed(MUG), photographed("fj-mug-slate-top.jpg")
    unknown = look(side, reference(base), details={})
    measured = ProductStructure().measure(unknown)
    assert measured.value is None
    assert "another side of it that nobody photographed" in (measured.reason or "")
    assert measured.applies
    known = replace(unknown, references=(reference(base), reference(side, "top")))
    assert structure(known) > LEAST_STRUCTURE


def test_a_picture_that_names_its_photograph_is_held_to_that_one() -> None:
    base, top = photographed(MUG), photographed("fj-mug-slate-top.jpg")
    references = (reference(base), reference(top, "top"))
    assert structure(look(top, *references)) < 0.3
    assert structure(look(top, *references, details={"reference": {"sha256": "top"}})) > LEAST_STRUCTURE


def test_photographs_are_told_apart_by_their_names_and_nameless_ones_by_themselves() -> None:
    scorer = ProductStructure()
    for name in (MUG, TEA, FLASK, MUG):
        product = photographed(name)
        for sha256 in (name, ""):
            found = scorer.measure(look(product, reference(product, sha256))).value
            assert found is not None
            assert found > LEAST_STRUCTURE


def test_more_photographs_than_are_kept_in_memory_make_no_difference() -> None:
    scorer = ProductStructure()
    product = photographed(MUG)
    shown = look(product, reference(product))
    first = scorer.measure(shown)
    many = tuple(reference(product, str(index)) for index in range(KEPT + 3))
    assert scorer.measure(replace(shown, references=many, details={})).value == first.value
    assert scorer.measure(shown) == first
    assert len(scorer._photographs._kept) == KEPT  # noqa: SLF001


# ------------------------------------------------------------------------------------------------ fidelity


def test_faithful_pictures_pass_and_other_products_do_not(fidelity: ProductFidelity) -> None:
    names = (TEA, MUG, FLASK, "st-chair-oak.webp")
    products = [photographed(name) for name in names]
    for index, product in enumerate(products):
        own = fidelity.measure(look(product, reference(product))).value or 0
        other = fidelity.measure(look(products[index - 1], reference(product))).value or 1
        assert own > 0.97
        assert other < 0.7 < LEAST_FIDELITY < own


def test_the_network_is_the_one_that_the_weights_are_of(fidelity: ProductFidelity) -> None:
    """Two views of one product are nearer than two products, which scrambled weights would not know."""
    speaker, side, mug = (photographed(each) for each in ("au-one-coral.jpg", "au-one-coral-side.jpg", MUG))
    measured = fidelity.measure(look(side, reference(speaker), reference(mug, "mug")))
    assert measured.details["photograph"] == "base"
    assert measured.details["cosines"]["base"] > measured.details["cosines"]["mug"] + 0.3


def test_the_best_of_the_photographs_counts(fidelity: ProductFidelity) -> None:
    base, top = photographed(MUG), photographed("fj-mug-slate-top.jpg")
    alone = fidelity.measure(look(top, reference(base))).value or 1
    both = fidelity.measure(look(top, reference(base), reference(top, "top")))
    assert both.value is not None
    assert both.value > 0.97 > alone
    assert both.details["photograph"] == "top"


def test_what_is_behind_the_product_does_not_count(fidelity: ProductFidelity) -> None:
    product = photographed(MUG)
    values = [
        fidelity.measure(look(product, reference(product), backdrop=colour)).value or 0
        for colour in ((255, 255, 255), (20, 20, 20), (200, 30, 30))
    ]
    assert max(values) - min(values) < 0.01


def test_a_picture_has_exactly_the_same_value_alone_and_in_any_company(fidelity: ProductFidelity) -> None:
    products = [photographed(name) for name in (TEA, MUG, FLASK)]
    reduced = [
        found
        for product in products
        for other in products
        if isinstance(found := fidelity.reduce(look(product, reference(other, str(id(other))))), Reduced)
    ]
    together = fidelity.measure_reduced(reduced)
    assert len(together) == 9
    assert len({each.value for each in together}) == 9
    assert fidelity.measure_reduced(reduced[::-1])[::-1] == together
    assert [
        ProductFidelity(Checkpoints(DATA, {})).measure_reduced([each])[0] for each in reduced[:2]
    ] == together[:2]


def test_a_photograph_is_embedded_once(fidelity: ProductFidelity, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded: list[bytes] = []
    embed = product_fidelity.Network.embed

    def counting(network: product_fidelity.Network, crop: Pixels) -> product_fidelity.Embedding:
        embedded.append(crop.tobytes())
        return embed(network, crop)

    monkeypatch.setattr(product_fidelity.Network, "embed", counting)
    product = photographed("sv-hand-75.webp")
    shots = [look(product, reference(product), fill=fill) for fill in (0.5, 0.6, 0.7)]
    reduced = [found for shot in shots if isinstance(found := fidelity.reduce(shot), Reduced)]
    fidelity.measure_reduced(reduced)
    fidelity.measure_reduced(reduced[:1])
    assert len(embedded) == 5  # three pictures and one photograph, then one picture


def test_what_is_kept_of_a_picture_travels_to_another_process_and_means_the_same_there(
    fidelity: ProductFidelity,
) -> None:
    product = photographed(TEA)
    reduced = fidelity.reduce(look(product, reference(product)))
    assert isinstance(reduced, Reduced)
    sent = pickle.dumps(reduced)
    assert len(sent) < 350_000
    assert fidelity.measure_reduced([pickle.loads(sent)]) == fidelity.measure_reduced([reduced])  # noqa: S301


def test_it_may_be_asked_from_several_threads(fidelity: ProductFidelity) -> None:
    product = photographed(MUG)
    shown = look(product, reference(product))
    values: list[float | None] = []
    threads = [
        threading.Thread(target=lambda: values.append(fidelity.measure(shown).value)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == [fidelity.measure(shown).value] * 4


def a_project(folder: Path, weights: bytes) -> Checkpoints:
    """A project whose model of that name has these bytes, described as they are."""
    model = folder / "models" / "efficientnet-lite0"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(weights)
    described = {"sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)}
    (folder / "models" / "efficientnet-lite0.yaml").write_text(
        json.dumps(
            {"title": "tried", "source": "here", "license": "MIT", "files": {"model.safetensors": described}}
        )
    )
    return Checkpoints(folder, {})


def test_altered_weights_are_not_opened(tmp_path: Path) -> None:
    checkpoints = a_project(tmp_path, WEIGHTS.read_bytes())
    place = tmp_path / "models" / "efficientnet-lite0" / "model.safetensors"
    place.write_bytes(WEIGHTS.read_bytes()[:-1] + b"x")
    product = photographed(MUG)
    scorer = ProductFidelity(checkpoints)
    assert "is altered" in (scorer.unable() or "")
    measured = scorer.measure(look(product, reference(product)))
    assert measured.value is None
    assert "is altered" in (measured.reason or "")


def test_weights_of_another_network_are_a_reason(tmp_path: Path, fidelity: ProductFidelity) -> None:
    other = ProductFidelity(a_project(tmp_path, save({"weight": torch.zeros(3)})))
    assert "does not hold the weights" in (other.unable() or "")
    assert other.version != fidelity.version


def test_no_safetensors_at_all_is_a_reason(tmp_path: Path) -> None:
    other = ProductFidelity(a_project(tmp_path, pickle.dumps({"weight": 1})))
    assert "does not hold the weights" in (other.unable() or "")


def test_without_its_model_it_says_which_is_not_there(tmp_path: Path) -> None:
    scorer = ProductFidelity(Checkpoints(tmp_path, {}))
    assert "efficientnet-lite0" in (scorer.unable() or "")
    assert scorer.version == "1+none"


def test_naming_it_does_not_import_torch() -> None:
    code = (
        "import sys, pathlib; from asset_pipeline.checkpoints.resolver import Checkpoints; "
        "from asset_pipeline.scorers.product_fidelity import ProductFidelity; "
        "ProductFidelity(Checkpoints(pathlib.Path(sys.argv[1]), {})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, DATA], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_it_is_a_scorer_with_a_model_and_its_version_names_the_weights(fidelity: ProductFidelity) -> None:
    assert isinstance(fidelity, ModelScorer)
    weights = Checkpoints(DATA, {}).checkpoint("efficientnet-lite0").fingerprint
    assert weights[:12] in fidelity.version


# ------------------------------------------------------------------------------------------ what has no value

BOTH: list[Scorer] = [ProductStructure(), ProductFidelity(Checkpoints(DATA, {}))]


def reason(measured: Measured) -> str:
    assert measured.value is None
    assert measured.applies
    return measured.reason or ""


@pytest.mark.parametrize("scorer", BOTH, ids=lambda scorer: scorer.dimension)
def test_what_cannot_be_compared_is_a_reason(scorer: Scorer) -> None:
    product = photographed(MUG)
    shown = look(product, reference(product))
    uncut = ReferenceLook(product.pixels, None, "uncut")
    mask = shown.mask
    assert mask is not None
    speck = np.zeros_like(mask)
    speck[100:104, 100:104] = 255
    assert reason(scorer.measure(replace(shown, references=()))) == "no reference photograph"
    assert reason(scorer.measure(replace(shown, references=(uncut,)))) == "no reference photograph is cut out"
    for unknown in (None, np.zeros_like(mask), mask[:-1], speck):
        assert "nobody knows where the product is" in reason(scorer.measure(replace(shown, mask=unknown)))


sides = st.integers(0, 60)


@pytest.mark.parametrize("scorer", BOTH, ids=lambda scorer: scorer.dimension)
@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_whatever_it_is_shown_it_gives_a_finite_value_or_a_reason(
    scorer: Scorer, data: st.DataObject
) -> None:
    shape = (data.draw(sides), data.draw(sides))
    mask = data.draw(st.none() | arrays(np.uint8, shape) | arrays(np.uint8, (7, 9)))
    pixels = data.draw(arrays(np.uint8, (*shape, 3)))
    photograph = ReferenceLook(pixels[::-1], mask, data.draw(st.sampled_from(["", "a"])))
    details = {"reference": data.draw(st.sampled_from([None, "a", {"sha256": "a"}, {}]))}
    measured = scorer.measure(Look(pixels, mask, b"", shape, (photograph,), details=details))
    if measured.value is None:
        assert measured.reason
    else:
        assert -1.001 <= measured.value <= 1.001


def test_a_speck_far_away_does_not_make_the_product_vanish() -> None:
    pixels = np.full((4000, 4000, 3), 200, np.uint8)
    mask = np.zeros((4000, 4000), np.uint8)
    mask[:60, :60] = 255
    mask[-2000, -2000] = 255
    found = standard(pixels, mask)
    assert found is not None
    assert found.layers.shape == (SIDE, SIDE, 4)
    assert 2000 < found.inside.sum() < 8000


def test_the_neutral_ground_is_what_the_network_takes_for_nothing() -> None:
    product: Cutout = photographed(MUG)
    crop = on_neutral(product.pixels, product.alpha)
    assert crop is not None
    assert crop.shape == (224, 224, 3)
    assert (crop[:6] == 127).all()
    assert (crop[:, :6] == 127).all()
