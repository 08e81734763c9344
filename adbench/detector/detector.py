"""`Detector`: a method that learns from normal images and then scores any image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from adbench.detector.explain.explaining import Explainer
from adbench.detector.explain.normal_files import NormalFiles
from adbench.detector.fit.images import (
    GivenDataset,
    ImageLike,
    Images,
    ignore_mask_of,
    images_of,
    is_one,
    left_out_of_normal,
    normal_images,
)
from adbench.detector.fit.learning import learn
from adbench.detector.fit.scoring import ReadImage, ScoredImage, Scoring
from adbench.detector.fit.state import About, DetectorState
from adbench.detector.notebook import table_html
from adbench.detector.prediction import Prediction
from adbench.detector.recipes import recipe_of
from adbench.detector.settings import USUAL, settings_of
from adbench.engine.evaluate.threshold import Threshold
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.plan.recipe import Recipe
from adbench.engine.plan.threshold_rule import Rule
from adbench.errors import BadImage, UsageError
from adbench.registration.registry import installed

if TYPE_CHECKING:
    from adbench.detector.export.exporting import Exported
    from adbench.detector.export.formats import Format


class Detector:
    """A method that learns from normal images and then scores any image.

    It is a thin layer on the engine of ``adbench run``: fit, scores and thresholds are those of a run with the same
    recipe, images and seed.

    Args:
        recipe: a recipe's name, a recipe file, or a `Recipe`; None for one that is made of `parts`.
        seed: decides everything random.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        runtime: what computes the backbone: ``"auto"``, ``"torch"``, ``"onnxruntime"`` or ``"openvino"``.
        batch_size: images that are scored together.
        workers: threads that read images ahead.
        class_name: the object's name, for methods that read it.
        cache: a folder for exported networks; ``"usual"`` for the user's own; None to keep nothing.
        note: called with each sentence that a user should see.
        parts: by slot a part that replaces the recipe's own, written as on the command line:
            ``bank="coreset:fraction=0.1"``; several in a list for ``preprocess`` and ``neck``.

    Attributes:
        recipe: complete, with all its parts.
        settings: how it computes.
        state: what was learned; None before the fit.

    Raises:
        UnknownName: no such recipe, component or option.
        UsageError: the recipe cannot be meant, or a GPU is asked for and there is none.
    """

    def __init__(  # noqa: PLR0913  keyword options of the public door
        self,
        recipe: str | Path | Recipe | None = None,
        *,
        seed: int = 0,
        device: str = "auto",
        runtime: str = "auto",
        batch_size: int = 8,
        workers: int = 2,
        class_name: str | None = None,
        cache: str | Path | None = USUAL,
        note: Callable[[str], None] = lambda _: None,
        **parts: Any,
    ) -> None:
        self.seed, self.class_name, self.note = seed, class_name, note
        self.settings = settings_of(device, runtime, batch_size, workers, cache)
        self.recipe = recipe_of(installed(), recipe, parts)
        self.state: DetectorState | None = None

    def fit(
        self,
        images: Images,
        *,
        threshold: str | Rule = "conformal",
        white: float | None = None,
        ignore: str | Path | np.ndarray | None = None,
    ) -> Detector:
        """Learn from normal images, and set the threshold on scores of images that the bank had not seen.

        Args:
            images: a folder, paths or arrays. Of a folder, the images in it and not those in folders below, which may
                show defects; the folder of a category in MVTec AD's layout stands for its normal training images.
            threshold: the rule: ``conformal``, ``conformal:alpha=0.01``, ``quantile``, ``sigma:k=3``.
            white: the number that is white in images of more than 8 bits, such as 4095; None for what the bits hold.
            ignore: pixels of all images that nobody looks at: [H, W] bool, an image file in which they are light, or a
                file of labelme; None for none.

        Returns:
            The detector itself.

        Raises:
            UsageError: the method cannot be a detector, its parts do not work together, or there is no such rule.
            DataError: there is no image to learn from, or one cannot be read.
            WeightsError: weights cannot be had.
        """
        rule = threshold if isinstance(threshold, Rule) else Rule.parse(threshold)
        if left := left_out_of_normal(images):
            self.note(left)
        self.state = learn(
            self.recipe,
            GivenDataset(normal_images(images), white, ignore_mask_of(ignore)),
            replace(self.settings, threshold=rule),
            installed(),
            seed=self.seed,
            class_name=self.class_name,
            note=self.note,
        )
        return self

    @overload
    def predict(self, images: ImageLike) -> Prediction: ...  # type: ignore[overload-overlap]  # an array is iterable
    @overload
    def predict(self, images: Iterable[ImageLike]) -> Iterator[Prediction]: ...
    def predict(self, images: Images) -> Any:
        """Predict one image, or many.

        Args:
            images: a path or an array for one; a folder, a list or a generator for many.

        Returns:
            A `Prediction` of one image; of many an iterator, which reads and scores in batches as it goes, in order.

        Raises:
            UsageError: the detector has not learned yet.
            BadImage: an image cannot be read.
            DataError: a folder holds no image.
        """
        fitted = self.fitted
        if is_one(images):
            return self._predicted(fitted, self.scoring.score(next(images_of(images))))
        return (self._predicted(fitted, scored) for scored in self.scoring.scores(images_of(images)))

    def outcomes(self, images: Images) -> Iterator[Prediction | BadImage]:
        """As `predict` of many, with the reason in the place of an image that cannot be read."""
        return self._outcomes(self.scoring.scores(images_of(images)))

    def read(self, image: ImageLike) -> ReadImage | BadImage:
        """Read and prepare one image for `outcomes_of`; in any thread, while others are scored."""
        return self.scoring.read(next(images_of(image)))

    def outcomes_of(self, images: Iterable[ReadImage | BadImage]) -> Iterator[Prediction | BadImage]:
        """As `outcomes`, for images that `read` has read."""
        return self._outcomes(self.scoring.scores_of(images))

    def _outcomes(self, images: Iterable[ScoredImage | BadImage]) -> Iterator[Prediction | BadImage]:
        fitted = self.fitted
        for scored in images:
            yield scored if isinstance(scored, BadImage) else self._prediction(fitted, scored)

    def _predicted(self, fitted: DetectorState, scored: ScoredImage | BadImage) -> Prediction:
        if isinstance(scored, BadImage):
            raise scored
        return self._prediction(fitted, scored)

    def _prediction(self, fitted: DetectorState, scored: ScoredImage) -> Prediction:
        learned, patches = fitted.about.learned, scored.scores.patches
        return Prediction(
            image=scored.image,
            score=scored.score,
            patches=None if patches is None else np.asarray(patches.numpy()),
            geometry=scored.geometry,
            milliseconds=scored.milliseconds,
            notes=() if learned is None else tuple(learned.differences(scored.appearance)),
            calibration=fitted.calibration,
            spec=fitted.recipe.map or MapSpec(),
            white=fitted.about.white,
            ignored=scored.ignored,
            explainer=Explainer(fitted, self.scoring, self._normal_files(fitted)),
        )

    def _normal_files(self, fitted: DetectorState) -> NormalFiles:
        """Where the images may lie that it learned from: the folder of its file, or the dataset of its run."""
        return NormalFiles(known=fitted.files, home=fitted.home)

    def threshold(self, rule: str | Rule | None = None) -> Threshold:
        """The threshold on image scores; by another rule from now on, if one is given.

        Returns:
            Its value with the rule and the number of normal scores; the value is None, with the reason, where the rule
            needs more of them.

        Raises:
            UsageError: there is no such rule, or the detector has not learned yet.
        """
        fitted = self.fitted
        if rule is not None:
            drawn = rule if isinstance(rule, Rule) else Rule.parse(rule)
            self.state = fitted = replace(fitted, calibration=replace(fitted.calibration, rule=drawn))
        return fitted.calibration.threshold

    def add(self, images: Images) -> Detector:
        """Learn from more normal images, and forget none; the threshold stays.

        Raises:
            UsageError: the bank cannot learn from more images, or all of them are known.
            BadImage: an image cannot be read.
        """
        from adbench.detector.fit.changing import with_images

        self.state = with_images(self.fitted, normal_images(images), self.settings)
        return self

    def remove(self, images: Sequence[str]) -> Detector:
        """Forget images, named by file name or by how their sha256 begins; the threshold stays.

        Raises:
            UnknownName: it never learned from such an image.
            UsageError: the bank cannot forget, or nothing would be left.
        """
        from adbench.detector.fit.changing import without_images

        self.state = without_images(self.fitted, images)
        return self

    def save(self, path: str | Path, *, bundle: bool = False) -> Path:
        """Write all of it into one file.

        Args:
            path: of the file, which ends in ``.adbench`` by custom; one that is there is replaced when the new one is
                whole.
            bundle: put files that options name, such as weights, into it.

        Raises:
            UsageError: the detector has not learned yet, or a part cannot keep what it learned.
            StorageError: the file cannot be written.
        """
        from adbench.detector.store.file import write_detector

        return write_detector(Path(path), self.fitted, bundle=bundle)

    def export(
        self,
        path: str | Path,
        *,
        format: Format = "onnx",  # noqa: A002  as the command has it
        images: Images = (),
        size: tuple[int, int] | None = None,
        batch: int = 1,
    ) -> Exported:
        """Write it as one file for other programs, and prove that the file gives the same scores.

        Args:
            path: of the file: ``.onnx``, ``.xml`` (OpenVINO) or ``.pt2`` (PyTorch).
            format: ``"onnx"``, ``"openvino"`` or ``"torch"``.
            images: normal ones to compare scores on, beside synthetic ones.
            size: height and width of the images that the file takes; None for that of the images learned from.
            batch: images a call.

        Returns:
            The path, the images that the file takes, and the report of the comparison.

        Raises:
            UsageError: the method cannot be exported, the size is not known, a package is missing, or scores differ.
            StorageError: the file cannot be written.
        """
        from adbench.detector.export.exporting import export_detector

        return export_detector(self, Path(path), format, images_of(images), size=size, batch=batch)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: str = "auto",
        runtime: str = "auto",
        batch_size: int = 8,
        workers: int = 2,
        cache: str | Path | None = USUAL,
        files: Iterable[str | Path] = (),
        note: Callable[[str], None] = lambda _: None,
    ) -> Detector:
        """The detector in a file; it may come from an untrusted source.

        Args:
            path: of the file.
            device: as of a new one.
            runtime: as of a new one.
            batch_size: as of a new one.
            workers: as of a new one.
            cache: as of a new one.
            files: files that the recipe's options name and that are not in it; they are known by their content.
            note: as of a new one.

        Raises:
            StorageError: the file cannot be read, is no detector, is damaged, or of a newer adbench.
            UsageError: a plugin is missing or of another version.
            WeightsError: weights cannot be had, or are others.
        """
        from adbench.detector.store.file import read_detector

        settings = settings_of(device, runtime, batch_size, workers, cache)
        state = read_detector(Path(path), settings, [Path(file) for file in files])
        made = cls.__new__(cls)  # the recipe is complete, and all plugins need not be loaded to say so
        made.seed, made.class_name, made.note = state.about.seed, state.about.class_name, note
        made.settings, made.recipe, made.state = settings, state.recipe, state
        return made

    @property
    def fitted(self) -> DetectorState:
        """What was learned.

        Raises:
            UsageError: nothing was yet.
        """
        if self.state is None:
            raise UsageError("this detector has learned nothing yet; call fit with normal images first")
        return self.state

    @property
    def about(self) -> About:
        """What is known of the detector: its parts, the images that it learned from, weights, versions, figures."""
        return self.fitted.about

    @property
    def normal_scores(self) -> np.ndarray:
        """[N] float32: scores of normal images by banks that had not seen them; empty where there were too few."""
        return np.asarray(self.fitted.calibration.normal.values, np.float32)

    @property
    def is_bundled(self) -> bool:
        """Whether it came out of a file that holds files that its options name."""
        return self.fitted.about.bundled

    @property
    def scoring(self) -> Scoring:
        """What scores images with the fitted method."""
        fitted = self.fitted
        return Scoring(
            fitted.method, self.settings, fitted.recipe.features == "float16", fitted.about.white, fitted.about.ignore
        )

    def facts(self) -> dict[str, str]:
        """What the detector is, in words: method, images, threshold, weights, versions, figures, changes."""
        method = {"method": self.recipe.title or self.recipe.name}
        return {**method, **({"state": "has learned nothing yet"} if self.state is None else self.state.facts())}

    def __repr__(self) -> str:
        if self.state is None:
            return f"Detector({self.recipe.name!r}, has learned nothing yet)"
        count = len(self.about.images)
        return f"Detector({self.recipe.name!r}, learned from {count} images, {self.state.calibration.words})"

    def _repr_html_(self) -> str:
        return table_html(f"Detector {self.recipe.name}", self.facts())
