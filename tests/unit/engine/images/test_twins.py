from adbench import Sample
from adbench.engine.images.twins import groups_of, repeated

SAMPLES = [Sample(f"bolt/train/good/{name}") for name in ("c", "a", "b", "d")]
DIGESTS = dict(zip((sample.id for sample in SAMPLES), ("one", "two", "one", "three"), strict=True))


def test_images_of_one_content_stand_together_in_the_order_of_ids():
    assert groups_of(SAMPLES, DIGESTS) == [[1], [2, 0], [3]]


def test_repeated_images_are_counted():
    assert repeated(SAMPLES, DIGESTS) == 2
    assert repeated(SAMPLES[:2], DIGESTS) == 0
