"""One small real component for each kind of bank, with the scorer that reads it, a backbone and a masker.

A plugin author reads them first, the conformance kit pairs others with them, and they prove six kinds of bank enough.

| bank | kind | learns from | read by |
|---|---|---|---|
| `toy-vectors` | VectorBank | train | `toy-nearest` |
| `toy-test-vectors` | VectorBank | test | `toy-nearest` |
| `toy-aligned` | AlignedBank | train | `toy-aligned-nearest` |
| `toy-gaussian` | GaussianBank | train | `toy-mahalanobis` |
| `toy-energy` | EnergyBank | train | `toy-energy` |
| `toy-reconstruction` | ReconstructionBank | train | `toy-residual` |
| `toy-median` | ReconstructionBank | nothing | `toy-residual` |
| `toy-prototypes` | PrototypeBank | train | `toy-contrast` |
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import (
    AlignedBank,
    Backbone,
    Batch,
    Component,
    Context,
    DataError,
    EnergyBank,
    Features,
    FeatureStream,
    Field,
    GaussianBank,
    Masker,
    PrototypeBank,
    ReconstructionBank,
    Scorer,
    Scores,
    Source,
    UsageError,
    VectorBank,
    Weights,
)
from adbench.comparisons import PatchComparison, compare_with_nearest

if TYPE_CHECKING:
    from torch import Tensor

SHRINKAGE = 0.05  # weight of the sphere in `toy-gaussian`
AXES = 3  # principal components that `toy-reconstruction` keeps
GROUPS = 4  # normal prototypes of `toy-prototypes`
PUSH = 3.0  # distance of its abnormal ones, in standard deviations of all patches
TINY = 1e-6  # keeps a division or a root away from zero


class ToyPixels(Backbone):
    """Patches are the mean colour and the local contrast of square cells of the image."""

    name = "toy-pixels"

    class Config(Component.Config):
        """How large a patch is."""

        cell: int = Field(8, ge=1, description="side of a patch in pixels")

    config: Config

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        return {"preprocess": [{"resize": {"size": [128, 128]}}]}

    def extract(self, batch: Batch) -> Features:
        """Patches [B, H0 // cell, W0 // cell, 6]: mean and standard deviation of red, green and blue."""
        import torch
        from torch.nn.functional import adaptive_avg_pool2d

        height, width = (side // self.config.cell for side in batch.images.shape[-2:])
        if not height or not width:
            raise UsageError(f"{self.title}: an image is smaller than one cell; make 'cell' smaller or resize to more")
        mean = adaptive_avg_pool2d(batch.images, (height, width))
        spread = adaptive_avg_pool2d(batch.images**2, (height, width)) - mean**2
        patches = torch.cat([mean, spread.clamp(min=0).sqrt()], dim=1).permute(0, 2, 3, 1)
        return Features(ids=batch.ids, geometry=batch.geometry, patches=patches, images=batch.images)

    def weights(self) -> tuple[Weights, ...]:
        return ()


class ToyBorder(Masker):
    """The object is what looks unlike the border of the image."""

    name = "toy-border"
    needs = frozenset({"patches"})

    def mask(self, features: Features) -> Tensor:
        """Where the distance to the border's mean patch is at least the image's average distance."""
        import torch

        patches = features.need_patches(self.title).float()
        border = torch.cat([patches[:, 0], patches[:, -1], patches[:, :, 0], patches[:, :, -1]], dim=1).mean(1)
        distance = _length(patches - border[:, None, None])
        return distance >= distance.mean(dim=(1, 2), keepdim=True)


def _learned(name: str) -> Any:
    """A property that reads what was learned under this name."""
    return property(lambda bank: bank.learned[name])


class _Learned:
    """The base of the toy banks: `fit` learns a dictionary of tensors."""

    needs = frozenset({"patches"})
    learned: dict[str, Tensor]

    def state(self) -> dict[str, Tensor]:
        return dict(self.learned)

    def restore(self, state: dict[str, Tensor]) -> None:
        self.learned = dict(state)


class ToyVectors(_Learned, VectorBank):
    """A random subset of all patches."""

    name, drops = "toy-vectors", True
    vectors = _learned("vectors")

    class Config(Component.Config):
        fraction: float = Field(0.5, gt=0, le=1, description="part of the patches that is kept")

    config: Config

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        import torch

        rows = torch.cat(list(_rows(features, self.title)))
        owners = [owner for part in features for owner in _owners(part, self.title)]
        count = max(1, round(self.config.fraction * len(rows)))
        kept = torch.randperm(len(rows), generator=ctx.generator(self.name))[:count].sort().values
        names = "\n".join(owners[i] for i in kept.tolist()).encode()
        self.learned = {"vectors": rows[kept], "owners": torch.tensor(list(names), dtype=torch.uint8)}

    @property
    def owners(self) -> Sequence[str]:
        return bytes(self.learned["owners"].tolist()).decode().split("\n")


class ToyTestVectors(ToyVectors):
    """A random subset of the test images' own patches: what is rare in the test set is anomalous."""

    name = "toy-test-vectors"
    learns_from = Source.TEST


class ToyAligned(_Learned, AlignedBank):
    """Every normal image's patches, at their places."""

    name = "toy-aligned"
    vectors = _learned("vectors")

    def fit(self, features: FeatureStream, ctx: Context) -> None:  # noqa: ARG002 - nothing is drawn
        import torch

        grids = [part.need_patches(self.title).float() for part in features]
        if len({grid.shape[1:] for grid in grids}) != 1:
            raise DataError(f"{self.title}: it needs images, all with the same patch grid; resize them to one size")
        self.learned = {"vectors": torch.cat(grids)}


class ToyGaussian(_Learned, GaussianBank):
    """One Gaussian over all patches, its covariance shrunk towards a sphere."""

    name, drops = "toy-gaussian", True
    mean, precision = _learned("mean"), _learned("precision")

    def fit(self, features: FeatureStream, ctx: Context) -> None:  # noqa: ARG002 - nothing is drawn
        import torch

        mean, covariance = _moments(features, self.title)
        sphere = torch.eye(len(mean), dtype=mean.dtype, device=mean.device) * (covariance.trace() / len(mean) + TINY)
        shrunk = torch.lerp(covariance, sphere, SHRINKAGE)
        precision = torch.cholesky_inverse(torch.linalg.cholesky(shrunk))
        self.learned = {"mean": mean.float(), "precision": precision.float()}


class ToyEnergy(_Learned, EnergyBank):
    """Negative log-likelihood of a patch whose channels are independent Gaussians, up to a constant."""

    name, drops = "toy-energy", True

    def fit(self, features: FeatureStream, ctx: Context) -> None:  # noqa: ARG002 - nothing is drawn
        mean, covariance = _moments(features, self.title)
        self.learned = {"mean": mean.float(), "std": (covariance.diagonal() + TINY).sqrt().float()}

    def energy(self, features: Features) -> Tensor:
        patches = features.need_patches(self.title).float()
        return (((patches - self.learned["mean"]) / self.learned["std"]) ** 2).sum(-1) / 2


class ToyReconstruction(_Learned, ReconstructionBank):
    """Patches redrawn from their three strongest principal components."""

    name = "toy-reconstruction"

    def fit(self, features: FeatureStream, ctx: Context) -> None:  # noqa: ARG002 - nothing is drawn
        import torch

        mean, covariance = _moments(features, self.title)
        axes = torch.linalg.eigh(covariance).eigenvectors[:, -AXES:]
        self.learned = {"mean": mean.float(), "axes": axes.float().contiguous()}

    def reconstruct(self, features: Features) -> Tensor:
        mean, axes = self.learned["mean"], self.learned["axes"]
        return mean + (features.need_patches(self.title).float() - mean) @ axes @ axes.T


class ToyMedian(_Learned, ReconstructionBank):
    """Every patch redrawn as the median patch of its own image: nothing is learned from anything."""

    name = "toy-median"
    learns_from = Source.NOTHING

    def fit(self, features: FeatureStream, ctx: Context) -> None:  # noqa: ARG002 - it learns from nothing
        self.learned = {}

    def reconstruct(self, features: Features) -> Tensor:
        patches = features.need_patches(self.title).float()
        return patches.flatten(1, 2).median(dim=1).values[:, None, None].expand_as(patches)


class ToyPrototypes(_Learned, PrototypeBank):
    """Means of groups of normal patches, against points far out where normal patches vary least."""

    name = "toy-prototypes"
    normal, abnormal = _learned("normal"), _learned("abnormal")

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        import torch

        mean, covariance = _moments(features, self.title)
        axes = torch.linalg.eigh(covariance).eigenvectors[:, : max(1, len(mean) // 2)].T
        out = axes * PUSH * (covariance.trace() + TINY).sqrt()
        rows = torch.cat(list(_rows(features, self.title)))
        abnormal = torch.cat([mean + out, mean - out]).float()
        self.learned = {"normal": _group_means(rows, GROUPS, ctx, self.name), "abnormal": abnormal}


class _ToyScorer(Scorer):
    """The base of the toy scorers: `distance` measures patches, `usual` names the default bank."""

    needs = frozenset({"patches"})
    usual: ClassVar[str]

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        return {"bank": cls.usual, "aggregate": "max"}

    def score(self, query: Features, bank: Any) -> Scores:
        """Scores of the patches [B, H, W]."""
        patches, whole = query.need_patches(self.title).float(), query.having(foreground=None)
        return Scores(patches=self.distance(whole, patches, bank).float())

    @abstractmethod
    def distance(self, query: Features, patches: Tensor, bank: Any) -> Tensor:
        """[B, H, W] for patches [B, H, W, C] of the query."""


class ToyNearest(_ToyScorer):
    """Mean distance to the nearest normal patches; an image never matches itself."""

    name = "toy-nearest"
    bank = VectorBank
    usual = "toy-vectors"

    class Config(Component.Config):
        k: int = Field(1, ge=1, description="neighbours to average over")

    config: Config

    def compare(self, query: Features, bank: VectorBank, place: tuple[int, int]) -> PatchComparison:
        return compare_with_nearest(query.need_patches(self.title)[0][place].float(), bank)

    def distance(self, query: Features, patches: Tensor, bank: VectorBank) -> Tensor:
        distances, _ = bank.search(patches.flatten(0, 2), self.config.k, exclude=_owners(query, self.title))
        return distances.mean(1).reshape(patches.shape[:3])


class ToyAlignedNearest(_ToyScorer):
    """Distance to the nearest normal patch at the same place."""

    name = "toy-aligned-nearest"
    bank = AlignedBank
    usual = "toy-aligned"

    def distance(self, query: Features, patches: Tensor, bank: AlignedBank) -> Tensor:
        if patches.shape[1:] != bank.vectors.shape[1:]:
            raise DataError(f"{self.title}: {query.ids[0]!r} has another patch grid than the bank; resize to one size")
        return _length(patches[:, None] - bank.vectors.to(patches)).amin(dim=1)


class ToyMahalanobis(_ToyScorer):
    """Mahalanobis distance to the Gaussian of the place, to the only one, or to the nearest of several."""

    name = "toy-mahalanobis"
    bank = GaussianBank
    usual = "toy-gaussian"

    def distance(self, query: Features, patches: Tensor, bank: GaussianBank) -> Tensor:  # noqa: ARG002 - by patch alone
        mean, precision = bank.mean.to(patches), bank.precision.to(patches)
        clusters = mean.ndim == 2  # [K, C]; a Gaussian a place is [H, W, C]
        offset = patches[..., None, :] - mean if clusters else patches - mean
        squared = ((offset[..., None, :] @ precision).squeeze(-2) * offset).sum(-1).clamp(min=0)
        return (squared.amin(-1) if clusters else squared).sqrt()


class ToyEnergyScorer(_ToyScorer):
    """The bank's own energy."""

    name = "toy-energy"
    bank = EnergyBank
    usual = "toy-energy"

    def distance(self, query: Features, patches: Tensor, bank: EnergyBank) -> Tensor:  # noqa: ARG002 - the bank reads them
        return bank.energy(query)


class ToyResidual(_ToyScorer):
    """Distance between a patch and its reconstruction."""

    name = "toy-residual"
    bank = ReconstructionBank
    usual = "toy-reconstruction"

    def distance(self, query: Features, patches: Tensor, bank: ReconstructionBank) -> Tensor:
        return _length(patches - bank.reconstruct(query))


class ToyContrast(_ToyScorer):
    """Distance to the nearest normal prototype, as a share of the distances to both sides: 0 is normal, 1 is not."""

    name = "toy-contrast"
    bank = PrototypeBank
    usual = "toy-prototypes"

    def distance(self, query: Features, patches: Tensor, bank: PrototypeBank) -> Tensor:  # noqa: ARG002 - by patch alone
        rows = patches.flatten(0, 2)
        normal, abnormal = (_length(rows[:, None] - side.to(rows)).amin(1) for side in (bank.normal, bank.abnormal))
        return (normal / (normal + abnormal + TINY)).reshape(patches.shape[:3])


def _length(vectors: Tensor) -> Tensor:
    """Euclidean length along the last dimension."""
    import torch

    length: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    return length


def _rows(features: FeatureStream, who: str) -> Iterator[Tensor]:
    """The objects' patches [N, C] float32, a batch at a time; a `DataError` where there are none."""
    if not len(features):
        raise DataError(f"{who}: there is no image to learn from; give at least one")
    for part in features:
        yield part.object_patches(who)[0].float()


def _owners(part: Features, who: str) -> list[str]:
    """The image of each patch, in the order of `_rows`."""
    return [name for name, count in zip(part.ids, part.object_patches(who)[1], strict=True) for _ in range(count)]


def _moments(features: FeatureStream, who: str) -> tuple[Tensor, Tensor]:
    """Mean [C] and covariance [C, C] of all patches in float64, in one pass; a batch at a time is in memory."""
    import torch

    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for rows in _rows(features, who):
        wide = rows.double()
        count, total, products = count + len(wide), wide.sum(0) + total, wide.T @ wide + products
    mean = total / count
    return mean, products / count - torch.outer(mean, mean)


def _group_means(rows: Tensor, groups: int, ctx: Context, name: str) -> Tensor:
    """One step of k-means from rows drawn at random: [K, C], at most one for each row that differs from the others."""
    import torch

    seeds = torch.unique(rows[torch.randperm(len(rows), generator=ctx.generator(name))[:groups]], dim=0)
    member = torch.nn.functional.one_hot(_length(rows[:, None] - seeds).argmin(1), len(seeds)).float()
    return member.T @ rows / member.sum(0)[:, None]


BANKS = (ToyVectors, ToyTestVectors, ToyAligned, ToyGaussian, ToyEnergy, ToyReconstruction, ToyMedian, ToyPrototypes)
SCORERS = (ToyNearest, ToyAlignedNearest, ToyMahalanobis, ToyEnergyScorer, ToyResidual, ToyContrast)
