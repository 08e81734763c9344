"""The bank of learned prompts: what it learns, from what, and that the text tower stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adbench_clip.learned_prompts import LearnedPrompts
from safetensors.torch import load, save
from torch.nn.functional import normalize

from adbench import Context, ContractError, DataError, Source, UsageError


@pytest.fixture
def own(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("normal: ['{}', 'flawless {}']\nabnormal: ['broken {}']\ntemplates: ['a photo of a {}.']\n")
    return file


@pytest.fixture
def vectors():
    """Image vectors of eight normal images that are alike."""
    rng = np.random.default_rng(5)
    return torch.tensor(rng.normal(size=16) + 0.1 * rng.normal(size=(8, 16)), dtype=torch.float32)


@pytest.fixture
def made(tiny, whole, own, ready):
    def made(class_name="weld", **options):
        options = {"context": 2, "steps": 30, "temperature": 0.1, "mean_of": "unit", **options}
        return ready(LearnedPrompts(architecture=tiny, weights=whole[1], prompts=own, **options), class_name=class_name)

    return made


@pytest.fixture
def images(seen):
    def images(rows):
        return seen(torch.zeros(len(rows), 1, 1, 4), image=rows)

    return images


def fitted(bank, stream, *batches, **surroundings):
    bank.fit(stream(*batches), Context(class_name="weld", **surroundings))
    return bank


@pytest.mark.proves("prompt-learn")
def test_normal_images_come_closer_to_normal_prompts(made, stream, images, vectors):
    def lead(bank):
        similar = normalize(vectors, dim=1) @ normalize(torch.cat([bank.normal, bank.abnormal]), dim=1).T
        return float((similar[:, 0] - similar[:, 1]).mean())

    before = lead(fitted(made(rate=1e-9, steps=1), stream, images(vectors)))
    bank = fitted(made(), stream, images(vectors))
    assert lead(bank) > before + 0.05
    assert bank.losses()[-1] < 0.9 * bank.losses()[0]
    assert len(bank.losses()) == 30


@pytest.mark.proves("prompt-learn")
def test_learned_words_stand_before_the_states_in_open_clips_tower(made, stream, images, vectors, whole):
    """open_clip's own encode_text, with a vocabulary of which two words are the learned ones."""
    import open_clip

    bank = fitted(made(mean_of="raw"), stream, images(vectors))
    model = whole[0]
    tokens = open_clip.tokenize(["X X weld", "X X flawless weld", "X X broken weld"], context_length=24)
    table = model.token_embedding.weight.data
    kept = table[-4:-2].clone()  # the two words before the tokens of begin and end are in none of the sentences
    last = len(table) - 4
    tokens[:, 1:3] = torch.tensor([last, last + 1])
    try:
        table[-4:-2] = bank.state()["words"]
        with torch.no_grad():
            expected = model.encode_text(tokens)
    finally:
        table[-4:-2] = kept
    torch.testing.assert_close(bank.normal, expected[:2].mean(0, keepdim=True), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(bank.abnormal, expected[2:], rtol=1e-4, atol=1e-4)


@pytest.mark.proves("prompt-learn")
def test_the_loss_is_cross_entropy_by_hand(made, stream, images, vectors):
    """The first step's loss, from the prompts behind the words that a rate of nearly zero leaves."""
    bank = fitted(made(rate=1e-12, steps=1), stream, images(vectors))
    text = normalize(torch.cat([bank.normal, bank.abnormal]), dim=1).double()
    logits = normalize(vectors.double(), dim=1) @ text.T / 0.1
    expected = float(-(logits[:, 0] - logits.logsumexp(1)).mean())
    assert bank.losses()[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_the_seed_decides(made, stream, images, vectors):
    first, again, other = (fitted(made(steps=5), stream, images(vectors), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.normal, again.normal)
    assert not torch.equal(first.normal, other.normal)


@pytest.mark.slow
def test_it_learns_under_inference_mode(made, stream, images, vectors):
    with torch.inference_mode():
        bank = fitted(made(steps=5), stream, images(vectors))
    assert torch.equal(bank.normal, fitted(made(steps=5), stream, images(vectors)).normal)


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_words(made, stream, images, vectors, tmp_path, monkeypatch):
    monkeypatch.setattr("adbench.api.training.checkpoint.EVERY", 10)
    whole = fitted(made(), stream, images(vectors))

    def stop(_stage, done, _total):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(made(), stream, images(vectors), cache=tmp_path, watch=stop)
    counts = []
    resumed = fitted(
        made(), stream, images(vectors), cache=tmp_path, watch=lambda _stage, done, _total: counts.append(done)
    )
    assert counts == [20, 30]
    assert torch.equal(resumed.state()["words"], whole.state()["words"])


def test_what_it_knows_survives(made, stream, images, vectors):
    bank = fitted(made(), stream, images(vectors))
    other = made()
    other.restore(load(save(bank.state())))
    assert torch.equal(other.abnormal, bank.abnormal)
    assert other.losses() == bank.losses()
    facts = other.facts()
    assert (facts["normal_prompts"], facts["abnormal_prompts"], facts["random_text_weights"]) == (2, 1, 0)
    assert facts["loss_last"] == pytest.approx(np.mean(bank.losses()))


def test_it_needs_the_name_and_learns_from_normal_images(made):
    assert LearnedPrompts().needs == {"image", "class_name"}
    assert LearnedPrompts(told=False).needs == {"image"}
    assert LearnedPrompts.learns_from is Source.TRAIN
    with pytest.raises(
        UsageError, match=r"bank 'learned-prompts': told=true needs the object's name.*--allow class-na"
    ):
        made(class_name=None)


def test_no_image_is_reported(made, stream):
    with pytest.raises(DataError, match="bank 'learned-prompts': there is no image to learn from"):
        fitted(made(), stream)


@pytest.mark.parametrize("rows", [torch.ones(2, 15), torch.full((2, 16), float("nan"))], ids=["width", "nan"])
def test_image_vectors_of_another_space_are_reported(made, stream, images, rows):
    with pytest.raises(ContractError, match="as wide as the text of bank 'learned-prompts', 16 channels"):
        fitted(made(), stream, images(rows))


def test_a_state_that_is_too_long_with_its_words_is_refused(made, stream, images, vectors):
    with pytest.raises(UsageError, match="X X weld. is 25 tokens long"):
        fitted(made(context=22), stream, images(vectors))


def test_a_budget_of_no_steps_is_refused():
    with pytest.raises(UsageError, match="steps"):
        LearnedPrompts(steps=0)


@pytest.mark.slow
def test_a_tower_that_reads_otherwise_is_refused(made, stream, images, vectors, monkeypatch):
    from adbench_clip import loading

    tower = loading.text_tower

    def other(*given):
        made = tower(*given)
        made.text_pool_type = "last"
        return made

    monkeypatch.setattr(loading, "text_tower", other)
    with pytest.raises(UsageError, match="does not read from left to right to a token of the end"):
        fitted(made(), stream, images(vectors))
