"""A submission to the server of MVTec AD 2: its files, how they are made, and a check before it is sent."""
