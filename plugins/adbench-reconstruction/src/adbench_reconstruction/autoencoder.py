"""The autoencoder bank: it learns to reconstruct normal patches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from adbench import ContractError, DataError, Field, ReconstructionBank, UsageError
from adbench.training import Budget, Training, loss_facts

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context, Features, FeatureStream
    from adbench_reconstruction.loss import Objective
    from adbench_reconstruction.networks import Convolutional, Pointwise
    from adbench_reconstruction.pool import Pool

LATENT = 100
"""Values of an image's code (Bergmann et al., arXiv 1807.02011)."""

EXPLAINED = 0.9
"""A patch's code has as many values as principal components explain this share of the variance (DFR, 2012.07122)."""

ROWS = 1 << 15
"""Patches that are redrawn at once."""

PATCHES = 1024
"""Patches that stand for an image in a step of the form 'place': as many as most grids have."""


class Autoencoder(ReconstructionBank):
    """An autoencoder that learns to reconstruct normal patches through a narrow code.

    Every variant is a switch of this one bank, so that two rows may differ in one of them. The network sees values
    standardised channel by channel, and its last layer is linear. It takes a fixed number of steps with Adam, its last
    weights count, and all its randomness comes from the seed. A training that was stopped goes on from its last
    checkpoint where the run has a cache.
    """

    name: ClassVar[str] = "autoencoder"
    plain: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"patches"})

    class Config(ReconstructionBank.Config):
        """Options."""

        form: Literal["image", "place"] = Field(
            "image",
            description="image: convolutions that make one code of the whole grid, Bergmann's table 1; place: each"
            " patch by itself, DFR's 1 x 1 convolutions",
        )
        latent: int | None = Field(
            None,
            ge=1,
            description="values of a code; none: 100 for an image, for a patch the number of principal components that"
            " explain 90 %",
        )
        skip: bool = Field(False, description="skip connections from encoder to decoder")
        variational: bool = Field(False, description="codes are drawn while it learns (VAE); their means are redrawn")
        beta: float = Field(1.0, ge=0, description="weight of the codes' divergence, where it is variational")
        loss: Literal["l2", "ssim"] = Field(
            "l2", description="squared errors of standardised values, or 1 - SSIM of values that span 1"
        )
        corrupt: Literal["none", "noise", "stain"] = Field(
            "none", description="corruption of the training input, which it learns to undo: Gaussian noise, or a stain"
        )
        steps: int = Field(2000, ge=1, description="training steps; the last weights count")
        batch: int = Field(16, ge=1, description="images a step; in the form 'place' 1024 patches for each of them")
        rate: float = Field(2e-4, gt=0, description="learning rate of Adam")
        decay: float = Field(1e-5, ge=0, description="weight decay of Adam")
        sample: int = Field(65_536, ge=1, description="patches that the form 'place' learns from, evenly of all images")
        precision: Literal["float32", "bfloat16"] = Field("float32", description="computing precision of training")

        @model_validator(mode="after")
        def _neighbours(self) -> Autoencoder.Config:
            if self.form == "place" and (self.loss == "ssim" or self.corrupt == "stain"):
                raise ValueError("form=place knows no neighbours, which ssim and stain are about; use form=image")
            return self

    config: Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._device = "cpu"
        self._learned: dict[str, Tensor] = {}
        self._made: Convolutional | Pointwise | None = None
        self._grid: list[int] = []

    def prepare(self, ctx: Context) -> None:
        self._device = ctx.device

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        """Train the network on the stream.

        Raises:
            DataError: there is no image, or images of different grids where whole images are redrawn.
            ContractError: patches are missing or not finite.
            UsageError: the images do not fit into memory, or the loss is not finite, with the step.
        """
        import torch

        from adbench_reconstruction.networks import start

        pool = self._pool(features, ctx)
        latent = self.config.latent or (LATENT if self.config.form == "image" else _components(pool))
        layout = torch.tensor([latent, *pool.examples.shape[2:]])
        network = self._network(len(pool.mean), layout)
        start(network, ctx.generator("autoencoder/weights"))
        losses = self._train(network.to(ctx.device).to(memory_format=torch.channels_last), pool, ctx)
        weights = {f"network.{name}": value.contiguous() for name, value in network.state_dict().items()}
        self.restore({"mean": pool.mean, "std": pool.std, "layout": layout, "losses": losses, **weights})

    def reconstruct(self, features: Features) -> Tensor:
        """The reconstruction of patches, [B, H, W, C] float32.

        Raises:
            ContractError: patches have other channels than those that were learned from.
            DataError: whole images are redrawn, and these have another grid.
            UsageError: nothing was learned yet.
        """
        import torch

        mean, std = self._known("mean"), self._known("std")
        patches = features.need_patches(self.title).to(mean)
        if patches.shape[-1] != len(mean):
            fault = f"patches have as many channels as when {self.title} learned, {len(mean)}, not {patches.shape[-1]}"
            raise ContractError("the backbone or a neck", fault)
        with torch.no_grad():
            return self._redrawn((patches - mean) / std) * std + mean

    def state(self) -> dict[str, Tensor]:
        return dict(self._learned)

    def restore(self, state: dict[str, Tensor]) -> None:
        import torch

        self._learned = {name: tensor.to(self._device) for name, tensor in state.items()}
        network = self._network(len(self._known("mean")), self._known("layout"))
        weights = {
            name.removeprefix("network."): value for name, value in self._learned.items() if name.startswith("network.")
        }
        network.load_state_dict(weights, assign=True)
        self._grid = self._known("layout").tolist()[1:]
        self._made = network.requires_grad_(requires_grad=False).to(memory_format=torch.channels_last).eval()

    def facts(self) -> Mapping[str, float]:
        """The length of a code, and the mean losses of the first and of the last steps."""
        return {"latent": float(self._known("layout")[0]), **loss_facts(self._known("losses"))}

    def losses(self) -> Sequence[float]:
        losses: list[float] = self._known("losses").tolist()
        return losses

    def _pool(self, features: FeatureStream, ctx: Context) -> Pool:
        from adbench_reconstruction.pool import Pool, images_of, patches_of

        if self.config.form == "image":
            return Pool.of(images_of(features, self.title))
        return Pool.of(patches_of(features, self.config.sample, ctx, self.title))

    def _network(self, channels: int, layout: Tensor) -> Convolutional | Pointwise:
        """The network without memory for its weights (on the device "meta").

        Args:
            channels: of a patch.
            layout: values of a code, then height and width where whole images are redrawn.
        """
        import torch

        from adbench_reconstruction.networks import Convolutional, Pointwise

        latent, *grid = layout.tolist()
        switches = {"skip": self.config.skip, "variational": self.config.variational}
        with torch.device("meta"):
            if self.config.form == "image":
                return Convolutional(channels, (grid[0], grid[1]), latent, **switches)
            return Pointwise(channels, latent, **switches)

    def _train(self, network: Convolutional | Pointwise, pool: Pool, ctx: Context) -> Tensor:
        """Train the network; returns the losses [steps]."""
        from adbench_reconstruction.loss import ReconstructionLoss

        loss = ReconstructionLoss(network, pool, self._objective())
        training = Training(network, loss, len(pool.examples), self._budget(), ctx, name=self.name, who=self.title)
        return training.run({"options": self.identity(), "version": self.version}, pool.examples)

    def _budget(self) -> Budget:
        options = self.config
        batch = options.batch * (1 if options.form == "image" else PATCHES)
        return Budget(options.steps, batch, options.rate, options.decay)

    def _objective(self) -> Objective:
        from adbench_reconstruction.loss import Objective

        options = self.config
        return Objective(options.loss, options.beta, options.corrupt, options.precision)

    def _redrawn(self, patches: Tensor) -> Tensor:
        """The reconstruction [B, H, W, C] of standardised patches."""
        import torch

        network = self._made
        assert network is not None
        if self.config.form == "place":
            return torch.cat(list(_parts(network, patches.flatten(0, 2)))).reshape(patches.shape)
        grid = self._grid
        if list(patches.shape[1:3]) != grid:
            raise DataError(
                f"{self.title} redraws whole images of {grid[0]} x {grid[1]} patches, but an image has"
                f" {patches.shape[1]} x {patches.shape[2]}; resize and crop all images to one size"
            )
        return torch.cat([network(one[None].permute(0, 3, 1, 2)).reconstruction for one in patches]).permute(0, 2, 3, 1)

    def _known(self, name: str) -> Tensor:
        if not self._learned:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        return self._learned[name]


def _parts(network: Any, rows: Tensor) -> Iterator[Tensor]:
    for start in range(0, len(rows), ROWS):  # `torch.split` into one part is not valid in ONNX
        yield network(rows[start : start + ROWS]).reconstruction


def _components(pool: Pool) -> int:
    """The number of principal components that explain `EXPLAINED` of the standardised variance; at least one."""
    import torch

    rows = ((pool.examples - pool.mean) / pool.std).double()
    rows = rows - rows.mean(0)
    values = torch.linalg.eigvalsh(rows.T @ rows).flip(0).clamp(min=0)
    share = values.cumsum(0) / values.sum().clamp(min=torch.finfo(values.dtype).tiny)
    return min(len(values), int((share < EXPLAINED).sum()) + 1)
