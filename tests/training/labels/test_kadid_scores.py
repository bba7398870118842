"""The summary of KADID-10k's scores that travels with the package."""

from __future__ import annotations

import io

import numpy as np
import pytest

from dgqa_infer.errors import UsageError
from dgqa_training.labels.kadid_scores import PROBABILITIES, built_in, read, write

OFFICIAL = "dist_img,ref_img,dmos,var"
OTHER = "ref_name,dist_name,dmos,std"


def table(heading=OFFICIAL, contents=2, score="2.5"):
    lines = [heading]
    for content in range(1, contents + 1):
        for kind in range(1, 26):
            for level in range(1, 6):
                image, reference = f"I{content:02}_{kind:02}_{level:02}.png", f"I{content:02}.png"
                names = (image, reference) if heading == OFFICIAL else (reference, image)
                lines.append(",".join((*names, score if (kind, level) != (1, 1) else "4.5", "0.5")))
    return "\n".join(lines)


@pytest.mark.parametrize("heading", [OFFICIAL, OTHER])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_both_headings_are_read(tmp_path, heading, mark):
    path = tmp_path / "dmos.csv"
    path.write_text(mark + table(heading), "utf-8")
    scores = read(path)
    assert scores.mean.shape == (25, 5)
    assert scores.mean[0, 0] == 4.5
    assert (scores.mean.ravel()[1:] == 2.5).all()
    assert (scores.spread == 0.5).all()
    assert scores.bounds == (2.5, 4.5)


def test_what_is_written_is_read_again(tmp_path):
    original = built_in()
    file = io.StringIO()
    write(original, file)
    rows = file.getvalue().splitlines()
    assert len(rows) == 126
    assert rows[0] == "type,level,mean,spread," + ",".join(f"q{p}" for p in range(0, 101, 10))
    assert float(rows[1].split(",")[2]) == original.mean[0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "none of the headings"),
        ("image,score\na.png,3", "none of the headings"),
        (OFFICIAL + "\nI01_01_01.png,I01.png,3,0.5", "has no score for type 1, level 2"),
        (table().replace("I01_01_01", "photo1"), "line 2: 'photo1.png' is not named as KADID's"),
        (table().replace("I01_01_01", "I01_26_01"), "'I01_26_01.png' is not named as KADID's"),
        (table(score="good"), "line 3: a score is not a number"),
    ],
)
def test_tables_that_are_not_kadids_are_refused(tmp_path, text, message):
    path = tmp_path / "dmos.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=message):
        read(path)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.csv cannot be read"):
        read(tmp_path / "nowhere.csv")


def test_the_built_in_summary_is_that_of_kadids_own_table(shared_data):
    ours, theirs = built_in(), read(shared_data / "labels" / "kadid10k.csv")
    for name in ("mean", "spread", "quantiles"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=5.1e-5)


def test_the_built_in_summary_knows_the_bounds_of_dmos():
    # KADID-10k: DMOS from 1 to 5; its least and greatest are 1.00 and 4.93.
    assert built_in().bounds == (1.0, 4.93)


def test_quantiles_ascend_and_hold_the_mean():
    scores = built_in()
    assert scores.quantiles.shape == (25, 5, len(PROBABILITIES))
    assert (np.diff(scores.quantiles, axis=-1) >= 0).all()
    assert (scores.quantiles[..., 0] <= scores.mean).all()
    assert (scores.mean <= scores.quantiles[..., -1]).all()
