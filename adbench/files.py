"""Files that users name: `from adbench.files import LocalFile, read_yaml`.

- `LocalFile`: the type of an option that names a file, which enters a record's identity by name and sha256.
- `read_json`, `read_yaml`, `read_plain`: read an untrusted file as JSON, YAML or text: bounded, and refused in one
  sentence where it is malformed.
- `sha256_of`: the digest of a file's bytes.
- `atomic_write`: writes a file that appears whole or not at all.
"""

from adbench.api.atomic_file import atomic_write
from adbench.api.component import LocalFile, sha256_of
from adbench.api.untrusted import read_json, read_plain, read_yaml

__all__ = ["LocalFile", "atomic_write", "read_json", "read_plain", "read_yaml", "sha256_of"]
