"""The contracts between adbench and its plugins. Nothing here imports torch when it is loaded."""
