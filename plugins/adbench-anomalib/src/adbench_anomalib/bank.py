"""The bank of anomalib's trained models."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator, model_validator

from adbench import ContractError, DataError, EnergyBank, Field, UsageError, Weights
from adbench.training import Budget, Training, loss_facts
from adbench.weights import WeightsOption, resolve_weights
from adbench_anomalib.installation import require_anomalib
from adbench_anomalib.models.adapter import AdaptedOptimization, Setting
from adbench_anomalib.models.catalog import adapter_of
from adbench_anomalib.randomness import drawn_from

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, Features, FeatureStream
    from adbench.weights import WeightsSource
    from adbench_anomalib.examples import Examples, Layout, Shown
    from adbench_anomalib.models.adapter import Answer

PART = "network."
"""With what the names of the network's tensors begin."""


class Anomalib(EnergyBank):
    """A trained model of anomalib, whose maps are its energies.

    The model's torch network learns in adbench's loop, without anomalib's `Engine`: a fixed number of steps with the
    model's own loss, optimiser and rates, the last weights, one seed, no look at test images. Where its encoder is
    frozen, the recipe's backbone stands in for it: its layers are computed once, and its weights are in the record.
    Each image is scored alone.
    """

    name: ClassVar[str] = "anomalib"

    class Config(EnergyBank.Config):
        """Options."""

        model: str = Field("reverse-distillation", description="anomalib's model, such as stfpm or efficient-ad")
        implementation: Literal["anomalib 2.7.0"] = Field(
            "anomalib 2.7.0", description="whose code runs; it is part of the record"
        )
        steps: int = Field(2000, ge=1, description="training steps; the last weights count")
        batch: int = Field(16, ge=1, description="images of a step; all of them where there are fewer")
        rate: float | None = Field(None, gt=0, description="learning rate; none: the model's own in anomalib")
        architecture: str | None = Field(
            None,
            description="the network, by anomalib's name: the decoder of reverse-distillation, the student of stfpm,"
            " the encoder of dinomaly, inp-former, foundad, uninet or patchflow, small or medium of efficient-ad; none:"
            " the model's own",
        )
        weights: WeightsOption = Field(
            "pretrained",
            description="pretrained, random or a file: of a network that the model brings itself, such as dinomaly's"
            " encoder or efficient-ad's teacher",
        )
        random_seed: int = Field(0, ge=0, description="decides weights=random")
        auxiliary: Path | None = Field(
            None,
            description="folder of images that are no part of the dataset: natural ones for efficient-ad, textures for"
            " draem and glass",
        )

        @field_validator("model")
        @classmethod
        def _known(cls, model: str) -> str:
            adapter_of(model)
            return model

        @model_validator(mode="after")
        def _folder(self) -> Anomalib.Config:
            if self.auxiliary is not None and not self.auxiliary.is_dir():
                raise ValueError(f"auxiliary names a folder of images, and {self.auxiliary} is none")
            return self

    config: Config
    needs: ClassVar[frozenset[str]] = frozenset({"layers", "images"})
    not_exported: ClassVar[str] = (
        "its network is anomalib's own code, whose steps adbench does not know; export the model with anomalib's"
        " Engine, or choose a method of adbench's own"
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._kind = adapter_of(self.config.model)
        self.needs = self._kind.reads  # type: ignore[misc]  # it depends on the options
        self._device, self._weights = "cpu", tuple[Weights, ...]()
        self._adapter = self._kind(self._setting(None))
        self._learned: dict[str, Tensor] = {}
        self._made: Any = None

    def prepare(self, ctx: Context) -> None:
        """Find anomalib and the weights that the model brings itself.

        Raises:
            WeightsError: anomalib is not installed, or in another version, or the weights cannot be had.
            UsageError: the model needs a folder of other images, and none is given.
        """
        require_anomalib(self.title)
        self._adapter.require_auxiliary()
        self._device = ctx.device
        if self._kind.own:
            source = self._source()
            self._adapter = self._kind(self._setting(source))
            self._weights = (source.provenance(self._initial() if source.path is None else {}),)

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        """Train the model on the stream.

        Raises:
            DataError: there is no image, or images have different sizes.
            ContractError: layers or images are missing or not finite.
            UsageError: the model cannot read images of this size or these layers, the disk has no room for them, or the
                loss is not finite, with the step.
        """
        from adbench_anomalib.examples import Examples

        with Examples(self.needs, self.title, ctx.workdir) as examples:
            examples.add(features)
            self.restore(self._fitted(examples, ctx))

    def answer(self, features: Features) -> Answer:
        """The model's own maps and scores of a batch; each image by itself, so that it has the same in any batch.

        Raises:
            DataError: images have another size than those that were learned from.
            ContractError: layers or images are missing, not finite, or have other channels.
            UsageError: nothing was learned yet.
        """
        import torch

        from adbench_anomalib.examples import shown
        from adbench_anomalib.models.adapter import Answer

        layout = self._layout()
        asked = shown(features, self.needs, self.title)
        self._require_same(asked, layout)
        with torch.no_grad():
            found = [self._adapter.answer(self._made, asked.only(at).to(self._device)) for at in range(len(features))]
        maps, scores = torch.cat([each.maps for each in found]), torch.cat([each.scores for each in found])
        return Answer(maps.float(), scores.float())

    def energy(self, features: Features) -> Tensor:
        """The maps, [B, H, W] float32: on the pixels of the prepared images, or on the patches where there are any.

        A patch has the mean of its pixels.

        Raises:
            AdbenchError: as `answer`.
        """
        return on_patches(self.answer(features).maps, features)

    def state(self) -> dict[str, Tensor]:
        return dict(self._learned)

    def restore(self, state: dict[str, Tensor]) -> None:
        import torch

        self._learned = {name: tensor.to(self._device) for name, tensor in state.items()}
        network = self._built(self._layout(), torch.Generator().manual_seed(0))
        weights = {
            name.removeprefix(PART): value.cpu() for name, value in self._learned.items() if name.startswith(PART)
        }
        self._adapter.learned(network).load_state_dict(weights)
        self._made = network.to(self._device).requires_grad_(requires_grad=False).eval()

    def weights(self) -> tuple[Weights, ...]:
        return self._weights

    def facts(self) -> Mapping[str, float]:
        """The mean losses of the first and of the last steps."""
        return loss_facts(self._known("losses"))

    def losses(self) -> Sequence[float]:
        losses: list[float] = self._known("losses").tolist()
        return losses

    def identity(self) -> dict[str, Any]:
        """Options as they decide the score; the folder of other images by the content of its files."""
        folder = self.config.auxiliary
        given = None if folder is None else {"folder": folder.name, "sha256": _digest_of(folder)}
        return {**super().identity(), "auxiliary": given}

    def _setting(self, weights: WeightsSource | None) -> Setting:
        options = self.config
        who = f"{self.title}, model {options.model!r}"
        return Setting(who, options.steps, options.rate, options.architecture, options.auxiliary, weights)

    def _source(self) -> WeightsSource:
        architecture = self._adapter.architecture
        return resolve_weights(
            self.config.weights, self.config.random_seed, lambda: self._kind.pretrained(architecture)
        )

    def _initial(self) -> dict[str, Tensor]:
        """The random weights of the model's own pretrained part, which the record names by their content."""
        import torch

        from adbench_anomalib.examples import Layout

        least = -(-self._kind.least // self._kind.multiple) * self._kind.multiple
        network = self._built(Layout((least, least)), torch.Generator().manual_seed(0))
        state: dict[str, Tensor] = self._adapter.brought(network).state_dict()
        return state

    def _built(self, layout: Layout, generator: Any) -> Any:
        self._adapter.require_size(layout.size)
        with drawn_from(generator), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of anomalib about its own modules, when it is imported first
            return self._adapter.network(layout)

    def _fitted(self, examples: Examples, ctx: Context) -> dict[str, Tensor]:
        """The state of a network that has learned from the examples."""
        import torch

        layout, adapter = examples.layout, self._adapter
        network = self._built(layout, ctx.generator(f"{self.name}/weights")).to(ctx.device)
        trained, held_out = self._parted(len(examples), ctx)
        adapter.begin(network, examples, trained, ctx.device)
        losses = self._train(network.train(), examples, trained, ctx)
        adapter.finish(network.eval(), examples, held_out, ctx.device)
        weights = adapter.learned(network).state_dict()
        shapes = torch.tensor([(1, *layout.size), *layout.layers])
        named = {f"{PART}{name}": value.detach().contiguous() for name, value in weights.items()}
        return {"layout": shapes, "losses": losses, **named}

    def _parted(self, count: int, ctx: Context) -> tuple[list[int], list[int]]:
        """The images that are trained on, and those that are held out; both are the one image where there is one."""
        import torch

        share = self._kind.held_out
        if not share or count < 2:
            return list(range(count)), list(range(count))
        order = torch.randperm(count, generator=ctx.generator(f"{self.name}/held-out")).tolist()
        kept = max(1, round(share * count))
        return sorted(order[kept:]), sorted(order[:kept])

    def _train(self, network: Any, examples: Examples, trained: list[int], ctx: Context) -> Tensor:
        """Train the network; returns the losses [steps]."""
        optimization = AdaptedOptimization(self._adapter)

        def loss(chosen: Tensor, noise: Any) -> Tensor:
            batch = examples.batch([trained[index] for index in chosen.tolist()]).to(ctx.device)
            with drawn_from(noise, ctx.device):
                return self._adapter.loss(network, batch, optimization.step)

        options = self.config
        budget = Budget(options.steps, options.batch, options.rate or self._kind.rate)
        training = Training(
            self._adapter.learned(network),
            loss,
            len(trained),
            budget,
            ctx,
            name=self.name,
            who=self.title,
            optimization=optimization,
        )
        return training.run({"options": self.identity(), "version": self.version, "examples": examples.digest})

    def _require_same(self, asked: Shown, layout: Layout) -> None:
        """Refuse images of other shapes than those that were learned from."""
        found = asked.layout
        channels, known = [shape[0] for shape in found.layers], [shape[0] for shape in layout.layers]
        if channels != known:
            told = f"{self.title} learned layers of {known} channels, but is asked about {channels}"
            raise ContractError("the backbone or a neck", told)
        if found != layout:
            sizes = [f"{height} x {width}" for height, width in (layout.size, found.size)]
            raise DataError(
                f"{self.title} learned from images of {sizes[0]} pixels, but an image has {sizes[1]}; resize and crop"
                " all images to one size"
            )

    def _layout(self) -> Layout:
        from adbench_anomalib.examples import Layout

        (_, height, width), *layers = self._known("layout").tolist()
        return Layout((height, width), tuple((each[0], each[1], each[2]) for each in layers))

    def _known(self, name: str) -> Tensor:
        if not self._learned:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        return self._learned[name]


def on_patches(maps: Tensor, features: Features) -> Tensor:
    """Maps [B, H, W] on the grid of the patches, where there are any, by the mean of their pixels."""
    from torch.nn.functional import adaptive_avg_pool2d

    if features.patches is None or features.patches.shape[1:3] == maps.shape[1:]:
        return maps
    height, width = features.patches.shape[1:3]
    return adaptive_avg_pool2d(maps[:, None], (height, width))[:, 0]


def _digest_of(folder: Path) -> str:
    """The sha256 over names and bytes of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
