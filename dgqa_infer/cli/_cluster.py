"""What `dgqa-infer score-cluster` can know before a cluster is asked."""

from __future__ import annotations

from dataclasses import dataclass

from dgqa_infer.errors import UsageError


@dataclass(frozen=True, slots=True)
class ClusterTarget:
    """Which cluster scores, and where its rows go.

    Attributes:
        address: of the cluster; "local" for one that is started for the run.
        output: folder or address that the rows go to.
        format: of the rows: "parquet" or "jsonl".
        resume: whether an earlier run is to be continued.
        retry: whether that run's failures are tried again; None: those that may have passed since.
        cores: of each actor; None for what divides the nodes best.
        gpus: of each actor; None for one where there are any.
        largest: photographs of a partition, at most.
    """

    address: str
    output: str
    format: str
    resume: bool
    retry: bool | None
    cores: int | None
    gpus: float | None
    largest: int

    @classmethod
    def choose(
        cls,
        address: str,
        output: str,
        format: str,
        *,
        resume: bool,
        retry: bool | None,
        cores: int | None,
        gpus: float | None,
        largest: int,
    ) -> ClusterTarget:
        """From what the options say.

        Raises:
            UsageError: they contradict each other, or an extra is missing.
        """
        from dgqa_infer.ray.dataset import import_ray
        from dgqa_infer.ray.partitions import FORMATS

        if output == "-":
            raise UsageError("score-cluster writes many files: name a folder or an address with --output")
        if format not in FORMATS:
            raise UsageError(f"score-cluster writes {' or '.join(FORMATS)}, not {format}")
        if retry is not None and not resume:
            raise UsageError("--retry-failed and --keep-failed are for --resume: add it")
        import_ray()
        return cls(address, output, format, resume, retry, cores, gpus, largest)
