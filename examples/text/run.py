"""Present or absent, and where: in stages and in one large study, separately, shared and jointly."""

import os
from pathlib import Path

from examples.steps import Gained, Shell
from examples.text.data import prepare
from retrain.config import load_config
from retrain.honest import holdout_gain
from retrain.pipelines import load_pipeline
from tuner.registry import open_registry

__all__ = ["ARCHITECTURES", "run"]

ARCHITECTURES = ("criteria", "evidence", "share", "joint")
POOL = ("--pool", "local", "--parallel", "2")
STAGES = ("", "-S0", "-S1", "-S2")


def run(folder: Path, data: Path | None) -> list[Gained]:
    """Run it in a copy of this folder.

    Args:
        folder: the copy.
        data: the folder that holds `text_negex/`; None for the sample, with fewer experiments.
    """
    frame = prepare(folder, None if data is None else data / "text_negex")
    print(f"{len(frame)} sentences of {frame['post_id'].nunique()} reports\n", flush=True)
    shell = Shell(folder)
    alone, together = ARCHITECTURES[:2], ARCHITECTURES[2:]
    of_real, of_sample = (("30", "15"), ("6", "5"))
    for_stages, for_one = of_sample if data is None else of_real
    staged = ("--mode", "multistage", "--n-trials", for_stages)
    shell.run("orchestrator", "all", *staged, "--architectures", *alone, *POOL)
    seconds = shell.seconds
    large = ("--mode", "maximal", "--n-trials", for_one)
    shell.run("orchestrator", "all", *large, "--architectures", *together, *POOL)
    took = dict.fromkeys(alone, seconds) | dict.fromkeys(together, shell.seconds - seconds)
    return [_gained(shell, name, took[name]) for name in ARCHITECTURES]


def _gained(shell: Shell, name: str, seconds: float) -> Gained:
    """Defaults and best, on the reports that no search has seen; two ran at once in these seconds."""
    path = shell.folder / f"retrain.toml#{name}"
    summary = shell.read("orchestrator", "--summary", "--config", str(path))
    config = load_config(path, environ=dict(os.environ))
    n_run = sum(_n_experiments(shell.folder, config.study_name + stage) for stage in STAGES)
    pipeline = load_pipeline(config)
    pipeline.use(pipeline.load())
    params = [pipeline.space.defaults(), summary["best"][0]["params"]]
    before, after = (pipeline.test(pipeline.fit(each, config.study.seed)) for each in params)
    metric = f"test_{pipeline.metric}"
    gain = holdout_gain(
        after.metrics[metric],
        after.left_out.get(metric, ()),
        before.metrics[metric],
        before.left_out.get(metric, ()),
        pipeline.direction,
    )
    return Gained(
        f"text, {name}",
        pipeline.metric,
        before.metrics[metric],
        after.metrics[metric],
        None if gain is None else gain.low,
        None if gain is None else gain.high,
        n_run,
        seconds,
        f"{after.n_rows} sentences of held-out reports",
    )


def _n_experiments(folder: Path, study: str) -> int:
    """How many experiments a study has; none where there is no such study."""
    with open_registry(folder / "experiments.db", create=False) as registry:
        found = registry.find_study(study)
        return 0 if found is None else sum(registry.counts(found).values())
