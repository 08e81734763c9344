"""The file of a detector: a stored zip of JSON and safetensors, written whole and read as an untrusted file."""
