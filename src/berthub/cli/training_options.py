"""The options of training, each declared once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from berthub.choices import Pooling
from berthub.cli.output_options import OUTPUT_PANEL
from berthub.cli.text_options import TEXTS_PANEL

__all__ = [
    "DevFile",
    "MultiLabel",
    "PoolingOption",
    "Resume",
    "RunFolderOption",
    "TrainingOptions",
]

_TRAINING = "Training"

DevFile = Annotated[
    Path | None,
    typer.Option(
        "--dev",
        metavar="FILE",
        help="Labelled data that the epochs are scored on: the best one is kept. Without them it is the last one.",
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]

RunFolderOption = Annotated[
    Path,
    typer.Option(
        "--output-folder",
        "-o",
        metavar="RUN",
        help="The new folder for the model, its metrics, pictures and model card.",
        show_default=False,
        rich_help_panel=OUTPUT_PANEL,
    ),
]

Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with a training that was interrupted in this folder.", rich_help_panel=OUTPUT_PANEL
    ),
]

PoolingOption = Annotated[
    Pooling | None,
    typer.Option(
        "--pooling",
        help="The vector of a text that the head gets. Default: pooled, or cls where the model has no pooler.",
        show_default=False,
        rich_help_panel=_TRAINING,
    ),
]

MultiLabel = Annotated[
    bool,
    typer.Option("--multi-label", help="A text has any number of labels, not one.", rich_help_panel=TEXTS_PANEL),
]


# The defaults of these repeat `berthub.training.hyperparameters`, whose import costs Keras; a test holds them equal.
@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options that say how the model is trained."""

    epochs: Annotated[
        int,
        typer.Option(
            "--epochs", metavar="N", help="How many times the model sees all data.", rich_help_panel=_TRAINING
        ),
    ] = 3
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", help="Texts in a step.", rich_help_panel=_TRAINING)
    ] = 32
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            metavar="RATE",
            help="The highest learning rate. Default: 5e-5, with --lora 5e-4.",
            show_default=False,
            rich_help_panel=_TRAINING,
        ),
    ] = None
    warmup: Annotated[
        float,
        typer.Option(
            "--warmup",
            metavar="SHARE",
            help="The share of all steps in which the learning rate rises; then it falls.",
            rich_help_panel=_TRAINING,
        ),
    ] = 0.1
    weight_decay: Annotated[
        float,
        typer.Option(
            "--weight-decay",
            metavar="RATE",
            help="AdamW's decay of matrices; biases and layer norms have none.",
            rich_help_panel=_TRAINING,
        ),
    ] = 0.01
    patience: Annotated[
        int,
        typer.Option(
            "--patience",
            metavar="N",
            help="Stop after so many epochs without a better one on the dev data.",
            rich_help_panel=_TRAINING,
        ),
    ] = 2
    dropout: Annotated[
        float, typer.Option("--dropout", metavar="SHARE", help="Dropout before the head.", rich_help_panel=_TRAINING)
    ] = 0.1
    freeze: Annotated[
        int,
        typer.Option(
            "--freeze",
            metavar="N",
            help="Leave the embeddings and the lowest N layers as they are.",
            rich_help_panel=_TRAINING,
        ),
    ] = 0
    lora: Annotated[
        int | None,
        typer.Option(
            "--lora",
            metavar="RANK",
            help="Train low-rank additions (LoRA) to the kernels and leave all else as it is; merged when saved.",
            show_default=False,
            rich_help_panel=_TRAINING,
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", help="The seed of everything random.", rich_help_panel=_TRAINING),
    ] = 0
