"""The file of a detector: a stored zip of JSON and safetensors, written whole and read as a stranger's."""
