"""The flows of adbench-flow against anomalib's FastFlow and CFLOW-AD: same layers, same weights."""

import pytest

pytest.importorskip("adbench_flow", reason="adbench-flow is not installed beside anomalib")

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]  # the warnings are anomalib's dependencies'

HEIGHT, WIDTH = 64, 96
TOLERANCE = 1e-5


def seeded(make):
    """A network whose weights are far from those of a beginning."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make().eval()
        for name, values in network.named_parameters():
            if "subnet" in name:
                values.data.add_(0.02 * torch.randn(values.shape))
    return network


@pytest.fixture(scope="module")
def images():
    import torch

    coarse = torch.rand(4, 3, 6, 9, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, size=(HEIGHT, WIDTH), mode="bilinear")


def taken_over(ours, theirs):
    """Our flows with the weights of anomalib's, which FrEIA's names make the same."""
    for flow, other in zip(ours, theirs, strict=True):
        flow.load_state_dict(other.state_dict())


@pytest.mark.proves("fastflow", "fastflow-lite")
@pytest.mark.parametrize("kernels", ["3", "3-1"])
def test_fastflows_maps_are_equal(kernels, images):
    import torch
    from adbench_flow.maps_flow import MapsFlow
    from anomalib.models.image.fastflow.torch_model import FastflowModel

    only = kernels == "3"
    theirs = seeded(lambda: FastflowModel((HEIGHT, WIDTH), "resnet18", pre_trained=False, conv3x3_only=only))
    with torch.no_grad():
        layers = theirs.feature_extractor(images)
    sides = [3 if only or number % 2 == 0 else 1 for number in range(8)]
    ours = MapsFlow([tuple(layer.shape[1:]) for layer in layers], sides, 1.0, 2.0, probability=True).eval()
    taken_over(ours.flows, theirs.fast_flow_blocks)
    with torch.no_grad():
        energies = [-(-code.square().mean(1, keepdim=True) / 2).exp() for code, _ in ours._codes(layers)]
        enlarged = [torch.nn.functional.interpolate(each, (HEIGHT, WIDTH), mode="bilinear") for each in energies]
        expected = theirs(images).anomaly_map
        loss = ours.loss(layers, torch.Generator())
        theirs.train()
        theirs_loss = fastflow_loss(*theirs(images))
    torch.testing.assert_close(torch.stack(enlarged).mean(0), expected, rtol=TOLERANCE, atol=TOLERANCE)
    torch.testing.assert_close(loss, theirs_loss, rtol=TOLERANCE, atol=TOLERANCE)
    assert expected.std() > 100 * TOLERANCE


def fastflow_loss(codes, jacobians):
    from anomalib.models.image.fastflow.loss import FastflowLoss

    return FastflowLoss()(codes, jacobians)


@pytest.mark.proves("cflow", "cflow-lite")
def test_cflows_likelihoods_are_equal_for_the_same_codes_of_places(images):
    import torch
    from adbench_flow.density import vectors_of
    from adbench_flow.vectors_flow import VectorsFlow
    from anomalib.models.image.cflow.torch_model import CflowModel
    from anomalib.models.image.cflow.utils import get_logp, positional_encoding_2d

    theirs = seeded(lambda: CflowModel("resnet18", ["layer2", "layer3"], pre_trained=False))
    with torch.no_grad():
        layers = list(theirs.encoder(images).values())
    ours = VectorsFlow([tuple(layer.shape[1:]) for layer in layers], 8, 128, 1.9, 100).eval()
    taken_over(ours.flows, theirs.decoders)
    for number, layer in enumerate(layers):
        rows, channels = vectors_of(layer), layer.shape[1]
        places = positional_encoding_2d(128, *layer.shape[2:]).flatten(1).T.repeat(len(layer), 1)
        with torch.no_grad():
            code, log_determinant = theirs.decoders[number](rows, [places])
            found = ours._likelihood(number, rows, places)
        expected = get_logp(channels, code, log_determinant) / channels
        torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
        assert expected.std() > 100 * TOLERANCE


@pytest.mark.proves("cflow", "cflow-lite")
def test_cflows_codes_of_places_hold_the_same_values():
    """In another order, which makes no difference to a subnet whose first layer learns from all of them."""
    import torch
    from adbench_flow.positions import position_codes
    from anomalib.models.image.cflow.utils import positional_encoding_2d

    ours = position_codes(5, 7, 128)
    theirs = positional_encoding_2d(128, 5, 7).flatten(1).T
    distances = torch.cdist(ours.T.double(), theirs.T.double(), compute_mode="donot_use_mm_for_euclid_dist")
    assert distances.min(1).values.max() < TOLERANCE
    assert distances.min(0).values.max() < TOLERANCE
