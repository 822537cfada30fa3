from pathlib import Path

import pytest

from retrain.improvement import find_configuration, fold_scores, get_study, improvement, improvement_lines
from tests.retrain.story import BASE, TODAY, Story, better
from tuner.errors import NotFoundError
from tuner.experiment import Evaluation, Experiment, Measurement, Params


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def test_folds_are_known_by_their_mean(story: Story) -> None:
    row = story.scored(BASE, "default")
    assert fold_scores(story.registry, story.study, row) == BASE


@pytest.mark.parametrize("steps", [(0.5,), (0.1, 0.2), ()])
def test_what_is_no_set_of_folds_gives_none(story: Story, steps: tuple[float, ...]) -> None:
    story.write()
    (claim,) = story.registry.claim(story.study)
    measured = tuple(Measurement(i, "roc_auc", value) for i, value in enumerate(steps))
    row = story.registry.complete(claim, Evaluation(0.5, measurements=measured), TODAY)
    assert fold_scores(story.registry, story.study, row) == []


def test_measurements_of_other_metrics_are_no_folds(story: Story) -> None:
    story.write()
    (claim,) = story.registry.claim(story.study)
    measured = tuple(Measurement(i, "accuracy", 0.5) for i in range(5))
    row = story.registry.complete(claim, Evaluation(0.5, measurements=measured), TODAY)
    assert fold_scores(story.registry, story.study, row) == []


def test_different_numbers_of_folds_are_not_paired(story: Story) -> None:
    first = story.scored(BASE, max_depth=3)
    second = story.scored(BASE[:4], max_depth=4)
    assert improvement(story.registry, story.study, first, second).paired is None


def test_the_paired_mean_is_the_amount(story: Story) -> None:
    first, second = story.scored(better(BASE, 0.01), max_depth=3), story.scored(BASE, max_depth=4)
    gain = improvement(story.registry, story.study, first, second)
    assert gain.paired is not None
    assert gain.paired.mean == pytest.approx(gain.amount)


def test_the_same_difference_in_every_fold_gives_no_interval(story: Story) -> None:
    first, second = story.scored([each + 0.01 for each in BASE], max_depth=3), story.scored(BASE, max_depth=4)
    _, why = improvement_lines(improvement(story.registry, story.study, first, second))
    assert why == "  no interval: the difference is the same in each of the 5 folds"


def test_no_value_no_improvement(story: Story) -> None:
    with pytest.raises(ValueError, match="complete"):
        improvement(story.registry, story.study, story.scored(BASE), story.write(max_depth=3))


def test_the_latest_of_equal_configurations_is_found(story: Story) -> None:
    story.scored(BASE, max_depth=3)
    last = story.scored(BASE, max_depth=3)

    def find(params: Params) -> Experiment | None:
        return find_configuration(story.registry, story.study, TODAY, params)

    assert find(last.params) == last
    assert find({"max_depth": 99}) is None


def test_an_unknown_study_names_the_closest(story: Story) -> None:
    assert get_study(story.registry, "breast") == story.study
    with pytest.raises(NotFoundError, match=r"no study 'brest'.*Did you mean 'breast'"):
        get_study(story.registry, "brest")
