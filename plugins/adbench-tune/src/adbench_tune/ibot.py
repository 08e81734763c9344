"""The tuner `ibot`: DINO, and the student also says what its teacher says of patches that it does not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from adbench_tune.dino import Dino

if TYPE_CHECKING:
    from torch import Tensor

    from adbench.training import Trainable
    from adbench_tune.masking import MaskToken


class Ibot(Dino):
    """iBOT (Zhou et al., 2022, https://arxiv.org/abs/2111.07832), with a head of its own for patches as in DINOv2.

    Its loss is DINO's plus that of masked patches: blocks of 10 to 50 % of the patches in half of the global views. It
    needs a vision transformer.
    """

    name: ClassVar[str] = "ibot"

    def token(self, trainable: Trainable, image: Tensor) -> MaskToken | None:
        """The vector in place of masked patches, zero at first.

        Raises:
            UsageError: the network is no vision transformer.
        """
        from adbench_tune.masking import token_for

        return token_for(trainable.network, image, self.title)
