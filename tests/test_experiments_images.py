"""The images of ``digits_completion``: codes by hand, folders of images, and the command that takes one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuromem.errors import FileError
from neuromem.experiments import command
from neuromem.experiments.digits_completion import images, run


def test_codes_of_pixels_by_hand() -> None:
    pixels = np.array([[0, 2, 1]])
    np.testing.assert_array_equal(images.thermometer(pixels, 3), [[-1, -1, 1, 1, 1, -1]])
    np.testing.assert_array_equal(images.one_hot(pixels, 3), np.array([[1, 0, 0, 0, 0, 1, 0, 1, 0]], bool))


def test_grey_levels_leave_out_images_whose_upper_half_came_before() -> None:
    ink = np.array([[[0.0], [1.0]], [[0.0], [0.5]], [[0.99], [0.0]]])
    np.testing.assert_array_equal(images.grey_levels(ink, 4), [[0, 3], [3, 0]])


def test_likeness_is_the_mean_overlap_of_different_images() -> None:
    # Of 2 units each: the first two differ in one, overlap 0; the third is opposite to the first, overlap -1, and 0 to the second.
    assert run.likeness(np.array([[0, 0], [0, 1], [1, 1]]), 2) == pytest.approx(-1 / 3)


def test_a_folder_of_images_is_read_as_ink_in_the_order_of_names(tmp_path: Path) -> None:
    for name, grey in (("b.png", 255), ("a.jpg", 0)):
        Image.new("L", (40, 30), grey).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image", encoding="utf-8")
    found = images.images_of(tmp_path)
    assert found.shape == (2, images.FOLDER_SIDE, images.FOLDER_SIDE)
    assert (found[0] == 1).all()
    assert (found[1] == 0).all()


def test_a_folder_without_images_and_a_broken_image_are_errors_that_say_so(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r": 0 images; expected a folder with at least 2, of \.png"):
        images.images_of(tmp_path / "none")
    (tmp_path / "a.png").write_text("no", encoding="utf-8")
    with pytest.raises(FileError, match=r"a\.png: not an image that can be read"):
        images.images_of(tmp_path)


def test_the_command_completes_the_images_of_a_folder_without_claims(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "mine", tmp_path / "out"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(4):
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(folder / f"{i}.png")
    assert run.main(["--quick", "--images", str(folder), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"written: {out / 'results.json'}, {out / 'figure.png'}\n"
    results = json.loads((out / command.RESULTS).read_text(encoding="utf-8"))
    assert results["verdicts"] == []
    assert results["measured"]["grey"]["wrong"]["bcpnn"] == {"stored_4": {"wrong": 0, "of": 4}}  # random images are not alike
    assert run.main(["--images", str(tmp_path / "none")]) == 2
    assert "0 images" in capsys.readouterr().err
