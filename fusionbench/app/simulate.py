"""The verb ``simulate``: scenes of the simulated world as files, and the check that it is a fair test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusionbench.app import catalogue, screen
from fusionbench.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from fusionbench.sensors import Sensor

USAGE = (
    "fusionbench simulate <sensor> out=<folder> [seed=0] [size=256], or fusionbench simulate --check "
    "[<sensor>|<sub-field>]"
)
KEYS = ("out", "seed", "size", "paths.data")
SUBFIELD_SIZE = 128  # px of a sub-field's scenes
LADDER = 64  # px of them that HS fusion without training is tried on
LARGEST = 512  # px of a real scene's MS that the check looks at


def simulate(arguments: Sequence[str]) -> int:
    """``fusionbench simulate``: 0, or 1 where the check finds a statistic outside of its range.

    Raises:
        ConfigError: an unknown sensor or key, a number that is none, no folder to write to.
        DataError: the folder cannot be written to.
    """
    names = [text for text in arguments if "=" not in text and not text.startswith("-")]
    flags = [text for text in arguments if text.startswith("-")]
    given = dict(text.split("=", 1) for text in arguments if "=" in text)
    unknown = [*(flag for flag in flags if flag != "--check"), *(key for key in given if key not in KEYS)]
    if unknown or len(names) > 1:
        raise ConfigError(f"{' '.join([*unknown, *names[1:]])}: not understood; {USAGE}")
    size = _number(given, "size", 256)
    if "--check" in flags:
        from fusionbench.simulation.subfields import CHECKS

        if names and names[0] in CHECKS:
            return _check_subfield(names[0], _number(given, "size", SUBFIELD_SIZE))
        return _check(names[0] if names else "worldview3", size, given.get("paths.data"))
    if not names or not given.get("out"):
        raise ConfigError(f"simulate needs a sensor and out=<folder>; {USAGE}")
    return _write(names[0], Path(given["out"]).expanduser(), _number(given, "seed", 0), size)


def _number(given: Mapping[str, str], key: str, default: int) -> int:
    text = given.get(key, str(default))
    if not text.isdigit():
        raise ConfigError(f"{key}={text}: must be a whole number, 0 or above")
    return int(text)


def _write(name: str, folder: Path, seed: int, size: int) -> int:
    from fusionbench.sensors import load_sensor

    sensor = load_sensor(name)
    from fusionbench.simulation import simulate_pair, write

    screen.say(f"simulating {sensor.title}, seed {seed}, {size}x{size} MS pixels")
    pair = simulate_pair(sensor, seed, size, truth=True)
    for path in write(sensor, pair, folder, f"{sensor.name}_s{seed}"):
        screen.show(str(path))
    return 0


def _check(name: str, size: int, real: str | None) -> int:
    from fusionbench.sensors import load_sensor

    sensor = load_sensor(name)
    from fusionbench.simulation import check

    rows, orders = [], []
    for record, ms, pan in _real_scenes(real):
        scores = _ladder(record, ms, pan)
        rows.append({**check.measure(record, ms, pan), **_summary(scores)})
        if len(record.bands) == len(sensor.bands):
            orders.append(scores)
    simulated: list[dict[str, tuple[float, ...]]] = []

    def score(record: Sensor, ms: np.ndarray, pan: np.ndarray) -> dict[str, float]:
        simulated.append(_ladder(record, ms, pan))
        return _summary(simulated[-1])

    screen.say(f"simulating {len(check.SEEDS)} scenes of {sensor.title}, {size}x{size} MS pixels")
    findings = check.run(sensor, score, rows, size=size)
    if orders:
        findings.append(check.finding("order as real", _agreement(simulated, orders)))
    screen.show(_table(sensor.title, findings, len(rows)))
    if not rows:
        screen.show(f"no real scenes in {_data(name, real)['folder']}: paths.data=<folder> says where they lie")
    return _verdict(findings)


def _verdict(findings: Sequence[Any]) -> int:
    failed = [one.name for one in findings if not one.passed]
    screen.show("every statistic lies in its range" if not failed else f"outside of its range: {', '.join(failed)}")
    return 1 if failed else 0


def _check_subfield(name: str, size: int) -> int:
    from fusionbench.simulation import check, subfields

    screen.say(f"simulating {len(check.SEEDS)} scenes of {name}, {size}x{size} pixels")
    findings = subfields.run(name, size=size, score=_hs_ladder if name == "hs" else None)
    screen.show(_table(f"world for {name}", findings, 0))
    return _verdict(findings)


def _hs_ladder(pair: Mapping[str, Any]) -> dict[str, float]:
    """SAM of fusion without training, and how much worse spectra predicted from the guide alone are than CNMF's."""
    import numpy as np
    import torch

    from fusionbench.classical.hs_ms_fusion import CNMF, Bicubic, GuideRegression
    from fusionbench.metrics.functional import sam

    ratio = pair["meta"]["ratio"]
    sides = {"lr": LADDER // ratio, "guide": LADDER, "target": LADDER}
    low, guide, target = (
        torch.from_numpy(pair[name][:, :side, :side].astype(np.float64))[None] for name, side in sides.items()
    )
    error = {}
    for method in (Bicubic, GuideRegression, CNMF):
        with torch.no_grad():
            error[method.__name__] = float(sam(target, method(ratio).double()(low, guide)))
    return {f"{name} SAM": value for name, value in error.items()} | {
        "guide only / CNMF": error["GuideRegression"] / error["CNMF"]
    }


def _data(name: str, real: str | None) -> dict[str, Any]:
    """The settled ``data`` section of a data set, with ``paths.data`` beside it."""
    from omegaconf import OmegaConf, open_dict

    from fusionbench.app.compose import composed
    from fusionbench.data.locate import resolve_source

    cfg = composed("check", [f"data={name}", *([f"paths.data={real}"] if real is not None else [])])
    with open_dict(cfg):
        cfg.paths.run = None
        cfg.data = OmegaConf.merge(cfg.data, resolve_source(cfg))
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    return {**plain["data"], "folder": plain["paths"]["data"]}


def _real_scenes(given: str | None) -> Iterator[tuple[Sensor, np.ndarray, np.ndarray]]:
    """Native pairs under ``paths.data``, at most LARGEST px of MS each, PAN moved onto MS and so on the area grid."""
    import torch

    from fusionbench.data.protocol import centre
    from fusionbench.data.readers.image import Scene
    from fusionbench.data.sources import open_source
    from fusionbench.imaging.shift import estimate_shift, shift
    from fusionbench.sensors import Sensor

    for name, card in catalogue.cards("data", catalogue.search_path()).items():
        if card.get("task") != "pansharpening":
            continue
        data = _data(name, given)
        if data["simulated"]:
            continue
        sensor = Sensor.from_mapping({**data["sensor"], "bits": data["bits"]})
        entry = data["card"]["collections"][data["collection"]]
        source = open_source(data["collection"], Path(data["root"]), entry, len(sensor.bands), sensor.ratio)
        fulls = [Scene(one.name, one.roles["lr"], one.roles["guide"]) for one in source.full]
        for scene in [*source.scenes, *fulls]:
            window = centre(scene.ms.shape[1:], LARGEST)
            ms, pan = scene.ms.read(window)[0], scene.pan.read(window.times(sensor.ratio))[0]
            low, fine = (torch.from_numpy(image.astype("float64")) for image in (ms, pan))
            move = estimate_shift(low, fine, sensor.ratio, "area")
            yield sensor, ms, shift(fine, move.dy, move.dx).numpy()


def _ladder(sensor: Sensor, ms: np.ndarray, pan: np.ndarray) -> dict[str, tuple[float, ...]]:
    """SAM, ERGAS and Q2n of the methods without training at reduced resolution (Wald), area grid."""
    import torch

    from fusionbench.classical import pansharpening
    from fusionbench.imaging.wald import degrade_ms, degrade_pan
    from fusionbench.metrics.functional import ergas, q2n, sam

    unit = sensor.ratio**2
    height, width = (n // unit * unit for n in ms.shape[1:])
    reference = torch.from_numpy(ms[:, :height, :width].astype("float64"))[None]
    fine = torch.from_numpy(pan[:, : height * sensor.ratio, : width * sensor.ratio].astype("float64"))[None]
    low, guide = degrade_ms(reference, sensor.mtf_gains, sensor.ratio, "area"), degrade_pan(fine, sensor.ratio)
    scores = {}
    for name in METHODS:
        method = getattr(pansharpening, name)(sensor.ratio, "area", sensor.mtf_gains, sensor.pan_gain)
        fused = method(low, guide)
        values = (
            sam(reference, fused, border="dlpan"),
            ergas(reference, fused, ratio=sensor.ratio, border="dlpan"),
            q2n(reference, fused, border="dlpan"),
        )
        scores[name] = tuple(float(value) for value in values)
    return scores


METHODS = ("EXP", "Brovey", "IHS", "GS", "GSA", "BT_H", "MTF_GLP", "MTF_GLP_HPM", "MTF_GLP_FS", "BDSD", "PRACS")
BY_MTF, PLAIN = ("MTF_GLP", "MTF_GLP_HPM", "MTF_GLP_FS", "BT_H"), ("IHS", "Brovey")


def _summary(scores: Mapping[str, tuple[float, ...]]) -> dict[str, float]:
    error = {name: values[1] for name, values in scores.items()}
    rows = {f"EXP {index}": value for index, value in zip(("SAM", "ERGAS", "Q2n"), scores["EXP"], strict=True)}
    rows["best classical / EXP"] = min(value for name, value in error.items() if name != "EXP") / error["EXP"]
    rows["injection by MTF over IHS"] = min(error[n] for n in PLAIN) / max(error[n] for n in BY_MTF)
    return rows | {f"ERGAS {name}": value for name, value in error.items()}


def _agreement(simulated: Sequence[Any], real: Sequence[Any]) -> float:
    """Kendall's tau between the methods' order by mean ERGAS on simulated and on real scenes."""
    import numpy as np
    from scipy.stats import kendalltau

    order = [[float(np.mean([scores[name][1] for scores in some])) for name in METHODS] for some in (simulated, real)]
    return float(kendalltau(*order).statistic)


def _table(title: str, findings: Sequence[Any], real: int) -> Any:
    from rich.table import Table

    table = Table(
        title=f"Simulated {title}, mean over scenes", title_justify="left", box=None, pad_edge=False,
        header_style="bold",
    )  # fmt: skip
    for column in ("statistic", "simulated", f"real ({real} scenes)", "allowed", ""):
        table.add_column(column, no_wrap=True)
    for one in findings:
        seen, allowed = ("" if pair is None else f"{pair[0]:.3g} .. {pair[1]:.3g}" for pair in (one.real, one.allowed))
        table.add_row(one.name, f"{one.value:.3f}", seen, allowed, "" if one.passed else "OUTSIDE")
    return table
