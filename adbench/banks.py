"""Checks of banks before they learn: `from adbench.banks import checked_batches, require_room`.

- `checked_batches`: the batches of a stream, whose patches are finite and have as many channels as those before.
- `require_finite`: the same check of one batch.
- `require_room`, `free_bytes`: a bank that does not fit into memory is refused before it is built, with the figures.

Importing this module imports no torch.
"""

from adbench.api.banks.checks import checked_batches, require_finite
from adbench.api.banks.room import free_bytes, require_room

__all__ = ["checked_batches", "free_bytes", "require_finite", "require_room"]
