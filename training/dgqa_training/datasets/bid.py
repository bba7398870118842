"""BID, the Blurred Image Database: photographs with realistic blur."""

from collections.abc import Iterator

from dgqa_training.datasets._reading import SetFolder
from dgqa_training.datasets.sample import Facts, Sample

FACTS = Facts(
    name="bid",
    title="BID",
    images=586,
    score="MOS",
    higher_is_better=True,
    bounds=(0, 5),
    obtain="http://www.lps.ufrj.br/profs/eduardo/ImageDatabase.htm",
    citation="A. Ciancio et al.: No-Reference Blur Assessment of Digital Pictures Based on Multifeature "
    "Classifiers, IEEE TIP 20(1), 2011",
    licence="not stated; published for research",
)


def read(folder: SetFolder) -> Iterator[Sample]:
    """`DatabaseGrades.xlsx` or .csv; DatabaseImage0001.JPG … beside it or in `ImageDatabase/`."""
    images = folder.images("ImageDatabase", "")
    table = folder.file("DatabaseGrades.xlsx", "DatabaseGrades.csv")
    rows = (folder.xlsx if table.suffix == ".xlsx" else folder.csv)(
        table, ("Image Number", "Average Subjective Grade")
    )
    for row in rows:
        name = f"DatabaseImage{int(row.number('Image Number')):04}.JPG"
        yield folder.sample(row, images.find(name, row), row.number("Average Subjective Grade"))
