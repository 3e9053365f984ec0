"""Search for hyperparameters with Optuna: a Hydra sweeper over ask and tell, whose study outlives the process.

Scanned by Hydra whenever it starts, so Optuna itself is imported only when a search begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    RangeSweep,
    Transformer,
)
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from fusionbench.errors import ConfigError, DependencyNotFoundError

if TYPE_CHECKING:
    import optuna

DIRECTIONS = ("minimize", "maximize")
STUDY = "study"  # name of the study and, with .db, of its file in the sweep's folder
PRUNERS = ("none", "median", "hyperband")


class OptunaSweeper(Sweeper):
    """Runs a number of trials; each is a run whose swept values Optuna proposes, judged on validation alone.

    The search space is what the command line sweeps: ``choice(a,b)``, ``range(1,9)``, ``interval(0,1)``, and
    ``tag(log,interval(1e-5,1e-2))`` for a logarithmic scale. A trial's value is the best that its run reached on the
    watched validation value, never a test score. The study lies in the sweep's folder (or in ``storage``): a sweep that
    is resumed asks for what is missing to ``n_trials``, and a trial that was cut off is proposed again.

    Args:
        n_trials: trials in all, those of earlier runs of this sweep included.
        n_jobs: trials that are proposed, and given to the launcher, together.
        direction: ``minimize`` or ``maximize`` the watched value.
        sampler: ``tpe`` or ``random``.
        pruner: ``none``, ``median`` or ``hyperband``: ends trials that fall behind at a validation.
        seed: of the sampler.
        storage: URL of Optuna's storage; null: a file in the sweep's folder.

    Raises:
        ConfigError: a setting that cannot be, or nothing to search over.
        DependencyNotFoundError: Optuna is not installed.
    """

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        direction: str,
        sampler: str,
        pruner: str,
        seed: int,
        storage: str | None,
    ) -> None:
        for key, value, known in (
            ("direction", direction, DIRECTIONS),
            ("sampler", sampler, ("tpe", "random")),
            ("pruner", pruner, PRUNERS),
        ):
            if value not in known:
                raise ConfigError(f"hydra.sweeper.{key}={value}: one of {', '.join(known)}")
        for key, number in (("n_trials", n_trials), ("n_jobs", n_jobs)):
            if not isinstance(number, int) or number < 1:
                raise ConfigError(f"hydra.sweeper.{key}={number}: a whole number of at least 1")
        self.n_trials, self.n_jobs, self.direction, self.seed = n_trials, n_jobs, direction, seed
        self.sampler, self.pruner, self.storage = sampler, pruner, storage

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See Hydra's ``Sweeper.setup``."""
        from hydra.core.plugins import Plugins

        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Propose, run and judge trials until there are ``n_trials``."""
        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides(arguments)
        fixed, space = self._space(overrides)
        folder = Path(str(self.config.hydra.sweep.dir)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        url = self.storage or f"sqlite:///{folder / STUDY}.db"
        study = self._study(url)
        while (wanted := min(self.n_jobs, self.n_trials - _settled(study))) > 0:
            trials = [study.ask(space) for _ in range(wanted)]
            batch = [[*fixed, *_chosen(trial), *self._watched(trial, url)] for trial in trials]
            self.validate_batch_is_legal(batch)
            results = self.launcher.launch(batch, initial_job_idx=trials[0].number)
            for trial, result in zip(trials, results, strict=True):
                _judge(study, trial, folder, result)

    def _space(self, overrides: Sequence[Override]) -> tuple[list[str], dict[str, Any]]:
        """Overrides that stay as they are, and Optuna's distributions by key."""
        fixed, space = [], {}
        for override in overrides:
            key = override.get_key_element()
            if not override.is_sweep_override():
                fixed.append(f"{key}={override.get_value_element_as_str()}")
                continue
            found = _distribution(override)
            if found is None:  # a choice of one is no choice
                fixed.append(f"{key}={next(iter(override.sweep_string_iterator()))}")
            else:
                space[key] = found
        if not space:
            raise ConfigError(
                "nothing to search over: give at least one key a range, e.g. "
                "model.module.optimizer.lr='tag(log,interval(1e-4,1e-2))'"
            )
        return fixed, space

    def _study(self, url: str) -> optuna.Study:
        try:
            import optuna
        except ImportError as error:
            raise DependencyNotFoundError(
                "hydra/sweeper=optuna needs Optuna: pip install 'fusionbench[sweeps]'"
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}[self.sampler]
        study = optuna.create_study(
            study_name=STUDY,
            storage=url,
            direction=self.direction,  # type: ignore[arg-type]
            sampler=sampler(seed=self.seed),
            pruner=_pruner(self.pruner),
            load_if_exists=True,
        )
        for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):  # cut off with an earlier process
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params)
        return study

    def _watched(self, trial: optuna.Trial, url: str) -> list[str]:
        if self.pruner == "none":
            return []
        node = {
            "_target_": "fusionbench.regimes.pruning.Pruning",
            "storage": url,
            "study": STUDY,
            "trial": trial.number,
            "pruner": self.pruner,
        }
        return [f"+callbacks.pruning.{key}={_quoted(value)}" for key, value in node.items()]


def _distribution(override: Override) -> Any:
    """Optuna's distribution of a swept key; None for a single value."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    if isinstance(value, ChoiceSweep):
        choices = list(override.sweep_iterator(transformer=Transformer.encode))
        return None if len(choices) < 2 else CategoricalDistribution(choices)  # type: ignore[arg-type]
    if isinstance(value, RangeSweep):
        if isinstance(value.start, float) or isinstance(value.stop, float) or isinstance(value.step, float):
            return FloatDistribution(float(value.start), float(value.stop), step=float(value.step))  # type: ignore[arg-type]
        return IntDistribution(int(value.start), int(value.stop) - 1, step=int(value.step))  # type: ignore[arg-type]
    if isinstance(value, IntervalSweep):
        log = "log" in value.tags
        if isinstance(value.start, int) and isinstance(value.end, int):
            return IntDistribution(value.start, value.end, log=log)
        return FloatDistribution(float(value.start), float(value.end), log=log)  # type: ignore[arg-type]
    raise ConfigError(f"{override.get_key_element()}: a search takes choice, range or interval, not {value}")


def _chosen(trial: optuna.Trial) -> list[str]:
    return [f"{key}={value}" for key, value in trial.params.items()]


def _quoted(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


def _pruner(name: str) -> Any:
    import optuna

    return {
        "none": optuna.pruners.NopPruner,
        "median": optuna.pruners.MedianPruner,
        "hyperband": optuna.pruners.HyperbandPruner,
    }[name]()


def _settled(study: optuna.Study) -> int:
    """Trials that have a value or were pruned."""
    from optuna.trial import TrialState

    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _judge(study: optuna.Study, trial: optuna.Trial, folder: Path, result: Any) -> None:
    """Tell the study what became of a trial, by what its run left behind."""
    from optuna.trial import TrialState

    from fusionbench.app.search import outcome

    state, value = outcome(Path(str(result.hydra_cfg.hydra.runtime.output_dir)))
    if state == "finished" and value is not None:
        study.tell(trial, value)
    elif state == "pruned":
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, state=TrialState.FAIL)
        raise ConfigError(
            f"trial {trial.number} came to no value ({state}); its run in {folder} says why. Once that is mended, "
            f"continue with: train.py resume={folder}"
        )
