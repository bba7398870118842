"""Each public set, in its official layout."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dgqa_infer.errors import UsageError
from dgqa_training.datasets import DATASETS, load
from dgqa_training.datasets.pipal import SUBTYPES

Build = Callable[[str, Path, list[tuple[str, float]]], None]

# Made up, but within each set's naming and scale; two images a set at least.
ROWS: dict[str, list[tuple[str, float]]] = {
    "kadid10k": [("I01_01_01.png", 4.57), ("I01_25_05.png", 1.0), ("I81_10_03.png", 3.2)],
    "livec": [(f"t{n}.bmp", 50.0 + n) for n in range(1, 8)] + [("100.bmp", 32.5), ("1164.JPG", 72.75)],
    "koniq10k": [("10004473376.jpg", 77.38), ("9996001596.jpg", 67.2)],
    "bid": [("DatabaseImage0001.JPG", 4.5), ("DatabaseImage0590.JPG", 2.16)],
    "pipal": [("A0001_00_00.bmp", 1520.0), ("A0001_03_23.bmp", 1337.0), ("A0002_03_01.bmp", 1401.0)],
    "live": [("jp2k/img2.bmp", 28.0), ("fastfading/img174.bmp", 104.5), ("wn/img1.bmp", -2.6)],
    "csiq": [("1600.AWGN.1.png", 0.06), ("1600.jpeg2000.5.png", 0.75), ("log_seaside.fnoise.1.png", 0.0)],
    "tid2013": [("i01_01_1.bmp", 5.51), ("i25_24_5.bmp", 2.77), ("I03_08_4.bmp", 3.0)],
    "spaq": [("00001.jpg", 48.86), ("11125.jpg", 10.8)],
    "biq2021": [("ss01 (10).jpg", 0.2), ("ss02 (1).jpg", 0.4), ("ss03 (7).jpg", 0.9)],
    "flive": [("voc_emotic_ava/AVA__12958.jpg", 74.1), ("blur_dataset/motion0091.jpg", 0.0)],
}


@pytest.mark.parametrize("name", ROWS)
def test_every_image_comes_with_the_score_of_its_own_row(name: str, tmp_path: Path, build: Build) -> None:
    build(name, tmp_path, ROWS[name])
    loaded = load(name, tmp_path)
    wanted = {Path(image).name.lower(): score for image, score in ROWS[name] if not image.startswith("t")}
    assert {sample.path.name.lower(): sample.score for sample in loaded.samples} == pytest.approx(wanted)
    assert all(sample.path.is_file() for sample in loaded.samples)
    assert all(sample.reference.is_file() for sample in loaded.samples if sample.reference)
    assert loaded.facts is DATASETS[name].facts


@pytest.mark.parametrize(
    ("name", "lower_is_better"),
    [("live", True), ("csiq", True), ("kadid10k", False), ("tid2013", False), ("pipal", False)],
)
def test_only_live_and_csiq_count_difference_scores(name: str, lower_is_better: bool) -> None:
    # KADID's column is called dmos too, but rises with quality.
    assert DATASETS[name].facts.higher_is_better is not lower_is_better


def test_kadid_tells_type_level_and_reference_by_the_file_name(tmp_path: Path, build: Build) -> None:
    build("kadid10k", tmp_path, ROWS["kadid10k"])
    sample = load("kadid10k", tmp_path).samples[2]
    assert (sample.domain, sample.level) == (10, 3)
    assert sample.reference == tmp_path / "images/I81.png"


def test_kadis_gives_each_reference_as_pristine_and_then_its_one_type_at_five_levels(
    tmp_path: Path, write_table: Callable[..., None]
) -> None:
    write_table(
        tmp_path / "kadis700k_ref_imgs.csv", ("ref_im", "dist_type_1"), [("a.png", 7), ("b.c.png", 25)]
    )
    names = ["ref_imgs/a.png", "ref_imgs/b.c.png"]
    names += [f"dist_imgs/a_07_{level:02}.bmp" for level in range(1, 6)]
    names += [f"dist_imgs/b.c_25_{level:02}.bmp" for level in range(1, 6)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    loaded = load("kadis700k", tmp_path)
    assert [sample.domain for sample in loaded.samples] == [0] + [7] * 5 + [0] + [25] * 5
    assert loaded.samples[11].path.name == "b.c_25_05.bmp"
    with pytest.raises(UsageError, match="no opinion scores"):
        _ = loaded.scores


def test_livec_leaves_out_the_seven_training_images(tmp_path: Path, build: Build) -> None:
    build("livec", tmp_path, ROWS["livec"])
    assert [sample.path.name for sample in load("livec", tmp_path).samples] == ["100.bmp", "1164.JPG"]


def test_live_leaves_out_the_copies_of_references(tmp_path: Path, build: Build) -> None:
    build("live", tmp_path, ROWS["live"])
    loaded = load("live", tmp_path)
    assert [sample.distortion for sample in loaded.samples] == ["jp2k", "wn", "fastfading"]


def test_koniq_reads_the_older_table_on_the_same_scale(
    tmp_path: Path, write_table: Callable[..., None]
) -> None:
    header = ("image_name", "c1", "c_total", "MOS", "SD", "MOS_zscore")
    rows = [("1.jpg", 0, 100, 3.8, 0.5, 77.38), ("2.jpg", 0, 100, 2.1, 0.5, 40.0)]
    write_table(tmp_path / "koniq10k_scores_and_distributions.csv", header, rows)
    (tmp_path / "1024x768").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "1024x768" / name).touch()
    assert load("koniq10k", tmp_path).scores.tolist() == [77.38, 40.0]


def test_koniq_keeps_the_official_split(tmp_path: Path, build: Build) -> None:
    build("koniq10k", tmp_path, ROWS["koniq10k"])
    assert [sample.columns["set"] for sample in load("koniq10k", tmp_path).samples] == ["training", "test"]


def test_pipal_sub_types_are_sets_of_their_own(tmp_path: Path, build: Build) -> None:
    build("pipal", tmp_path, ROWS["pipal"])
    assert [sample.score for sample in load("pipal-3", tmp_path).samples] == [1337.0, 1401.0]
    with pytest.raises(UsageError, match="names no image"):
        load("pipal-6", tmp_path)


def test_pipal_is_found_in_the_papers_folders_too(tmp_path: Path, build: Build) -> None:
    build("pipal", tmp_path / "train", ROWS["pipal"])
    for part in (tmp_path / "train").glob("Distortion_*"):
        for image in part.iterdir():
            (tmp_path / "train/Distortion").mkdir(exist_ok=True)
            image.rename(tmp_path / "train/Distortion" / image.name)
    assert len(load("pipal", tmp_path)) == 3


def test_biq2021_tells_origin_and_split(tmp_path: Path, build: Build) -> None:
    build("biq2021", tmp_path, ROWS["biq2021"])
    columns = [
        (sample.columns["subset"], sample.columns["set"]) for sample in load("biq2021", tmp_path).samples
    ]
    assert columns == [("ss02", "train"), ("ss03", "train"), ("ss01", "test")]


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("kadid10k", "dmos.csv"),
        ("livec", "Data/AllMOS_release.mat"),
        ("koniq10k", "512x384"),
        ("bid", "DatabaseGrades.xlsx"),
        ("pipal", "Train_Ref"),
        ("live", "refnames_all.mat"),
        ("csiq", "src_imgs"),
        ("tid2013", "mos_with_names.txt"),
        ("spaq", "TestImage"),
        ("biq2021", "Test (Images and MOS).csv"),
        ("flive", "labels_image.csv"),
    ],
)
def test_a_wrong_root_says_what_is_missing_and_where_the_set_is_had(
    name: str, missing: str, tmp_path: Path, build: Build
) -> None:
    build(name, tmp_path, ROWS[name])
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError) as raised:
        load(name, tmp_path)
    assert missing in str(raised.value)
    assert DATASETS[name].facts.obtain in str(raised.value)


def test_a_root_that_does_not_exist_says_where_the_set_is_had(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere is not a folder; KADID-10k is obtained at http"):
        load("kadid10k", tmp_path / "nowhere")


def test_an_unknown_set_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no data set 'koniq': .*koniq10k.*pipal-6"):
        load("koniq", tmp_path)


# -- the published tables, whole ------------------------------------------------------------------------

TABLES = {
    "kadid10k": ("kadid10k", "dist_name", "dmos"),
    "livec": ("livechallenge", "img_name", "mos"),
    "koniq10k": ("koniq10k_distributions_sets", "image_name", "MOS"),
    "bid": ("bid", "image", "mos"),
    "pipal": ("pipal", "dist_name", "elo_score"),
    "live": ("liveiqa", "dist_name", "mos"),
    "csiq": ("csiq", "dist_name", "dmos"),
    "tid2013": ("tid2013", "dist_name", "mos"),
    "spaq": ("spaq", "Image name", "MOS"),
}


def published(shared_data: Path, name: str) -> list[tuple[str, float]]:
    table, image, score = TABLES[name]
    with (shared_data / "labels" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return [(row[image], float(row[score])) for row in csv.DictReader(file)]


@pytest.mark.parametrize("name", sorted(TABLES.keys() - {"pipal"}))
def test_the_published_table_gives_the_protocols_number_of_images(
    name: str, shared_data: Path, tmp_path: Path, build: Build
) -> None:
    build(name, tmp_path, published(shared_data, name))
    loaded = load(name, tmp_path)
    assert len(loaded) == DATASETS[name].facts.images


def test_pipal_and_its_sub_types_have_the_sizes_of_the_publication(
    shared_data: Path, tmp_path: Path, build: Build
) -> None:
    # The PIPAL paper: 12, 16, 10, 24, 13, 14 and 27 distortions of each of 200 training references.
    build("pipal", tmp_path, published(shared_data, "pipal"))
    samples = load("pipal", tmp_path).samples
    assert len(samples) == DATASETS["pipal"].facts.images
    sizes = Counter(sample.distortion for sample in samples)
    wanted = {"00": 2400, "01": 3200, "02": 2000, "03": 4800, "04": 2600, "05": 2800, "06": 5400}
    assert dict(sizes) == wanted
    assert [DATASETS[f"pipal-{code}"].facts.images for code in range(len(SUBTYPES))] == list(wanted.values())
