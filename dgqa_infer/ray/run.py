"""Partitions that are not done, through Ray Data's actors; a report of each as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from dgqa_infer.errors import BackendError, DgqaError
from dgqa_infer.ray.destination import Destination
from dgqa_infer.ray.partitions import REPORTS, PartitionScorer, Report, read_report
from dgqa_infer.ray.plan import PartitionPlan, numbers_of
from dgqa_infer.ray.resources import Resources
from dgqa_infer.ray.secrets import Secrets
from dgqa_infer.ray.settings import Settings

_READERS = 16


def finished(
    plan: PartitionPlan, destination: Destination, setup: str, retry: bool | None = None
) -> list[Report]:
    """What earlier runs have done of a plan. Partitions with failures to be tried again are forgotten.

    Args:
        plan: of the run.
        destination: of the run.
        setup: of the run.
        retry: whether all failures are tried again, or none; None: those that may have passed, such as those
            of a store that was out of reach for a while, and those under another setup.
    """
    known = {name.removesuffix(".json") for name in destination.names(REPORTS)}
    names = [name for name in plan.partitions if name in known]
    with ThreadPoolExecutor(_READERS) as threads:
        found = [
            report for report in threads.map(lambda name: read_report(destination, name), names) if report
        ]
    for report in found:
        if not report.complete(setup, retry):
            destination.remove(f"{REPORTS}/{report.partition}.json")
    return [report for report in found if report.complete(setup, retry)]


def score_partitions(
    partitions: Sequence[str],
    destination: Destination,
    format: str,
    settings: Settings,
    resources: Resources,
    folder: str,
    secrets: Secrets | None = None,
) -> Iterator[Report]:
    """Score partitions on the cluster that is connected.

    What is in the object store is names of partitions and reports, whatever the photographs' size.

    Args:
        partitions: their names.
        destination: where names are and rows go.
        format: of the rows.
        settings: the settings of every actor.
        resources: of the actors.
        folder: that names of files are relative to.
        secrets: addresses that are not written down whole; each partition gets its own.

    Yields:
        One report a partition, in the order in which they are done.

    Raises:
        BackendError: an actor failed, and not because its node did.
        OutputError: rows cannot be written.
    """
    import ray

    if not partitions:
        return
    shared = ray.put(settings.on(resources.cpus, resources.a_node))
    known = secrets or Secrets()
    items = [
        {"partition": name, "secrets": known.part(numbers_of(destination, name) if known else ())}
        for name in partitions
    ]
    actors = min(resources.actors, len(items))
    # All at once, since nothing else needs the cores; and one task each at a time: when a node dies, no more
    # than that is done again. Fewer may be left then, and the run goes on with those.
    pool = ray.data.ActorPoolStrategy(
        min_size=1, max_size=actors, initial_size=actors, max_tasks_in_flight_per_actor=1
    )
    # A block for each, so that each is a task of its own.
    dataset = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        PartitionScorer,
        fn_constructor_args=(shared, destination, format, folder),
        batch_size=1,
        num_cpus=resources.cpus,
        num_gpus=resources.gpus,
        compute=pool,
    )
    try:
        for row in dataset.iter_rows():
            yield Report.from_json(row["report"].encode())
    except ray.exceptions.RayError as error:
        raise _cause(error) from error


def _cause(error: BaseException) -> DgqaError:
    """Our own error that an actor ended with; else what Ray says, as a failure of what runs the model."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, DgqaError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    text = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
    return BackendError(f"an actor of the cluster failed: {text.strip()[:300]}")
