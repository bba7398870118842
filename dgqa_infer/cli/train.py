"""`dgqa-infer train`: the quality regressor and the domain classifier."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgqa_infer.atomic import write_whole
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.cli._commands import SETTINGS
from dgqa_infer.cli._errors import extra
from dgqa_infer.cli._false_alarms import warn_of_false_alarms
from dgqa_infer.cli._files import check_outputs
from dgqa_infer.cli._options import OverwriteOption, QuietOption, finite, output_path
from dgqa_infer.cli._output import Output, Ticker
from dgqa_infer.cli._type_lists import levels_of, types_of
from dgqa_infer.errors import UsageError
from dgqa_infer.inputs.finder import photographs_in
from dgqa_infer.scorer import DEFAULT_MODEL

if TYPE_CHECKING:
    from dgqa_infer.bundle.preprocessing import Preprocessing
    from dgqa_training.loop.loop import Progress
    from dgqa_training.loop.recipe import Recipe
    from dgqa_training.regressor.features import Look


class Tuned(StrEnum):
    """What of the network is trained, see `dgqa_training.loop.recipe.Recipe.tune`."""

    ALL = "all"
    POINTWISE = "pointwise"
    HEAD = "head"


train = typer.Typer(
    help="Train a model, or the classifier that names faults.", no_args_is_help=True, **SETTINGS
)

SourceArgument = Annotated[
    Path,
    typer.Argument(
        metavar="PHOTOS|SET",
        help="Folder of pristine photographs, distorted in memory; or a set in KADID-10k's layout.",
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run: new, or to be resumed.")]
BackboneOption = Annotated[str, typer.Option(help="efficientnet_lite0, _lite1, _lite2, or resnet50.")]
WeightsOption = Annotated[
    Path | None, typer.Option(help="ImageNet weights of resnet50: torchvision's state dict.")
]
EpochsOption = Annotated[int, typer.Option(min=0, help="Passes over the images.")]
BatchOption = Annotated[int, typer.Option(min=1, help="Crops a step.")]
RateOption = Annotated[
    float,
    typer.Option(min=0, callback=finite, help="Adam's rate for the backbone; the head's is ten times it."),
]
CooldownOption = Annotated[
    int, typer.Option(min=0, help="Epochs at the end over which the rate falls to nothing.")
]


def _below_one(decay: float) -> float:
    """Refuse 1, with which the average stays what it was before training."""
    if not decay < 1:  # nan too
        raise typer.BadParameter(f"{decay:g} is not below 1")
    return decay


AverageOption = Annotated[
    float,
    typer.Option(
        "--ema",
        min=0,
        callback=_below_one,
        help="Decay of the averaged weights that are kept, below 1; 0: none.",
    ),
]
TuneOption = Annotated[
    Tuned,
    typer.Option(help="What is trained: all, all but depthwise kernels (fast on a CPU), or the head alone."),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of order, crops and mirroring.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
WorkersOption = Annotated[int, typer.Option(min=0, help="Processes that make crops; 0 makes them here.")]


@train.command("regressor")
def regressor(
    source: SourceArgument,
    run: RunArgument,
    types: Annotated[
        str, typer.Option(help="Distortion types: numbers, ranges or names, such as 1,3,10 or 1-5,jpeg.")
    ] = "1,3,10,17,18,25",
    levels: Annotated[str, typer.Option(help="Levels, such as 4,5.")] = "1-5",
    backbone: BackboneOption = "efficientnet_lite0",
    weights: WeightsOption = None,
    network: Annotated[
        str, typer.Option(metavar="linear|MODULE:CLASS", help="What reads the backbone; a plug-in of yours.")
    ] = "linear",
    ridge: Annotated[
        float,
        typer.Option(
            min=0, callback=finite, help="Penalty of the linear probe that training starts from; 0: no probe."
        ),
    ] = 10.0,
    add: Annotated[
        Path | None,
        typer.Option(metavar="PHOTOS", help="Add new contents to a SET, with labels that it lends (DDCUp)."),
    ] = None,
    thin: Annotated[
        bool, typer.Option("--thin", help="Thin look-alikes at the start of each epoch (DRCDown).")
    ] = False,
    epochs: EpochsOption = 24,
    batch: BatchOption = 32,
    lr: RateOption = 2e-5,
    cooldown: CooldownOption = 0,
    flip: Annotated[bool, typer.Option("--flip/--no-flip", help="Mirror half of the crops.")] = True,
    tune: TuneOption = Tuned.ALL,
    ema: AverageOption = 0.0,
    seed: SeedOption = 123,
    device: DeviceOption = "cpu",
    workers: WorkersOption = 1,
    quiet: QuietOption = False,
) -> None:
    """Train the quality regressor on chosen distortion types; writes RUN/regressor.safetensors.

    The defaults are the authors' recipe on the types that DGQA selects for LIVE in the Wild, started from a
    linear probe. With --epochs 0 the probe is the result. Interrupted, the same command goes on where it was.
    """
    with extra("train"):
        from dgqa_training.loop.devices import require_device
        from dgqa_training.loop.recipe import Recipe
        from dgqa_training.regressor import training
    require_device(device)
    output = Output(quiet=quiet)
    recipe = Recipe(
        epochs=epochs,
        batch=batch,
        lr=lr,
        cooldown=cooldown,
        flip=flip,
        tune=tune.value,
        ema=ema,
        seed=seed,
    )
    config = training.RegressorConfig(
        types=types_of(types),
        levels=levels_of(levels),
        backbone=backbone,
        network=network,
        ridge=ridge,
        recipe=recipe,
        thin=thin,
    )
    samples, facts = training.samples_of(source, config, add, weights)
    with output.progress("training", _steps(recipe, len(samples)) + bool(ridge) * len(samples)) as bar:
        training.train(
            samples,
            config,
            run,
            facts,
            weights=weights,
            device=device,
            workers=workers,
            observers=training.Observers(
                probe=lambda new: bar.advance(new, "probe"), step=lambda p: _tell(bar, p, recipe)
            ),
        )
    output.note(
        f"{run / 'regressor.safetensors'}: trained on {len(samples):,} images; "
        f"make it a bundle with: dgqa-infer export {run / 'regressor.safetensors'} --out DIR"
    )


@train.command("domains")
def domains(
    source: SourceArgument,
    run: RunArgument,
    backbone: BackboneOption = "efficientnet_lite0",
    weights: WeightsOption = None,
    epochs: EpochsOption = 4,
    batch: BatchOption = 32,
    lr: RateOption = 3e-4,
    cooldown: CooldownOption = 1,
    crop: Annotated[
        int, typer.Option(min=32, help="Side of a training crop in pixels; smaller is faster.")
    ] = 160,
    prior: Annotated[
        float,
        typer.Option(
            min=0, callback=finite, help="Pristine images for each image of a type; KADIS-700k has 5."
        ),
    ] = 1.0,
    tune: TuneOption = Tuned.POINTWISE,
    ema: AverageOption = 0.999,
    seed: SeedOption = 123,
    device: DeviceOption = "cpu",
    workers: WorkersOption = 1,
    quiet: QuietOption = False,
) -> None:
    """Train the classifier of the 26 domains; writes RUN/domains.safetensors, and on it RUN/report.

    Every photograph is distorted with all 25 types at all 5 levels, in memory; or a set in KADID-10k's layout
    or KADIS-700k is read. Images are saved and resized as users do, so that files' formats teach nothing. A
    fifth of the photographs, 500 at most, is kept back and reported on: accuracy, confusion matrix,
    calibration, and from when on explanations name a distortion.
    Interrupted, the same command goes on where it was.
    """
    with extra("train"):
        from dgqa_training.classifier import material, training
        from dgqa_training.classifier import report as domain_report
        from dgqa_training.classifier.examples import number_of
        from dgqa_training.classifier.faults import FEWEST_CONTENTS
        from dgqa_training.classifier.held_out import CASES
        from dgqa_training.loop.devices import require_device
        from dgqa_training.loop.recipe import Recipe
    require_device(device)
    output = Output(quiet=quiet)
    recipe = Recipe(
        epochs=epochs,
        batch=batch,
        lr=lr,
        cooldown=cooldown,
        weight_decay=0.0,
        tune=tune.value,
        ema=ema,
        seed=seed,
    )
    config = training.ClassifierConfig(backbone=backbone, recipe=recipe, crop=crop, prior=prior)
    references, kept = material.split(source, config.held_out, seed)
    images = material.crops(source, references, config.preprocessing, crop, prior=prior)
    with output.progress("training", _steps(recipe, len(images))) as bar:
        training.train(
            source,
            config,
            run,
            weights=weights,
            device=device,
            workers=workers,
            observe=lambda p: _tell(bar, p, recipe),
        )
    output.note(f"{run / 'domains.safetensors'}: trained on {len(references):,} contents")
    looked_at = len(kept) * len(CASES) + (number_of(len(kept)) if len(kept) >= FEWEST_CONTENTS else 0)
    with output.progress("judging what was kept back", looked_at) as bar:
        report = domain_report.write(run, source, device=device, workers=workers, advance=bar.advance)
    output.note(
        f"{run / 'report'}: of {len(kept):,} contents kept back, top-1 {report['top1']:.3f} over all levels, "
        f"{report['top1_levels_3_5']:.3f} over levels 3-5"
    )
    warn_of_false_alarms(report, output)


@train.command("moments")
def moments(
    source: SourceArgument,
    file: Annotated[
        Path, typer.Argument(metavar="FILE.npz", parser=output_path, help="Where the moments are written.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|DIR",
            help="Model that is to be adapted: its network looks, on the CPU.",
            show_default="(dgqa-lite0)",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Pretrained backbone that looks instead: efficientnet_lite0, _lite1, _lite2, or resnet50."
        ),
    ] = None,
    weights: WeightsOption = None,
    features: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npz", parser=output_path, help="Also keep the features of every image."),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Unlabelled photographs: turning, mirroring or greying them should change no score.",
        ),
    ] = None,
    components: Annotated[
        int, typer.Option(min=1, help="Principal components that are kept; more rank better and need space.")
    ] = 256,
    overwrite: OverwriteOption = False,
    seed: SeedOption = 123,
    device: DeviceOption = "cpu",
    workers: WorkersOption = 1,
    quiet: QuietOption = False,
) -> None:
    """Look at a synthetic set once, so that `adapt` needs no images: moments of its features by type.

    The features are those that the model's head reads; all 25 types at all 5 levels are needed.
    """
    with extra("train"):
        from dgqa_training.adaptation.moments import Moments
        from dgqa_training.regressor import consistency
        from dgqa_training.regressor.features import cases, extract
    output = Output(quiet=quiet)
    check_outputs(file, features, overwrite=overwrite)
    look, cut, record = _who_looks(model, backbone, weights, device)
    images, _ = cases(source, cut)
    unlabelled = photographs_in(photos) if photos is not None else []
    with output.progress("looking at images", len(images) + len(unlabelled)) as bar:
        observe = bar.advance
        table = extract(look, source, cut, record, seed=seed, workers=workers, observe=observe)
        if unlabelled:
            changes = consistency.differences(look, unlabelled, cut, seed=seed, observe=observe)
            table = table.with_differences(changes)
    if features is not None:
        table.save(features, overwrite=overwrite)
    found = Moments.of(table.features, table.types, table.levels, table.record, table.differences, components)
    write_whole(file, found.to_bytes(), overwrite=overwrite)
    output.note(f"{file}: moments of {len(images):,} images of {table.record['contents']:,} contents")


def _who_looks(
    model: str | None, backbone: str | None, weights: Path | None, device: str
) -> tuple[Look, Preprocessing, dict[str, Any]]:
    """A model's network or a pretrained backbone; what crops it looks at, and what is kept of it."""
    from dgqa_training.loop.devices import require_device
    from dgqa_training.networks.heads import QualityNetwork, pretrained_backbone
    from dgqa_training.regressor.features import looking
    from dgqa_training.regressor.training import RegressorConfig

    if backbone is not None:
        if model is not None:
            raise UsageError("--model and --backbone both say whose features are taken: give one of them")
        require_device(device)
        config = RegressorConfig(backbone=backbone)
        network = QualityNetwork(pretrained_backbone(backbone, weights), config.head)
        record = {"backbone": backbone, "stages": list(config.head.stages)}
        return looking(network, device), config.preprocessing, record
    if weights is not None or device != "cpu":
        raise UsageError("--weights and --device are for a pretrained --backbone; a model looks on the CPU")
    with extra("export"):
        from dgqa_export.adaptation.adapter import features_record
        from dgqa_export.graphs.head import FeatureReader
    bundle = Bundle.load(model or DEFAULT_MODEL)
    record = features_record(bundle.card)
    reader = FeatureReader(bundle.graph_bytes(QUALITY_GRAPH))
    return reader.of_crops, bundle.card.preprocessing, record


def _steps(recipe: Recipe, samples: int) -> int:
    return recipe.epochs * samples


def _tell(bar: Ticker, progress: Progress, recipe: Recipe) -> None:
    note = f"epoch {progress.epoch + 1}, loss {progress.loss:.3f}, {progress.crops_per_second:.0f} crops/s"
    bar.advance(recipe.batch, note)
