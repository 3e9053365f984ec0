"""The command line: ``fusionbench <verb> ...``, and what an error looks like. Torch-free until a verb computes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from fusionbench import __version__
from fusionbench.errors import UserError


@dataclass(frozen=True)
class Verb:
    """One verb: ``module:function`` in fusionbench.app takes the arguments and returns the exit code."""

    target: str
    summary: str
    help: str


VERBS = {
    "train": Verb(
        "train:train",
        "train a method on a data set, then test it",
        """fusionbench train model=<id> data=<id> [key=value ...]      (the same as python train.py ...)

  model, data          names of `fusionbench list models` and `fusionbench list data`
  recipe=demo|paper    demo (default): minutes; paper: the published schedule
  seed=0               0 is a seed too
  logger=csv|tensorboard|wandb
  data.source=files    never simulate; paths.data=<folder> is where real images lie
  paths.outputs=<folder>
  resume=<folder>      continue an interrupted run or sweep
  -m                   every combination of comma-separated values
  --cfg job            show the configuration and stop

Examples
  python train.py model=pannet data=worldview3
  python train.py model=gsa data=quickbird data.source=files paths.data=/images
  python train.py -m model=pnn,pannet,fusionnet data=worldview3,quickbird seed=0,1,2
  python train.py resume=outputs/pannet-worldview3-simulated-s0-1a2b3c4d""",
    ),
    "evaluate": Verb(
        "evaluate:evaluate",
        "test a trained checkpoint on a data set",
        """fusionbench evaluate ckpt=<file> data=<id> [key=value ...]      (the same as python evaluate.py ...)

Examples
  python evaluate.py ckpt=outputs/<run>/checkpoints/best.ckpt data=worldview2
  python evaluate.py ckpt=pannet_wv2.ckpt data=worldview2 data.align=global""",
    ),
    "predict": Verb(
        "predict:predict",
        "fuse a scene of any size into a GeoTIFF",
        """fusionbench predict ckpt=<file> inputs.lr=<file> inputs.guide=<file> out=<file> [key=value ...]

  tile=512             px of the output computed at once
  dtype=null           of the output; null: the MS file's
  cog=true             write a cloud-optimised GeoTIFF

Example
  python predict.py ckpt=outputs/<run>/checkpoints/best.ckpt inputs.lr=ms.tif inputs.guide=pan.tif out=fused.tif""",
    ),
    "export": Verb(
        "export:export",
        "write a trained network as ONNX or torch.export program",
        """fusionbench export ckpt=<file> out=<file.onnx or file.pt2>

  size=256             px of the guide, for networks of windows (panformer) that keep one height and width

  Batch, height and width stay free otherwise; the result is checked against the network on another size.
  ONNX needs pip install 'fusionbench[export]'.

Example
  fusionbench export ckpt=outputs/<run>/checkpoints/best.ckpt out=pannet.onnx""",
    ),
    "list": Verb(
        "listing:list_",
        "what models and data sets there are",
        """fusionbench list models|data [--task <task>] [hydra.searchpath=[file:///my/configs]]

Examples
  fusionbench list models
  fusionbench list data --task pansharpening""",
    ),
    "describe": Verb(
        "listing:describe",
        "everything a model's or a data set's card says",
        """fusionbench describe <id>
fusionbench describe model=<id> [data=<id>]      also parameters, receptive field, inputs and schedules

Examples
  fusionbench describe pannet
  fusionbench describe model=panformer""",
    ),
    "data": Verb(
        "data:data",
        "check a data set's files: shift, bit depth, saturation, overlap",
        """fusionbench data check <id> [key=value ...]

Example
  fusionbench data check quickbird paths.data=/images""",
    ),
    "simulate": Verb(
        "simulate:simulate",
        "simulate scenes of a sensor, or check the simulated world",
        """fusionbench simulate <sensor> out=<folder> [seed=0] [size=256]
fusionbench simulate --check [<sensor>] [paths.data=<folder of real images, measured beside>]

Examples
  fusionbench simulate worldview3 out=scenes seed=7
  fusionbench simulate --check worldview2 paths.data=/images""",
    ),
    "leaderboard": Verb(
        "leaderboard:leaderboard",
        "all runs below a folder as one table and one page",
        """fusionbench leaderboard [<folder>]

Example
  fusionbench leaderboard outputs/""",
    ),
    "table": Verb(
        "published:table",
        "a published table beside what was measured here",
        """fusionbench table <id> [<folder of runs>] [key=value ...]

  --list               all tables: those that can be measured here first
  --run                run the rows that are missing (networks by recipe=paper: --rows classical takes minutes)
  --rows classical|networks
  --all                rows quoted from memory too

Examples
  fusionbench table params_wv3
  fusionbench table pancollection_wv3 --rows classical --run paths.data=/images""",
    ),
    "import-weights": Verb(
        "weights:import_weights",
        "turn published .pth weights into checkpoints",
        """fusionbench import-weights <file or folder> out=<folder>

Example
  fusionbench import-weights weights/dlpan out=outputs/imported""",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; the exit code is 0, 1 for a crash, 2 for a mistake of the user, 143 after SIGTERM."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        return 0
    if given[0] == "--version":
        sys.stdout.write(f"fusionbench {__version__}\n")
        return 0
    return door(given[0], given[1:])


def overview() -> str:
    """The help of the command as a whole."""
    width = max(map(len, VERBS))
    lines = ["fusionbench: training and benchmarking of deep learning in multimodal remote-sensing data fusion", ""]
    lines += [f"  {name:<{width}}  {verb.summary}" for name, verb in VERBS.items()]
    lines += [
        "",
        "fusionbench <verb> --help tells more. The first thing to try:",
        "  python train.py model=pannet data=worldview3",
    ]
    return "\n".join(lines) + "\n"


def door(name: str, arguments: Sequence[str]) -> int:
    """One verb with its errors made into a message and an exit code."""
    from fusionbench.app import screen

    if name not in VERBS:
        import difflib

        near = difflib.get_close_matches(name, VERBS, n=1)
        screen.error(
            f"{name!r} is no verb" + (f"; did you mean {near[0]}?" if near else "") + f" Verbs: {', '.join(VERBS)}"
        )
        return 2
    if any(text in ("-h", "--help") for text in arguments):
        sys.stdout.write(f"{VERBS[name].summary}\n\n{VERBS[name].help}\n")
        return 0
    module, _, function = VERBS[name].target.partition(":")
    try:
        return int(getattr(importlib.import_module(f"fusionbench.app.{module}"), function)(arguments))
    except UserError as error:
        screen.error(str(error))
        return 2
    except KeyboardInterrupt:
        screen.say("interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output has gone, e.g. `| head`
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
