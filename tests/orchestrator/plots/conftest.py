from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.retrain.story import Story, tell_all


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """An empty study."""
    story = Story(tmp_path)
    yield story
    story.registry.close()


@pytest.fixture
def told(story: Story) -> Story:
    """A study with something of everything."""
    tell_all(story)
    return story
