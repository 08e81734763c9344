import threading

import pytest
import torch

from adbench import BadImage
from adbench.builtin.folders.datasets import Folder
from adbench.builtin.stages.preprocessors import Resize
from adbench.engine.features.image_loader import ImageLoader, SourceImage, source_images


@pytest.fixture
def images(parts):
    """The test images of ``bolt``, each under its own id."""
    dataset = Folder(root=parts)
    samples = dataset.split("bolt").test
    return source_images(dataset, samples, {sample.id: sample.id for sample in samples}, {})


@pytest.fixture
def loader():
    return ImageLoader((), batch_size=4, workers=2)


def test_leaving_early_leaves_no_thread(loader, images):
    before = threading.active_count()
    walk = loader.batches(images)
    next(walk)
    walk.close()
    assert threading.active_count() == before


def test_batches_end_where_the_size_changes(images):
    class Crooked(Resize):
        name = "crooked"

        def apply(self, image, geometry):
            self.count = getattr(self, "count", 0) + 1
            return super().apply(image, geometry) if self.count > 3 else (image, geometry)

    walk = ImageLoader([Crooked(size=32)], 4, 1).batches(images)
    assert [tuple(batch.images.shape) for batch in walk] == [(3, 3, 64, 64), (3, 3, 32, 32)]


def test_images_arrive_as_floats_from_0_to_1(loader, images):
    batch = next(loader.batches(images))
    assert batch.images.dtype == torch.float32
    assert 0.3 < float(batch.images.mean()) < 0.6
    assert batch.ids == tuple(image.alias for image in images[:4])


def test_images_have_their_alias_and_their_content(parts):
    dataset = Folder(root=parts)
    first, second, *_ = dataset.split("bolt").test
    one, other = source_images(dataset, (first, second), {first.id: "a", second.id: "b"}, {first.id: "content"})
    assert (one.alias, one.digest, other.alias, other.digest) == ("a", "content", "b", "")
    assert torch.equal(one.read(), torch.from_numpy(dataset.image(first)).permute(2, 0, 1))


def test_images_come_from_anywhere(loader):
    pixels = [torch.full((3, 8, 8), value, dtype=torch.uint8) for value in (0, 255)]
    images = [SourceImage(str(place), lambda place=place: pixels[place]) for place in range(2)]
    (batch,) = loader.batches(images)
    assert batch.ids == ("0", "1")
    assert batch.images[:, 0, 0, 0].tolist() == [0, 1]


def test_a_bad_file_is_named(parts, loader, images):
    next((parts / "bolt" / "test" / "good").iterdir()).write_bytes(b"\x89PNG nonsense")
    with pytest.raises(BadImage, match="test/good"):
        list(loader.batches(images))
