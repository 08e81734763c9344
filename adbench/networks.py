"""Networks that compute a backbone's features: `from adbench.networks import Network, NetworkBackbone`.

- `NetworkBackbone`: a `Backbone` that is one network with one set of weights.
- `Network`: a torch module that torch, ONNX Runtime or OpenVINO computes, whichever `Context.runtime` asks for.
- `with_normalising`: a module that takes images of 0 to 1, as tuners train it.
- `LateModule`, `kept_facts`: a module that is built when torch has to compute it, and what is known of it before.
- `EmbeddedModel`: an ONNX model that becomes part of an exported file.
- `CudaGraphed`, `to_device`: what makes a network fast on a GPU, for plugins that compute in a way of their own.

`adbench.weights` fills a network. Importing this module imports no torch.
"""

from adbench.api.networks.cuda import CudaGraphed, to_device
from adbench.api.networks.embedded import EmbeddedModel
from adbench.api.networks.kept import LateModule, kept_facts
from adbench.api.networks.runtime import Network, NetworkBackbone, with_normalising

__all__ = [
    "CudaGraphed",
    "EmbeddedModel",
    "LateModule",
    "Network",
    "NetworkBackbone",
    "kept_facts",
    "to_device",
    "with_normalising",
]
