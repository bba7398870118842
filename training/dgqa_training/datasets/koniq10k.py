"""KonIQ-10k: photographs from Flickr, with the official split."""

from collections.abc import Iterator

from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, Sample

FACTS = Facts(
    name="koniq10k",
    title="KonIQ-10k",
    images=10_073,
    score="MOS",
    higher_is_better=True,
    bounds=(0, 100),
    obtain="http://database.mmsp-kn.de/koniq-10k-database.html",
    citation="V. Hosu, H. Lin, T. Sziranyi, D. Saupe: KonIQ-10k: An Ecologically Valid Database for Deep "
    "Learning of Blind Image Quality Assessment, IEEE TIP 29, 2020",
    licence="freely available to the research community; photographs under Creative Commons licences",
)


def read(folder: SetFolder) -> Iterator[Sample]:
    """The images at 512×384, as the papers take them, or else at 1024×768, and one of two official tables.

    `koniq10k_distributions_sets.csv` holds the score on 0–100 as `MOS`; the older
    `koniq10k_scores_and_distributions.csv` has the same score as `MOS_zscore` and another, on 1–5, as `MOS`.
    """
    tables = ("koniq10k_distributions_sets.csv", "koniq10k_scores_and_distributions.csv")
    table = folder.file(*tables)
    score = "MOS" if table.name == tables[0] else "MOS_zscore"
    images = folder.images("512x384", "koniq10k_512x384", "1024x768", "koniq10k_1024x768")
    for row in folder.csv(table, ("image_name", score)):
        split = {"set": row["set"]} if "set" in row.cells else {}
        yield folder.sample(row, images.find(row["image_name"], row), row.number(score), columns=split)
