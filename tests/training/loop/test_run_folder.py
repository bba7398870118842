from dataclasses import asdict
from pathlib import Path

import pytest

from dgqa_infer import ModelError
from dgqa_training.loop.recipe import Recipe
from dgqa_training.loop.run_folder import Position, RunFolder, State, digest_of_names
from dgqa_training.networks.checkpoints import write_tensors

RECIPE = Recipe()


@pytest.mark.parametrize("text", ["", '{"recipe": {"epo', "[1]", "{}", '{"recipe": 3}', "\udcff"])
def test_damaged_settings_are_said_with_what_to_do(tmp_path, text):
    (tmp_path / "settings.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match=r"settings\.json .*; remove .* to start anew"):
        RunFolder(tmp_path).claim(RECIPE, {})


def test_settings_that_cannot_be_written_whole_leave_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        RunFolder(tmp_path).claim(RECIPE, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "metadata", [{"other": ""}, {"state": "{}"}, {"state": "{", "log": "[]"}, {"state": "3", "log": "[]"}]
)
def test_a_damaged_state_is_said_with_what_to_do(tmp_path, metadata):
    folder = RunFolder(tmp_path)
    write_tensors(folder.state_file, {}, metadata)
    with pytest.raises(ModelError, match=r"state\.safetensors is damaged .*; remove .* to start anew"):
        folder.load()


def test_a_state_is_read_as_it_was_saved(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.load() is None
    folder.save(State(Position(2, 1, 0.5, 4, 1.5), {}, [{"epoch": 0}, {"epoch": 1}]))
    found = folder.load()
    assert asdict(found.position) == asdict(Position(2, 1, 0.5, 4, 1.5))
    assert found.log == [{"epoch": 0}, {"epoch": 1}]


def test_a_digest_of_names_tells_folders_of_one_size_apart():
    files = [Path("a/1.png"), Path("a/2.png")]
    assert digest_of_names(files) == digest_of_names([Path("b") / file.name for file in files])
    others = [[Path("1.png"), Path("3.png")], [Path("1.png2.png"), Path()], files[::-1]]
    assert len({digest_of_names(each) for each in (files, *others)}) == 4
    assert len(digest_of_names([Path("\udcff.png")])) == 16
