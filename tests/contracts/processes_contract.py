"""What holds when several processes are at one registry at one moment, whatever it is kept in."""

from collections.abc import Callable
from typing import Any

from tests.contracts.registry_cases import ON, SPEC, some
from tuner.experiment import Evaluation, State
from tuner.registry import Registry

__all__ = ["MAKE", "ProcessesContract", "Together"]

Together = Callable[[int, str], list[Any]]
"""Runs the same lines in `n` processes that start at one moment; they find `path`, and set `said`."""

MAKE = """
with open_registry(path, create=True) as registry:
    study = registry.open_study(SPEC)
    registry.add(study, some(3))
    said = study.id
"""
"""Each makes the registry, unless another did."""


class ProcessesContract:
    """Subclass it where the fixtures `together` and `registry` (the same one, empty) are."""

    def test_the_same_configurations_from_four_processes_are_written_once(
        self, together: Together, registry: Registry
    ) -> None:
        said = together(
            4,
            """
with open_registry(path, create=False) as registry:
    study = registry.open_study(SPEC)
    said = [e.public_id for n in range(20) for e in registry.add(study, some(10, first=10 * n))]
""",
        )
        written = [public_id for ids in said for public_id in ids]
        assert len(written) == len(set(written)) == len(registry.experiments()) == 200

    def test_claims_of_four_processes_never_overlap(self, together: Together, registry: Registry) -> None:
        study = registry.open_study(SPEC)
        registry.add(study, some(120))
        said = together(
            4,
            """
said = []
with open_registry(path, create=False) as registry:
    [study] = registry.studies()
    while claims := registry.claim(study, 3):
        registry.heartbeat()
        one, *others = claims
        registry.complete(one, Evaluation(0.5), ON)
        registry.finish([(claim, Evaluation(0.5)) for claim in others], ON)
        said += [claim.experiment.id for claim in claims]
""",
        )
        assert sorted(id_ for ids in said for id_ in ids) == [e.id for e in registry.experiments(study)]
        assert registry.counts(study)[State.COMPLETE] == 120
        assert {e.attempt for e in registry.experiments(study)} == {1}

    def test_one_of_several_deployments_of_the_same_moment_wins(
        self, together: Together, registry: Registry
    ) -> None:
        said = together(
            4,
            """
from tuner.errors import MismatchError
said = 0
with open_registry(path, create=False) as registry:
    version = registry.stage_version("credit", {}, manifest={})
    try:
        said = registry.activate(version, action="apply", who="", reason="").to_version
    except MismatchError:
        registry.discard_version(version)
""",
        )
        [winner] = [number for number in said if number]
        assert [d.to_version for d in registry.deployments("credit")] == [winner]
        assert [v.number for v in registry.versions("credit")] == [winner]

    def test_confirmations_of_the_same_moment_stand_once_and_all_see_the_same(
        self, together: Together, registry: Registry
    ) -> None:
        study = registry.open_study(SPEC)
        [written] = registry.add(study, some(1))
        registry.complete(registry.claim(study)[0], Evaluation(0.5), ON)
        said = together(
            4,
            f"""
import os
with open_registry(path, create=False) as registry:
    mine = os.getpid() / 2**20
    repeats = [Confirmation({written.public_id!r}, seed, mine, (float(seed),), ON) for seed in range(30)]
    said = [registry.add_confirmation(each).value for each in repeats]
""",
        )
        [study] = registry.studies()
        stored = registry.confirmations(study)
        assert sorted(one.seed for one in stored) == list(range(30))
        by_seed = [one.value for one in sorted(stored, key=lambda one: one.seed)]
        assert said == [by_seed] * 4
        assert registry.provenances(study) == [(ON, 1)]
