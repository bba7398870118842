"""KADIS-700k: 140,000 pristine images, each with one of KADID's types at all 5 levels; no opinions."""

from collections.abc import Iterator

from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, Sample

FACTS = Facts(
    name="kadis700k",
    title="KADIS-700k",
    images=840_000,
    score="",
    higher_is_better=True,
    bounds=None,
    obtain="http://database.mmsp-kn.de/kadid-10k-database.html",
    citation="H. Lin, V. Hosu, D. Saupe: DeepFL-IQA: Weak Supervision for Deep IQA Feature Learning, "
    "arXiv 2001.08113",
    licence="freely available to the research community; pristine images from Pixabay",
)


def read(folder: SetFolder) -> Iterator[Sample]:
    """`kadis700k_ref_imgs.csv`, `ref_imgs/`, `dist_imgs/`: each reference, domain 0, then its five levels."""
    references, distorted = folder.images("ref_imgs"), folder.images("dist_imgs")
    for row in folder.csv(folder.file("kadis700k_ref_imgs.csv"), ("ref_im", "dist_type_1")):
        reference = references.find(row["ref_im"], row)
        kind = int(row.number("dist_type_1"))
        yield folder.sample(row, reference, None, domain=0)
        for level in range(1, 6):
            path = distorted.find(f"{reference.stem}_{kind:02}_{level:02}.bmp", row)
            yield folder.sample(
                row, path, None, reference=reference, distortion=f"{kind:02}", domain=kind, level=level
            )
