"""Past one machine: the same rows from a Ray cluster.

    import ray
    from dgqa_infer.ray import score_dataset

    scored = score_dataset(ray.data.read_parquet("s3://bucket/photos"), model="dgqa-lite0")

`dgqa-infer score-cluster SRC --address ADDRESS --output DST` is built of the same parts: names are written
down in partitions (`plan`), Ray Data hands the partitions to actors, and each actor takes its own through
worker processes as on one machine (`partitions`). Needs `pip install 'dgqa-infer[ray]'`.
"""

from __future__ import annotations

from dgqa_infer.ray.dataset import score_dataset

__all__ = ["score_dataset"]
